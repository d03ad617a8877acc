"""How ``SQLAlchemyStore`` uses an engine: its connections, each given back as it was."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from math import ceil
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import (
    LargeBinary,
    QueuePool,
    TypeDecorator,
    bindparam,
    create_engine,
    make_url,
    text,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import create_async_engine

from sessiongate.errors import ConfigurationError

if TYPE_CHECKING:
    from concurrent.futures import Future

    from sqlalchemy import URL, Connection, Engine

__all__ = ["Call", "Process", "engine_of"]

_THREADS: Final = 16
"""That wait for a connection, while those whom it would keep too long are answered."""
_FIT: Final = {"AUTOCOMMIT", "READ COMMITTED", "REPEATABLE READ"}
"""Levels in which the first statement of a transaction waits for no writer, and sees what was
committed before."""
_BEGIN: Final = {
    # For this one transaction: a level that is set for longer would have to be set back.
    "mysql": ("SET TRANSACTION ISOLATION LEVEL READ COMMITTED", "START TRANSACTION"),
    "postgresql": ("SET TRANSACTION ISOLATION LEVEL READ COMMITTED",),
    "sqlite": ("BEGIN IMMEDIATE",),
}


class Process:
    """What there is of an engine in this process.

    A connection must not be carried through a fork: then two processes would talk on it.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._threads = ThreadPoolExecutor(_THREADS, "sessiongate-sqlalchemy")
        self._lock, self._taking = Lock(), 0
        self.ready = False
        self.fit = True
        self._pid, self._pool = os.getpid(), engine.pool  # last: then all is new after a fork

    def check_fork(self) -> None:
        """After a fork, begin anew; unless the app has seen to its engine, do that as well."""
        if self._pid != os.getpid():
            if self.engine.pool is self._pool:
                self.engine.dispose(close=False)
            self.__init__(self.engine)  # type: ignore[misc] # anew

    def prepared(self, connection: Connection) -> None:
        level = connection.get_isolation_level()
        self.fit = connection.dialect.name == "sqlite" or level in _FIT
        connection.rollback()
        self.ready = True

    def connect(self, seconds: float) -> Connection:
        """Borrow a connection; the pool itself may let us wait for far longer."""
        pool = self.engine.pool
        if not isinstance(pool, QueuePool):
            return self.engine.connect()
        with self._lock:  # two must not go for the same one
            is_free = pool.checkedin() > self._taking
            self._taking += is_free
        if is_free:
            try:
                return self.engine.connect()
            finally:
                with self._lock:
                    self._taking -= 1
        waiting = self._threads.submit(self.engine.connect)
        try:
            return waiting.result(seconds)
        except TimeoutError:
            if not waiting.cancel():
                waiting.add_done_callback(_give_back)
            raise PoolTimeout from None

    def close(self, *, dispose: bool) -> None:
        self._threads.shutdown(wait=False)
        if dispose:
            self.engine.dispose()


def engine_of(url: str, timeout: float) -> dict[str, Any]:
    """Make the engine of a URL, as the argument that takes one of its colour."""
    try:
        parsed = make_url(url)
        if parsed.get_dialect().is_async:
            return {"async_engine": create_async_engine(parsed)}
        limits = _limits(parsed, timeout)
        return {"engine": create_engine(parsed, connect_args=limits)}
    except ModuleNotFoundError as error:
        msg = f"url: the driver {error.name} is missing: install it with pip"
        raise ConfigurationError(msg) from error
    except (ArgumentError, NoSuchModuleError, ValueError):
        msg = "url must be as SQLAlchemy writes it, such as mysql+pymysql://user@host:3306/database"
        raise ConfigurationError(msg) from None  # the cause may quote a password


def _limits(url: URL, timeout: float) -> dict[str, Any]:
    """Return the time limits of its driver, less those that the URL gives."""
    seconds = max(1, ceil(timeout))
    limits = dict.fromkeys(("connect_timeout", "read_timeout", "write_timeout"), seconds)
    if url.get_driver_name().startswith("psycopg"):
        limits = {"connect_timeout": seconds, "tcp_user_timeout": 1000 * seconds}
    elif url.get_driver_name() not in {"pymysql", "mysqldb"}:
        limits = {}
    return {name: limit for name, limit in limits.items() if name not in url.query}


def _give_back(waiting: Future[Connection]) -> None:
    if waiting.exception() is None:
        waiting.result().close()


class Call:
    """The statements of one verb, on one connection: each a transaction of its own, until BEGIN."""

    def __init__(self, process: Process, connection: Connection, patience: float) -> None:
        self._process, self._connection = process, connection
        self._retry_until = monotonic() + patience
        self._begun = self._explicit = False

    async def borrow(self, _: object) -> Call:
        return self

    async def give_back(self, _: object, failed: bool | None) -> None:  # noqa: FBT001 - of the protocol
        if failed is not None and not self._connection.invalidated:
            self._end("ROLLBACK")

    async def send(self, sql: str, arguments: Any) -> Any:
        if arguments is None:
            self._begin() if sql == "BEGIN" else self._end(sql)
            self._begun = sql == "BEGIN"
            return None
        first = not self._connection.in_transaction()
        try:
            return self._execute(sql, arguments)
        except DBAPIError as error:
            stale = error.connection_invalidated and first and sql.startswith("SELECT")
            if not stale or monotonic() > self._retry_until:
                raise
        # The server had closed it. What was sent only asks, so it may be sent again.
        return self._execute(sql, arguments)

    def _execute(self, sql: str, arguments: Any) -> Any:
        if not self._begun:
            if self._connection.in_transaction():
                self._end("ROLLBACK")  # what was read before is not what is there now
            if not self._process.fit:
                self._begin()
        values = {
            f"p{place}": value.encode() if isinstance(value, str) else value
            for place, value in enumerate(arguments)
        }
        result = self._connection.execute(_statement(sql), values)
        if result.returns_rows:
            return result.all()
        if not self._begun:
            self._end("COMMIT")
        return result.rowcount

    def _begin(self) -> None:
        connection = self._connection
        connection.rollback()
        system = connection.dialect.name.replace("mariadb", "mysql")
        # In autocommit psycopg and others would not end what they have not begun.
        self._explicit = system == "postgresql" and bool(connection.connection.autocommit)
        if self._explicit:
            connection.exec_driver_sql("BEGIN")
        try:
            for command in _BEGIN[system]:
                connection.exec_driver_sql(command)
        except OperationalError as error:
            if "within a transaction" not in str(error):  # SQLite, where the app begins them
                raise

    def _end(self, how: str) -> None:
        if self._explicit:
            self._connection.exec_driver_sql(how)
        if how == "COMMIT":
            self._connection.commit()
            return
        self._connection.rollback()
        if self._begun and getattr(self._connection.dialect, "skip_autocommit_rollback", False):
            self._connection.invalidate()  # it may not have been sent


class _Text(TypeDecorator[str]):
    """What is kept as bytes."""

    impl = LargeBinary
    cache_ok = True

    def process_result_value(self, value: bytes | None, dialect: object) -> str | None:  # noqa: ARG002
        # A name that is no UTF-8 must not fail a whole list.
        return None if value is None else value.decode(errors="surrogateescape")


@cache
def _statement(sql: str) -> Any:
    """Return the statement of SQLAlchemy, for every paramstyle. There are some twenty."""
    first, *rest = sql.split("?")
    made = text(first + "".join(f":p{place}{part}" for place, part in enumerate(rest)))
    if "IN :p0" in made.text:
        made = made.bindparams(bindparam("p0", expanding=True))
    if sql.startswith("SELECT"):
        return made.columns(sid=_Text(), username=_Text(), data=LargeBinary())
    return made
