"""Sessions in PostgreSQL, for any number of processes and machines."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any, Final

from sessiongate.core.arguments import check_count, microseconds
from sessiongate.core.row import SECOND
from sessiongate.errors import ConfigurationError, StoreError
from sessiongate.stores._postgres_dialect import VERSION, Dialect, schema_text

if TYPE_CHECKING:
    from collections.abc import Generator

    from sessiongate.core.arguments import Seconds
    from sessiongate.core.commands import Command, Outcome
    from sessiongate.stores._postgres_dialect import Record, Statement

__all__ = ["PostgresStore"]

_MISSING: Final = "PostgresStore needs psycopg and its pool: pip install 'sessiongate[postgres]'"
_PREPARING: Final = 5.0
"""Seconds that making the tables may take, once."""


class PostgresStore:
    """The store for several machines that already run PostgreSQL 12 or later.

    Each command is one prepared statement, in one round trip.
    The first call of a process also looks for the tables, and makes them where
    there are none; a role that may not is told what to do.

    Safe for any number of threads and event loops, and after ``fork``. Each
    loop has a pool of its own; ``asyncio.run`` closes it at its end. Nothing is
    retried: after a lost answer the command may have been carried out.

    Args:
        url: A connection URI or string, as libpq reads it. A password in it
            appears in no message and in no ``repr``.
        schema: Where the tables and functions are.
        connect_timeout: Seconds that opening a connection may take.
        timeout: Seconds to wait for a turn at the pool, and for each answer.
        max_size: Connections of a process, and of each event loop. Few suffice: each call
            takes a millisecond, and opening one costs the server more than ten calls.
        create: Make the tables where there are none, or old ones; ``False``:
            they must be there.

    Raises:
        ConfigurationError: psycopg is missing, or ``schema`` is no plain name.
            At the first use: the role may not make the tables, they are
            newer than this package, or not there with ``create=False``.
        ValueError, TypeError: Another argument is unfit.
    """

    shared = True
    touch_every = 60 * SECOND

    def __init__(
        self,
        url: str,
        *,
        schema: str = "sessiongate",
        connect_timeout: Seconds = 0.25,
        timeout: Seconds = 0.25,
        max_size: int = 5,
        create: bool = True,
    ) -> None:
        try:
            # Here, so that the other stores do without.
            from psycopg import Error, errors  # noqa: PLC0415
            from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415

            from sessiongate.stores._postgres_pools import Pools, Settings  # noqa: PLC0415
        except ImportError as error:
            raise ConfigurationError(_MISSING) from error
        try:
            where = conninfo_to_dict(url)
        except Error:
            msg = "url must be a PostgreSQL URI, such as postgresql://user@host:5432/database"
            raise ConfigurationError(msg) from None  # the cause may quote a password
        self._place = f"{where.get('host', 'localhost')}/{where.get('dbname', '')}"
        self._schema = schema
        self._create = create
        self._dialect = Dialect(schema)
        settings = Settings(
            url,
            str(where.get("options") or os.environ.get("PGOPTIONS", "")),
            microseconds(connect_timeout, "connect_timeout", positive=True) / SECOND,
            microseconds(timeout, "timeout", positive=True) / SECOND,
            check_count(max_size, "max_size") or 1,
        )
        self._pools = Pools(settings)
        self._budget = settings.connect_timeout + 2 * settings.timeout
        self._failures: tuple[type[Exception], ...] = (Error, OSError)
        self._forbidden = errors.InsufficientPrivilege
        self._missing = (
            *(errors.UndefinedTable, errors.UndefinedFunction, errors.UndefinedObject),
            errors.InvalidSchemaName,
        )
        self._ready = False
        self._closed = False

    def __repr__(self) -> str:
        return f"<PostgresStore at {self._place}>"

    @staticmethod
    def schema(name: str = "sessiongate") -> str:
        """The SQL that makes the tables and functions, for a role that may; idempotent."""
        return schema_text(name)

    def execute(self, command: Command) -> Outcome:
        """Carry out a command; see ``Store``."""
        self._check_open()
        try:
            pool, connection = self._pools.borrow()
            try:
                if not self._ready:
                    self._prepare(connection)
                records = connection.ask(self._dialect.statement(command))
            finally:
                pool.putconn(connection)
        except self._failures as error:
            raise self._failure(error) from error
        return self._dialect.outcome(command, records)

    async def aexecute(self, command: Command) -> Outcome:
        """Carry out a command without blocking the event loop; see ``Store``."""
        self._check_open()
        try:
            async with asyncio.timeout(self._budget if self._ready else _PREPARING):
                pool, connection = await self._pools.aborrow()
                try:
                    if not self._ready:
                        await self._aprepare(connection)
                    records = await connection.ask(self._dialect.statement(command))
                finally:
                    await pool.putconn(connection)
        except self._failures as error:
            raise self._failure(error) from error
        return self._dialect.outcome(command, records)

    def close(self) -> None:
        """Close all connections, those of a running event loop soon."""
        self._closed = True
        self._pools.close()

    async def aclose(self) -> None:
        """The same, to await for the connections of this event loop."""
        self._closed = True
        await self._pools.aclose()

    # The first use: are the tables there?

    def _prepare(self, connection: Any) -> None:
        steps, records = self._preparation(), None
        bound = connection.bound
        try:
            while True:
                statement = steps.send(records)
                connection.bound = _PREPARING if statement is self._dialect.create else bound
                cursor = connection.execute(statement.sql)
                records = cursor.fetchall() if cursor.description else []
        except StopIteration:
            self._ready = True
        except self._forbidden as error:
            raise self._not_allowed() from error
        finally:
            connection.bound = bound

    async def _aprepare(self, connection: Any) -> None:
        steps, records = self._preparation(), None
        bound = connection.bound
        try:
            while True:
                statement = steps.send(records)
                connection.bound = _PREPARING if statement is self._dialect.create else bound
                cursor = await connection.execute(statement.sql)
                records = await cursor.fetchall() if cursor.description else []
        except StopIteration:
            self._ready = True
        except self._forbidden as error:
            raise self._not_allowed() from error
        finally:
            connection.bound = bound

    def _preparation(self) -> Generator[Statement, list[Record] | None, None]:
        [(there,)] = yield self._dialect.exists  # type: ignore[misc] # records, once it runs
        version = 0
        if there is not None:
            [(version,)] = yield self._dialect.version  # type: ignore[misc] # likewise
        if version > VERSION:
            msg = (
                f"schema: {self._schema!r} was made by a newer sessiongate (version {version}, "
                f"this one knows {VERSION}): upgrade sessiongate, or give another schema"
            )
            raise ConfigurationError(msg)
        if version < VERSION and not self._create:
            msg = (
                f"url: schema {self._schema!r} at {self._place} has no tables of this version, "
                "and none are to be made (create=False)"
            )
            raise ConfigurationError(msg)
        if version < VERSION:
            yield self._dialect.create

    def _not_allowed(self) -> ConfigurationError:
        return ConfigurationError(
            f"the role of url may not make or use schema {self._schema!r}: let one that may "
            "apply PostgresStore.schema(), and grant this one the use of what it makes"
        )

    def _check_open(self) -> None:
        if self._closed:
            msg = "this PostgresStore was closed; make a new one"
            raise StoreError(msg)

    def _failure(self, error: Exception) -> StoreError:
        if isinstance(error, self._missing):
            self._ready = False  # somebody has dropped the tables: the next call makes them
        # Without the driver's text, which may quote what was sent; it is the error's cause.
        return StoreError(f"PostgreSQL at {self._place} failed: {type(error).__name__}")
