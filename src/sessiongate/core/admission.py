"""Who may open a session: reuse, replacement and limits, decided in one place."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

from sessiongate.core.record import Record, row_of
from sessiongate.core.rotation import share
from sessiongate.core.row import FOREVER, Row, to_datetime
from sessiongate.core.steps import locked
from sessiongate.events import Event

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sessiongate.core.arguments import ExistingPolicy
    from sessiongate.core.record import RowCodec
    from sessiongate.core.steps import Step
    from sessiongate.events import EventKind

Outcome: TypeAlias = tuple[Row | None, list[Event]]
"""The session that is open now, ``None`` at a limit; and the events that follow, in order."""

_FEW: Final = 32
"""Records that are read to count them; of more the store is asked the number alone."""


class Login(NamedTuple):
    """A login, and the rules for it.

    In this order: ``existing="reuse"`` shares the newest live session of the
    user with the same scopes, claims and ``remembered``. Otherwise the sessions ``replaces``
    (of any user) end, and with ``existing="replace"`` all of this user. Then the
    user's limit and the total are checked: the oldest sessions are evicted, or
    the login is refused. A refusal changes nothing. The oldest is the one that
    was opened first, whatever the clocks said.
    """

    row: Row
    now: int
    existing: ExistingPolicy
    replaces: tuple[str, ...]
    """Sids."""
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

    def event(self, kind: EventKind, session: Row | Record, reason: str) -> Event:
        at = to_datetime(self.now)
        return Event(kind, at, session.username, session.sid, self.transport, reason)

    def refused(self, reason: Literal["user", "total"]) -> Outcome:
        at, username = to_datetime(self.now), self.row.username
        return None, [Event("limit_reached", at, username, None, self.transport, reason)]


class SessionSet(NamedTuple):
    """The sessions of the user at one moment, in the order of opening."""

    seen: Any
    """The store's mark of the set; ``None``: it was not read."""
    live: dict[str, tuple[Record, Row]]
    dead: dict[str, Record]
    """Expired, but still there."""
    unreadable: dict[str, Record]
    """Data that the codec cannot read: no session."""


class _Departures:
    """The records that end for a login."""

    def __init__(self, login: Login) -> None:
        self._login = login
        self.records: dict[str, Record] = {}
        self.live = 0
        self.events: list[Event] = []

    def add(self, records: Iterable[Record], reason: str | None = None) -> None:
        """End these; without a reason they are no sessions, and their end is no event."""
        for record in records:
            if record.sid not in self.records:
                self.records[record.sid] = record
                self.live += self._login.now < record.expires_at
                if reason is not None:
                    self.events.append(self._login.event("logout", record, reason))


class Admission:
    """Decides logins on the records of one codec."""

    def __init__(self, codec: RowCodec) -> None:
        self._encode, self._decode = codec.encode, codec.decode
        self.full = False
        """Whether the last look found the total at its limit.

        Only a guess for the next login: it saves a trip, and ``commit`` checks it.
        """

    def open(self, login: Login) -> Step[Outcome]:
        """Let a user in, or say why not."""
        guess = login.evict or not self.full
        if not (self.full or login.needs_user_sessions):
            # Nearly always there is room, and this is the only trip.
            outcome = yield from self._attempt(login, guess=True)
            if outcome is not None:
                return outcome
            guess = False
        username = login.row.username if login.needs_user_sessions else None
        begin = partial(self._decide, login, guess=guess)
        return (yield from locked(username, login.limit is not None, begin))  # type: ignore[no-any-return]

    def _decide(self, login: Login, *, guess: bool) -> Step[Outcome | None]:
        outcome = (yield from self._attempt(login, guess=True)) if guess else None
        return outcome or (yield from self._attempt(login, guess=False))

    def _attempt(self, login: Login, *, guess: bool) -> Step[Outcome | None]:
        """Decide a login once; ``None``: something changed meanwhile, so decide anew.

        A ``guess`` does not count the total: there is room, or just one session too many.
        """
        row, now = login.row, login.now
        mine = yield from self._sessions_of_user(login)
        if login.existing == "reuse":
            for record, other in reversed(mine.live.values()):
                same = other.scopes_and_claims == row.scopes_and_claims
                if same and other.remembered == row.remembered:
                    return (yield from self._reuse(login, record, other))
        to_end = _Departures(login)
        yield from self._replace(login, mine, to_end)
        if login.user_limit is not None:
            staying = [mine.live[sid][0] for sid in mine.live if sid not in to_end.records]
            excess = max(len(staying) + 1 - login.user_limit, 0)
            if excess > 0 and not login.evict:
                return login.refused("user")
            to_end.add(staying[:excess], "evicted")
        bounds = None
        if login.limit is not None:
            replaced = len(to_end.records)
            if not guess or (self.full and login.evict):
                lacking = yield from self._make_room(login, login.limit, to_end, guess=guess)
                if lacking > 0:
                    least = login.limit + to_end.live
                    # The user's sessions and the total have to be of one moment.
                    if mine.seen is None or (
                        yield "commit", row.username, (), None, mine.seen, (least, FOREVER), now
                    ):
                        return login.refused("total")
                    return None
            evicts = len(to_end.records) > replaced
            bounds = login.limit if evicts else 0, login.limit  # as many as needed, not one more
        to_end.add(mine.dead.values())
        new = Record(row.sid, row.username, row.expires_at, self._encode(row))
        out = tuple(to_end.records.values())
        if (yield "commit", row.username, out, new, mine.seen, bounds, now):
            return row, [*to_end.events, login.event("login", row, "requested")]
        return None

    def _sessions_of_user(self, login: Login) -> Step[SessionSet]:
        found = SessionSet(None, {}, {}, {})
        if login.needs_user_sessions:
            seen, records = yield "of_user", login.row.username
            found = found._replace(seen=seen)
            for record in records:
                if record.expires_at <= login.now:
                    found.dead[record.sid] = record
                elif (row := row_of(record, self._decode)) is None:
                    found.unreadable[record.sid] = record
                else:
                    found.live[record.sid] = record, row
        return found

    def _reuse(self, login: Login, record: Record, row: Row) -> Step[Outcome | None]:
        shared = share(row, login.now)
        if shared is not row:
            new = record._replace(expires_at=shared.expires_at, data=self._encode(shared))
            if (yield "swap", record, new, login.now) is not True:
                return None
        return shared, [login.event("login", shared, "reused")]

    def _replace(self, login: Login, mine: SessionSet, to_end: _Departures) -> Step[None]:
        for sid in login.replaces:
            if sid in mine.live:
                to_end.add([mine.live[sid][0]], "replaced")
                continue
            data = None if sid in mine.dead else (yield "read", sid)
            row = None if data is None else self._decode(data, sid)
            if row is not None:
                live = login.now < row.expires_at
                record = Record(sid, row.username, row.expires_at, data)
                to_end.add([record], "replaced" if live else None)
        if login.existing == "replace":
            to_end.add((record for record, _ in mine.live.values()), "replaced")
            to_end.add(mine.unreadable.values())

    def _make_room(
        self, login: Login, limit: int, to_end: _Departures, *, guess: bool
    ) -> Step[int]:
        """Add records to end until the total has room; return how many it still lacks.

        A ``guess`` takes the total to be just at its limit.
        """
        now, count = login.now, limit
        if not guess:
            most = min(limit + len(to_end.records) + 1, _FEW)
            records, place = yield "live", now, most, None
            count = len(records) if place is None else (yield "count", now)
            self.full = count - to_end.live >= limit
        elif to_end.live == 0:
            records, place = yield "live", now, 1, None
        else:
            return 0

        def excess() -> int:
            return count - to_end.live + 1 - limit

        if not login.evict:
            for record in records:
                # Unreadable data is no session, so it must not keep anybody from a login.
                if excess() > 0 and row_of(record, self._decode) is None:
                    to_end.add([record])
            return max(excess(), 0)
        while excess() > 0:
            staying = [record for record in records if record.sid not in to_end.records]
            for record in staying[: excess()]:
                is_session = row_of(record, self._decode) is not None
                to_end.add([record], "evicted" if is_session else None)
            if place is None or excess() <= 0:
                break
            records, place = yield "live", now, _FEW, place
        return 0
