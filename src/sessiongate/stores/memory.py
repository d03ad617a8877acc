"""Sessions in this process, gone with it."""

from __future__ import annotations

import logging
import os
from functools import partial, wraps
from heapq import heappop, heappush
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar
from weakref import WeakSet

from sessiongate.core.locks import fork_safe_lock
from sessiongate.core.recent import Recent
from sessiongate.core.row import FOREVER, SECOND, Page, Record, Renewed
from sessiongate.core.steps import ask, run
from sessiongate.stores._memory_feed import MemoryFeed
from sessiongate.stores.base import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from sessiongate.core.row import Row
    from sessiongate.stores.base import Begin, Live, Seen
    from sessiongate.stores.base import Records as Some

__all__ = ["MemoryStore"]

T = TypeVar("T")

_FEW: Final = 16
"""Expired records that are removed along with each new one."""
_CHUNK: Final = 256
"""Sessions that were opened one after the other."""

_LOGGER: Final = logging.getLogger("sessiongate.stores")

_OF_ANOTHER_PROCESS: Final = (
    "the sessions of a MemoryStore live in one process, and this is another one (it was forked): "
    "they part ways from here on. Use SQLiteStore or RedisStore where several processes serve"
)
_NEVER_HERE: Final = (
    "a genuine token names a session that this MemoryStore never had: another process opened it, "
    "or this one before a restart. Use SQLiteStore or RedisStore where several processes serve"
)


class Records:
    """The verbs of a store, over rows that stay as they are: a row is its own data.

    In few bytes, for a million sessions. Rows are found by sid, and sids by username: one alone,
    more in a dictionary. The order of opening is in chunks, so that a page may begin anywhere;
    ``None`` is in the place of one that has ended. The second in which a session expires has its
    sid and the number of its chunk; these seconds are in a heap.
    """

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self._by_user: dict[str, str | dict[str, None]] = {}
        self._chunks: dict[int, list[str | None]] = {}
        self._chunk = 0
        self._by_second: dict[int, dict[str, int]] = {}
        self._seconds: list[int] = []
        self.ended: Recent[str, str] = Recent()
        """Sids that were removed of late: they tell an ended session from one of elsewhere."""
        self.feeds: list[MemoryFeed] = []

    def read(self, sid: str) -> Row | None:
        return self.rows.get(sid)

    def replace(self, old: Row, new: Row) -> None:
        self.rows[old.sid] = new
        if new.expires_at // SECOND != old.expires_at // SECOND:
            self._expire_at(new, self._by_second[old.expires_at // SECOND].pop(old.sid))

    def swap(self, old: Record, new: Record | None, now: int) -> Literal[True] | Row | None:  # noqa: ARG002
        found = self.rows.get(old.sid)
        if found is None or found != old.data:
            return found
        if new is None:
            self._remove(found)
        else:
            self.replace(found, new.data)
            if self.feeds and isinstance(new, Renewed):
                self._tell(new.sid, new.generation)
        return True

    def of_user(self, username: str) -> tuple[tuple[str, ...], list[Record]]:
        sids = self._sids_of(username)
        return sids, [_record(self.rows[sid]) for sid in sids]

    def commit(
        self, username: str, out: Some, new: Record | None, seen: Seen, live: Live, now: int
    ) -> bool:
        if (
            any(self.rows.get(old.sid) != old.data for old in out)
            or (new is not None and new.sid in self.rows)
            or seen not in (None, self._sids_of(username))
        ):
            return False
        added = (new is not None) - sum(now < old.data.expires_at for old in out)
        if live is not None:
            # Below the limit it does not matter which of them are expired.
            exact = live[0] > 0 or len(self.rows) + added > live[1]
            if exact and not live[0] <= self.count(now) + added <= live[1]:
                return False
        for old in out:
            self._remove(old.data)
        if new is not None:
            self._add(new.data)
            # Only of seconds that are over: all in them are expired.
            self.sweep(now - SECOND + 1, _FEW)
        return True

    def live(self, now: int, most: int, after: int | None = None) -> Page:
        place = -1 if after is None else after
        first, begin = divmod(place + 1, _CHUNK)
        records: list[Record] = []
        for number, chunk in self._chunks.items():
            for at in range(begin if number == first else 0, len(chunk) if number >= first else 0):
                row = self.rows.get(chunk[at] or "")
                if row is not None and now < row.expires_at:
                    if len(records) >= most:
                        return Page(records, place)
                    records.append(_record(row))
                    place = number * _CHUNK + at
        return Page(records, None)

    def count(self, now: int) -> int:
        expired, places = 0, [0]
        while places:  # down the heap, as far as the seconds have begun
            place = places.pop()
            if place < len(self._seconds) and (second := self._seconds[place]) * SECOND <= now:
                sids = self._by_second[second]
                over = (second + 1) * SECOND <= now
                expired += len(sids) if over else sum(self.rows[s].expires_at <= now for s in sids)
                places += 2 * place + 1, 2 * place + 2
        return len(self.rows) - expired

    def sweep(self, now: int, most: int) -> int:
        removed = 0
        while removed < most and self._seconds and self._seconds[0] * SECOND <= now:
            sids = self._by_second[self._seconds[0]]
            expired = (row for sid in sids if (row := self.rows[sid]).expires_at <= now)
            for row in list(islice(expired, most - removed)):
                self._remove(row)
                removed += 1
            if sids:
                break
            del self._by_second[heappop(self._seconds)]
        return removed

    def _tell(self, sid: str, generation: int) -> None:
        for feed in self.feeds[:]:
            feed.tell((sid, generation))

    def _sids_of(self, username: str) -> tuple[str, ...]:
        sids = self._by_user.get(username, ())
        return (sids,) if isinstance(sids, str) else tuple(sids)

    def _add(self, row: Row) -> None:
        self.rows[row.sid] = row
        others = self._by_user.setdefault(row.username, row.sid)
        if isinstance(others, dict):
            others[row.sid] = None
        elif others is not row.sid:
            self._by_user[row.username] = dict.fromkeys((others, row.sid))
        chunk = self._chunks.setdefault(self._chunk, [])
        chunk.append(row.sid)
        self._expire_at(row, self._chunk)
        self._chunk += len(chunk) == _CHUNK

    def _expire_at(self, row: Row, chunk: int) -> None:
        second = row.expires_at // SECOND
        if second not in self._by_second:
            if len(self._seconds) > 2 * len(self.rows) + _FEW:  # most are of sessions that moved on
                self._by_second = {s: sids for s, sids in self._by_second.items() if sids}
                self._seconds = sorted(self._by_second)
            self._by_second[second] = {}
            heappush(self._seconds, second)
        self._by_second[second][row.sid] = chunk

    def _remove(self, row: Row) -> None:
        del self.rows[row.sid]
        if self.feeds:
            self._tell(row.sid, FOREVER)
        self.ended.keep(row.sid, row.sid)
        number = self._by_second[row.expires_at // SECOND].pop(row.sid)
        chunk = self._chunks[number]
        chunk[chunk.index(row.sid)] = None
        if not any(chunk):
            del self._chunks[number]
            self._chunk += number == self._chunk  # no place is used twice
        others = self._by_user[row.username]
        if isinstance(others, dict):
            del others[row.sid]
        if isinstance(others, str) or not others:
            del self._by_user[row.username]


def _record(row: Row) -> Record:
    return Record(row.sid, row.username, row.expires_at, row)


class _NoCodec:
    """The codec of rows that never leave the process."""

    @staticmethod
    def encode(row: Row) -> Row:
        return row

    @staticmethod
    def decode(data: Row, sid: str) -> Row:  # noqa: ARG004
        return data


class MemoryStore(Store):
    """The default store: dictionaries and one lock.

    The lock is held for microseconds, so the async verbs take it as well and never leave the loop.
    Safe for threads, and for a ``fork`` among them; not shared between processes.
    """

    shared = False
    touch_every = 0
    blocking = False
    codec = _NoCodec

    def __init__(self) -> None:
        self._lock = fork_safe_lock()
        self._acquire, self._release = self._lock.acquire, self._lock.release
        self._records = Records()
        self._rows = self._records.rows
        self._bind_read()
        self._told = False
        _STORES.add(self)

    def __repr__(self) -> str:
        return f"<MemoryStore: {len(self._rows)} sessions>"

    def read(self, sid: str) -> Row | None:
        # One look into a dictionary is atomic: it takes no lock.
        return self._rows.get(sid)

    async def aread(self, sid: str) -> Row | None:
        return self.read(sid)

    def missed(self, sid: str) -> None:
        """Log once that a genuine token names a session which was never here."""
        if not self._told and self._records.ended[sid] is None:
            self._told = True
            _LOGGER.warning(_NEVER_HERE)

    def replace(self, old: Row, new: Row) -> bool:
        """Put one row in the place of another, if that one is still there."""
        rows, sid = self._rows, old.sid
        self._acquire()  # `with` takes twice as long, on every request
        try:
            if rows.get(sid) is not old:
                return False
            if new.expires_at // SECOND == old.expires_at // SECOND:  # nearly always
                rows[sid] = new
            else:
                self._records.replace(old, new)
            return True
        finally:
            self._release()

    async def _arun(self, verb: Callable[[], T]) -> T:
        return verb()

    async def asweep(self, now: int, most: int) -> int:
        from asyncio import sleep  # noqa: PLC0415 - loaded where a loop runs anyway

        await sleep(0)  # many batches in a row would hold up the event loop
        return self.sweep(now, most)

    def together(self, username: str | None, total: bool, begin: Begin) -> Any:  # noqa: ARG002, FBT001
        with self._lock:
            return run(begin(), partial(ask, self._records))

    async def atogether(self, username: str | None, total: bool, begin: Begin) -> Any:  # noqa: FBT001
        return self.together(username, total, begin)

    def feed(self) -> MemoryFeed:
        """Open the news of this store."""
        return MemoryFeed(self._records.feeds)

    def close(self) -> None:
        """Nothing to release."""

    async def aclose(self) -> None:
        """Nothing to release."""

    def _bind_read(self) -> None:
        """Have ``read`` call the dictionary itself, on each request; a subclass has its own."""
        for verb in _FIRST_VERBS:
            vars(self).pop(verb, None)
        if type(self).read is MemoryStore.read:
            vars(self)["read"] = self._rows.get


def _add_verb(name: str) -> None:
    """Add a verb of ``Records``, under the lock, and what its twin awaits."""
    verb = getattr(Records, name)

    @wraps(verb)
    def called(self: MemoryStore, *args: Any, **kwargs: Any) -> Any:
        with self._lock:
            return verb(self._records, *args, **kwargs)

    def deferred(self: MemoryStore, *args: Any) -> Callable[[], Any]:
        return partial(getattr(self, name), *args)

    setattr(MemoryStore, name, called)
    setattr(MemoryStore, f"_{name}", deferred)


for _name in ("swap", "of_user", "commit", "live", "count", "sweep"):
    _add_verb(_name)

# A process that was forked has a copy of the sessions: its first call logs that.
_FIRST_VERBS: Final = ("read", "of_user", "commit", "live", "count", "together")
_STORES: Final[WeakSet[MemoryStore]] = WeakSet()


def _after_fork() -> None:
    for store in _STORES:
        if store._rows:  # noqa: SLF001 - its own module
            vars(store).update({verb: partial(_warn, store, verb) for verb in _FIRST_VERBS})


def _warn(store: MemoryStore, verb: str, *arguments: Any) -> Any:
    for other in tuple(_STORES):
        other._bind_read()  # noqa: SLF001
    _LOGGER.warning(_OF_ANOTHER_PROCESS)
    return getattr(store, verb)(*arguments)


os.register_at_fork(after_in_child=_after_fork)
