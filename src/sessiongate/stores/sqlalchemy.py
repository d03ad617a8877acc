"""Sessions in the database that the app has, by its own SQLAlchemy engine."""

from __future__ import annotations

import asyncio
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote

from sessiongate.core.arguments import microseconds
from sessiongate.core.row import SECOND
from sessiongate.errors import ConfigurationError, StoreError
from sessiongate.stores.engine import Verb, failure, result_of
from sessiongate.stores.sql import SQLStore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection, Engine, MetaData, Table
    from sqlalchemy.ext.asyncio import AsyncEngine

    from sessiongate.core.arguments import Seconds
    from sessiongate.core.row import Record, Renewed
    from sessiongate.stores._sqlalchemy_calls import Process

__all__ = ["SQLAlchemyStore"]

T = TypeVar("T")

_MISSING: Final = (
    "SQLAlchemyStore needs SQLAlchemy 2: pip install 'sessiongate[sqlalchemy]', and a driver of "
    "your database"
)
_TITLES: Final = {
    "mysql": "MySQL",
    "mariadb": "MariaDB",
    "postgresql": "PostgreSQL",
    "sqlite": "SQLite",
}
_CONFLICTS: Final = {1020, 1205, 1213, "40001", "40P01"}
"""The server has undone it, so that others can go on: MySQL's numbers, and SQLSTATE."""
_GONE: Final = {1146, "42P01"}
"""Somebody has dropped the tables."""
_WHOLE: Final = ("_commit", "_together")


class _ConflictError(StoreError):
    """Nothing was done, so the verb may be carried out again."""


def _repeated(verb: Callable[..., Verb[Any]]) -> Callable[..., Verb[Any]]:
    """Return this verb, done over as often as the server undoes it."""

    @wraps(verb)
    def repeat(*arguments: Any) -> Verb[Any]:
        while True:
            try:
                return (yield from verb(*arguments))
            except _ConflictError:
                yield "ROLLBACK", None  # an error where the time is up

    return repeat


class SQLAlchemyStore(SQLStore):
    """The store for the database that the app uses anyway, by the engine that it has.

    For MySQL 8, MariaDB 10.5, PostgreSQL 12, SQLite, and their later versions. A check is one
    ``SELECT`` by key. Each verb borrows a connection from the engine's pool and gives it back as it
    was: the store adds no listener, changes no setting, and begins and ends transactions of its
    own. It works with every isolation level of the engine, and in autocommit.

    Give the engine of the colour that is used, or both: ``engine`` for what is called,
    ``async_engine`` for what is awaited. An ``AsyncEngine`` belongs to one event loop.

    Safe for any number of threads and tasks. In a child process after ``fork`` the first call gives
    the engine a new pool, as SQLAlchemy asks for. Nothing but a read is asked again: after a lost
    answer the change may have been made.

    How long an answer may take to come is set where the engine is made, by the time limits of its
    driver. There is no ``feed``: open websockets are asked for every few seconds.

    Args:
        engine: For what is called; ``None``: nothing is.
        async_engine: For what is awaited, on the same database; ``None``: nothing is.
        name: What the names of the tables begin with, after that of their schema if they are not
            in the usual one: ``"auth.sessiongate"``.
        timeout: Seconds that a call may wait for a connection of the pool, and for other calls. One
            that is awaited takes no longer in all.
        create: Make the tables where there are none; ``False``: they must be there, such as by
            Alembic: see ``tables``.

    Raises:
        ConfigurationError: SQLAlchemy is missing; there is no engine, or none of these databases;
            it is SQLite in memory; ``name`` is no plain name. At the first use: there is no engine
            of this colour; the tables are older or newer than this package, made in another way
            than ``tables`` says, or not there with ``create=False``.
        ValueError, TypeError: Another argument is unfit.
    """

    _one_of = "sid IN ?"
    _rows = "(SELECT count(*) FROM {schema}session)"
    _as_far = ""  # MySQL takes only a number there, and all rows are counted anyway
    _owns = False
    """Whether nobody else has the engine."""

    def __init__(
        self,
        engine: Engine | None = None,
        async_engine: AsyncEngine | None = None,
        *,
        name: str = "sessiongate",
        timeout: Seconds = 0.75,
        create: bool = True,
    ) -> None:
        try:
            # Here, so that the other stores do without.
            from sqlalchemy import Engine  # noqa: PLC0415
            from sqlalchemy.exc import SQLAlchemyError, TimeoutError  # noqa: A004, PLC0415
            from sqlalchemy.ext.asyncio import AsyncEngine  # noqa: PLC0415

            from sessiongate.stores import _sqlalchemy_tables as tables  # noqa: PLC0415
            from sessiongate.stores._sqlalchemy_calls import Call, Process  # noqa: PLC0415
        except ImportError as error:
            raise ConfigurationError(_MISSING) from error
        for argument, given, kind in (
            ("engine", engine, Engine),
            ("async_engine", async_engine, AsyncEngine),
        ):
            if not isinstance(given, (kind, type(None))):
                msg = f"{argument} must be of {kind.__name__}, not {type(given).__name__}"
                raise ConfigurationError(msg)
        self._async_engine = async_engine
        self._threads = None if engine is None else Process(engine)
        self._tasks = None if async_engine is None else Process(async_engine.sync_engine)
        processes = [process for process in (self._threads, self._tasks) if process is not None]
        if not processes:
            msg = "engine: give the engine that the app has, or async_engine=, or both"
            raise ConfigurationError(msg)
        self._processes = processes
        for process in processes:
            _check_database(process.engine)
        url = processes[0].engine.url
        self._location = f"{url.host or ''}/{url.database}"
        self.system: str = processes[0].engine.dialect.name
        self._title = _TITLES[self.system]
        passwords = {str(process.engine.url.password or "") for process in processes}
        self._hidden = {*passwords, *(quote(one, safe="") for one in passwords)} - {""}
        if self.system == "postgresql":
            self._limited = "sid = ANY (ARRAY({} FOR UPDATE SKIP LOCKED))"
        elif self.system != "sqlite":
            # Without the query, which may not look at the table that is to change.
            self._limited = "expires_at <= ? ORDER BY expires_at LIMIT ?"
        self._locked = "" if self.system == "sqlite" else "ORDER BY sid FOR UPDATE"
        tables.check_name(name)
        super().__init__(f"{name}_")
        self._lock = f"UPDATE {name}_lock SET version = version WHERE id = ?"  # noqa: S608 - checked
        self._lock_of = tables.lock_of
        self._busy = microseconds(timeout, "timeout", positive=True) / SECOND
        self._errors = (SQLAlchemyError, OSError)
        self._pool_timeout = TimeoutError
        self._call = partial(Call, patience=self._busy / 2)
        self._prepare = partial(tables.prepare, name=name, create=create)

    def __repr__(self) -> str:
        return f"<SQLAlchemyStore on {self._title} at {self._location}>"

    @staticmethod
    def tables(metadata: MetaData, name: str = "sessiongate") -> Table:
        """Describe the tables to ``metadata``, and return that of the sessions.

        For Alembic's autogenerate and for ``metadata.create_all``. Twice is as good as once.
        """
        from sessiongate.stores._sqlalchemy_tables import describe  # noqa: PLC0415

        return describe(metadata, name)

    @classmethod
    def _of_url(cls, url: str, **options: Any) -> SQLAlchemyStore:
        """Make one with an engine of its own, for ``open_store``."""
        try:
            from sessiongate.stores._sqlalchemy_calls import engine_of  # noqa: PLC0415
        except ImportError as error:
            raise ConfigurationError(_MISSING) from error
        timeout = microseconds(options.get("timeout", 1), "timeout", positive=True) / SECOND
        store = cls(**engine_of(url, timeout), **options)
        store._owns = True
        return store

    def close(self) -> None:
        """Refuse further calls. To dispose of the engines is the app's business."""
        self._closed = True
        for process in self._processes:
            process.close(dispose=self._owns)

    async def aclose(self) -> None:
        """``close``, to await."""
        if self._owns and self._async_engine is not None:
            await self._async_engine.dispose()
        self.close()

    # The words of the databases.

    def _list(self, sids: Sequence[str]) -> object:
        return [sid.encode() for sid in sids]

    def _begin(self, username: str | None, *, total: bool) -> Verb[None]:
        yield "BEGIN", None
        # Who changes a row holds it until the end, in every database. Always in one order.
        if total:
            yield self._lock, (self._lock_of(None),)
        if username is not None:
            yield self._lock, (self._lock_of(username),)

    def _renew(self, old: Record, new: Renewed) -> Verb[int]:
        return (yield self._update, (new.expires_at, new.data, old.sid, old.data))  # type: ignore[no-any-return]

    def _swap_once(self, old: Record, new: Record | None, now: int) -> Verb[Any]:
        there = yield from super()._swap(old, new, now)
        # MySQL may count a row only if it has changed.
        return True if new is not None and there == new.data == old.data else there

    def _sweep_once(self, now: int, most: int) -> Verb[int]:
        return super()._sweep(now, most)

    _swap, _sweep = _repeated(_swap_once), _repeated(_sweep_once)
    _commit, _together = map(_repeated, (getattr(SQLStore, name) for name in _WHOLE))
    # A transaction that was undone is done over as a whole: its locks are gone.
    _inside = {"commit": "_change", "swap": "_swap_once", "sweep": "_sweep_once"}  # noqa: RUF012

    # How they are carried out.

    def _run(self, verb: Verb[T]) -> T:
        process = self._process(self._threads, "engine", "called")
        try:
            with process.connect(self._busy) as connection:
                return self._carry(connection, process, verb)
        except self._errors as error:
            made = self._failure(error)
            raise made from made.__cause__

    async def _arun(self, verb: Verb[T]) -> T:
        process, connected = self._process(self._tasks, "async_engine", "awaited"), False
        engine: Any = self._async_engine
        try:
            async with asyncio.timeout(self._busy), engine.connect() as connection:
                connected = True
                return await connection.run_sync(self._carry, process, verb)  # type: ignore[no-any-return]
        except self._errors as error:
            late = isinstance(error, TimeoutError) and not connected
            made = self._failure(self._pool_timeout() if late else error)
            raise made from made.__cause__

    def _carry(self, connection: Connection, process: Process, verb: Verb[T]) -> T:
        if not process.ready:
            self._prepare(connection)
            process.prepared(connection)
        return result_of(self._carry_out(self._call(process, connection), verb))

    def _process(self, process: Process | None, argument: str, how: str) -> Process:
        self._check_open()
        if process is None:
            msg = f"{argument}: this SQLAlchemyStore was made without one, so it cannot be {how}"
            raise ConfigurationError(msg)
        process.check_fork()
        return process

    def _failure(self, error: Exception) -> StoreError:
        if isinstance(error, self._pool_timeout):
            return StoreError(
                f"{self._title} failed: the engine gave no connection in time: either the server "
                "does not answer, or all are in use: give create_engine a larger pool_size or "
                "max_overflow, or hold none for so long"
            )
        said = getattr(error, "orig", None) or error  # without the statement and its arguments
        made = failure(self._title, said, self._hidden)
        codes = {getattr(said, "sqlstate", None), *said.args[:1]}
        if not _CONFLICTS.isdisjoint(codes):
            return _ConflictError(*made.args)
        if not _GONE.isdisjoint(codes) or "no such table" in str(said):
            for process in self._processes:
                process.ready = False  # the next call makes them
        return made


def _check_database(engine: Engine) -> None:
    name = engine.dialect.name
    if name not in _TITLES:
        msg = f"engine: {name} is not one of {', '.join(_TITLES.values())}, which are tested"
        raise ConfigurationError(msg)
    if name == "sqlite" and (engine.url.database or ":memory:") == ":memory:":
        msg = (
            "engine: SQLite in memory is not shared by threads: name a file, or take MemoryStore()"
        )
        raise ConfigurationError(msg)
