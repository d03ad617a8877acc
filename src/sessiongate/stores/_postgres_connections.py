"""Where ``PostgresStore`` gets its connections from, and how long each call may take."""

from __future__ import annotations

import asyncio
import selectors
from contextlib import suppress
from functools import cached_property, partial
from time import monotonic
from traceback import clear_frames
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from psycopg import AsyncConnection, Connection, Error, OperationalError
from psycopg_pool import AsyncConnectionPool, ConnectionPool, PoolTimeout

from sessiongate.stores.engine import Clients, answer_of, result_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from sessiongate.stores.engine import Loop

__all__ = ["pools"]

_CONNECTING: Final = 2
"""Seconds that a worker of the pool may take to connect: libpq knows no shorter time, but callers
wait for the pool alone."""
# ``select`` itself knows no file beyond the 1024th, and Windows no ``poll``.
_Selector: Final[Any] = getattr(selectors, "PollSelector", selectors.SelectSelector)


async def _connect(connect: Any, *args: Any, refused: list[Error], **options: Any) -> Any:
    """Connect, and keep why it failed the last time: the pool only logs it."""
    connection: Any = None
    try:
        connection = await answer_of(connect(*args, **options))
        await connection.look_for_pooler()
    except Error as error:
        refused[:] = [error]
        await _close(connection)
        raise
    except asyncio.CancelledError as cancelled:
        await _close(connection)
        # What is half open would stay so until the garbage is collected.
        clear_frames(cancelled.__traceback__)
        # The pool's worker takes this for a failed attempt and would work on, for ever.
        task: Any = asyncio.current_task()
        asyncio.get_running_loop().call_soon(task.cancel)
        raise
    refused.clear()
    return connection


async def _close(connection: Any) -> None:
    if connection is not None:
        await answer_of(connection.close())


class _ConnectionMixin:
    """What a connection of either face can do besides."""

    due = float("inf")
    """When the answer must be there."""
    _prepares = False
    """Not behind a pooler: the next statement may go to another server process, where the name is
    unknown, or that of another statement."""

    @classmethod
    def connect(cls, *args: Any, **options: Any) -> Any:
        done = _connect(super().connect, *args, **options)  # type: ignore[misc] # psycopg's
        return done if issubclass(cls, AsyncConnection) else result_of(done)

    def wait(self, steps: Any, *_: Any, **__: Any) -> Any:
        return super().wait(steps, timeout=self.due - monotonic())  # type: ignore[misc] # likewise

    async def look_for_pooler(self: Any) -> None:
        """Ask which process answers: a pooler has named another one, of its own invention."""
        self.due = monotonic() + _CONNECTING
        ((answers,),) = await self.send("SELECT pg_backend_pid()", None)
        self._prepares = answers == self.info.backend_pid

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
        cursor, reads = self._cursor, sql.startswith("SELECT")
        prepare = self._prepares and arguments is not None
        try:
            await answer_of(cursor.execute(sql, arguments, prepare=prepare))
            return await answer_of(cursor.fetchall()) if reads else cursor.rowcount
        except OperationalError:
            if monotonic() < self.due:
                raise
            msg = "the server did not answer in time"
            raise OperationalError(msg) from None


class _Connection(_ConnectionMixin, Connection[Any]):  # type: ignore[misc] # its own connect
    pass


class _AsyncConnection(_ConnectionMixin, AsyncConnection[Any]):  # type: ignore[misc] # likewise
    pass


class Pool(NamedTuple):
    """A pool of psycopg's, of either face. Times in seconds."""

    pool: Any
    refused: list[Error]
    answer: float
    turn: float
    """A connection may have to be made, and there may be a queue for it."""
    budget: float
    """Of a call that waits for others: for a connection, for a lock, and its work."""

    async def open(self) -> None:
        await answer_of(self.pool.open())

    async def close(self, *, loop_ended: bool = False) -> None:
        # Then its tasks were cancelled.
        await answer_of(self.pool.close(0 if loop_ended else _CONNECTING))

    async def borrow(self, statement: tuple[str, object]) -> Any:
        began = monotonic()
        # A transaction may wait for the locks of others, and many may queue for it.
        queues = statement[0].startswith("BEGIN")
        try:
            connection = await answer_of(self.pool.getconn(self.budget if queues else self.turn))
            # The pool's own check would pause between two stale ones.
            while connection.is_stale():
                await self.give_back(connection, failed=True)
                connection = await answer_of(self.pool.getconn(self.turn))
        except PoolTimeout as error:
            # Nobody gave one back, or none could be made.
            raise (self.refused[0] if self.refused else error) from None
        connection.due = began + self.budget if queues else monotonic() + self.answer
        return connection

    async def give_back(self, connection: Any, failed: bool | None) -> None:  # noqa: FBT001 - of the protocol
        if failed is not None:
            with suppress(Error, OSError):
                await answer_of(connection.close() if failed else connection.rollback())
        await answer_of(self.pool.putconn(connection))


def pools(
    url: str, options: str, connect_timeout: float, timeout: float, max_size: int
) -> tuple[Clients, float, Callable[[], Any]]:
    """Return the pools of ``PostgresStore``, and the seconds of a call that waits for others.

    And what opens a connection that listens.
    """
    # Sooner than the client gives up: what was not answered was then not done either.
    soon = max(1, round(800 * timeout))
    settings = {
        "statement_timeout": soon,
        # Whoever stops half way must not keep the locks.
        "idle_in_transaction_session_timeout": 2 * soon,
        # All that is asked for has an index, whatever the statistics say, and is so little that to
        # plan it anew, to compile it or to share it out takes longer.
        "enable_seqscan": "off",
        "plan_cache_mode": "force_generic_plan",
        "jit": "off",
        "max_parallel_workers_per_gather": 0,
    }
    refused: list[Error] = []
    keywords: dict[str, Any] = {
        "autocommit": True,
        "prepare_threshold": 0,
        "connect_timeout": _CONNECTING,
        "client_encoding": "UTF8",
        # A replica lags, and its answers bring back what has ended.
        "target_session_attrs": "read-write",
        "options": " ".join([options, *(f"-c {name}={value}" for name, value in settings.items())]),
    }
    budget = connect_timeout + 2.5 * timeout

    def make(loop: Loop | None) -> Pool:
        kind: Any = ConnectionPool if loop is None else AsyncConnectionPool
        pool = kind(
            url,
            connection_class=_Connection if loop is None else _AsyncConnection,
            kwargs={**keywords, "refused": refused},
            open=False,
            min_size=0,
            max_size=max_size,
            # Nobody tries in the background, with longer and longer pauses: each call may.
            reconnect_timeout=0,
        )
        return Pool(pool, refused, timeout, connect_timeout + timeout, budget)

    return Clients(make), budget, partial(Connection.connect, url, **keywords)
