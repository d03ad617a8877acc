"""Stores as one might write them in a hurry: each has one fault that the contract suite must find.

All are right where they are not wrong on purpose. A verb that takes several
trips lets others in between two of them, as a database does.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar

from sessiongate.core.row import FOREVER, SECOND, Page, Record
from sessiongate.errors import StoreError
from sessiongate.stores.codec import decode, encode
from sessiongate.stores.memory import Records

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from sessiongate.core.row import Row

    Trips = Generator[None, None, Any]
    Live = tuple[int, int] | None

__all__ = ["Right", "entries"]


def entries(records: Records) -> int:
    """All that is kept, in all indexes."""
    chunks = [sid for chunk in records._chunks.values() for sid in chunk if sid is not None]
    indexes: list[Any] = [records._by_user, chunks, *records._by_second.values()]
    return len(records.rows) + sum(map(len, indexes))


class InBytes:
    """Data as most engines have it."""

    encode = staticmethod(encode)
    decode = staticmethod(decode)


def _record(row: Row) -> Record:
    return Record(row.sid, row.username, row.expires_at, encode(row))


class Right:
    """Only the verbs, each in one step once it has got there: no fault is to be found."""

    MUTANTS: ClassVar[list[type[Right]]] = []
    shared = False
    touch_every = 0
    codec = InBytes

    def __init_subclass__(cls) -> None:
        cls.MUTANTS.append(cls)

    def __init__(self) -> None:
        self.records: Any = ByteRecords()
        self._lock = Lock()

    # What a mutant gets wrong: each verb as trips.

    def _read(self, sid: str) -> Trips:
        yield
        return self.records.read(sid)

    def _swap(self, old: Record, new: Record | None, now: int) -> Trips:
        yield
        return self.records.swap(old, new, now)

    def _of_user(self, username: str) -> Trips:
        yield
        return self.records.of_user(username)

    def _commit(
        self,
        username: str,
        out: Sequence[Record],
        new: Record | None,
        seen: Any,
        live: Live,
        now: int,
    ) -> Trips:
        yield
        return self.records.commit(username, out, new, seen, live, now)

    def _live(self, now: int, most: int, after: int | None = None) -> Trips:
        yield
        return self.records.live(now, most, after)

    def _count(self, now: int) -> Trips:
        yield
        return self.records.count(now)

    def _sweep(self, now: int, most: int) -> Trips:
        yield
        return self.records.sweep(now, most)

    def __getattr__(self, name: str) -> Any:
        verb = name.removeprefix("a")
        if verb not in {"read", "swap", "of_user", "commit", "live", "count", "sweep"}:
            raise AttributeError(name)
        make = getattr(self, f"_{verb}")

        def called(*arguments: Any) -> Any:
            trips = make(*arguments)
            while True:
                try:
                    with self._lock:
                        next(trips)
                except StopIteration as stop:
                    return stop.value
                time.sleep(0)  # no wait: the other threads have their turn

        async def awaited(*arguments: Any) -> Any:
            trips = make(*arguments)
            while True:
                try:
                    with self._lock:
                        next(trips)
                except StopIteration as stop:
                    return stop.value
                await asyncio.sleep(0)

        return awaited if name.startswith("a") else called

    def close(self) -> None: ...

    async def aclose(self) -> None: ...

    def footprint(self) -> int:
        return entries(self.records)

    def damage(self, sid: str) -> None:
        self.records.damaged[sid] = b"[" * 60_000 + b"]" * 60_000


class ByteRecords(Records):
    """The records of memory, whose data are bytes outside; one may be damaged."""

    __slots__ = ("damaged",)

    def __init__(self) -> None:
        super().__init__()
        self.damaged: dict[str, bytes] = {}

    def _out(self, row: Row) -> Record:
        return _record(row)._replace(data=self.damaged.get(row.sid) or encode(row))

    def _in(self, record: Record) -> Record:
        """The record with the row that is there, if it is the same to the byte."""
        row = self.rows.get(record.sid)
        same = row is not None and self._out(row).data == record.data
        return record._replace(data=row if same else decode(record.data, record.sid))

    def read(self, sid: str) -> Any:
        row = self.rows.get(sid)
        return None if row is None else self._out(row).data

    def swap(self, old: Record, new: Record | None, now: int) -> Any:
        found = self.read(old.sid)
        if found != old.data:
            return found
        fresh = None if new is None else new._replace(data=decode(new.data, new.sid))
        return super().swap(old._replace(data=self.rows[old.sid]), fresh, now)

    def of_user(self, username: str) -> Any:
        seen, records = super().of_user(username)
        return seen, [self._out(record.data) for record in records]

    def commit(
        self,
        username: str,
        out: Sequence[Record],
        new: Record | None,
        seen: Any,
        live: Live,
        now: int,
    ) -> bool:
        if any(self.read(old.sid) != old.data for old in out):
            return False
        fresh = None if new is None else new._replace(data=decode(new.data, new.sid))
        done = super().commit(username, [self._in(old) for old in out], fresh, seen, live, now)
        if done:
            for old in out:
                self.damaged.pop(old.sid, None)
        return done

    def live(self, now: int, most: int, after: int | None = None) -> Page:
        page = super().live(now, most, after)
        return Page([self._out(record.data) for record in page.records], page.place)


# What swap gets wrong.


class ComparesNothing(Right):
    """Writes whatever is there."""

    def _swap(self, old: Record, new: Record | None, now: int) -> Trips:
        yield
        found = self.records.read(old.sid)
        return found and self.records.swap(old._replace(data=found), new, now)


class Upserts(Right):
    """Writes also what has gone: a session that was logged out is back."""

    def _swap(self, old: Record, new: Record | None, now: int) -> Trips:
        yield
        if new is not None and self.records.read(old.sid) is None:
            return self.records.commit(new.username, (), new, None, None, now)
        return self.records.swap(old, new, now)


class SwapsInTwoTrips(Right):
    def _swap(self, old: Record, new: Record | None, now: int) -> Trips:
        yield
        found = self.records.read(old.sid)
        if found != old.data:
            return found
        yield
        found = self.records.read(old.sid)
        return found and self.records.swap(old._replace(data=found), new, now)


class RemovesWithoutComparing(Right):
    def _swap(self, old: Record, new: Record | None, now: int) -> Trips:
        yield
        found = self.records.read(old.sid)
        if new is None and found is not None:
            old = old._replace(data=found)
        return self.records.swap(old, new, now)


class ComparesLengths(Right):
    def _swap(self, old: Record, new: Record | None, now: int) -> Trips:
        yield
        found = self.records.read(old.sid)
        if found is not None and len(found) == len(old.data):
            old = old._replace(data=found)
        return self.records.swap(old, new, now)


class AnswersWhatWasSent(Right):
    """As one statement does that looks at the row as it was before it waited."""

    def _swap(self, old: Record, new: Record | None, now: int) -> Trips:
        yield
        answer = self.records.swap(old, new, now)
        return old.data if isinstance(answer, bytes) else answer


class AnswersNothing(Right):
    """Takes what has changed for what has gone."""

    def _swap(self, old: Record, new: Record | None, now: int) -> Trips:
        yield
        answer = self.records.swap(old, new, now)
        return True if answer is True else None


class AnswersOne(Right):
    """As a driver counts rows."""

    def _swap(self, old: Record, new: Record | None, now: int) -> Trips:
        yield
        answer = self.records.swap(old, new, now)
        return 1 if answer is True else answer


class SaysTrueOfTheGone(Right):
    def _swap(self, old: Record, new: Record | None, now: int) -> Trips:
        yield
        answer = self.records.swap(old, new, now)
        return True if answer is None and new is None else answer


class MovesToTheEnd(Right):
    """Deletes and inserts, instead of changing in its place."""

    def _swap(self, old: Record, new: Record | None, now: int) -> Trips:
        yield
        answer = self.records.swap(old, None if new is None else new, now)
        if answer is True and new is not None:
            self.records.commit(new.username, [new], None, None, None, now)
            self.records.commit(new.username, (), new, None, None, now)
        return answer


class KeepsTheOldExpiry(Right):
    """A column that a swap forgets."""

    def __init__(self) -> None:
        super().__init__()
        self.expiry: dict[str, int] = {}

    def _commit(
        self,
        username: str,
        out: Sequence[Record],
        new: Record | None,
        seen: Any,
        live: Live,
        now: int,
    ) -> Trips:
        done = yield from super()._commit(username, out, new, seen, live, now)
        if done and new is not None:
            self.expiry[new.sid] = new.expires_at
        return done

    def _sweep(self, now: int, most: int) -> Trips:
        yield
        rows = [row for row in self.records.rows.values() if self.expiry[row.sid] <= now][:most]
        for row in rows:
            self.records.swap(_record(row), None, now)
        return len(rows)


class AwaitsWithoutComparing(Right):
    """Its async face was forgotten."""

    async def aswap(self, old: Record, new: Record | None, now: int) -> Any:
        await asyncio.sleep(0)
        found = self.records.read(old.sid)
        return found and self.records.swap(old._replace(data=found), new, now)


# What commit gets wrong.


class CommitsUnseen(Right):
    """Who has joined meanwhile is not noticed."""

    def _commit(
        self,
        username: str,
        out: Sequence[Record],
        new: Record | None,
        seen: Any,  # noqa: ARG002 - the fault
        live: Live,
        now: int,
    ) -> Trips:
        return (yield from super()._commit(username, out, new, None, live, now))


class SeesTheNumberAlone(Right):
    def _of_user(self, username: str) -> Trips:
        yield
        _, records = self.records.of_user(username)
        return len(records), records

    def _commit(
        self,
        username: str,
        out: Sequence[Record],
        new: Record | None,
        seen: Any,
        live: Live,
        now: int,
    ) -> Trips:
        yield
        sids, records = self.records.of_user(username)
        if seen is not None and len(records) != seen:
            return False
        return self.records.commit(username, out, new, sids, live, now)


class SeesTheNewestAlone(Right):
    def _of_user(self, username: str) -> Trips:
        yield
        _, records = self.records.of_user(username)
        return records[-1].sid if records else "", records

    def _commit(
        self,
        username: str,
        out: Sequence[Record],
        new: Record | None,
        seen: Any,
        live: Live,
        now: int,
    ) -> Trips:
        yield
        _, records = self.records.of_user(username)
        if seen is not None and (records[-1].sid if records else "") != seen:
            return False
        return self.records.commit(username, out, new, None, live, now)


class Unlimited(Right):
    def _commit(
        self,
        username: str,
        out: Sequence[Record],
        new: Record | None,
        seen: Any,
        live: Live,  # noqa: ARG002 - the fault
        now: int,
    ) -> Trips:
        return (yield from super()._commit(username, out, new, seen, None, now))


class OnlyFromAbove(Right):
    """Evicts sessions that need not go, because others have ended meanwhile."""

    def _commit(
        self,
        username: str,
        out: Sequence[Record],
        new: Record | None,
        seen: Any,
        live: Live,
        now: int,
    ) -> Trips:
        bounds = None if live is None else (0, live[1])
        return (yield from super()._commit(username, out, new, seen, bounds, now))


class OnlyFromBelow(Right):
    def _commit(
        self,
        username: str,
        out: Sequence[Record],
        new: Record | None,
        seen: Any,
        live: Live,
        now: int,
    ) -> Trips:
        bounds = None if live is None else (live[0], FOREVER)
        return (yield from super()._commit(username, out, new, seen, bounds, now))


class CountsBefore(Right):
    """Compares the number from before the commit with what is asked of the one after it."""

    def _commit(
        self,
        username: str,
        out: Sequence[Record],
        new: Record | None,
        seen: Any,
        live: Live,
        now: int,
    ) -> Trips:
        yield
        if live is not None and not live[0] <= self.records.count(now) <= live[1]:
            return False
        return self.records.commit(username, out, new, seen, None, now)


class OneTooMany(Right):
    def _commit(
        self,
        username: str,
        out: Sequence[Record],
        new: Record | None,
        seen: Any,
        live: Live,
        now: int,
    ) -> Trips:
        bounds = None if live is None else (live[0], live[1] + 1)
        return (yield from super()._commit(username, out, new, seen, bounds, now))


class CountsTheDeadAtTheLimit(Right):
    def _commit(
        self,
        username: str,
        out: Sequence[Record],
        new: Record | None,
        seen: Any,
        live: Live,
        now: int,
    ) -> Trips:
        yield
        after = len(self.records) - len(out) + (new is not None)
        if live is not None and not live[0] <= after <= live[1]:
            return False
        return self.records.commit(username, out, new, seen, None, now)


class OutUnread(Right):
    """Ends sessions whatever has become of them."""

    def _commit(
        self,
        username: str,
        out: Sequence[Record],
        new: Record | None,
        seen: Any,
        live: Live,
        now: int,
    ) -> Trips:
        there = [old._replace(data=self.records.read(old.sid) or old.data) for old in out]
        return (yield from super()._commit(username, there, new, seen, live, now))


class OutMayBeGone(Right):
    """Ends twice what another has ended."""

    def _commit(
        self,
        username: str,
        out: Sequence[Record],
        new: Record | None,
        seen: Any,
        live: Live,
        now: int,
    ) -> Trips:
        yield
        there = [old for old in out if self.records.read(old.sid) is not None]
        return self.records.commit(username, there, new, seen, live, now)


class EndsBeforeItKnows(Right):
    """Removes first, and then finds that the new one may not come in."""

    def _commit(
        self,
        username: str,
        out: Sequence[Record],
        new: Record | None,
        seen: Any,
        live: Live,
        now: int,
    ) -> Trips:
        yield
        if out and not self.records.commit(username, out, None, seen, None, now):
            return False
        seen = None if out else seen
        return new is None or self.records.commit(username, (), new, seen, live, now)


class EndsHalf(Right):
    """Removes those that are still the same, one by one, until one is not."""

    def _commit(
        self,
        username: str,
        out: Sequence[Record],
        new: Record | None,
        seen: Any,
        live: Live,
        now: int,
    ) -> Trips:
        yield
        for old in out[:-1]:
            if self.records.swap(old, None, now) is not True:
                return False
        if len(out) > 1:
            seen = None
        return self.records.commit(username, out[-1:], new, seen, live, now)


class CommitsInTwoTrips(Right):
    """Looks, and then writes: others come in between."""

    def _commit(
        self,
        username: str,
        out: Sequence[Record],
        new: Record | None,
        seen: Any,
        live: Live,
        now: int,
    ) -> Trips:
        yield
        sids, _ = self.records.of_user(username)
        after = self.records.count(now) - len(out) + (new is not None)
        if seen not in {None, sids} or (live and not live[0] <= after <= live[1]):
            return False
        yield
        return self.records.commit(username, out, new, None, None, now)


class AgreesToNothing(Right):
    """Takes a commit with nothing to do for one that is done."""

    def _commit(
        self,
        username: str,
        out: Sequence[Record],
        new: Record | None,
        seen: Any,
        live: Live,
        now: int,
    ) -> Trips:
        if not out and new is None:
            yield
            return True
        return (yield from super()._commit(username, out, new, seen, live, now))


class EndsThoseOfTheUserAlone(Right):
    def _commit(
        self,
        username: str,
        out: Sequence[Record],
        new: Record | None,
        seen: Any,
        live: Live,
        now: int,
    ) -> Trips:
        mine = [old for old in out if old.username == username]
        return (yield from super()._commit(username, mine, new, seen, live, now))


# What is found, and in which order.


class FoldsNames(Right):
    def _of_user(self, username: str) -> Trips:
        yield
        seen, _ = self.records.of_user(username)
        rows = self.records.rows.values()
        name = username.casefold()
        return seen, [_record(row) for row in rows if row.username.casefold() == name]


class StripsNames(Right):
    """As MySQL compares."""

    def _of_user(self, username: str) -> Trips:
        yield
        seen, _ = self.records.of_user(username)
        rows = self.records.rows.values()
        name = username.rstrip()
        return seen, [_record(row) for row in rows if row.username.rstrip() == name]


class OrdersBySid(Right):
    def _of_user(self, username: str) -> Trips:
        seen, records = yield from super()._of_user(username)
        return seen, sorted(records)


class OrdersByTheClock(Right):
    def _live(self, now: int, most: int, after: int | None = None) -> Trips:
        yield
        records, _ = self.records.live(now, FOREVER)
        records.sort(key=lambda record: self.records.rows[record.sid].created_at)
        start = after or 0
        place = start + most if start + most < len(records) else None
        return Page(records[start : start + most], place)


class HidesTheExpiredOfAUser(Right):
    """By the clock of its own, which the protocol does not give it."""

    def _of_user(self, username: str) -> Trips:
        seen, records = yield from super()._of_user(username)
        return seen, [record for record in records if record.expires_at > 1_700_003_600 * SECOND]


class PagesByPosition(Right):
    """What ends before the place moves all that is behind it."""

    def _live(self, now: int, most: int, after: int | None = None) -> Trips:
        yield
        records, _ = self.records.live(now, FOREVER)
        start = after or 0
        place = start + most if start + most < len(records) else None
        return Page(records[start : start + most], place)


class PagesWithTheLast(Right):
    """Begins a page with the last one of the page before."""

    def _live(self, now: int, most: int, after: int | None = None) -> Trips:
        yield
        return self.records.live(now, most, None if after is None else after - 1)


class ForgetsTheEnd(Right):
    """Takes a full page for the last one."""

    def _live(self, now: int, most: int, after: int | None = None) -> Trips:
        page = yield from super()._live(now, most, after)
        return page._replace(place=None)


class ListsTheDead(Right):
    def _live(self, now: int, most: int, after: int | None = None) -> Trips:  # noqa: ARG002 - the fault
        yield
        return self.records.live(0, most, after)


class CountsTheDead(Right):
    def _count(self, now: int) -> Trips:  # noqa: ARG002 - the fault
        yield
        return len(self.records)


class DiesAnInstantLate(Right):
    def _count(self, now: int) -> Trips:
        yield
        return self.records.count(now - 1)


# Sweeping, and what is left behind.


class SweepsWhatItSaw(Right):
    def _sweep(self, now: int, most: int) -> Trips:
        expired = [row for row in self.records.rows.values() if row.expires_at <= now][:most]
        for _ in range(8):
            yield
        for row in expired:
            there = self.records.rows.get(row.sid)
            if there is not None:
                self.records.swap(_record(there), None, now)
        return len(expired)


class SweepsAllItFinds(Right):
    def _sweep(self, now: int, most: int) -> Trips:
        yield
        return self.records.sweep(now, FOREVER if most else 0)


class SweepsTooEarly(Right):
    def _sweep(self, now: int, most: int) -> Trips:
        yield
        return self.records.sweep(now + 1, most)


class SaysItSweptAll(Right):
    def _sweep(self, now: int, most: int) -> Trips:
        yield
        self.records.sweep(now, most)
        return most


class KeepsItsIndex(Right):
    """Of each user a set of sids that only grows; what is gone is skipped when it is read."""

    def __init__(self) -> None:
        super().__init__()
        self.index: set[str] = set()

    def _commit(
        self,
        username: str,
        out: Sequence[Record],
        new: Record | None,
        seen: Any,
        live: Live,
        now: int,
    ) -> Trips:
        done = yield from super()._commit(username, out, new, seen, live, now)
        if done and new is not None:
            self.index.add(new.sid)
        return done

    def footprint(self) -> int:
        return super().footprint() + len(self.index)


class KeepsTheExpired(Right):
    """A removal that is for live ones only: a clock that is set back shows them again."""

    def _swap(self, old: Record, new: Record | None, now: int) -> Trips:
        yield
        if new is None and old.expires_at <= now:
            return True
        return self.records.swap(old, new, now)


# What is kept.


class KeepsSeconds(Right):
    def _commit(
        self,
        username: str,
        out: Sequence[Record],
        new: Record | None,
        seen: Any,
        live: Live,
        now: int,
    ) -> Trips:
        if new is not None:
            row: Any = decode(new.data, new.sid)
            new = _record(replace(row, created_at=row.created_at - row.created_at % SECOND))
        return (yield from super()._commit(username, out, new, seen, live, now))


class FailsOnNonsense(Right):
    """Takes a record that it cannot read for a store that is down."""

    def _of_user(self, username: str) -> Trips:
        seen, records = yield from super()._of_user(username)
        if any(decode(record.data, record.sid) is None for record in records):
            msg = "unreadable"
            raise StoreError(msg)
        return seen, records


class HidesNonsense(Right):
    """Leaves out of lists what it cannot read, so that nobody can remove it."""

    def _of_user(self, username: str) -> Trips:
        seen, records = yield from super()._of_user(username)
        return seen, [r for r in records if decode(r.data, r.sid) is not None]

    def _live(self, now: int, most: int, after: int | None = None) -> Trips:
        records, place = yield from super()._live(now, most, after)
        return Page([r for r in records if decode(r.data, r.sid) is not None], place)
