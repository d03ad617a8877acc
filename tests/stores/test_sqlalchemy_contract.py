"""The contract suite on SQLAlchemyStore: MariaDB, PostgreSQL and SQLite, through it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from tests.stores.briefly import Briefly
from tests.stores.mariadb_server import MariaDBServer
from tests.stores.postgres_server import PostgresServer
from tests.stores.thorough import Thorough

from sessiongate.stores import SQLAlchemyStore
from sessiongate.testing import StoreContract

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


PATIENCE = 60
"""Seconds; the suite is not about waiting, and a loaded machine may be slow."""
POOL: dict[str, Any] = {"pool_size": 10, "max_overflow": 30}


class Owning(SQLAlchemyStore):
    """Ends with its engines, whose loop the suite ends as well."""

    _async_engine: AsyncEngine

    async def aclose(self) -> None:
        await super().aclose()
        await self._async_engine.dispose()


def emptied(engine: Engine, async_engine: AsyncEngine, **options: Any) -> Iterator[Owning]:
    """A store on an empty table."""
    store = Owning(engine, async_engine, timeout=PATIENCE, **options)
    store.count(0)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM sessiongate_session"))
    yield store
    store.close()
    engine.dispose()


class Through:
    """A store through SQLAlchemy, and what looks into its table."""

    @pytest.fixture
    def url(self) -> str:
        """Where the database is, for the driver that is called."""
        raise NotImplementedError

    @pytest.fixture
    def drivers(self) -> tuple[str, str]:
        """The driver that is called, and the one that is awaited."""
        raise NotImplementedError

    @pytest.fixture
    def engine(self, url: str, drivers: tuple[str, str]) -> Engine:
        return create_engine(make_url(url).set(drivername=drivers[0]), **POOL)

    @pytest.fixture
    def store(self, engine: Engine, url: str, drivers: tuple[str, str]) -> Iterator[Owning]:
        awaited = create_async_engine(make_url(url).set(drivername=drivers[1]), **POOL)
        yield from emptied(engine, awaited)

    @pytest.fixture
    def damage(self, engine: Engine) -> Callable[[str], object]:
        def change(sid: str) -> None:
            with engine.begin() as connection:
                statement = text("UPDATE sessiongate_session SET data = :data WHERE sid = :sid")
                connection.execute(statement, {"data": b"{", "sid": sid.encode()})

        return change

    @pytest.fixture
    def footprint(self, engine: Engine) -> Callable[[], int]:
        def count() -> int:
            with engine.connect() as connection:
                found = connection.execute(text("SELECT count(*) FROM sessiongate_session"))
                return int(found.scalar_one())

        return count


@pytest.fixture(scope="module")
def mariadb() -> Iterator[MariaDBServer]:
    server = MariaDBServer()
    yield server
    server.close()


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    server = PostgresServer()
    server.start()
    yield server
    server.close()


class OnMariaDB(Through):
    @pytest.fixture
    def url(self, mariadb: MariaDBServer) -> str:
        return mariadb.url

    @pytest.fixture
    def drivers(self) -> tuple[str, str]:
        return "mysql+pymysql", "mysql+asyncmy"


class TestMariaDB(OnMariaDB, Briefly, StoreContract):
    PROGRAMS, PAIRS, TRIPLES, ROUNDS = 5, 15, 15, 5  # the slow class below tries more


@pytest.mark.slow
class TestMariaDBThoroughly(OnMariaDB, Thorough):
    PAIRS, TRIPLES = 100, 100


@pytest.mark.slow
class TestPostgreSQL(Through, StoreContract):
    PROGRAMS, PAIRS, TRIPLES, ROUNDS = 5, 15, 15, 5

    @pytest.fixture
    def url(self, postgres: PostgresServer) -> str:
        return postgres.url

    @pytest.fixture
    def drivers(self) -> tuple[str, str]:
        return "postgresql+psycopg", "postgresql+psycopg"


@pytest.mark.slow
class TestSQLite(Through, StoreContract):
    PROGRAMS, PAIRS, TRIPLES, ROUNDS = 5, 15, 15, 5

    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path / 'app.db'}?timeout={PATIENCE}"

    @pytest.fixture
    def drivers(self) -> tuple[str, str]:
        return "sqlite", "sqlite+aiosqlite"
