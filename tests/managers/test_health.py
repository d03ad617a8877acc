"""Whether store and feed answer: told at once, without a write, an event or a line in the log."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest
from tests.stores.passing import PassingStore

from sessiongate import Health, SessionManager, StoreError
from sessiongate.stores import MemoryStore
from sessiongate.testing import CountingStore

if TYPE_CHECKING:
    from sessiongate.stores._memory_feed import MemoryFeed

WELL: Health = {"store": True, "feed": None, "reason": None}


def asked(manager: SessionManager, how: str) -> Health:
    return manager.health() if how == "health" else asyncio.run(manager.ahealth())


class Down(PassingStore):
    """A store that says too much, and does not answer."""

    def before(self, name: str, *_arguments: Any) -> None:
        msg = f"{name}: redis://alice:wonder@localhost refused sg_{22 * 'a'}.1.{32 * 'b'}"
        raise StoreError(msg)


@pytest.mark.parametrize("how", ["health", "ahealth"])
def test_a_store_that_answers_is_asked_once_and_nothing_is_written(how: str) -> None:
    store = CountingStore(MemoryStore())
    assert asked(SessionManager(store=store), how) == WELL
    assert store.by_verb == {"read": 1}


@pytest.mark.parametrize("how", ["health", "ahealth"])
def test_a_store_that_is_down_is_said_so_without_secrets(how: str, logged: list[str]) -> None:
    events: list[Any] = []
    health = asked(SessionManager(store=Down(), on_event=events.append), how)
    assert health["store"] is False
    reason = health["reason"] or ""
    assert reason.endswith("read: redis://…@localhost refused …")
    assert events == []
    assert not [line for line in logged if line.startswith("sessiongate")]


def test_a_listener_that_is_awaited_does_not_matter() -> None:
    async def listen(_event: object) -> None: ...

    assert SessionManager(on_event=listen).health() == WELL


class Broken(MemoryStore):
    """A store whose feed fails for a while."""

    failures = 0

    def feed(self) -> MemoryFeed:
        if self.failures:
            self.failures -= 1
            msg = "the feed is broken"
            raise StoreError(msg)
        return super().feed()


def wait_for(manager: SessionManager, feed: bool) -> Health:  # noqa: FBT001
    due = time.monotonic() + 30
    while manager.health()["feed"] is not feed:
        assert time.monotonic() < due, "that takes too long"
        time.sleep(0.005)  # the other thread has the processor
    return manager.health()


def test_a_feed_that_does_not_answer_is_said_so_until_it_does() -> None:
    store = Broken()
    store.failures = 4
    manager = SessionManager(store=store, near_cache=60)
    assert manager.health() == WELL, "nobody has needed it yet"
    manager.validate_session(manager.create_session("alice") or "")
    health = wait_for(manager, feed=False)
    assert health == {"store": True, "feed": False, "reason": "the feed is broken"}
    assert wait_for(manager, feed=True) == {"store": True, "feed": True, "reason": None}
