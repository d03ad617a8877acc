"""Stores as one might write them in a hurry: each has one fault that the contract suite must find.

All are right where they are not wrong on purpose. Those that take several trips
let others in between two of them, as a database does.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, ClassVar

from sessiongate import StoreError
from sessiongate.core.outcomes import Ended, Existing, LimitReached, Opened, Replayed, Rotated
from sessiongate.core.rotation import close, present
from sessiongate.core.row import SECOND, Row
from sessiongate.stores import MemoryStore
from sessiongate.testing.commands import Close, CloseUser, Count, List, Open, Read, Sweep, Touch

if TYPE_CHECKING:
    from collections.abc import Generator

    from sessiongate.testing.commands import Command

    Trips = Generator[None, None, Any]


class Right:
    """Carries out each command in one step, once it has got there: no fault is to be found."""

    MUTANTS: ClassVar[list[type[Right]]] = []
    shared = False
    touch_every = 0

    def __init_subclass__(cls) -> None:
        cls.MUTANTS.append(cls)

    def __init__(self) -> None:
        self.store = MemoryStore()

    def trips(self, command: Any) -> Trips:
        yield
        return self.store.execute(command)

    def execute(self, command: Command) -> Any:
        trips = self.trips(command)
        while True:
            try:
                next(trips)
            except StopIteration as stop:
                return stop.value
            time.sleep(0)  # no wait: the other threads have their turn

    async def aexecute(self, command: Command) -> Any:
        trips = self.trips(command)
        while True:
            try:
                next(trips)
            except StopIteration as stop:
                return stop.value
            await asyncio.sleep(0)

    def close(self) -> None: ...

    async def aclose(self) -> None: ...

    def look(self, command: Touch | Close) -> Row | None:
        row = self.store.execute(Read(command.sid, command.now))
        return row if isinstance(row, Row) else None

    def live(self, now: int, username: str | None = None) -> list[Row]:
        rows: Any = self.store.execute(List(username, now))
        return list(rows)

    def put(self, row: Row) -> None:
        """Write a row whether it is there or not."""
        there = self.store._rows.get(row.sid)
        if there is None:
            self.store._rows.insert(row)
        else:
            self.store._rows.replace(there, row)


# Decided here, written there.


class UpsertsBlindly(Right):
    """Reads a session, judges it, writes it back: also when somebody has logged out meanwhile."""

    def trips(self, command: Any) -> Trips:
        if not isinstance(command, Touch):
            return (yield from super().trips(command))
        row = self.look(command)
        yield
        if row is None:
            return None
        answer = present(row, command.generation, command.now, command.policy, command.rotation)
        if isinstance(answer, Replayed):
            self.store.execute(Close(row.sid, command.now))
        elif answer is not None:
            self.keep(answer.row if isinstance(answer, Rotated) else answer)
        return answer

    def keep(self, row: Row) -> None:
        self.put(row)


class WritesBackWhatIsThere(UpsertsBlindly):
    """The same, if the session is still there: but not if it is still the same."""

    def keep(self, row: Row) -> None:
        if self.store._rows.get(row.sid) is not None:
            self.put(row)


class ChecksTheLimitFirst(Right):
    def trips(self, command: Any) -> Trips:
        if not isinstance(command, Open) or command.limit is None or command.evict:
            return (yield from super().trips(command))
        there = len(self.live(command.now)) - (command.replaces is not None)
        yield
        if there >= command.limit and command.existing == "new":
            return LimitReached("total")
        return self.store.execute(command._replace(limit=None))


class ChecksTheUsersLimitFirst(Right):
    def trips(self, command: Any) -> Trips:
        simple = isinstance(command, Open) and command.existing == "new" and not command.evict
        if not simple or command.user_limit is None or command.replaces is not None:
            return (yield from super().trips(command))
        there = len(self.live(command.now, command.row.username))
        yield
        if there >= command.user_limit:
            return LimitReached("user")
        return self.store.execute(command._replace(user_limit=None))


class LooksForAnotherSessionFirst(Right):
    def trips(self, command: Any) -> Trips:
        if not isinstance(command, Open) or command.existing != "reuse":
            return (yield from super().trips(command))
        mine = self.live(command.now, command.row.username)
        yield
        for row in reversed(mine):
            if row.scopes_and_claims == command.row.scopes_and_claims:
                marked = row._replace(shared=True)
                if self.store._rows.get(row.sid) is not None:
                    self.put(marked)
                return Existing(marked)
        return self.store.execute(command._replace(existing="new"))


class EvictsWhatItSaw(Right):
    def trips(self, command: Any) -> Trips:
        if not isinstance(command, Open) or not command.evict or command.limit is None:
            return (yield from super().trips(command))
        if command.existing != "new" or command.replaces or command.user_limit is not None:
            return (yield from super().trips(command))
        there = self.live(command.now)
        victims = there[: max(len(there) + 1 - command.limit, 0)]
        yield
        for row in victims:
            self.store.execute(Close(row.sid, command.now))
        self.store.execute(command._replace(limit=None))
        return Opened(command.row, tuple(Ended(row.sid, row.username) for row in victims))


class EndsWhatItSaw(Right):
    def trips(self, command: Any) -> Trips:
        if not isinstance(command, Close):
            return (yield from super().trips(command))
        row = self.look(command)
        yield
        answer = None if row is None else close(row, command)
        if answer is not None:
            self.store.execute(Close(command.sid, command.now))
        return answer


class SweepsWhatItSaw(Right):
    def trips(self, command: Any) -> Trips:
        if not isinstance(command, Sweep):
            return (yield from super().trips(command))
        expired = [row for row in self.store._rows if row.expires_at <= command.now]
        yield
        bite = expired[: command.limit]
        for row in bite:
            there = self.store._rows.get(row.sid)
            if there is not None:
                self.store._rows.remove(there)
        return len(bite)


# Indexes.


class KeepsItsIndex(Right):
    """Of each user a set of sids that only grows; what is gone is skipped when it is read."""

    def __init__(self) -> None:
        super().__init__()
        self.index: dict[str, dict[str, None]] = {}

    def trips(self, command: Any) -> Trips:
        answer = yield from super().trips(command)
        if isinstance(answer, Opened):
            self.index.setdefault(answer.row.username, {})[answer.row.sid] = None
        if isinstance(command, List) and command.username is not None:
            known = self.index.get(command.username, {})
            rows = {row.sid: row for row in self.live(command.now)}
            return tuple(rows[sid] for sid in known if sid in rows)
        return answer

    def footprint(self) -> int:
        return len(self.store._rows) + sum(map(len, self.index.values()))


class CountsItsIndex(KeepsItsIndex):
    """And believes it at the user's limit."""

    def trips(self, command: Any) -> Trips:
        if isinstance(command, Open) and command.user_limit is not None and not command.evict:
            known = len(self.index.get(command.row.username, ()))
            if known >= command.user_limit and command.existing == "new":
                yield
                return LimitReached("user")
        return (yield from super().trips(command))


class KeepsAListOfSids(Right):
    """Of each user a list that only grows, with a sid as often as it came."""

    def __init__(self) -> None:
        super().__init__()
        self.index: list[tuple[str, str]] = []

    def trips(self, command: Any) -> Trips:
        answer = yield from super().trips(command)
        if isinstance(answer, Opened):
            self.index.append((answer.row.username, answer.row.sid))
        if isinstance(command, List) and command.username is not None:
            rows = {row.sid: row for row in self.live(command.now)}
            mine = [sid for username, sid in self.index if username == command.username]
            return tuple(rows[sid] for sid in mine if sid in rows)
        return answer


# Small things.


class DiesAnInstantLate(Right):
    def trips(self, command: Any) -> Trips:
        if isinstance(command, (Read, Touch)):
            command = command._replace(now=command.now - 1)
        return (yield from super().trips(command))


class KeepsSeconds(Right):
    def trips(self, command: Any) -> Trips:
        if isinstance(command, Open):
            row = command.row
            row = row._replace(created_at=row.created_at - row.created_at % SECOND)
            command = command._replace(row=row)
        return (yield from super().trips(command))


class OrdersByTheClock(Right):
    def trips(self, command: Any) -> Trips:
        answer = yield from super().trips(command)
        if isinstance(command, List):
            return tuple(sorted(answer, key=lambda row: row.created_at))
        return answer


class FoldsNames(Right):
    def trips(self, command: Any) -> Trips:
        if isinstance(command, List) and command.username is not None:
            yield
            name = command.username.casefold()
            return tuple(r for r in self.live(command.now) if r.username.casefold() == name)
        return (yield from super().trips(command))


class RefusesWhenItIsTooLate(Right):
    """Makes room before it knows that there is none."""

    def trips(self, command: Any) -> Trips:
        if isinstance(command, Open) and command.replaces is not None:
            ended = self.store.execute(Close(command.replaces, command.now))
            yield
            answer: Any = self.store.execute(command._replace(replaces=None))
            if isinstance(answer, Opened) and isinstance(ended, Ended):
                return Opened(answer.row, (ended, *answer.ended))
            return answer
        return (yield from super().trips(command))


class TakesZeroForNothing(Right):
    def trips(self, command: Any) -> Trips:
        if isinstance(command, Close):
            command = command._replace(generation=command.generation or None)
        return (yield from super().trips(command))


class RevivesWhatHadExpired(Right):
    """Hides the dead instead of removing them; a clock that is set back shows them again."""

    def trips(self, command: Any) -> Trips:
        if isinstance(command, (Read, Touch, Close)):
            there = self.store._rows.get(command.sid)
            if there is not None and there.expires_at <= command.now:
                yield
                return None
        return (yield from super().trips(command))


class SweepsAllItFinds(Right):
    def trips(self, command: Any) -> Trips:
        if isinstance(command, Sweep):
            command = command._replace(limit=1_000_000)
        return (yield from super().trips(command))


class WritesOnEachRequest(Right):
    def trips(self, command: Any) -> Trips:
        if isinstance(command, Touch):
            command = command._replace(policy=command.policy._replace(touch_every=0))
        return (yield from super().trips(command))


class EndsTheKeptAsWell(Right):
    def trips(self, command: Any) -> Trips:
        if isinstance(command, CloseUser):
            command = command._replace(keep=None)
        return (yield from super().trips(command))


class CountsTheDead(Right):
    def trips(self, command: Any) -> Trips:
        yield
        if isinstance(command, Count):
            return len(self.store._rows)
        return self.store.execute(command)


class AwaitsAnotherAnswer(Right):
    """Its async face was forgotten when the other one learnt that sessions are shared."""

    async def aexecute(self, command: Command) -> Any:
        answer = await super().aexecute(command)
        return Existing(answer.row._replace(shared=False)) if type(answer) is Existing else answer


class CallsItByAnotherName(Right):
    """A replay is an end, and the same fields tell it: but nobody hears of a theft."""

    def trips(self, command: Any) -> Trips:
        answer = yield from super().trips(command)
        return Ended(*answer) if isinstance(answer, Replayed) else answer


class AnswersBareTuples(Right):
    """As they came out of the database."""

    def trips(self, command: Any) -> Trips:
        answer = yield from super().trips(command)
        return tuple(map(tuple, answer)) if isinstance(command, List) else answer


class TakesFlagsForNumbers(Right):
    def trips(self, command: Any) -> Trips:
        answer = yield from super().trips(command)
        if not isinstance(answer, Row):
            return answer
        flag: Any = int(answer.shared)
        return answer._replace(shared=flag)


class FailsOnNonsense(Right):
    """Takes a row that it cannot read for a store that is down."""

    def __init__(self) -> None:
        super().__init__()
        self.damaged: set[str] = set()

    def trips(self, command: Any) -> Trips:
        named = {getattr(command, "sid", None)} | {row.sid for row in self.store._rows}
        if not self.damaged.isdisjoint(named):
            msg = "unreadable"
            raise StoreError(msg)
        return (yield from super().trips(command))

    def damage(self, sid: str) -> None:
        self.damaged.add(sid)
