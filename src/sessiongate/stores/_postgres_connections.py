"""Where ``PostgresStore`` gets its connections from, and how long each call may take.

psycopg and its pool have a face to call and one to await. What is done with a
connection is written once, as coroutines; those of the face to call wait for
nothing, so ``_result_of`` has their result at once.
"""

from __future__ import annotations

import asyncio
import os
import selectors
import socket
import threading
import time
from contextlib import contextmanager, suppress
from functools import cached_property
from time import monotonic
from traceback import clear_frames
from typing import TYPE_CHECKING, Any, Final, TypeVar
from weakref import ref

from psycopg import AsyncConnection, Connection, Error, OperationalError
from psycopg_pool import AsyncConnectionPool, ConnectionPool, PoolTimeout

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator

    from sessiongate.stores.sql import Statements

__all__ = ["Connections"]

T = TypeVar("T")

_CONNECTING: Final = 2
"""Seconds that a worker of the pool may take to connect: libpq knows no shorter time, but callers
wait for the pool alone."""
_PREPARING: Final = 5.0
"""Seconds that making the tables may take, once."""
_TICKS: Final = 5
"""How often a thread looks for what is late, in the time that a call has."""
# ``select`` itself knows no file beyond the 1024th, and Windows no ``poll``.
_Selector: Final[Any] = getattr(selectors, "PollSelector", selectors.SelectSelector)


@contextmanager
def _keep_reason(refused: list[Error]) -> Iterator[None]:
    """Keep why no connection could be made the last time: the pool only logs it."""
    try:
        yield
    except Error as error:
        refused[:] = [error]
        raise
    refused.clear()


class _ConnectionMixin:
    """What a connection of either face can do besides."""

    late = False
    """It was cut, because its call took too long."""

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

    def cut(self: Any) -> None:
        """End the wait for an answer: psycopg itself waits for ever."""
        self.late = True
        with (
            suppress(Error, OSError),
            socket.fromfd(self.fileno(), socket.AF_INET, socket.SOCK_STREAM) as same,
        ):
            same.shutdown(socket.SHUT_RDWR)


class _Connection(_ConnectionMixin, Connection[Any]):
    @classmethod
    def connect(cls, *args: Any, **options: Any) -> Any:
        with _keep_reason(options.pop("refused")):
            return super().connect(*args, **options)

    async def run(self, sql: Any, arguments: Any) -> Any:
        cursor = self.execute(sql, arguments, prepare=arguments is not None)
        return cursor.fetchall() if sql.startswith("SELECT") else cursor.rowcount

    async def undo(self) -> None:
        self.rollback()

    async def end(self) -> None:
        self.close()


class _AsyncConnection(_ConnectionMixin, AsyncConnection[Any]):
    @classmethod
    async def connect(cls, *args: Any, **options: Any) -> Any:
        try:
            with _keep_reason(options.pop("refused")):
                return await super().connect(*args, **options)
        except asyncio.CancelledError as cancelled:
            # What is half open would stay so until the garbage is collected.
            clear_frames(cancelled.__traceback__)
            # The pool's worker takes this for a failed attempt and would work on, for ever.
            task: Any = asyncio.current_task()
            asyncio.get_running_loop().call_soon(task.cancel)
            raise

    async def run(self, sql: Any, arguments: Any) -> Any:
        cursor = await self.execute(sql, arguments, prepare=arguments is not None)
        return await cursor.fetchall() if sql.startswith("SELECT") else cursor.rowcount

    undo = AsyncConnection.rollback
    end = AsyncConnection.close


class _Threads:
    """The pool for the threads of one process; a thread of its own cuts what is late."""

    def __init__(self, options: dict[str, Any], tick: float) -> None:
        self.pool = ConnectionPool(open=True, connection_class=_Connection, **options)
        self.due: dict[_Connection, float] = {}
        threading.Thread(target=_cut_late_calls, args=(ref(self), tick), daemon=True).start()

    async def take(self, seconds: float) -> _Connection:
        return self.pool.getconn(seconds)

    async def give_back(self, connection: _Connection) -> None:
        self.pool.putconn(connection)

    def cut_after(self, connection: _Connection, seconds: float) -> Callable[[], object]:
        self.due[connection] = monotonic() + seconds
        return lambda: self.due.pop(connection)


def _cut_late_calls(known: ref[_Threads], tick: float) -> None:
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
        self.pool = AsyncConnectionPool(open=False, connection_class=_AsyncConnection, **options)
        self.take, self.give_back = self.pool.getconn, self.pool.putconn
        self.life = self._life(forget)

    async def _life(self, forget: Callable[[], object]) -> AsyncGenerator[None, None]:
        """Close the pool at the end: ``asyncio.run`` closes all generators that it has seen."""
        await self.pool.open()
        try:
            yield
        finally:
            forget()
            await self.pool.close(timeout=0)  # its tasks were cancelled

    def cut_after(self, connection: _AsyncConnection, seconds: float) -> Callable[[], object]:
        return asyncio.get_running_loop().call_later(seconds, connection.cut).cancel


class Connections:
    """A pool for the threads of a process, and one for each event loop.

    After a fork the parent's pools stay as they are, unused, and new ones are
    made: closing a connection in the child would close it for the parent.

    The arguments are those of ``PostgresStore``; ``given`` are the app's own options of
    the server, and ``failure`` makes what is raised of an error of psycopg.
    """

    def __init__(
        self,
        url: str,
        given: str,
        *,
        connect_timeout: float,
        timeout: float,
        max_size: int,
        failure: Callable[[Exception], Exception],
    ) -> None:
        self._timeout = timeout
        # A connection may have to be made, and there may be a queue for it.
        self._turn = connect_timeout + timeout
        # Of a call that waits for others: its wait for a connection, for a lock, and its work.
        self._budget = connect_timeout + 2.5 * timeout
        self.longest_wait = _milliseconds(self._budget)
        self._failure = failure
        self._refused: list[Error] = []
        self._threads: dict[int, _Threads] = {}
        self._loops: dict[tuple[int, asyncio.AbstractEventLoop], _Loop] = {}
        # Sooner than the client gives up: what was not answered was then not done either.
        soon = _milliseconds(0.8 * timeout)
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
        self._options = {
            "conninfo": url,
            "kwargs": {
                "refused": self._refused,
                "autocommit": True,
                "prepare_threshold": 0,
                "connect_timeout": _CONNECTING,
                "client_encoding": "UTF8",
                # A replica lags, and its answers bring back what has ended.
                "target_session_attrs": "read-write",
                "options": " ".join([given, *(f"-c {k}={v}" for k, v in settings.items())]),
            },
            "min_size": 0,
            "max_size": max_size,
            # Nobody tries in the background, with longer and longer pauses: each call may.
            "reconnect_timeout": 0,
        }

    def run(self, steps: Statements[T], first: Statements[Any] | None) -> T:
        """Carry out the statements, after those that come ``first`` and may take longer."""
        threads = self._threads.get(pid := os.getpid())
        if threads is None:
            made = _Threads(self._options, self._timeout / _TICKS)
            threads = self._threads.setdefault(pid, made)
            if threads is not made:  # another thread was faster
                made.pool.close()
        return _result_of(self._carry_out(threads, steps, first))

    async def arun(self, steps: Statements[T], first: Statements[Any] | None) -> T:
        """``run``, to await."""
        key = os.getpid(), asyncio.get_running_loop()
        loop = self._loops.get(key)
        if loop is None:
            for other in tuple(self._loops):
                if other[1].is_closed():
                    self._loops.pop(other, None)
            loop = self._loops[key] = _Loop(self._options, lambda: self._loops.pop(key, None))
            await anext(loop.life)
        return await self._carry_out(loop, steps, first)

    async def _carry_out(self, pool: Any, steps: Statements[T], first: Any) -> T:
        try:
            statement = next(steps)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return] # of the generator
        # A transaction may wait for the locks of others, and many may queue for it.
        queues = statement[0].startswith("BEGIN")
        give_up = monotonic() + self._budget
        try:
            connection = await pool.take(self._budget if queues else self._turn)
            # The pool's own check would pause between two stale ones.
            while connection.is_stale():
                await connection.end()
                await pool.give_back(connection)
                connection = await pool.take(self._turn)
        except Error as error:
            # Nobody gave one back, or none could be made.
            why = self._refused[0] if isinstance(error, PoolTimeout) and self._refused else error
            raise self._failure(why) from None
        try:
            if first is not None:
                await self._answered(pool, connection, first, next(first), _PREPARING)
                give_up = monotonic() + self._budget
            seconds = give_up - monotonic() if queues else self._timeout
            return await self._answered(pool, connection, steps, statement, seconds)
        finally:
            await pool.give_back(connection)

    async def _answered(
        self, pool: Any, connection: Any, steps: Statements[T], statement: Any, seconds: float
    ) -> T:
        in_time = pool.cut_after(connection, seconds)
        try:
            while True:
                try:
                    found = await connection.run(*statement)
                except (Error, OSError) as error:
                    late = OperationalError("the server did not answer in time")
                    statement = steps.throw(self._failure(late if connection.late else error))
                else:
                    statement = steps.send(found)
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

    def close(self) -> None:
        """Close all; what belongs to a running loop is closed there, soon."""
        pid = os.getpid()
        threads = self._threads.pop(pid, None)
        if threads is not None:
            threads.pool.close(timeout=self._timeout)
        for key in tuple(self._loops):
            if key[0] == pid and key[1].is_running():
                asyncio.run_coroutine_threadsafe(self._close_loop(key), key[1])

    async def aclose(self) -> None:
        """``close``, to await for this loop."""
        await self._close_loop((os.getpid(), asyncio.get_running_loop()))
        await asyncio.to_thread(self.close)

    async def _close_loop(self, key: tuple[int, asyncio.AbstractEventLoop]) -> None:
        loop = self._loops.pop(key, None)
        if loop is not None:
            await loop.pool.close(timeout=_CONNECTING)
            await loop.life.aclose()


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))


def _result_of(done: Coroutine[Any, Any, T]) -> T:
    """Return the result of a coroutine that waits for nothing."""
    try:
        done.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return] # of the coroutine
    msg = "it waits"
    raise AssertionError(msg)
