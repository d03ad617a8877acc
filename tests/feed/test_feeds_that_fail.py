"""Feeds that cannot be had, break, or are late: then each check asks the store."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import redis
from tests.feed.test_two_processes import manager_of

from sessiongate import StoreError
from sessiongate.core.recent import Superseded
from sessiongate.core.row import FOREVER
from sessiongate.feed.hub import Hub, Listener
from sessiongate.stores import MemoryStore, RedisStore
from sessiongate.testing import CountingStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.stores.redis_server import RedisServer

    from sessiongate import SessionManager
    from sessiongate.stores.base import News


class Scripted:
    """A feed that does as it is told, one ``wait`` after the other."""

    def __init__(self) -> None:
        self.script: list[Sequence[News | None] | StoreError] = []
        self.probes = 0
        self.closed = 0

    def probe(self) -> None:
        self.probes += 1

    def wait(self, seconds: float) -> Sequence[News | None]:
        assert seconds < 1
        step = self.script.pop(0) if self.script else ()
        if isinstance(step, StoreError):
            raise step
        return step

    def close(self) -> None:
        self.closed += 1


class World:
    """A manager with a near cache, its feed, and its monotonic clock; no thread is needed."""

    def __init__(self, near: float = 2) -> None:
        self.feed, self.seconds = Scripted(), 100.0
        self.store = CountingStore(MemoryStore())
        self.manager = manager_of(self.store, touch_every=3600)
        self.manager.hub = Hub(
            None,
            superseded=self.manager.operations.superseded,
            look=lambda _: None,
            now=self.manager.now,
            near=near,
            clock=lambda: self.seconds,
        )
        self.hub = self.manager.hub
        self.listener = Listener(lambda: self.feed)
        self.step: Callable[[], float] = partial(self.hub.follow, self.listener)
        self.token = self.manager.create_session("alice") or ""
        (shown,) = self.manager.user_sessions("alice")
        self.handle: str = shown["handle"]

    def prove(self) -> None:
        self.feed.script.append([None])
        self.step()

    def read(self) -> None:
        """Read as the near cache reads: with a mark before, and what was found kept."""
        mark = self.hub.mark()
        self.keep(mark)

    def keep(self, mark: Any) -> None:
        self.hub.keep(self.handle, 0, "data", mark)

    @property
    def found(self) -> object:
        return self.hub.find(self.handle)


@pytest.fixture
def world() -> World:
    return World()


def test_nothing_is_used_before_the_first_proof(world: World) -> None:
    world.step()
    assert not world.hub.is_open
    world.read()
    assert world.found is None
    world.prove()
    assert world.hub.is_open
    world.read()
    assert world.found == "data"


def test_it_is_used_for_so_long_after_the_question_not_after_the_answer(world: World) -> None:
    world.step()  # asks
    world.seconds += 1.5
    world.prove()
    world.read()
    world.seconds += 0.4
    assert world.found == "data"
    world.seconds += 0.2
    assert world.found is None
    world.seconds += 5
    assert world.found is None


def test_a_late_proof_breaks_the_feed(world: World) -> None:
    world.prove()
    world.read()
    world.seconds += 1
    world.step()  # asks once more
    world.seconds += 9
    world.step()
    assert not world.hub.is_open
    assert world.feed.closed == 1


def test_a_break_forgets_everything_and_a_mark_from_before_it_keeps_nothing(world: World) -> None:
    world.prove()
    world.read()
    mark = world.hub.mark()
    world.feed.script.append(StoreError("gone"))
    assert world.step() > 0  # a pause
    assert not world.hub.is_open
    assert world.found is None
    world.prove()
    assert world.hub.is_open
    assert world.found is None
    world.keep(mark)
    assert world.found is None
    world.read()
    assert world.found == "data"


@pytest.mark.parametrize("generation", [1, FOREVER])
def test_news_between_the_read_and_the_keeping(world: World, generation: int) -> None:
    world.prove()
    mark = world.hub.mark()
    world.feed.script.append([(world.handle, generation)])
    world.step()
    world.keep(mark)
    assert world.found is None


def test_news_takes_what_was_kept(world: World) -> None:
    world.prove()
    world.read()
    world.feed.script.append([("another", FOREVER)])
    world.step()
    assert world.found == "data"
    world.feed.script.append([(world.handle, 1), (world.handle, 1), (world.handle, 0)])
    world.step()
    assert world.found is None


def test_too_much_news_since_the_read_keeps_nothing(world: World) -> None:
    world.prove()
    mark = world.hub.mark()
    world.feed.script.append([(f"sid{number}", FOREVER) for number in range(20_000)])
    world.step()
    world.keep(mark)
    assert world.found is None


def test_news_that_comes_while_a_row_is_being_kept(world: World) -> None:
    """Another thread brings it after the look at the tombstones and before the row is there."""
    superseded = world.manager.operations.superseded
    threads: list[threading.Thread] = []

    class Overtaken(Superseded):
        def covers(self, sid: str, generation: int) -> bool:
            found = superseded.covers(sid, generation)
            thread = threading.Thread(target=superseded.add, args=(sid, FOREVER))
            threads.append(thread)
            thread.start()
            thread.join(0.2)  # it may have to wait for us
            return found

    world.prove()
    world.hub._superseded = Overtaken()
    mark = world.hub.mark()
    world.keep(mark)
    for thread in threads:
        thread.join()
    assert world.found is None


def test_what_this_process_ends_counts_at_once(world: World) -> None:
    world.prove()
    world.read()
    assert world.manager.invalidate_session(world.token)[0]
    assert world.found is None
    world.read()
    assert world.found is None


def test_the_pause_grows_while_the_feed_cannot_be_opened(world: World) -> None:
    def refuse() -> Any:
        raise StoreError

    listener = Listener(refuse)
    pauses = [world.hub.follow(listener) for _ in range(5)]
    assert pauses == sorted(pauses)
    assert pauses[-1] <= 1


def test_a_child_of_a_fork_begins_anew(world: World) -> None:
    world.prove()
    world.read()
    mark = world.hub.mark()
    world.hub.begin()  # as in the child
    assert not world.hub.is_open
    world.keep(mark)
    assert world.found is None


@contextmanager
def restricted(server: RedisServer, *rules: str) -> Iterator[str]:
    """A URL for a user with these rules, on a server where the default one may do all."""
    client: Any = redis.Redis.from_url(server.url)
    client.execute_command("ACL", "SETUSER", "weak", "reset", "on", ">weak", "~*", "+@all", *rules)
    try:
        yield server.url.replace("redis://", "redis://weak:weak@")
    finally:
        client.execute_command("ACL", "DELUSER", "weak")
        client.close()


@pytest.mark.parametrize("rules", [["resetchannels"], ["&*", "-publish"], ["&*", "-subscribe"]])
def test_a_role_that_may_not_tell_or_hear_has_no_feed_and_all_else(
    redis_server: RedisServer, rules: list[str]
) -> None:
    with restricted(redis_server, *rules) as url:
        store = RedisStore(url, prefix=f"{'-'.join(rules)}:", connect_timeout=60, timeout=60)
        manager: SessionManager = manager_of(store, near_cache=1)
        listener = Listener(store.feed)
        for _ in range(3):
            manager.hub.follow(listener)
        assert not manager.hub.is_open
        token = manager.create_session("alice") or ""
        assert manager.validate_session(token)
        assert manager.invalidate_session(token)[0]
        assert manager.validate_session(token) is None
        manager.hub.stop()
        listener.close()
        store.close()
