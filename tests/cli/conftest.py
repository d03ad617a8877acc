"""A store in a file, the managers of an app on it, and the command beside them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from tests.cli.calling import KEY, Caller

from sessiongate import SessionManager
from sessiongate.stores import SQLiteStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "sessions.db"


@pytest.fixture
def store(file: Path) -> Iterator[SQLiteStore]:
    # Patient, because the machine may be busy with other tests.
    store = SQLiteStore(file, timeout=30)
    yield store
    store.close()


@pytest.fixture
def cli(file: Path) -> Caller:
    return Caller(f"sqlite:///{file}")


@pytest.fixture
def manager(store: SQLiteStore) -> SessionManager:
    return SessionManager(store=store, secret_key=KEY, max_concurrent_sessions=None, existing="new")


@pytest.fixture
def earlier(store: SQLiteStore) -> SessionManager:
    """Of two hours ago: what it opens has expired."""
    return SessionManager(
        store=store,
        secret_key=KEY,
        max_concurrent_sessions=None,
        existing="new",
        clock=lambda: time.time() - 7200,
    )
