"""A damaged record is no session of anybody else, and no error of the request that finds it."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

import pytest
from tests.stores.redis_server import RedisServer

from sessiongate import SessionManager
from sessiongate.errors import StoreError
from sessiongate.stores import RedisStore, SQLiteStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = "k" * 64


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "sessions.db"


@pytest.fixture
def manager(file: Path) -> Iterator[SessionManager]:
    store = SQLiteStore(file)
    yield SessionManager(store=store, secret_key=KEY)
    store.close()


def damage(file: Path, old: bytes, new: bytes) -> None:
    database = sqlite3.connect(file)
    ((data,),) = database.execute("SELECT data FROM session")
    assert old in data
    with database:
        database.execute("UPDATE session SET data = ?", (data.replace(old, new),))
    database.close()


def test_a_login_never_gets_a_token_that_opens_another_users_session(
    manager: SessionManager, file: Path
) -> None:
    """One byte of the name in the data is another one than in the record."""
    manager.create_session("alice")
    damage(file, b'"alice"', b'"alicf"')
    token = manager.create_session("alice")
    assert token is not None
    found = manager.validate_session(token)
    assert found is None or found["username"] == "alice"


@pytest.mark.parametrize("name", [b'"ali\\r\\nce"', b'""', b'"\\u0000"', b'"' + b"a" * 300 + b'"'])
def test_a_name_that_no_login_could_have_is_no_session(
    manager: SessionManager, file: Path, name: bytes
) -> None:
    token = manager.create_session("alice")
    damage(file, b'"alice"', name)
    assert manager.validate_session(token or "") is None


def test_a_flood_for_one_damaged_record_is_one_line(
    manager: SessionManager, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    token = manager.create_session("alice")
    damage(file, b'"alice"', b"\xff")
    caplog.set_level(logging.WARNING)
    for _ in range(100):
        assert manager.validate_session(token or "") is None
    assert len(caplog.records) <= 2


def test_a_lost_tally_is_no_bug_of_the_login(manager: SessionManager, file: Path) -> None:
    """An administrator has emptied the tables by hand."""
    manager.create_session("alice")
    database = sqlite3.connect(file)
    with database:
        database.execute("DELETE FROM session")
        database.execute("DELETE FROM tally")
    database.close()
    try:
        assert manager.n_active_sessions() == 0
        assert manager.create_session("bob")
    except StoreError:
        pass  # told by name; never a bug's traceback


def test_a_path_that_became_another_thing_is_a_store_error(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    store = SQLiteStore(folder / "sessions.db")
    manager = SessionManager(store=store, secret_key=KEY)
    token = manager.create_session("alice") or ""
    manager.validate_session(token)
    folder.rename(tmp_path / "moved")
    folder.touch()  # a file, where the directory was
    with closing(store):
        for verb in (manager.validate_session, manager.user_sessions):
            with pytest.raises(StoreError):
                verb(token)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.mark.parametrize("score", ["inf", "1.5", "1e300"])
@pytest.mark.parametrize("index", ["expiry", "order"])
def test_a_damaged_index_of_redis_is_no_bug_of_the_login(
    server: RedisServer, index: str, score: str
) -> None:
    store = RedisStore(server.url, connect_timeout=60, timeout=60)
    manager = SessionManager(store=store, secret_key=KEY, existing="new", max_sessions_per_user=9)
    manager.create_session("alice")
    client: Any
    with closing(server.admin()) as client:
        (key,) = client.scan_iter(f"*:{index}")
        for name in client.zrange(key, 0, -1):
            client.execute_command("ZADD", key, score, name)
    with closing(store):
        for verb in (
            lambda: manager.create_session("alice"),
            lambda: manager.create_session("alice"),
            lambda: manager.user_sessions("alice"),
            lambda: list(manager.sessions),
            lambda: manager.invalidate_user_sessions("alice"),
        ):
            with suppress(StoreError):  # told by name; never a bug's traceback
                verb()
