"""Where ``PostgresStore`` gets its connections from, and how long each call may take."""

from __future__ import annotations

import asyncio
import os
import select
import socket
import threading
import time
import weakref
from contextlib import suppress
from functools import cached_property
from time import monotonic
from traceback import clear_frames
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, TypeVar

from psycopg import AsyncConnection, Connection, Error, OperationalError
from psycopg_pool import AsyncConnectionPool, ConnectionPool, PoolTimeout

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from sessiongate.errors import StoreError
    from sessiongate.stores.sql import Statements

__all__ = ["Connections", "Settings"]

T = TypeVar("T")

_CONNECTING: Final = 2
"""Seconds that a worker of the pool may take to connect; libpq knows no shorter time.

Callers do not wait that long: they wait for the pool.
"""
_PREPARING: Final = 5.0
"""Seconds that making the tables may take, once."""
_TICKS: Final = 5
"""How often it is looked at what is late, within the time that a call has."""
_LATE: Final = "the server did not answer in time"
_ROWS: Final = "SELECT", "WITH"
"""How a statement begins that gives rows."""


class Settings(NamedTuple):
    """How to connect; times in seconds."""

    url: str
    options: str
    """Of the server, as ``PGOPTIONS`` has them."""
    connect_timeout: float
    timeout: float
    max_size: int


class _Kept:
    """What both kinds of connections have besides: all of it by psycopg's public face."""

    late = False
    """The connection was cut, because its call took too long."""
    refused: ClassVar[list[Exception]]
    """The failure of the last attempt to connect, which the pool itself only logs."""

    @cached_property
    def asked(self: Any) -> Any:
        """One cursor for all statements: to make one takes as long as to send a statement."""
        return self.cursor()

    @cached_property
    def _readable(self: Any) -> Callable[[], object]:
        if not hasattr(select, "poll"):  # Windows
            return lambda: select.select([self.fileno()], [], [], 0)[0]
        poll = select.poll()
        poll.register(self.fileno(), select.POLLIN)
        return lambda: poll.poll(0)

    def is_stale(self) -> bool:
        """Whether the server has closed an idle connection, without a round trip.

        The only other news of an idle one, a change of the server's settings,
        costs a new connection as well.
        """
        return bool(self._readable())

    def cut(self: Any) -> None:
        """End the wait of another thread: psycopg waits for an answer for ever."""
        self.late = True
        with (
            suppress(Error, OSError),
            socket.fromfd(self.fileno(), socket.AF_INET, socket.SOCK_STREAM) as same,
        ):
            same.shutdown(socket.SHUT_RDWR)

    def reason(self, error: Exception) -> Exception:
        """What an error really says."""
        return OperationalError(_LATE) if self.late else error


class _Connection(_Kept, Connection[Any]):
    @classmethod
    def connect(cls, *args: Any, **options: Any) -> Any:
        try:
            made = super().connect(*args, **options)
        except Error as error:
            cls.refused[:] = [error]
            raise
        cls.refused.clear()
        return made


class _AsyncConnection(_Kept, AsyncConnection[Any]):
    @classmethod
    async def connect(cls, *args: Any, **options: Any) -> Any:
        try:
            made = await super().connect(*args, **options)
        except Error as error:
            cls.refused[:] = [error]
            raise
        except asyncio.CancelledError as cancelled:
            # What is half open would stay so until the garbage is collected.
            clear_frames(cancelled.__traceback__)
            # The pool's worker takes this for a failed attempt and would work on, for ever.
            task = asyncio.current_task()
            if task is not None:
                asyncio.get_running_loop().call_soon(task.cancel)
            raise
        cls.refused.clear()
        return made


class _Threads:
    """The pool for the threads of one process, and a thread that cuts what is late."""

    def __init__(self, pool: ConnectionPool[_Connection], timeout: float) -> None:
        self.pool = pool
        self.due: dict[_Connection, float] = {}
        watch = threading.Thread(
            target=_cut_what_is_late,
            args=(weakref.ref(self), timeout / _TICKS),
            name="sessiongate-postgres",
            daemon=True,
        )
        watch.start()


def _cut_what_is_late(known: weakref.ref[_Threads], tick: float) -> None:
    """Look again and again, as long as there is a pool: to be woken by each call costs more."""
    while True:
        time.sleep(tick)
        threads = known()
        if threads is None or threads.pool.closed:
            return
        now = monotonic()
        for connection, due in threads.due.copy().items():
            if due <= now and threads.due.get(connection) is due:
                connection.cut()
        del threads


class Connections:
    """A pool for the threads of a process, and one for each event loop.

    After a fork the parent's pools stay as they are, unused, and new ones are
    made: closing a connection in the child would close it for the parent.
    """

    def __init__(self, settings: Settings, failure: Callable[[Exception], StoreError]) -> None:
        self._settings = settings
        self._failure = failure
        self._refused: list[Exception] = []
        self._threads: dict[int, _Threads] = {}
        self._loops: dict[tuple[int, asyncio.AbstractEventLoop], _Loop] = {}

    # One verb.

    def run(self, steps: Statements[T], first: Statements[Any] | None) -> T:
        """Carry out the statements, after those that come ``first`` and may take longer."""
        threads = self._of_process()
        try:
            connection = self._take(threads.pool)
        except PoolTimeout as error:
            raise self._failure(self._refusal(error)) from None
        try:
            if first is not None:
                self._carry_out(threads, connection, first, _PREPARING)
            return self._carry_out(threads, connection, steps, self._settings.timeout)
        finally:
            threads.pool.putconn(connection)

    def _carry_out(
        self, threads: _Threads, connection: _Connection, steps: Statements[T], bound: float
    ) -> T:
        asked = connection.asked
        threads.due[connection] = monotonic() + bound
        try:
            sql, arguments = next(steps)
            while True:
                try:
                    asked.execute(sql, arguments, prepare=arguments is not None)
                    found = asked.fetchall() if sql.startswith(_ROWS) else asked.rowcount
                except (Error, OSError) as error:
                    sql, arguments = steps.throw(self._failure(connection.reason(error)))
                else:
                    sql, arguments = steps.send(found)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return] # of the generator
        except BaseException:
            with suppress(Error, OSError):
                connection.rollback()
            raise
        finally:
            del threads.due[connection]

    async def arun(self, steps: Statements[T], first: Statements[Any] | None) -> T:
        """The same to await."""
        pool = await self._of_loop()
        try:
            connection = await self._atake(pool)
        except PoolTimeout as error:
            raise self._failure(self._refusal(error)) from None
        try:
            if first is not None:
                await self._acarry_out(connection, first, _PREPARING)
            return await self._acarry_out(connection, steps, self._settings.timeout)
        finally:
            await pool.putconn(connection)

    async def _acarry_out(
        self, connection: _AsyncConnection, steps: Statements[T], bound: float
    ) -> T:
        asked = connection.asked
        late = asyncio.get_running_loop().call_later(bound, connection.cut)
        try:
            sql, arguments = next(steps)
            while True:
                try:
                    await asked.execute(sql, arguments, prepare=arguments is not None)
                    found = await asked.fetchall() if sql.startswith(_ROWS) else asked.rowcount
                except (Error, OSError) as error:
                    sql, arguments = steps.throw(self._failure(connection.reason(error)))
                else:
                    sql, arguments = steps.send(found)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return] # of the generator
        except BaseException:
            with suppress(Error, OSError):
                await connection.rollback()
            raise
        finally:
            late.cancel()

    def _refusal(self, timeout: PoolTimeout) -> Exception:
        """Why there was no connection: nobody gave one back, or none could be made."""
        return self._refused[0] if self._refused else timeout

    # A sound connection. The pool's own check would pause between two stale ones.

    @staticmethod
    def _take(pool: ConnectionPool[_Connection]) -> _Connection:
        connection = pool.getconn()
        while connection.is_stale():
            connection.close()
            pool.putconn(connection)
            connection = pool.getconn()
        return connection

    @staticmethod
    async def _atake(pool: AsyncConnectionPool[_AsyncConnection]) -> _AsyncConnection:
        connection = await pool.getconn()
        while connection.is_stale():
            await connection.close()
            await pool.putconn(connection)
            connection = await pool.getconn()
        return connection

    # The pools.

    def _of_process(self) -> _Threads:
        pid = os.getpid()
        threads = self._threads.get(pid)
        if threads is None:
            pool: ConnectionPool[_Connection] = ConnectionPool(
                connection_class=self._class_of(_Connection), open=True, **self._options()
            )
            threads = self._threads.setdefault(pid, _Threads(pool, self._settings.timeout))
            if threads.pool is not pool:  # another thread was faster
                pool.close()
        return threads

    async def _of_loop(self) -> AsyncConnectionPool[_AsyncConnection]:
        key = os.getpid(), asyncio.get_running_loop()
        kept = self._loops.get(key)
        if kept is None:
            for pid, loop in tuple(self._loops):
                if loop.is_closed():
                    self._loops.pop((pid, loop), None)
            pool: AsyncConnectionPool[_AsyncConnection] = AsyncConnectionPool(
                connection_class=self._class_of(_AsyncConnection), open=False, **self._options()
            )
            kept = self._loops[key] = _Loop(pool, self._life(pool, key))
            await anext(kept.life)
        return kept.pool

    async def _life(
        self,
        pool: AsyncConnectionPool[_AsyncConnection],
        key: tuple[int, asyncio.AbstractEventLoop],
    ) -> AsyncGenerator[None, None]:
        """As long as the loop: ``asyncio.run`` closes all generators that it has seen."""
        await pool.open()
        try:
            yield
        finally:
            self._loops.pop(key, None)
            await pool.close(timeout=0)

    def _class_of(self, base: Any) -> Any:
        return type(base.__name__, (base,), {"refused": self._refused})

    def _options(self) -> dict[str, Any]:
        # Sooner than the client gives up: what was not answered was then not done either.
        bound = max(1, round(self._settings.timeout * 0.8 * 1000))
        settings = {
            "statement_timeout": bound,
            # Whoever stops half way must not keep the locks.
            "idle_in_transaction_session_timeout": 2 * bound,
            # All that is asked for has an index, whatever the statistics say, and is so
            # little that planning it anew, or compiling it, takes longer.
            "enable_seqscan": "off",
            "plan_cache_mode": "force_generic_plan",
            "jit": "off",
        }
        return {
            "conninfo": self._settings.url,
            "kwargs": {
                "autocommit": True,
                "prepare_threshold": 0,
                "connect_timeout": _CONNECTING,
                "client_encoding": "UTF8",
                # A replica would lag, and its answers bring back what has ended.
                "target_session_attrs": "read-write",
                "options": " ".join(
                    [self._settings.options, *(f"-c {name}={settings[name]}" for name in settings)]
                ),
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
        threads = self._threads.pop(pid, None)
        if threads is not None:
            threads.pool.close(timeout=self._settings.timeout)
        for key in tuple(self._loops):
            if key[0] == pid and key[1].is_running():
                kept = self._loops.pop(key, None)
                if kept is not None:
                    asyncio.run_coroutine_threadsafe(_aclose(kept), key[1])

    async def aclose(self) -> None:
        """Close all, and await it for this loop."""
        kept = self._loops.pop((os.getpid(), asyncio.get_running_loop()), None)
        await asyncio.to_thread(self.close)
        if kept is not None:
            await _aclose(kept)


class _Loop(NamedTuple):
    pool: AsyncConnectionPool[_AsyncConnection]
    life: AsyncGenerator[None, None]


async def _aclose(kept: _Loop) -> None:
    await kept.life.aclose()
