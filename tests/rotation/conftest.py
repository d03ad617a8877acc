"""The stores on which rotation is shown."""

from __future__ import annotations

from contextlib import ExitStack, closing
from itertools import count
from typing import TYPE_CHECKING

import pytest
from tests.stores.postgres_server import PostgresServer
from tests.stores.redis_server import RedisServer

from sessiongate.core.row import FOREVER
from sessiongate.stores import MemoryStore, PostgresStore, RedisStore, SQLiteStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sessiongate.stores import Store

PATIENCE = 5
"""Seconds; these tests are not about waiting."""


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    server = PostgresServer()
    server.start()
    yield server
    server.close()


@pytest.fixture
def postgres_store(postgres_server: PostgresServer) -> Iterator[PostgresStore]:
    """One for the whole test: each would have connections of its own."""
    store = PostgresStore(postgres_server.url, connect_timeout=PATIENCE, timeout=PATIENCE)
    yield store
    store.close()


@pytest.fixture(
    params=[
        *("memory", "sqlite"),
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("redis", "postgres")),
    ]
)
def fresh_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Store]]:
    """Makes an empty store each time it is called."""
    number = count()
    with ExitStack() as stack:

        def make() -> Store:
            store: Store
            if request.param == "memory":
                store = MemoryStore()
            elif request.param == "sqlite":
                store = SQLiteStore(tmp_path / f"{next(number)}.db", timeout=PATIENCE)
            elif request.param == "postgres":
                store = request.getfixturevalue("postgres_store")
                store.sweep(FOREVER, 1_000_000)
                return store
            else:
                store = RedisStore(
                    request.getfixturevalue("redis_server").url,
                    prefix=f"{next(number)}:{tmp_path.name}:",
                    connect_timeout=PATIENCE,
                    timeout=PATIENCE,
                )
            stack.enter_context(closing(store))
            return store

        yield make
