"""Where ``PostgresStore`` gets its connections from, and how long each call may take.

psycopg and its pool have a face to call and one to await. What is done with
them is written once: ``_done`` awaits the answer of the one that is awaited.
"""

from __future__ import annotations

import asyncio
import os
import selectors
from functools import cached_property
from time import monotonic
from traceback import clear_frames
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from psycopg import AsyncConnection, Connection, Error, OperationalError
from psycopg_pool import AsyncConnectionPool, ConnectionPool, PoolTimeout

from sessiongate.stores.sql import result_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

__all__ = ["Pools"]

T = TypeVar("T")

_CONNECTING: Final = 2
"""Seconds that a worker of the pool may take to connect: libpq knows no shorter time, but callers
wait for the pool alone."""
_TICK: Final = 0.05
"""Seconds between two looks at the clock while an answer is awaited."""
# ``select`` itself knows no file beyond the 1024th, and Windows no ``poll``.
_Selector: Final[Any] = getattr(selectors, "PollSelector", selectors.SelectSelector)


async def _done(answer: Any) -> Any:
    return await answer if isinstance(answer, CoroutineType) else answer  # pyright: ignore[reportUnknownVariableType]


def _in_time(due: float, steps: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
    """Let psycopg wait for an answer, but not for ever."""
    try:
        wanted = next(steps)
        while True:
            ready = yield wanted
            if not ready and monotonic() > due:
                msg = "the server did not answer in time"
                raise OperationalError(msg)
            wanted = steps.send(ready)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return] # of the generator


async def _connect(connect: Any, *args: Any, refused: list[Error], **options: Any) -> Any:
    """Connect, and keep why it failed the last time: the pool only logs it."""
    try:
        connection = await _done(connect(*args, **options))
    except Error as error:
        refused[:] = [error]
        raise
    except asyncio.CancelledError as cancelled:
        # What is half open would stay so until the garbage is collected.
        clear_frames(cancelled.__traceback__)
        # The pool's worker takes this for a failed attempt and would work on, for ever.
        task: Any = asyncio.current_task()
        asyncio.get_running_loop().call_soon(task.cancel)
        raise
    refused.clear()
    return connection


class _ConnectionMixin:
    """What a connection of either face can do besides."""

    due = float("inf")
    """When the answer must be there."""

    def wait(self: Any, steps: Any, *_: Any, **__: Any) -> Any:
        return super().wait(_in_time(self.due, steps), _TICK)  # type: ignore[misc] # psycopg's

    @cached_property
    def _cursor(self: Any) -> Any:
        return self.cursor()  # to make one for each call would cost a fifth of a check

    @cached_property
    def _selector(self: Any) -> Any:
        selector = _Selector()
        selector.register(self.fileno(), selectors.EVENT_READ)
        return selector

    def is_stale(self) -> bool:
        """Whether the server has closed an idle connection; no round trip.

        The only other news, a change of the server's settings, costs a new one as well.
        """
        return bool(self._selector.select(0))

    async def send(self, sql: str, arguments: Any) -> Any:
        cursor = self._cursor
        await _done(cursor.execute(sql, arguments, prepare=arguments is not None))
        return await _done(cursor.fetchall()) if sql.startswith("SELECT") else cursor.rowcount

    async def undo(self: Any, *, usable: bool) -> None:
        await _done(self.rollback() if usable else self.close())


class _Connection(_ConnectionMixin, Connection[Any]):  # type: ignore[misc] # its own wait
    @classmethod
    def connect(cls, *args: Any, **options: Any) -> Any:
        return result_of(_connect(super().connect, *args, **options))


class _AsyncConnection(_ConnectionMixin, AsyncConnection[Any]):  # type: ignore[misc] # likewise
    @classmethod
    async def connect(cls, *args: Any, **options: Any) -> Any:
        return await _connect(super().connect, *args, **options)


class _Pool:
    """The connections of the threads of a process, or of an event loop."""

    def __init__(self, pool: Any, times: Pools) -> None:
        self._pool = pool
        self._times = times
        self._life = self._until_the_loop_ends()

    async def open(self) -> None:
        if isinstance(self._pool, ConnectionPool):
            self._pool.open()  # pyright: ignore[reportUnknownMemberType]
        else:
            await anext(self._life)

    async def close(self) -> None:
        await _done(self._pool.close(_CONNECTING))
        await self._life.aclose()

    async def _until_the_loop_ends(self) -> AsyncGenerator[None, None]:
        """Close the pool then: ``asyncio.run`` closes all generators that it has seen."""
        await self._pool.open()
        try:
            yield
        finally:
            await self._pool.close(0)  # its tasks were cancelled

    async def borrow(self, statement: tuple[str, object]) -> Any:
        times, began = self._times, monotonic()
        # A transaction may wait for the locks of others, and many may queue for it.
        queues = statement[0].startswith("BEGIN")
        try:
            connection = await _done(self._pool.getconn(times.budget if queues else times.turn))
            # The pool's own check would pause between two stale ones.
            while connection.is_stale():
                await _done(connection.close())
                await self.give_back(connection)
                connection = await _done(self._pool.getconn(times.turn))
        except PoolTimeout as error:
            # Nobody gave one back, or none could be made.
            raise (times.refused[0] if times.refused else error) from None
        connection.due = began + times.budget if queues else monotonic() + times.timeout
        return connection

    async def give_back(self, connection: Any) -> None:
        await _done(self._pool.putconn(connection))


class Pools:
    """A pool for the threads of a process, and one for each event loop.

    After a fork the parent's pools stay as they are, unused, and new ones are
    made: closing a connection in the child would close it for the parent.

    The arguments are those of ``PostgresStore``, in seconds.
    """

    def __init__(
        self, url: str, options: str, connect_timeout: float, timeout: float, max_size: int
    ) -> None:
        self.timeout = timeout
        # A connection may have to be made, and there may be a queue for it.
        self.turn = connect_timeout + timeout
        # Of a call that waits for others: its wait for a connection, for a lock, and its work.
        self.budget = connect_timeout + 2.5 * timeout
        self.refused: list[Error] = []
        self._pools: dict[tuple[int, asyncio.AbstractEventLoop | None], _Pool] = {}
        # Sooner than the client gives up: what was not answered was then not done either.
        soon = max(1, round(800 * timeout))
        settings = {
            "statement_timeout": soon,
            # Whoever stops half way must not keep the locks.
            "idle_in_transaction_session_timeout": 2 * soon,
            # All that is asked for has an index, whatever the statistics say, and is so little
            # that to plan it anew, to compile it or to share it out takes longer.
            "enable_seqscan": "off",
            "plan_cache_mode": "force_generic_plan",
            "jit": "off",
            "max_parallel_workers_per_gather": 0,
        }
        self._options: dict[str, Any] = {
            "conninfo": url,
            "kwargs": {
                "refused": self.refused,
                "autocommit": True,
                "prepare_threshold": 0,
                "connect_timeout": _CONNECTING,
                "client_encoding": "UTF8",
                # A replica lags, and its answers bring back what has ended.
                "target_session_attrs": "read-write",
                "options": " ".join([options, *(f"-c {k}={v}" for k, v in settings.items())]),
            },
            "open": False,
            "min_size": 0,
            "max_size": max_size,
            # Nobody tries in the background, with longer and longer pauses: each call may.
            "reconnect_timeout": 0,
        }

    async def of(self, loop: asyncio.AbstractEventLoop | None) -> _Pool:
        """Return the pool of a loop that runs here, or of the threads."""
        key = os.getpid(), loop
        if key not in self._pools:
            for other in tuple(self._pools):
                if other[1] is not None and other[1].is_closed():
                    self._pools.pop(other, None)
            kind: Any = ConnectionPool if loop is None else AsyncConnectionPool
            connection: Any = _Connection if loop is None else _AsyncConnection
            made = _Pool(kind(connection_class=connection, **self._options), self)
            await made.open()
            if self._pools.setdefault(key, made) is not made:  # another thread was faster
                await made.close()
        return self._pools[key]

    def close(self) -> None:
        """Close all; what belongs to a running loop is closed there, soon."""
        for pid, loop in tuple(self._pools):
            pool = self._pools.pop((pid, loop), None) if pid == os.getpid() else None
            if pool is not None and loop is None:
                result_of(pool.close())
            elif pool is not None and loop is not None and loop.is_running():
                asyncio.run_coroutine_threadsafe(pool.close(), loop)

    async def aclose(self) -> None:
        """``close``, to await for this loop."""
        pool = self._pools.pop((os.getpid(), asyncio.get_running_loop()), None)
        if pool is not None:
            await pool.close()
        await asyncio.to_thread(self.close)
