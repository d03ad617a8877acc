"""How often the store is asked: each call of a verb is a trip, and so is a whole ``together``."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from tests.stores.naive import NaiveStore

from sessiongate import SessionManager
from sessiongate.stores import MemoryStore, SQLiteStore
from sessiongate.testing import CountingStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sessiongate.stores import Store

KEY = "k" * 64


def trips(store: CountingStore, action: Callable[[], object]) -> dict[str, int]:
    store.reset()
    action()
    return dict(store.by_verb)


@pytest.fixture(params=[MemoryStore, NaiveStore])
def store(request: pytest.FixtureRequest) -> CountingStore:
    """One that locks, and one that does not."""
    return CountingStore(request.param())


@pytest.fixture
def locks(store: CountingStore) -> bool:
    return hasattr(store, "together")


def test_a_plain_login(store: CountingStore) -> None:
    m = SessionManager(store=store, secret_key=KEY, existing="new")
    for _ in range(3):
        assert trips(store, lambda: m.create_session("alice")) == {"commit": 1}


@pytest.mark.parametrize(
    "options", [{"existing": "reuse"}, {"existing": "replace"}, {"max_sessions_per_user": 2}]
)
def test_a_login_that_looks_at_the_users_sessions(
    store: CountingStore, options: dict[str, Any], *, locks: bool
) -> None:
    m = SessionManager(store=store, secret_key=KEY, **{"existing": "new", **options})
    for _ in range(2):
        found = trips(store, lambda: m.create_session("alice", scopes=("read",)))
        if locks:
            assert found == {"together": 1}
        else:
            assert sum(found.values()) <= 2


def test_a_login_that_is_refused_at_the_total_limit(store: CountingStore, *, locks: bool) -> None:
    m = SessionManager(1, 2, store=store, secret_key=KEY, existing="new", clock=lambda: 0)
    assert m.create_session("alice")
    token = m.create_session("bob")
    assert token is not None
    trips(store, lambda: m.create_session("carol"))
    for _ in range(3):
        found = trips(store, lambda: m.create_session("carol"))
        assert found == ({"together": 1} if locks else {"live": 1})
    m.invalidate_session(token)
    assert m.create_session("carol"), "it is looked at each time"
    m.invalidate_user_sessions("carol")
    assert trips(store, lambda: m.create_session("carol")) == {"commit": 1}


def test_a_login_that_evicts_at_the_total_limit(store: CountingStore, *, locks: bool) -> None:
    m = SessionManager(
        3600, 2, store=store, secret_key=KEY, existing="new", on_limit="evict_oldest"
    )
    for number in range(3):
        m.create_session(f"user {number}")
    for number in range(3, 6):
        found = trips(store, partial(m.create_session, f"user {number}"))
        assert found == ({"together": 1} if locks else {"live": 1, "commit": 1})
    assert m.n_active_sessions() == 2


def test_a_login_that_replaces_ones_own_at_the_total_limit_looks_at_nobody_else(
    store: CountingStore, *, locks: bool
) -> None:
    m = SessionManager(
        3600, 2, store=store, secret_key=KEY, existing="new", on_limit="evict_oldest"
    )
    for number in range(4):
        m.create_session(f"user {number}")
    for _ in range(2):
        found = trips(store, lambda: m.create_session("user 3", existing="replace"))
        assert found == ({"together": 1} if locks else {"of_user": 1, "commit": 1})


def test_logging_out_everywhere(store: CountingStore, *, locks: bool) -> None:
    m = SessionManager(store=store, secret_key=KEY, existing="new")
    for _ in range(3):
        m.create_session("alice")
    found = trips(store, lambda: m.invalidate_user_sessions("alice"))
    assert found == ({"together": 1} if locks else {"of_user": 1, "commit": 1})
    assert m.n_active_sessions() == 0


@pytest.mark.parametrize("engine", ["memory", "sqlite"])
def test_of_100_logins_of_one_user_that_evict_each_other_none_is_lost(
    engine: str, tmp_path: Path
) -> None:
    inner: Store = (
        MemoryStore() if engine == "memory" else SQLiteStore(tmp_path / "s.db", timeout=60)
    )
    store = CountingStore(inner)
    m = SessionManager(
        store=store,
        secret_key=KEY,
        existing="new",
        max_sessions_per_user=1,
        on_limit="evict_oldest",
    )
    with ThreadPoolExecutor(16) as pool:
        tokens = list(pool.map(lambda _: m.create_session("alice"), range(100)))
    assert len(set(tokens)) == 100
    assert None not in tokens
    assert store.by_verb == {"together": 100}, "and none is decided twice"
    assert m.n_active_sessions() == 1
    store.close()
