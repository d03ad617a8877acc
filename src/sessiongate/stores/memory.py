"""Sessions in this process, gone with it."""

from __future__ import annotations

import logging
import os
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar
from weakref import WeakSet

from sessiongate.core.locks import fork_safe_lock
from sessiongate.core.steps import ask, run
from sessiongate.stores._records import Records

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from sessiongate.core.row import Row
    from sessiongate.stores.base import Begin

__all__ = ["MemoryStore"]

P = ParamSpec("P")
T = TypeVar("T")

_LOGGER: Final = logging.getLogger("sessiongate.stores")

_OF_ANOTHER_PROCESS: Final = (
    "the sessions of a MemoryStore live in one process, and this is another one (it was forked): "
    "they part ways from here on. Use SQLiteStore or RedisStore where several processes serve"
)
_NEVER_HERE: Final = (
    "a genuine token names a session that this MemoryStore never had: another process opened it, "
    "or this one before a restart. The sessions of a MemoryStore live and die with one process. "
    "Use SQLiteStore or RedisStore where several processes serve"
)


class _NoCodec:
    """The codec of rows that never leave the process."""

    @staticmethod
    def encode(row: Row) -> Row:
        return row

    @staticmethod
    def decode(data: Row, sid: str) -> Row:  # noqa: ARG004
        return data


def _locked(
    verb: Callable[Concatenate[Records, P], T],
) -> tuple[Callable[Concatenate[Any, P], T], Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]]:
    """Return a verb of the records as a method that holds the lock, and its twin to await."""

    @wraps(verb)
    def called(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with self._lock:
            return verb(self._records, *args, **kwargs)

    @wraps(verb)
    async def awaited(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        return getattr(self, verb.__name__)(*args, **kwargs)

    return called, awaited


class MemoryStore:
    """The default store: dictionaries and one lock.

    The lock is held for microseconds, so the async verbs take it as well and
    never leave the loop. Safe for threads, and for a ``fork`` among them; not
    shared between processes.
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
            if new.expires_at == old.expires_at:
                rows[sid] = new
            else:
                self._records.replace(old, new)
            return True
        finally:
            self._release()

    swap, aswap = _locked(Records.swap)
    of_user, aof_user = _locked(Records.of_user)
    commit, acommit = _locked(Records.commit)
    live, alive = _locked(Records.live)
    count, acount = _locked(Records.count)
    sweep = _locked(Records.sweep)[0]

    async def asweep(self, now: int, most: int) -> int:
        from asyncio import sleep  # noqa: PLC0415 - loaded where a loop runs anyway

        await sleep(0)  # many batches in a row would hold up the event loop
        return self.sweep(now, most)

    def together(self, username: str | None, total: bool, begin: Begin) -> Any:  # noqa: ARG002, FBT001
        with self._lock:
            return run(begin(), partial(ask, self._records))

    async def atogether(self, username: str | None, total: bool, begin: Begin) -> Any:  # noqa: FBT001
        return self.together(username, total, begin)

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


_FIRST_VERBS: Final = ("read", "of_user", "commit", "live", "count", "together")
_STORES: Final[WeakSet[MemoryStore]] = WeakSet()


def _after_fork() -> None:
    """Have the first call in a child say that these sessions are another process's."""
    for store in _STORES:
        if store._rows:  # noqa: SLF001 - its own module
            for verb in _FIRST_VERBS:
                vars(store)[verb] = partial(_warn, store, verb)


def _warn(store: MemoryStore, verb: str, *arguments: Any) -> Any:
    for other in tuple(_STORES):
        other._bind_read()  # noqa: SLF001
    _LOGGER.warning(_OF_ANOTHER_PROCESS)
    return getattr(store, verb)(*arguments)


os.register_at_fork(after_in_child=_after_fork)
