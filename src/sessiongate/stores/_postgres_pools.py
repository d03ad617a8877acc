"""Where ``PostgresStore`` gets its connections from, and how long each may take."""

from __future__ import annotations

import asyncio
import os
from functools import cached_property
from time import monotonic
from traceback import clear_frames
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from psycopg import AsyncConnection, Connection, OperationalError, waiting
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from sessiongate.stores._postgres_asking import Asking

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from sessiongate.stores._postgres_dialect import Record, Statement

__all__ = ["Pools", "Settings"]

_CONNECTING: Final = 2
"""Seconds that a worker of the pool may take to connect; libpq knows no shorter time.

Callers do not wait that long: they wait for the pool.
"""

_LATE: Final = "the server did not answer in time"


class Settings(NamedTuple):
    """How to connect; times in seconds."""

    url: str
    options: str
    """What the URL, or else ``PGOPTIONS``, says of the server's settings."""
    connect_timeout: float
    timeout: float
    max_size: int


class _Bounded(Connection[Any]):
    """A connection whose every operation ends: libpq waits for a frozen server for ever."""

    bound: float

    @cached_property
    def _asking(self) -> Asking:
        return Asking(self.pgconn)

    def ask(self, statement: Statement) -> list[Record]:
        """The records of a statement."""
        records: list[Record] = self.wait(self._asking.ask(statement))
        return records

    def wait(self, gen: Any, interval: float = 0.0, timeout: float | None = None) -> Any:  # noqa: ARG002 - psycopg's signature
        deadline = monotonic() + self.bound
        try:
            return waiting.wait(_until(deadline, gen), self.pgconn.socket, interval=self.bound)
        except TimeoutError as error:
            self.pgconn.finish()
            raise OperationalError(_LATE) from error


def _until(deadline: float, gen: Any) -> Generator[Any, Any, Any]:
    """What psycopg waits for, until the deadline; it alone would wait for ever."""
    try:
        wanted = next(gen)
        while True:
            wanted = gen.send((yield wanted))
            if monotonic() >= deadline:
                raise TimeoutError
    except StopIteration as stop:
        return stop.value


class _AsyncBounded(AsyncConnection[Any]):
    """The same to await. A cancelled wait closes the connection: its answer is nobody's."""

    bound: float

    @cached_property
    def _asking(self) -> Asking:
        return Asking(self.pgconn)

    async def ask(self, statement: Statement) -> list[Record]:
        """The same to await."""
        records: list[Record] = await self.wait(self._asking.ask(statement))
        return records

    @classmethod
    async def connect(cls, *args: Any, **options: Any) -> Any:
        try:
            return await super().connect(*args, **options)
        except asyncio.CancelledError as cancelled:
            # What is half open would stay so until the garbage is collected.
            clear_frames(cancelled.__traceback__)
            # The pool's worker takes this for a failed attempt and would work on, for ever.
            asyncio.get_running_loop().call_soon(_cancel, asyncio.current_task())
            raise

    async def wait(self, gen: Any, interval: float = 0.0, timeout: float | None = None) -> Any:  # noqa: ARG002, ASYNC109 - psycopg's signature
        bounded = _until(monotonic() + self.bound, gen)
        try:
            return await waiting.wait_async(bounded, self.pgconn.socket, interval=self.bound)
        except TimeoutError as error:
            self.pgconn.finish()
            raise OperationalError(_LATE) from error
        except asyncio.CancelledError:
            self.pgconn.finish()
            raise


def _cancel(task: asyncio.Task[Any] | None) -> None:
    if task is not None:
        task.cancel()


def _is_stale(connection: Connection[Any] | AsyncConnection[Any]) -> bool:
    """Whether the server has closed an idle connection, without a round trip.

    The only other news of an idle one, a change of the server's settings,
    costs a new connection as well.
    """
    return bool(waiting.wait(_peek(), connection.pgconn.socket, interval=0))


def _peek() -> Generator[Any, Any, Any]:
    return (yield waiting.WAIT_R)


class Pools:
    """A pool for the threads of a process, and one for each event loop.

    After a fork the parent's pools stay as they are, unused, and new ones are
    made: closing a connection in the child would close it for the parent.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pools: dict[int, ConnectionPool[_Bounded]] = {}
        self._leases: dict[tuple[int, asyncio.AbstractEventLoop], _Lease] = {}

    def borrow(self) -> tuple[ConnectionPool[_Bounded], _Bounded]:
        """A sound connection for this thread, and the pool to put it back to."""
        pool = self._for_threads()
        connection = pool.getconn()
        # The pool's own check would pause between two stale ones.
        while _is_stale(connection):
            connection.close()
            pool.putconn(connection)
            connection = pool.getconn()
        return pool, connection

    async def aborrow(self) -> tuple[AsyncConnectionPool[_AsyncBounded], _AsyncBounded]:
        """The same for this task."""
        pool = await self._for_loop()
        connection = await pool.getconn()
        while _is_stale(connection):
            await connection.close()
            await pool.putconn(connection)
            connection = await pool.getconn()
        return pool, connection

    def _for_threads(self) -> ConnectionPool[_Bounded]:
        pid = os.getpid()
        pool = self._pools.get(pid)
        if pool is None:
            made: ConnectionPool[_Bounded] = ConnectionPool(
                connection_class=_class_of(_Bounded, self._settings.timeout),
                open=True,
                **self._options(),
            )
            pool = self._pools.setdefault(pid, made)
            if pool is not made:  # another thread was faster
                made.close()
        return pool

    async def _for_loop(self) -> AsyncConnectionPool[_AsyncBounded]:
        key = os.getpid(), asyncio.get_running_loop()
        lease = self._leases.get(key)
        if lease is None:
            for pid, loop in tuple(self._leases):
                if loop.is_closed():
                    self._leases.pop((pid, loop), None)
            pool: AsyncConnectionPool[_AsyncBounded] = AsyncConnectionPool(
                connection_class=_class_of(_AsyncBounded, self._settings.timeout),
                open=False,
                **self._options(),
            )
            lease = self._leases[key] = _Lease(pool, self._life(pool, key))
            await anext(lease.life)
        return lease.pool

    async def _life(
        self, pool: AsyncConnectionPool[_AsyncBounded], key: tuple[int, asyncio.AbstractEventLoop]
    ) -> AsyncGenerator[None, None]:
        """As long as the loop: ``asyncio.run`` closes all generators that it has seen."""
        await pool.open()
        try:
            yield
        finally:
            self._leases.pop(key, None)
            await pool.close(timeout=0)

    def _options(self) -> dict[str, Any]:
        # Sooner than the client gives up: what was not answered was then not done either.
        bound = max(1, round(self._settings.timeout * 0.8 * 1000))
        # Compiling a query would take longer than any of ours.
        options = f"{self._settings.options} -c statement_timeout={bound} -c jit=off"
        return {
            "conninfo": self._settings.url,
            "kwargs": {
                "autocommit": True,
                "prepare_threshold": None,
                "connect_timeout": _CONNECTING,
                "client_encoding": "UTF8",
                "options": options,
            },
            "min_size": 0,
            "max_size": self._settings.max_size,
            # A connection may have to be made, and there may be a queue for it.
            "timeout": self._settings.connect_timeout + self._settings.timeout,
            # Nobody tries in the background, with longer and longer pauses: each call may.
            "reconnect_timeout": 0,
        }

    def close(self) -> None:
        """Close all; what belongs to a running loop is closed there, soon."""
        pid = os.getpid()
        pool = self._pools.pop(pid, None)
        if pool is not None:
            pool.close(timeout=self._settings.timeout)
        for key in tuple(self._leases):
            if key[0] == pid and key[1].is_running():
                lease = self._leases.pop(key, None)
                if lease is not None:
                    asyncio.run_coroutine_threadsafe(_aclose(lease), key[1])

    async def aclose(self) -> None:
        """Close all, and await it for this loop."""
        lease = self._leases.pop((os.getpid(), asyncio.get_running_loop()), None)
        await asyncio.to_thread(self.close)
        if lease is not None:
            await _aclose(lease)


class _Lease(NamedTuple):
    pool: AsyncConnectionPool[_AsyncBounded]
    life: AsyncGenerator[None, None]


async def _aclose(lease: _Lease) -> None:
    await lease.life.aclose()


def _class_of(base: Any, bound: float) -> Any:
    """The connection class with its bound: the pool makes the objects."""
    return type(base.__name__, (base,), {"bound": bound})
