"""MovingStore in a rolling deployment: processes of two configurations beside each other."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import permutations
from typing import TYPE_CHECKING, Any

import pytest
from tests.stores.passing import PassingStore

from sessiongate import SessionManager, StoreError
from sessiongate.stores import MovingStore, SQLiteStore
from sessiongate.testing import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sessiongate.stores import Store

LIMIT, CROWD = 3, 32


@pytest.fixture
def files(tmp_path: Path) -> Iterator[tuple[SQLiteStore, SQLiteStore]]:
    """The old store and the new one."""
    stores = tuple(SQLiteStore(tmp_path / f"{name}.db", timeout=20) for name in ("old", "new"))
    yield stores[0], stores[1]
    for store in stores:
        store.close()


def windows(old: Store, new: Store) -> dict[str, tuple[Store, Store]]:
    """What runs at the same time while a step reaches the processes."""
    first, second = MovingStore(new, old), MovingStore(old, new)
    return {"first": (old, first), "second": (first, second)}


def manager_on(store: Store, clock: ManualClock, **options: Any) -> SessionManager:
    options = {"existing": "new", "max_concurrent_sessions": None, **options}
    return SessionManager(store=store, secret_key="k" * 64, clock=clock, **options)


def test_a_session_stays_valid_through_all_steps(files: tuple[SQLiteStore, SQLiteStore]) -> None:
    clock = ManualClock()
    old, new = files
    token = manager_on(old, clock).create_session("alice") or ""
    for stores in windows(old, new).values():
        for store in (*stores, *stores):
            token = manager_on(store, clock).refresh_session(token) or ""
            for other in stores:
                assert manager_on(other, clock).session_username(token) == "alice"


@pytest.mark.parametrize("window", ["first", "second"])
def test_a_logout_in_one_process_is_final_in_both(
    files: tuple[SQLiteStore, SQLiteStore], window: str
) -> None:
    clock = ManualClock()
    for one, other in permutations(manager_on(s, clock) for s in windows(*files)[window]):
        token = one.create_session("alice") or ""
        assert other.invalidate_session(token) == (True, "alice")
        assert one.session_username(token) is other.session_username(token) is None
        assert one.refresh_session(token) is other.refresh_session(token) is None
        tokens = [manager.create_session("alice") or "" for manager in (one, other)]
        assert other.invalidate_user_sessions("alice") == len(tokens)
        assert not any(m.session_username(token) for m in (one, other) for token in tokens)


@pytest.mark.slow
@pytest.mark.parametrize(("window", "more"), [("first", 0), ("second", 1)])
@pytest.mark.parametrize("on_limit", ["reject", "evict_oldest"])
def test_a_crowd_of_logins_of_one_user(
    files: tuple[SQLiteStore, SQLiteStore], window: str, more: int, on_limit: str
) -> None:
    clock = ManualClock()
    options: dict[str, Any] = {"max_sessions_per_user": LIMIT, "on_limit": on_limit}
    managers = [manager_on(store, clock, **options) for store in windows(*files)[window]]

    def log_in(number: int) -> None:
        with suppress(StoreError):  # promised of some in a crowd
            managers[number % 2].create_session("alice")

    with ThreadPoolExecutor(CROWD) as crowd:
        list(crowd.map(log_in, range(CROWD)))
    assert 1 <= len(managers[0].user_sessions("alice")) <= LIMIT + more


class Interrupted(PassingStore):
    """Lets something happen before its first login."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.first: Callable[[], object] | None = None

    def before(self, name: str, *_: Any) -> None:
        first = self.first
        if name in {"commit", "together"} and first is not None:
            self.first = None
            first()


@pytest.mark.parametrize(("window", "live"), [("first", LIMIT), ("second", LIMIT + 1)])
def test_logins_at_one_moment_exceed_a_limit_by_one_at_most(
    files: tuple[SQLiteStore, SQLiteStore], window: str, live: int
) -> None:
    clock = ManualClock()
    old = Interrupted(files[0])
    one, other = (
        manager_on(store, clock, max_sessions_per_user=LIMIT)
        for store in windows(old, files[1])[window]
    )
    old.first = lambda: [other.create_session("alice") for _ in range(CROWD)]
    one.create_session("alice")
    assert one.create_session("alice") is other.create_session("alice") is None
    assert len(one.user_sessions("alice")) == live
