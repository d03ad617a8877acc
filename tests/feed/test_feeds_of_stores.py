"""The feed of each store: what it tells, in which order, and when it shows that it is broken."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from tests.http.harness import KEY

from sessiongate import SessionManager, StoreError
from sessiongate.core.row import FOREVER
from sessiongate.stores import SQLiteStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sessiongate.stores import Store
    from sessiongate.stores.base import Feed, News

PATIENCE = 100
"""Waits of a twentieth of a second."""


def manager_of(store: Store, **options: Any) -> SessionManager:
    options = {"max_concurrent_sessions": None, "existing": "new", **options}
    return SessionManager(store=store, secret_key=KEY, **options)


def opened(store: Any) -> Feed:
    """A feed whose first proof has come."""
    feed: Feed = store.feed()
    assert told(feed) == []
    return feed


def told(feed: Feed) -> list[News]:
    """All that is told until the proof."""
    feed.probe()
    found: list[News] = []
    for _ in range(PATIENCE):
        for news in feed.wait(0.05):
            if news is None:
                return found
            found.append(news)
    pytest.fail("no proof came")


@pytest.fixture
def store(fresh_store: Callable[[], Store]) -> Store:
    return fresh_store()


def test_a_logout_is_told_and_nothing_else(store: Store) -> None:
    manager = manager_of(store)
    with closing(opened(store)) as feed:
        token = manager.create_session("alice") or ""
        handle = manager.user_sessions("alice")[0]["handle"]
        assert manager.validate_session(token)
        assert told(feed) == []
        assert manager.invalidate_session(token)[0]
        assert told(feed) == [(handle, FOREVER)]
        assert not manager.invalidate_session(token)[0]
        assert told(feed) == []


def test_a_rotation_is_told_with_its_generation(store: Store) -> None:
    manager = manager_of(store)
    with closing(opened(store)) as feed:
        token = manager.create_session("alice") or ""
        handle = manager.user_sessions("alice")[0]["handle"]
        token = manager.refresh_session(token) or ""
        assert manager.update_session(token, scopes=["admin"])
        assert told(feed) == [(handle, 1), (handle, 2)]


def test_all_sessions_of_a_user(store: Store) -> None:
    manager = manager_of(store)
    with closing(opened(store)) as feed:
        for _ in range(5):
            manager.create_session("alice")
        manager.create_session("bob")
        handles = {shown["handle"] for shown in manager.user_sessions("alice")}
        assert manager.invalidate_user_sessions("alice") == 5
        assert set(told(feed)) == {(handle, FOREVER) for handle in handles}


def test_an_eviction_and_a_replacement_are_told(store: Store) -> None:
    manager = manager_of(store, max_sessions_per_user=1, on_limit="evict_oldest")
    with closing(opened(store)) as feed:
        manager.create_session("alice")
        first = manager.user_sessions("alice")[0]["handle"]
        manager.create_session("alice")
        second = manager.user_sessions("alice")[0]["handle"]
        manager.create_session("alice", existing="replace")
        assert told(feed) == [(first, FOREVER), (second, FOREVER)]


def test_each_listener_hears_all_of_it(store: Store) -> None:
    manager = manager_of(store)
    with closing(opened(store)) as one, closing(opened(store)) as other:
        tokens = [manager.create_session(f"user{n}") or "" for n in range(20)]
        threads = [
            threading.Thread(target=manager.invalidate_session, args=(token,)) for token in tokens
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        first, second = told(one), told(other)
        assert len(first) == 20
        assert sorted(first) == sorted(second)


def test_a_change_that_lost_tells_nothing(store: Store) -> None:
    manager = manager_of(store)
    token = manager.create_session("alice") or ""
    (record,) = store.of_user("alice")[1]
    assert manager.refresh_session(token)
    with closing(opened(store)) as feed:
        assert store.swap(record, None, 0) is not True
        assert not store.commit("alice", [record], None, None, None, 0)
        assert told(feed) == []


def test_a_feed_that_was_closed_is_an_error_or_silent(store: Store) -> None:
    feed = opened(store)
    feed.close()
    feed.close()
    if type(store).__name__ in {"RedisStore", "PostgresStore"}:
        with pytest.raises(StoreError):
            feed.wait(0.01)


def test_news_that_was_removed_unread_is_missed(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    with closing(SQLiteStore(path, timeout=PATIENCE)) as store:
        manager = manager_of(store)
        token = manager.create_session("alice") or ""
        with closing(opened(store)) as feed, closing(sqlite3.connect(path)) as other:
            other.execute("DELETE FROM news")
            other.commit()
            assert told(feed) == []
            assert manager.invalidate_session(token)[0]
            other.execute("DELETE FROM news")
            other.commit()
            with pytest.raises(StoreError, match="more news"):
                told(feed)
