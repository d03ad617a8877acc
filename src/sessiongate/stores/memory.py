"""Sessions in this process, gone with it."""

from __future__ import annotations

import logging
import os
from functools import partial
from types import coroutine
from typing import TYPE_CHECKING, Any, Final, Literal
from weakref import WeakSet

from sessiongate.core.locks import ForkSafeLock
from sessiongate.core.steps import ask, run
from sessiongate.stores._records import Records

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from sessiongate.core.record import Page, Record
    from sessiongate.core.row import Row
    from sessiongate.stores.base import Begin, Seen

__all__ = ["MemoryStore"]

_LOGGER: Final = logging.getLogger("sessiongate.stores")

_OF_ANOTHER_PROCESS: Final = (
    "the sessions of a MemoryStore live in one process, and this is another one (it was forked): "
    "they part ways from here on. Use SQLiteStore or RedisStore where several processes serve"
)


class _AsTheyAre:
    """The codec of rows that never leave the process."""

    @staticmethod
    def encode(row: Row) -> Row:
        return row

    @staticmethod
    def decode(data: Row, sid: str) -> Row:  # noqa: ARG004
        return data


@coroutine
def _turn() -> Generator[None, None, None]:
    """Let others have theirs: many bites in a row would hold up the event loop."""
    yield


class MemoryStore:
    """The default store: dictionaries and one lock.

    The lock is held for microseconds, so the async face takes it as well and
    never leaves the loop. Safe for threads, and for a ``fork`` among them; not
    shared between processes.
    """

    shared = False
    touch_every = 0
    blocking = False
    codec = _AsTheyAre

    def __init__(self) -> None:
        self._lock = ForkSafeLock()
        self._acquire, self._release = self._lock.acquire, self._lock.release
        self._records = Records()
        self._rows = self._records.rows
        self._read_at_once()
        _STORES.add(self)

    def __repr__(self) -> str:
        return f"<MemoryStore: {len(self._records)} sessions>"

    def read(self, sid: str) -> Row | None:
        # One look into a dictionary is atomic: it takes no lock.
        return self._records.rows.get(sid)

    def replace(self, old: Row, new: Row) -> bool:
        """Put one row in the place of another, if that one is still there."""
        rows, sid = self._rows, old.sid
        self._acquire()  # `with` takes twice as long, on every request
        try:
            if rows.get(sid) is not old:
                return False
            if new.expires_at == old.expires_at:
                rows[sid] = new
            else:
                self._records.replace(old, new)
            return True
        finally:
            self._release()

    def swap(self, old: Record, new: Record | None, now: int) -> Literal[True] | Row | None:
        with self._lock:
            return self._records.swap(old, new, now)

    def of_user(self, username: str) -> tuple[Seen, Sequence[Record]]:
        with self._lock:
            return self._records.of_user(username)

    def commit(
        self,
        username: str,
        out: Sequence[Record],
        new: Record | None,
        seen: Any,
        live: tuple[int, int] | None,
        now: int,
    ) -> bool:
        with self._lock:
            return self._records.commit(username, out, new, seen, live, now)

    def live(self, now: int, most: int, after: int | None = None) -> Page:
        with self._lock:
            return self._records.live(now, most, after)

    def count(self, now: int) -> int:
        with self._lock:
            return self._records.count(now)

    def sweep(self, now: int, most: int) -> int:
        with self._lock:
            return self._records.sweep(now, most)

    def together(self, username: str | None, total: bool, begin: Begin) -> Any:  # noqa: ARG002, FBT001
        with self._lock:
            return run(begin(), partial(ask, self._records), _no_listener)

    def close(self) -> None:
        """Nothing to release."""

    async def aread(self, sid: str) -> Row | None:
        return self.read(sid)

    async def aswap(self, old: Record, new: Record | None, now: int) -> Literal[True] | Row | None:
        return self.swap(old, new, now)

    async def aof_user(self, username: str) -> tuple[Seen, Sequence[Record]]:
        return self.of_user(username)

    async def acommit(
        self,
        username: str,
        out: Sequence[Record],
        new: Record | None,
        seen: Any,
        live: tuple[int, int] | None,
        now: int,
    ) -> bool:
        return self.commit(username, out, new, seen, live, now)

    async def alive(self, now: int, most: int, after: int | None = None) -> Page:
        return self.live(now, most, after)

    async def acount(self, now: int) -> int:
        return self.count(now)

    async def asweep(self, now: int, most: int) -> int:
        await _turn()
        return self.sweep(now, most)

    async def atogether(self, username: str | None, total: bool, begin: Begin) -> Any:  # noqa: FBT001
        return self.together(username, total, begin)

    async def aclose(self) -> None:
        """Nothing to release."""

    def _read_at_once(self) -> None:
        """Call the dictionary itself where nobody has a ``read`` of their own: for each request."""
        if type(self).read is MemoryStore.read:
            vars(self)["read"] = self._records.rows.get

    def _warn_at_first_use(self) -> None:
        """Have the first call say that these sessions are another process's."""
        for verb in _FIRST_VERBS:
            vars(self)[verb] = partial(self._warn, verb)

    def _warn(self, verb: str, *arguments: Any) -> Any:
        for name in _FIRST_VERBS:
            vars(self).pop(name, None)
        self._read_at_once()
        _warn_once()
        return getattr(self, verb)(*arguments)


_FIRST_VERBS: Final = ("read", "of_user", "commit", "live", "count")
_STORES: Final[WeakSet[MemoryStore]] = WeakSet()
_warned_in: set[int] = set()
"""The process that has warned."""


def _warn_once() -> None:
    if os.getpid() not in _warned_in:
        _warned_in.clear()
        _warned_in.add(os.getpid())
        _LOGGER.warning(_OF_ANOTHER_PROCESS)


def _after_fork() -> None:
    for store in _STORES:
        if store._records:  # noqa: SLF001 - its own module
            store._warn_at_first_use()  # noqa: SLF001


os.register_at_fork(after_in_child=_after_fork)


def _no_listener(_event: object) -> None:
    """A step has no events."""
