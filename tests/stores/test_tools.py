"""The clock to move and the store that counts."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from sessiongate import SessionManager, StoreError
from sessiongate.stores import MemoryStore, PostgresStore, RedisStore, SQLiteStore
from sessiongate.testing import CountingStore, ManualClock
from sessiongate.testing.commands import Count, Read

if TYPE_CHECKING:
    from pathlib import Path


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


def test_commands_are_counted_in_both_colours() -> None:
    store = CountingStore(MemoryStore())
    store.execute(Count(0))
    asyncio.run(store.aexecute(Count(0)))
    store.execute(Read("nobody", 0))
    assert store.calls == 3
    assert store.by_command == {"Count": 2, "Read": 1}
    store.reset()
    assert (store.calls, store.by_command) == (0, {})


def test_a_failed_command_counts(tmp_path: Path) -> None:
    store = CountingStore(SQLiteStore(tmp_path / "sessions.db"))
    assert (store.shared, store.touch_every) == (SQLiteStore.shared, SQLiteStore.touch_every)
    store.close()
    asyncio.run(store.aclose())
    with pytest.raises(StoreError):
        store.execute(Count(0))
    assert store.calls == 1
    assert repr(store).startswith("CountingStore(SQLiteStore(")


@pytest.mark.parametrize(
    "store", [RedisStore("redis://nowhere"), PostgresStore("postgresql://nowhere")], ids=repr
)
def test_by_default_a_call_may_take_a_second_at_the_most(store: RedisStore | PostgresStore) -> None:
    assert store._budget <= 1
