"""What each verb of a manager costs on each store, beside one bare read of its engine."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

from measure import Case
from sessiongate import SessionManager
from sessiongate.stores import MemoryStore, PostgresStore, RedisStore, SQLiteStore

if TYPE_CHECKING:
    from pathlib import Path

    from sessiongate.stores import Store

SECRET = "a secret that is long enough for every token in this table, and some more"  # noqa: S105


def store_cases(name: str, store: Store, repeats: int) -> list[Case]:
    """Check, login, rotate and logout, on a store that is used for nothing else."""
    manager = SessionManager(
        store=store, secret_key=SECRET, max_concurrent_sessions=None, existing="new"
    )
    checked = manager.create_session("alice") or ""
    rotated = [manager.create_session("bob") or ""]
    opened: list[str] = []

    def check() -> None:
        assert manager.validate_session(checked)  # noqa: S101

    def login() -> None:
        opened.append(manager.create_session("carol") or "")

    def rotate() -> None:
        rotated[0] = manager.refresh_session(rotated[0]) or ""

    def logout() -> None:
        manager.invalidate_session(opened.pop())

    return [
        Case(f"{name}: check", check, repeats),
        Case(f"{name}: login", login, repeats),
        Case(f"{name}: rotate", rotate, repeats),
        Case(f"{name}: logout", logout, repeats),
    ]


def memory_cases() -> list[Case]:
    """The embedded default."""
    return store_cases("memory", MemoryStore(), 2_000)


def sqlite_cases(folder: Path) -> list[Case]:
    """SQLite on this machine's disk; the first row is a read by primary key."""
    path = folder / "floor.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("CREATE TABLE floor (id TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID")
    connection.execute("INSERT INTO floor VALUES ('a', 'b')")

    def read() -> Any:
        return connection.execute("SELECT value FROM floor WHERE id = ?", ("a",)).fetchone()

    return [
        Case("SQLite: bare read by key", read, 200),
        *store_cases("SQLite", SQLiteStore(folder / "sessions.db"), 200),
    ]


def redis_cases(url: str) -> list[Case]:
    """Redis at a URL; the first row is one GET with the same client library."""
    import redis  # noqa: PLC0415 - only where a server was named

    client = redis.Redis.from_url(url)
    client.set("sessiongate-benchmark", "x", ex=600)
    return [
        Case("Redis: bare GET", lambda: client.get("sessiongate-benchmark"), 500),
        *store_cases("Redis", RedisStore(url, prefix="sessiongate-benchmark:"), 500),
    ]


def postgres_cases(url: str) -> list[Case]:
    """PostgreSQL at a URL; the first row is a pooled SELECT 1."""
    from psycopg_pool import ConnectionPool  # noqa: PLC0415 - only where a server was named

    pool = ConnectionPool(url, min_size=1, kwargs={"autocommit": True}, open=True)

    def select() -> Any:
        with pool.connection() as connection:
            return connection.execute("SELECT 1", prepare=True).fetchone()

    return [
        Case("PostgreSQL: pooled SELECT 1", select, 300),
        *store_cases("PostgreSQL", PostgresStore(url), 300),
    ]
