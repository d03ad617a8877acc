"""A check on a Redis Cluster and by SQLAlchemy, beside one bare read of the same client."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import create_engine

from measure import Case
from requesting import SECRET
from rows.verbs import sqlalchemy_read
from sessiongate import SessionManager
from sessiongate.stores import RedisStore, SQLAlchemyStore
from sessiongate.stores.engine import result_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sessiongate.stores import Store

__all__ = ["cases"]

_KEY: Final = "sessiongate-benchmark"
_OPTIONS: Final[Any] = {
    "secret_key": SECRET,
    "max_concurrent_sessions": None,
    "existing": "new",
}


@asynccontextmanager
async def cases(
    folder: Path, cluster: str | None, postgres: str | None, patience: float
) -> AsyncIterator[list[list[Case]]]:
    """A group for each store that is there; all are closed afterwards."""
    urls = {"SQLite": f"sqlite:///{folder / 'sqlalchemy.db'}"}
    if postgres is not None:
        urls["PostgreSQL"] = postgres.replace("postgresql:", "postgresql+psycopg:")
    engines = {name: create_engine(url) for name, url in urls.items()}
    stores: list[Store] = []
    groups = []
    for name, engine in engines.items():
        by = f"SQLAlchemy on {name}"
        tables = SQLAlchemyStore(engine, timeout=patience)
        stores.append(tables)
        read = Case(f"{by}: read by primary key", sqlalchemy_read(tables), "floor")
        groups.append([read, _check(by, tables)])
    if cluster is not None:
        redis = RedisStore(cluster, timeout=patience)
        stores.append(redis)
        groups += await _on_cluster(redis)
    yield groups
    for store in stores:
        await store.aclose()
    for engine in engines.values():
        engine.dispose()


def _check(name: str, store: Store) -> Case:
    manager = SessionManager(store=store, **_OPTIONS)
    token = manager.create_session("alice") or ""

    def check() -> None:
        assert manager.validate_session(token)  # noqa: S101

    return Case(f"{name}: check", check, "ours")


async def _on_cluster(store: RedisStore) -> list[list[Case]]:
    checked = _check("Redis Cluster", store)
    manager = SessionManager(store=store, **_OPTIONS)
    token = await manager.acreate_session("alice") or ""
    # After the first calls, which make them.
    clients = store._clients  # noqa: SLF001 - the same, to compare
    client = result_of(clients.of(None)).client
    awaited = (await clients.of(asyncio.get_running_loop())).client
    client.set(_KEY, "x" * 150)

    async def get() -> Any:
        return await awaited.get(_KEY)

    async def check() -> None:
        assert await manager.avalidate_session(token)  # noqa: S101

    return [
        [
            Case("Redis Cluster: one bare GET", lambda: client.get(_KEY), "floor"),
            checked,
        ],
        [
            Case("Redis Cluster, awaited: one bare GET", get, "floor"),
            Case("Redis Cluster, awaited: check", check, "ours"),
        ],
    ]
