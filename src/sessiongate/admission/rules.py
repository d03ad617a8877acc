"""Who may open a session: reuse, replacement and limits, decided in one place."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from sessiongate.core.rotation import may_end, share
from sessiongate.core.row import FOREVER, Record, Row, event_of, record_of, row_of
from sessiongate.core.steps import locked
from sessiongate.events import Event

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sessiongate.core.arguments import ExistingPolicy
    from sessiongate.core.recent import Superseded
    from sessiongate.core.row import RowCodec
    from sessiongate.core.steps import Flow, Step
    from sessiongate.events import EventKind

Outcome: TypeAlias = tuple[Row | None, list[Event]]
"""The session that is open now, ``None`` at a limit; and the events that follow, in order."""

_FEW: Final = 32
"""Records that are read to count them; of more the store is asked the number alone."""


class Login(NamedTuple):
    """A login, and the rules for it.

    In this order: ``existing="reuse"`` shares the newest live session of the user that may do
    the same and is remembered alike. Otherwise the sessions ``replaces`` (of any user) end, and
    with ``existing="replace"`` all of this user. Then the user's limit and the total are checked:
    the oldest sessions are evicted, or the login is refused. A refusal changes nothing. The oldest
    is the one that was opened first, whatever the clocks said.
    """

    row: Row
    now: int
    existing: ExistingPolicy
    replaces: tuple[tuple[str, int | None], ...]
    """Sids, each with the generation of the token that came for it; ``None``: it ends as it is."""
    limit: int | None
    """Live sessions of the whole store, the new one included."""
    user_limit: int | None
    """Live sessions of this user, the new one included."""
    evict: bool
    """At a limit: end the oldest instead of refusing."""
    transport: str | None = None

    @property
    def needs_user_sessions(self) -> bool:
        """Whether the user's other sessions matter to the decision."""
        return self.existing != "new" or self.user_limit is not None


class Admission:
    """Decides logins on the records of one codec."""

    def __init__(self, codec: RowCodec, superseded: Superseded) -> None:
        self.codec = codec
        self._superseded = superseded
        self.full: bool = False
        """Whether the last look found the total at its limit.

        Only a guess for the next login: it saves a trip, and ``commit`` checks it.
        """

    def admit(self, login: Login) -> Flow[Row | None]:
        """Let a user in: the session to use, or ``None`` at a limit."""
        row, events = yield from self._open(login)
        for event in events:
            if event.kind == "logout" and event.session is not None:
                self._superseded.add(event.session, FOREVER)
            yield event
        return row

    def _open(self, login: Login) -> Step[Outcome]:
        guess = login.evict or not self.full
        if not (self.full or login.needs_user_sessions):
            # Nearly always there is room, and this is the only trip.
            outcome = yield from _Attempt(self, login).decide(guess=True)
            if outcome is not None:
                return outcome
            guess = False
        username = login.row.username if login.needs_user_sessions else None
        begin = partial(self._decide, login, guess=guess)
        return (yield from locked(username, login.limit is not None, begin))  # type: ignore[no-any-return]

    def _decide(self, login: Login, *, guess: bool) -> Step[Outcome | None]:
        outcome = (yield from _Attempt(self, login).decide(guess=True)) if guess else None
        return outcome or (yield from _Attempt(self, login).decide(guess=False))


class _Attempt:
    """One attempt at a login: what it has read, and the records that it ends."""

    def __init__(self, admission: Admission, login: Login) -> None:
        self._admission, self._login, self._codec = admission, login, admission.codec
        self._seen: Any = None
        """The store's mark of the user's sessions; ``None``: they were not read."""
        self._mine: dict[str, tuple[Record, Row]] = {}
        """Those that are live, in the order of opening."""
        self._out: dict[str, Record] = {}
        self._live_out = 0
        self._events: list[Event] = []

    def decide(self, *, guess: bool) -> Step[Outcome | None]:
        """Decide; ``None``: something changed meanwhile, so decide anew.

        A ``guess`` does not count the total: there is room, or just one session too many.
        """
        login, row, now = self._login, self._login.row, self._login.now
        yield from self._read_user()
        if login.existing == "reuse":
            for record, other in reversed(self._mine.values()):
                same = other.scopes_and_claims == row.scopes_and_claims
                if same and other.remembered == row.remembered and not other.bound_key:
                    return (yield from self._reuse(record, other))
        yield from self._replace()
        if login.user_limit is not None:
            staying = [record for record, _ in self._mine.values() if record.sid not in self._out]
            excess = max(len(staying) + 1 - login.user_limit, 0)
            if excess > 0 and not login.evict:
                return self._refused("user")
            self._end(staying[:excess], "evicted")
        bounds = None
        if login.limit is not None:
            replaced = len(self._out)
            if (not guess or (self._admission.full and login.evict)) and not (
                yield from self._make_room(login.limit, guess=guess)
            ):
                least = login.limit + self._live_out
                # The user's sessions and the total have to be of one moment.
                if self._seen is None or (
                    yield "commit", row.username, (), None, self._seen, (least, FOREVER), now
                ):
                    return self._refused("total")
                return None
            evicts = len(self._out) > replaced
            bounds = login.limit if evicts else 0, login.limit  # as many as needed, not one more
        new, out = record_of(row, self._codec), tuple(self._out.values())
        if (yield "commit", row.username, out, new, self._seen, bounds, now):
            return row, [*self._events, self._event("login", row, "requested")]
        return None

    def _end(self, records: Iterable[Record], reason: str | None = None) -> None:
        """End these; without a reason they are no sessions, and their end is no event."""
        for record in records:
            if record.sid not in self._out:
                self._out[record.sid] = record
                self._live_out += self._login.now < record.expires_at
                if reason is not None:
                    self._events.append(self._event("logout", record, reason))

    def _event(self, kind: EventKind, session: Row | Record, reason: str) -> Event:
        return event_of(kind, session, self._login.now, self._login.transport, reason)

    def _refused(self, reason: str) -> Outcome:
        event = self._event("limit_reached", self._login.row, reason)
        return None, [replace(event, session=None)]  # it was never opened

    def _read_user(self) -> Step[None]:
        login = self._login
        if not login.needs_user_sessions:
            return
        self._seen, records = yield "of_user", login.row.username
        for record in records:
            live = login.now < record.expires_at
            row = row_of(record, self._codec) if live else None
            if row is not None:
                self._mine[record.sid] = record, row
            elif not live or login.existing == "replace":
                self._end([record])

    def _reuse(self, record: Record, row: Row) -> Step[Outcome | None]:
        login = self._login
        shared = share(row, login.now)
        if shared is not row:
            new = record_of(shared, self._codec)
            if (yield "swap", record, new, login.now) is not True:
                return None
        return shared, [self._event("login", shared, "reused")]

    def _replace(self) -> Step[None]:
        login = self._login
        for sid, came in login.replaces:
            if sid in self._mine:
                record, row = self._mine[sid]
                if came is None or may_end(row, came, login.now):
                    self._end([record], "replaced")
            elif sid not in self._out:
                data = yield "read", sid
                other = None if data is None else self._codec.decode(data, sid)
                if other is not None and (came is None or may_end(other, came, login.now)):
                    live = login.now < other.expires_at
                    record = Record(sid, other.username, other.expires_at, data)
                    self._end([record], "replaced" if live else None)
        if login.existing == "replace":
            self._end((record for record, _ in self._mine.values()), "replaced")

    def _make_room(self, limit: int, *, guess: bool) -> Step[bool]:
        """End records until the total has room; return whether it has.

        A ``guess`` takes the total to be just at its limit.
        """
        login, now, count = self._login, self._login.now, limit
        if guess and self._live_out > 0:
            return True
        most = 1 if guess else min(limit + len(self._out) + 1, _FEW)
        records, place = yield "live", now, most, None
        if not guess:
            count = len(records) if place is None else (yield "count", now)
            self._admission.full = count - self._live_out >= limit

        def has_room() -> bool:
            return count - self._live_out < limit

        while True:
            for record in records:
                if not has_room() and record.sid not in self._out:
                    is_session = row_of(record, self._codec) is not None
                    # Unreadable data is no session, so it must not keep anybody from a login.
                    if login.evict or not is_session:
                        self._end([record], "evicted" if is_session else None)
            if has_room() or place is None or not login.evict:
                return login.evict or has_room()
            records, place = yield "live", now, _FEW, place
