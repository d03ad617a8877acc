"""Who may open a session: reuse, replacement and limits, decided in one place."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from sessiongate.core.outcomes import Ended, Existing, LimitReached, Opened
from sessiongate.core.record import Record, row_of
from sessiongate.core.rotation import share
from sessiongate.core.row import FOREVER
from sessiongate.core.steps import locked

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sessiongate.core.outcomes import ExistingPolicy
    from sessiongate.core.record import RowCodec
    from sessiongate.core.row import Row
    from sessiongate.core.steps import Step

Outcome: TypeAlias = Opened | Existing | LimitReached

_FEW: Final = 32
"""Records that are read to count them; of more the store is asked the number alone."""


class Login(NamedTuple):
    """A login, and the rules for it.

    In this order: ``existing="reuse"`` shares the newest live session of the
    user with the same scopes and claims. Otherwise the sessions ``replaces``
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

    @property
    def needs_user_sessions(self) -> bool:
        """Whether the user's other sessions matter to the decision."""
        return self.existing != "new" or self.user_limit is not None


class SessionSet(NamedTuple):
    """The sessions of the user at one moment, in the order of opening."""

    seen: Any
    """The store's mark of the set; ``None``: it was not read."""
    live: dict[str, tuple[Record, Row]]
    dead: dict[str, Record]
    """Expired, but still there."""
    unreadable: dict[str, Record]
    """Data that the codec cannot read: no session, and the first to go when room is needed."""


class _Departures:
    """The records that end for a login."""

    def __init__(self, now: int) -> None:
        self._now = now
        self.records: dict[str, Record] = {}
        self.replaced: list[Ended] = []
        self.evicted: list[Ended] = []

    def add(self, records: Iterable[Record], ended: list[Ended] | None = None) -> None:
        for record in records:
            if record.sid not in self.records:
                self.records[record.sid] = record
                if ended is not None:
                    ended.append(Ended(record.sid, record.username))

    @property
    def live(self) -> int:
        return sum(self._now < record.expires_at for record in self.records.values())


class Admission:
    """Decides logins on the records of one codec."""

    def __init__(self, codec: RowCodec) -> None:
        self._encode, self._decode = codec.encode, codec.decode
        self._at_limit = False
        """Whether the last look found the total at its limit; it saves a trip, and no more."""

    def open(self, login: Login) -> Step[Outcome]:
        """Let a user in, or say why not."""
        presume_room = not self._at_limit
        if presume_room and not login.needs_user_sessions:
            # Nearly always there is room, and this is the only trip.
            answer = yield from self._attempt(login, presume_room=True)
            if answer is not None:
                return answer
            presume_room = False
        username = login.row.username if login.needs_user_sessions else None
        begin = partial(self._decide, login, presume_room=presume_room)
        return (yield from locked(username, login.limit is not None, begin))  # type: ignore[no-any-return]

    def _decide(self, login: Login, *, presume_room: bool) -> Step[Outcome | None]:
        if presume_room:
            answer = yield from self._attempt(login, presume_room=True)
            if answer is not None:
                return answer
        return (yield from self._attempt(login, presume_room=False))

    def _attempt(self, login: Login, *, presume_room: bool) -> Step[Outcome | None]:
        """Decide a login once; ``None``: something changed meanwhile, so decide anew.

        With ``presume_room`` the total is not read: ``commit`` checks the limit.
        """
        row, now = login.row, login.now
        mine = yield from self._sessions_of_user(login)
        if login.existing == "reuse":
            for record, other in reversed(mine.live.values()):
                if other.scopes_and_claims == row.scopes_and_claims:
                    return (yield from self._reuse(record, other, now))
        to_end = _Departures(now)
        yield from self._replace(login, mine, to_end)
        if login.user_limit is not None:
            staying = [mine.live[sid][0] for sid in mine.live if sid not in to_end.records]
            excess = len(staying) + 1 - login.user_limit
            if excess > 0 and not login.evict:
                return LimitReached("user")
            to_end.add(staying[: max(excess, 0)], to_end.evicted)
        bounds = None if login.limit is None else (0, login.limit)
        if login.limit is not None and not presume_room:
            evicted = len(to_end.evicted)
            excess = yield from self._make_room(login, login.limit, mine, to_end)
            self._at_limit = excess > 0 or len(to_end.evicted) > evicted
            if excess > 0:
                least = login.limit + to_end.live
                # The user's sessions and the total have to be of one moment.
                if mine.seen is None or (
                    yield "commit", row.username, (), None, mine.seen, (least, FOREVER), now
                ):
                    return LimitReached("total")
                return None
            if len(to_end.evicted) > evicted:
                bounds = login.limit, login.limit  # as many as needed, and not one more
        to_end.add(mine.dead.values())
        new = Record(row.sid, row.username, row.expires_at, self._encode(row))
        out = tuple(to_end.records.values())
        if (yield "commit", row.username, out, new, mine.seen, bounds, now):
            return Opened(row, tuple(to_end.replaced), tuple(to_end.evicted))
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

    def _reuse(self, record: Record, row: Row, now: int) -> Step[Existing | None]:
        shared = share(row, now)
        if shared is not row:
            new = record._replace(expires_at=shared.expires_at, data=self._encode(shared))
            if (yield "swap", record, new, now) is not True:
                return None
        return Existing(shared)

    def _replace(self, login: Login, mine: SessionSet, to_end: _Departures) -> Step[None]:
        for sid in login.replaces:
            if sid in mine.live:
                to_end.add([mine.live[sid][0]], to_end.replaced)
                continue
            data = None if sid in mine.dead else (yield "read", sid)
            row = None if data is None else self._decode(data, sid)
            if row is not None:
                live = login.now < row.expires_at
                record = Record(sid, row.username, row.expires_at, data)
                to_end.add([record], to_end.replaced if live else None)
        if login.existing == "replace":
            to_end.add((record for record, _ in mine.live.values()), to_end.replaced)
            to_end.add(mine.unreadable.values())

    def _make_room(
        self, login: Login, limit: int, mine: SessionSet, to_end: _Departures
    ) -> Step[int]:
        """Add records to end until the total has room; return how many it still lacks."""
        now = login.now
        first, place = yield "live", now, min(limit + len(to_end.records) + 1, _FEW), None
        count = len(first) if place is None else (yield "count", now)

        def excess() -> int:
            return count - to_end.live + 1 - limit

        if excess() <= 0:
            return 0
        # Unreadable data is no session, so it must not keep anybody from a login.
        to_end.add(list(mine.unreadable.values())[: excess()])
        for record in first:
            if excess() > 0 and row_of(record, self._decode) is None:
                to_end.add([record])
        if not login.evict:
            return max(excess(), 0)
        records = first
        while excess() > 0:
            staying = [record for record in records if record.sid not in to_end.records]
            to_end.add(staying[: excess()], to_end.evicted)
            if place is None:
                break
            records, place = yield "live", now, _FEW, place
        return 0
