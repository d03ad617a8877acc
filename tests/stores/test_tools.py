"""The clock to move and the store that counts."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from sessiongate import SessionManager, StoreError
from sessiongate.stores import MemoryStore, RedisStore, SQLiteStore
from sessiongate.testing import CountingStore, ManualClock

if TYPE_CHECKING:
    from pathlib import Path

    from sessiongate.core.steps import Step


def test_the_clock_moves_only_when_told() -> None:
    clock = ManualClock(100)
    assert (clock(), clock()) == (100.0, 100.0)
    assert clock.advance(1.5) == 101.5
    assert clock.advance(timedelta(minutes=1)) == 161.5
    assert clock.advance(-61.5) == 100.0
    clock.set(7)
    assert clock() == 7.0
    assert repr(clock) == "ManualClock(7.0)"


def test_a_manager_lives_by_the_clock() -> None:
    clock = ManualClock()
    manager = SessionManager(session_timeout=60, clock=clock)
    token = manager.create_session("alice")
    assert token is not None
    clock.advance(59)
    assert manager.validate_session(token)
    clock.advance(1)
    assert manager.validate_session(token) is None


def test_trips_are_counted_in_both_colours() -> None:
    store = CountingStore(MemoryStore())
    store.count(0)
    asyncio.run(store.acount(0))
    store.read("nobody")

    def step() -> Step[Any]:
        yield "read", "nobody"
        return (yield "count", 0)

    assert store.together("alice", total=False, begin=step) == 0
    assert store.calls == 4
    assert store.by_verb == {"count": 2, "read": 1, "together": 1}, "a whole step is one trip"
    store.reset()
    assert (store.calls, store.by_verb) == (0, {})


def test_a_failed_command_counts(tmp_path: Path) -> None:
    store = CountingStore(SQLiteStore(tmp_path / "sessions.db"))
    assert (store.shared, store.touch_every) == (SQLiteStore.shared, SQLiteStore.touch_every)
    store.close()
    asyncio.run(store.aclose())
    with pytest.raises(StoreError):
        store.count(0)
    assert store.calls == 1
    assert repr(store).startswith("CountingStore(SQLiteStore(")


def test_by_default_a_call_may_take_a_second_at_the_most() -> None:
    answer = 0.25
    assert RedisStore("redis://nowhere")._busy + answer <= 1
