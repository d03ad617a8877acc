"""Where ``PostgresStore`` gets its connections from, and how long each call may take.

psycopg and its pool have a face to call and one to await. What is done with a
connection is written once, as coroutines; those of the face to call wait for
nothing, so ``_finished`` has their result at once.
"""

from __future__ import annotations

import asyncio
import os
import select
import socket
import threading
import time
from contextlib import suppress
from functools import cached_property
from time import monotonic
from traceback import clear_frames
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, TypeVar
from weakref import ref

from psycopg import AsyncConnection, Connection, Error, OperationalError
from psycopg_pool import AsyncConnectionPool, ConnectionPool, PoolTimeout

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine

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
"""How often a thread looks for what is late, in the time that a call has."""
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
    """What a connection of either face knows besides."""

    refused: ClassVar[list[Exception]]
    """Why no connection could be made the last time, which the pool only logs."""
    late = False
    """It was cut, because its call took too long."""

    @cached_property
    def _news(self: Any) -> Callable[[], object]:
        if not hasattr(select, "poll"):  # Windows
            return lambda: select.select([self.fileno()], [], [], 0)[0]
        poll = select.poll()
        poll.register(self.fileno(), select.POLLIN)
        return lambda: poll.poll(0)

    def is_stale(self) -> bool:
        """Whether the server has closed an idle connection; no round trip.

        The only other news, a change of the server's settings, costs a new one as well.
        """
        return bool(self._news())

    def cut(self: Any) -> None:
        """End the wait for an answer: psycopg itself waits for ever."""
        self.late = True
        with (
            suppress(Error, OSError),
            socket.fromfd(self.fileno(), socket.AF_INET, socket.SOCK_STREAM) as same,
        ):
            same.shutdown(socket.SHUT_RDWR)


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

    async def ask(self, sql: str, arguments: Any) -> Any:
        cursor = self.execute(sql, arguments, prepare=arguments is not None)
        return cursor.fetchall() if sql.startswith(_ROWS) else cursor.rowcount

    async def undo(self) -> None:
        self.rollback()

    async def end(self) -> None:
        self.close()


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
            task: Any = asyncio.current_task()
            asyncio.get_running_loop().call_soon(task.cancel)
            raise
        cls.refused.clear()
        return made

    async def ask(self, sql: str, arguments: Any) -> Any:
        cursor = await self.execute(sql, arguments, prepare=arguments is not None)
        return await cursor.fetchall() if sql.startswith(_ROWS) else cursor.rowcount

    undo = AsyncConnection.rollback
    end = AsyncConnection.close


class _Threads:
    """The pool for the threads of one process; a thread of its own cuts what is late."""

    def __init__(self, settings: Settings, options: dict[str, Any]) -> None:
        self.pool: ConnectionPool[_Connection] = ConnectionPool(open=True, **options)
        self.due: dict[_Connection, float] = {}
        tick = settings.timeout / _TICKS
        threading.Thread(target=_cut_what_is_late, args=(ref(self), tick), daemon=True).start()

    async def take(self) -> _Connection:
        return self.pool.getconn()

    async def give_back(self, connection: _Connection) -> None:
        self.pool.putconn(connection)

    def bound(self, connection: _Connection, seconds: float) -> Callable[[], object]:
        self.due[connection] = monotonic() + seconds
        return lambda: self.due.pop(connection)


def _cut_what_is_late(known: ref[_Threads], tick: float) -> None:
    """Look again and again as long as there is a pool, for to be woken by each call costs more."""
    while (threads := known()) is not None and not threads.pool.closed:
        now = monotonic()
        for connection, due in threads.due.copy().items():
            if due <= now and threads.due.get(connection) is due:
                connection.cut()
        del threads
        time.sleep(tick)


class _Loop:
    """The pool for one event loop, and as long as it: see ``_life``."""

    def __init__(self, options: dict[str, Any], forget: Callable[[], object]) -> None:
        self.pool: AsyncConnectionPool[_AsyncConnection] = AsyncConnectionPool(
            open=False, **options
        )
        self.life = self._life(forget)

    async def _life(self, forget: Callable[[], object]) -> AsyncGenerator[None, None]:
        """Close the pool at the end: ``asyncio.run`` closes all generators that it has seen."""
        await self.pool.open()
        try:
            yield
        finally:
            forget()
            await self.pool.close(timeout=0)  # its tasks were cancelled

    async def take(self) -> _AsyncConnection:
        return await self.pool.getconn()

    async def give_back(self, connection: _AsyncConnection) -> None:
        await self.pool.putconn(connection)

    def bound(self, connection: _AsyncConnection, seconds: float) -> Callable[[], object]:
        return asyncio.get_running_loop().call_later(seconds, connection.cut).cancel


class Connections:
    """A pool for the threads of a process, and one for each event loop.

    After a fork the parent's pools stay as they are, unused, and new ones are
    made: closing a connection in the child would close it for the parent.
    """

    def __init__(self, settings: Settings, failure: Callable[[Exception], Exception]) -> None:
        self._settings = settings
        self._failure = failure
        self._refused: list[Exception] = []
        self._threads: dict[int, _Threads] = {}
        self._loops: dict[tuple[int, asyncio.AbstractEventLoop], _Loop] = {}

    def run(self, steps: Statements[T], first: Statements[Any] | None) -> T:
        """Carry out the statements, after those that come ``first`` and may take longer."""
        pid = os.getpid()
        kept = self._threads.get(pid)
        if kept is None:
            made = _Threads(self._settings, self._options(_Connection))
            kept = self._threads.setdefault(pid, made)
            if kept is not made:  # another thread was faster
                made.pool.close()
        return _finished(self._carry_out(kept, steps, first))

    async def arun(self, steps: Statements[T], first: Statements[Any] | None) -> T:
        """The same to await."""
        key = os.getpid(), asyncio.get_running_loop()
        kept = self._loops.get(key)
        if kept is None:
            for pid, loop in tuple(self._loops):
                if loop.is_closed():
                    self._loops.pop((pid, loop), None)
            options = self._options(_AsyncConnection)
            kept = self._loops[key] = _Loop(options, lambda: self._loops.pop(key, None))
            await anext(kept.life)
        return await self._carry_out(kept, steps, first)

    async def _carry_out(self, kept: Any, steps: Statements[T], first: Any) -> T:
        try:
            connection = await kept.take()
            # The pool's own check would pause between two stale ones.
            while connection.is_stale():
                await connection.end()
                await kept.give_back(connection)
                connection = await kept.take()
        except Error as error:
            # Nobody gave one back, or none could be made.
            why = self._refused[0] if isinstance(error, PoolTimeout) and self._refused else error
            raise self._failure(why) from None
        try:
            if first is not None:
                await self._answered(kept, connection, first, _PREPARING)
            return await self._answered(kept, connection, steps, self._settings.timeout)
        finally:
            await kept.give_back(connection)

    async def _answered(
        self, kept: Any, connection: Any, steps: Statements[T], seconds: float
    ) -> T:
        in_time = kept.bound(connection, seconds)
        try:
            sql, arguments = next(steps)
            while True:
                try:
                    found = await connection.ask(sql, arguments)
                except (Error, OSError) as error:
                    late = OperationalError("the server did not answer in time")
                    said = self._failure(late if connection.late else error)
                    sql, arguments = steps.throw(said)
                else:
                    sql, arguments = steps.send(found)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return] # of the generator
        except Exception:
            with suppress(Error, OSError):
                await connection.undo()
            raise
        except BaseException:  # cancelled: nobody may get its answer
            await connection.end()
            raise
        finally:
            in_time()

    def _options(self, kind: Any) -> dict[str, Any]:
        # Sooner than the client gives up: what was not answered was then not done either.
        bound = max(1, round(self._settings.timeout * 0.8 * 1000))
        settings = {
            "statement_timeout": bound,
            # Whoever stops half way must not keep the locks.
            "idle_in_transaction_session_timeout": 2 * bound,
            # All that is asked for has an index, whatever the statistics say, and is so little
            # that to plan it anew, to compile it or to share it out takes longer.
            "enable_seqscan": "off",
            "plan_cache_mode": "force_generic_plan",
            "jit": "off",
            "max_parallel_workers_per_gather": 0,
        }
        given = [self._settings.options, *(f"-c {name}={settings[name]}" for name in settings)]
        return {
            "conninfo": self._settings.url,
            "connection_class": type(kind.__name__, (kind,), {"refused": self._refused}),
            "kwargs": {
                "autocommit": True,
                "prepare_threshold": 0,
                "connect_timeout": _CONNECTING,
                "client_encoding": "UTF8",
                # A replica lags, and its answers bring back what has ended.
                "target_session_attrs": "read-write",
                "options": " ".join(given),
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
                asyncio.run_coroutine_threadsafe(_end(self._loops.pop(key, None)), key[1])

    async def aclose(self) -> None:
        """Close all, and await it for this loop."""
        kept = self._loops.pop((os.getpid(), asyncio.get_running_loop()), None)
        await asyncio.to_thread(self.close)
        await _end(kept)


async def _end(kept: _Loop | None) -> None:
    if kept is not None:
        await kept.pool.close(timeout=_CONNECTING)
        await kept.life.aclose()


def _finished(done: Coroutine[Any, Any, T]) -> T:
    """Return the result of a coroutine that waits for nothing."""
    try:
        done.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return] # of the coroutine
    msg = "it waits"
    raise AssertionError(msg)
