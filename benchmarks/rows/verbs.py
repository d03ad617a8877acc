"""The verbs of a manager on each store, by calling, beside one bare read of the same engine."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

from psycopg_pool import ConnectionPool
from sqlalchemy import Engine, MetaData, bindparam, select

from measure import Case
from requesting import SECRET
from sessiongate import SessionManager
from sessiongate.stores import RedisStore, SQLAlchemyStore
from sessiongate.stores.engine import result_of

if TYPE_CHECKING:
    from pathlib import Path

    from sessiongate.stores import Store

__all__ = ["bare_reads", "sqlalchemy_read", "verbs"]


def verbs(name: str, store: Store) -> list[Case]:
    """Check, touch, refresh, a login, and a login with its logout."""
    options: Any = {"secret_key": SECRET, "max_concurrent_sessions": None, "existing": "new"}
    manager = SessionManager(store=store, **options)
    touching = SessionManager(store=store, touch_every=0, **options)
    checked = manager.create_session("alice") or ""
    # Of its own: PostgreSQL keeps what it has replaced beside it for a while, and reads past it.
    touched = manager.create_session("erin") or ""
    rotated = [manager.create_session("bob") or ""]

    def check() -> None:
        assert manager.validate_session(checked)  # noqa: S101

    def touch() -> None:
        assert touching.validate_session(touched)  # noqa: S101

    def refresh() -> None:
        rotated[0] = manager.refresh_session(rotated[0]) or ""

    def log_in() -> None:
        manager.create_session("dave")

    def log_in_and_out() -> None:
        manager.invalidate_session(manager.create_session("carol") or "")

    return [
        Case(f"{name}: check", check, "ours"),
        Case(f"{name}: touch", touch, "ours"),
        Case(f"{name}: refresh", refresh, "ours"),
        Case(f"{name}: login", log_in, "ours"),
        Case(f"{name}: login and logout", log_in_and_out, "ours"),
    ]


def bare_reads(folder: Path, stores: dict[str, Store], postgres_url: str | None) -> dict[str, Case]:
    """What the engine's own client takes for the least there is, by the name of the store."""
    reads = {"SQLite": Case("SQLite: read by primary key", _sqlite_read(folder), "floor")}
    redis = stores.get("Redis")
    if isinstance(redis, RedisStore):
        reads["Redis"] = Case("Redis: one bare GET", _redis_get(redis), "floor")
    if postgres_url is not None:
        read = _postgres_read(postgres_url)
        reads["PostgreSQL"] = Case("PostgreSQL: pooled read by primary key", read, "floor")
    mariadb = stores.get("MariaDB")
    if isinstance(mariadb, SQLAlchemyStore):
        read = sqlalchemy_read(mariadb)
        reads["MariaDB"] = Case("MariaDB: SQLAlchemy's read by primary key", read, "floor")
    return reads


def _sqlite_read(folder: Path) -> Any:
    connection = sqlite3.connect(folder / "floor.db", isolation_level=None)
    connection.execute("CREATE TABLE floor (id TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID")
    connection.execute("INSERT INTO floor VALUES ('a', 'b')")
    return lambda: connection.execute("SELECT value FROM floor WHERE id = ?", ("a",)).fetchone()


def _redis_get(store: RedisStore) -> Any:
    client = result_of(store._clients.of(None)).client  # noqa: SLF001 - the same, to compare
    client.set("sessiongate-benchmark", "x" * 150)
    return lambda: client.get("sessiongate-benchmark")


def sqlalchemy_read(store: SQLAlchemyStore) -> Any:
    """One read by primary key, of the table and by the engine of a store, to call."""
    store.count(0)  # makes the table
    process: Any = store._threads  # noqa: SLF001 - the same engine, to compare
    engine: Engine = process.engine
    table = store.tables(MetaData())
    query = select(table.c.data).where(table.c.opened == bindparam("key"))

    def read() -> Any:
        with engine.connect() as connection:
            return connection.execute(query, {"key": 1}).first()

    return read


def _postgres_read(url: str) -> Any:
    options = {"autocommit": True, "prepare_threshold": 0}
    pool = ConnectionPool(url, min_size=1, kwargs=options, open=True)
    with pool.connection() as connection:
        connection.execute('CREATE TABLE floor (id text COLLATE "C" PRIMARY KEY, value bytea)')
        connection.execute("INSERT INTO floor VALUES ('a', %s)", (b"b" * 150,))

    def read() -> Any:
        with pool.connection() as connection:
            found = connection.execute("SELECT value FROM floor WHERE id = %s", ("a",))
            return found.fetchone()

    return read
