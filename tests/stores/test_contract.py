"""The contract suite, on the stores that need no server, and on one that must fail it."""

from __future__ import annotations

import asyncio
import inspect
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from tests.stores.naive import NaiveStore, RaceOfTheNaive

from sessiongate.stores import MemoryStore, SQLiteStore
from sessiongate.testing import StoreContract
from sessiongate.testing.contract import RACERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()

    @pytest.fixture
    def footprint(self, store: MemoryStore) -> Callable[[], int]:
        rows = store._rows
        return lambda: len(rows) + len(rows._by_user) + len(rows._expiry._sids)


class TestSQLiteStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[SQLiteStore]:
        # The suite is not about patience, and a loaded machine may be slow.
        store = SQLiteStore(tmp_path / "sessions.db", timeout=5)
        yield store
        store.close()

    @pytest.fixture
    def file(self, store: SQLiteStore, tmp_path: Path) -> Iterator[sqlite3.Connection]:
        store.count(0)
        with closing(sqlite3.connect(tmp_path / "sessions.db", isolation_level=None)) as file:
            yield file

    @pytest.fixture
    def damage(self, file: sqlite3.Connection) -> Callable[[str], object]:
        return lambda sid: file.execute("UPDATE session SET data = x'7b' WHERE sid = ?", (sid,))

    @pytest.fixture
    def footprint(self, file: sqlite3.Connection) -> Callable[[], int]:
        def count() -> int:
            counts = "SELECT (SELECT count(*) FROM session) + (SELECT sessions FROM tally)"
            number: int = file.execute(counts).fetchone()[0]
            return number

        return count


RACES = [
    name
    for name, test in inspect.getmembers(StoreContract, inspect.isfunction)
    if name.startswith("test_") and "race" in inspect.signature(test).parameters
]


@pytest.mark.parametrize("colour", ["threads", "tasks"])
@pytest.mark.parametrize("name", RACES)
def test_each_race_catches_a_store_that_writes_back(name: str, colour: str) -> None:
    with ThreadPoolExecutor(RACERS) as threads, asyncio.Runner() as runner:
        race = RaceOfTheNaive(NaiveStore(), colour, threads, runner)
        with pytest.raises(AssertionError):
            getattr(StoreContract(), name)(race)
