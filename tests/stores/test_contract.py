"""The contract suite on SQLite."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from tests.stores.thorough import Thorough

from sessiongate.stores import SQLiteStore
from sessiongate.testing import StoreContract

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class OnSQLite:
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[SQLiteStore]:
        # The suite is not about patience, and a loaded machine may be slow.
        store = SQLiteStore(tmp_path / "sessions.db", timeout=60)
        yield store
        store.close()


class TestSQLiteStore(OnSQLite, StoreContract):
    PROGRAMS, PAIRS, TRIPLES = 20, 100, 100  # the slow class below tries more

    @pytest.fixture
    def file(self, store: SQLiteStore, tmp_path: Path) -> Iterator[sqlite3.Connection]:
        store.count(0)
        with closing(sqlite3.connect(tmp_path / "sessions.db", isolation_level=None)) as file:
            yield file

    @pytest.fixture
    def damage(self, file: sqlite3.Connection) -> Callable[[str], object]:
        return lambda sid: file.execute("UPDATE session SET data = x'7b' WHERE sid = ?", (sid,))

    @pytest.fixture
    def footprint(self, store: SQLiteStore, file: sqlite3.Connection) -> Callable[[], int]:
        def count() -> int:
            number: int = file.execute("SELECT count(*) FROM session").fetchone()[0]
            return number + store.count(0)

        return count


@pytest.mark.slow
class TestSQLiteThoroughly(OnSQLite, Thorough):
    PAIRS, TRIPLES = 600, 1_000  # the stores of memory try all pairs
