"""Two managers over one store, as two processes have them: what ends in one ends in the other."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from tests.http.harness import KEY

from sessiongate import ConfigurationError, SessionManager
from sessiongate.feed.hub import Listener
from sessiongate.stores import MemoryStore
from sessiongate.testing import CountingStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sessiongate.stores import Store

PATIENCE = 10
"""Seconds after which a test that hangs is one that fails."""
ENDS: dict[str, Callable[[SessionManager, str], object]] = {
    "logout": lambda other, token: other.invalidate_session(token),
    "everywhere": lambda other, _: other.invalidate_user_sessions("alice"),
    "replaced": lambda other, _: other.create_session("alice", existing="replace"),
}


def manager_of(store: Store, **options: Any) -> SessionManager:
    options = {"max_concurrent_sessions": None, "existing": "new", **options}
    return SessionManager(store=store, secret_key=KEY, **options)


@contextmanager
def open_hub(manager: SessionManager) -> Iterator[Callable[[], object]]:
    """The hub of a manager, stepped until its feed is open; what takes the next step."""
    open_feed: Any = getattr(manager.store, "feed", None)
    assert open_feed is not None
    listener = Listener(open_feed)
    step = partial(manager.hub.follow, listener)
    try:
        for _ in range(200):
            if manager.hub.is_open:
                break
            step()
        assert manager.hub.is_open
        yield step
    finally:
        manager.hub.stop()
        listener.close()


@pytest.mark.parametrize("how", ENDS)
def test_a_watch_hears_of_an_end(fresh_store: Callable[[], Store], how: str) -> None:
    store = fresh_store()
    mine, other = manager_of(store), manager_of(store)
    token = mine.create_session("alice") or ""
    row = mine.run(mine.administration.listing.of_user(mine.now(), "alice"))[0]
    heard = threading.Event()
    watch = mine.hub.watch(row)
    watch.call(heard.set)
    try:
        ENDS[how](other, token)
        assert heard.wait(PATIENCE)
        assert watch.is_set()
    finally:
        mine.hub.stop()


def test_near_checks_cost_no_trip_until_the_session_ends(
    fresh_store: Callable[[], Store],
) -> None:
    store = fresh_store()
    counting = CountingStore(store)
    mine, other = manager_of(counting, near_cache=2, touch_every=3600), manager_of(store)
    with open_hub(mine) as step:
        token = other.create_session("alice") or ""
        assert mine.validate_session(token)
        counting.reset()
        for _ in range(100):
            assert mine.validate_session(token)
        assert counting.calls == 0
        assert other.invalidate_session(token)[0]
        for _ in range(200):
            if mine.validate_session(token) is None:
                break
            step()
        assert mine.validate_session(token) is None


def test_a_changed_scope_is_known_at_once(fresh_store: Callable[[], Store]) -> None:
    store = fresh_store()
    mine, other = manager_of(store, near_cache=2, touch_every=3600), manager_of(store)
    with open_hub(mine) as step:
        token = other.create_session("alice", scopes=["admin"]) or ""
        assert (mine.validate_session(token) or {}).get("scopes") == ["admin"]
        assert other.update_user_sessions("alice", scopes=[]) == 1
        for _ in range(200):
            if "scopes" not in (mine.validate_session(token) or {}):
                break
            step()
        assert mine.validate_session(token) is not None
        assert "scopes" not in (mine.validate_session(token) or {})


def test_a_late_response_of_another_process_brings_no_dead_token(
    fresh_store: Callable[[], Store],
) -> None:
    store = fresh_store()
    mine, other = manager_of(store), manager_of(store)
    with open_hub(mine) as step:
        token = mine.create_session("alice") or ""
        handle = mine.user_sessions("alice")[0]["handle"]
        assert other.invalidate_session(token)[0]
        for _ in range(200):
            if mine.operations.superseded.covers(handle, 0):
                return
            step()
        pytest.fail("the news did not come")


def test_a_near_cache_needs_a_feed() -> None:
    class Plain(MemoryStore):
        feed = None  # type: ignore[assignment]

    with pytest.raises(ConfigurationError, match=r"has no feed\(\)"):
        manager_of(Plain(), near_cache=1)
    for unfit in (0, -1):
        with pytest.raises(ValueError, match="near_cache must be more than 0"):
            manager_of(MemoryStore(), near_cache=unfit)
