"""Much of everything: sockets of one session, sessions that are watched for a moment, news."""

from __future__ import annotations

import asyncio
import gc
import threading
import tracemalloc
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.feed.test_streams import CLOSE, Socket, echo
from tests.feed.test_two_processes import manager_of, open_hub

from sessiongate.core.row import FOREVER, Row
from sessiongate.feed.hub import Hub
from sessiongate.stores import MemoryStore, RedisStore
from sessiongate.testing import ManualClock

if TYPE_CHECKING:
    from tests.stores.redis_server import RedisServer

MANY = 10_000
PATIENCE = 60


def growth(before: int) -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0] - before


@pytest.mark.slow
def test_sockets_of_one_session() -> None:
    manager = manager_of(MemoryStore())

    async def main() -> None:
        token = await manager.acreate_session("alice") or ""
        sockets = [Socket(echo, manager, token) for _ in range(MANY)]
        for socket in sockets:
            await socket.until("websocket.accept")
        for socket in sockets[: MANY // 2]:  # half of them leave
            socket.coming.put_nowait({"type": "websocket.disconnect", "code": 1000})
            await socket.over()
        assert (await manager.ainvalidate_session(token))[0]
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*(socket.task for socket in sockets))
        assert [socket.sent[-1] for socket in sockets[MANY // 2 :]] == [CLOSE] * (MANY // 2)
        assert manager.hub.watched == 0

    asyncio.run(main())
    manager.hub.stop()


def still_hub(look: Any, now: Any) -> Hub:
    """One without threads: the test looks for it."""
    superseded = manager_of(MemoryStore()).operations.superseded
    hub = Hub(None, superseded=superseded, look=look, now=lambda: round(now()))
    hub.stopping.set()
    return hub


@pytest.mark.slow
def test_what_is_watched_for_a_moment_leaves_nothing() -> None:
    row = Row("", "alice", 0, 0, FOREVER, FOREVER)
    hub = still_hub(lambda sid: replace(row, sid=sid), ManualClock())
    stays = hub.watch(replace(row, sid="stays"))
    tracemalloc.start()
    try:
        before = growth(0)
        for number in range(20_000):
            hub.unwatch(hub.watch(replace(row, sid=f"session {number}")))
            hub.watch(replace(row, sid="stays"))  # and is given up
            if number % 100 == 0:
                hub.look()
        hub.look(everywhere=True)
        assert growth(before) < 200_000
    finally:
        tracemalloc.stop()
    assert hub.watched == 1
    assert not stays.is_set()


@pytest.mark.parametrize("number", [0, 1, 2000])
def test_a_lifetime_ends_among_many_others(number: int) -> None:
    """Its end is not forgotten with those of others that are not watched any more."""
    rows: dict[str, Row] = {}
    now = ManualClock(0)
    hub = still_hub(rows.get, now)
    first = hub.watch(Row("first", "alice", 0, 0, 100, FOREVER))
    for other in range(number):
        hub.unwatch(hub.watch(Row(f"other {other}", "bob", 0, 0, 200, FOREVER)))
    rows["first"] = Row("first", "alice", 0, 0, 150, FOREVER)  # it was extended meanwhile
    now.advance(100)
    hub.look()
    assert not first.is_set()
    for other in range(number):
        hub.unwatch(hub.watch(Row(f"other {other}", "bob", 0, 0, 200, FOREVER)))
    del rows["first"]
    now.advance(49)
    hub.look()
    assert not first.is_set()
    now.advance(1)
    hub.look()
    assert first.is_set()


@pytest.mark.slow
def test_a_hundred_thousand_news(redis_server: RedisServer) -> None:
    """All at once, by the server that brings them: bounded memory, and nothing stale."""
    store = RedisStore(redis_server.url, prefix="many:", timeout=PATIENCE)
    mine = manager_of(store, near_cache=60, touch_every=3600)
    publisher: Any = redis_server.admin()
    with closing(store), closing(publisher), open_hub(mine) as step:
        tokens = [mine.create_session(f"user{number}") or "" for number in range(100)]
        handles = [shown["handle"] for shown in mine.list_sessions()]
        rows = [store.of_user(f"user{number}")[1][0] for number in range(100)]
        assert all(mine.validate_session(token) for token in tokens)
        assert all(mine.hub.find(handle) is not None for handle in handles)

        def tell() -> None:
            pipeline = publisher.pipeline(transaction=False)
            for number in range(100_000):
                pipeline.publish("many:{0}:news", f"other-session-{number:08} ended")
                if number % 1000 == 999:
                    store.swap(rows[number // 1000], None, 0)
                    pipeline.execute()

        tracemalloc.start()
        before = growth(0)
        teller = threading.Thread(target=tell)
        teller.start()
        while teller.is_alive() or any(mine.hub.find(handle) is not None for handle in handles):
            step()
        teller.join()
        grown = growth(before)
        tracemalloc.stop()
        assert len(mine.operations.superseded) <= 2 * 16_384
        assert grown < 20_000_000
        assert not any(mine.validate_session(token) for token in tokens)
