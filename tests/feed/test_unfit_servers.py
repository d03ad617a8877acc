"""Servers that drop what a feed needs: then each check asks the store, and nothing is stale."""

from __future__ import annotations

import secrets
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from tests.feed.test_two_processes import manager_of, open_hub
from tests.stores.pgbouncer import pooler
from tests.stores.redis_server import RedisServer

from sessiongate.feed.hub import Listener
from sessiongate.stores import PostgresStore, RedisStore
from sessiongate.testing import ManualClock

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stores.postgres_server import PostgresServer

PATIENCE = 10
LISTENING = "sessiongate:{0}:listening"


def test_a_pooler_that_drops_listen(postgres_server: PostgresServer) -> None:
    direct = PostgresStore(postgres_server.url, timeout=PATIENCE)
    with closing(direct), pooler(postgres_server) as url:
        store = PostgresStore(url, timeout=PATIENCE)
        mine, other = manager_of(store, near_cache=1), manager_of(direct)
        seconds, listener = ManualClock(), Listener(store.feed)
        mine.hub._clock = seconds
        with closing(store), closing(listener):
            for _ in range(3):
                mine.hub.follow(listener)
            assert mine.hub.answers is None  # nothing came, and nothing is late
            seconds.advance(60)
            mine.hub.follow(listener)
            assert mine.hub.answers is False
            assert "pgbouncer" in (mine.hub.failure or "")
            token = other.create_session("alice") or ""
            assert mine.validate_session(token)
            assert other.invalidate_session(token)[0]
            assert mine.validate_session(token) is None


def fill(client: Any) -> None:
    """Write until Redis has dropped all that was there."""
    for number in range(600):
        client.set(f"other:{number}", secrets.token_bytes(10_000))


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-random"])
def test_a_redis_that_drops_keys_for_want_of_memory(tmp_path: Path, policy: str) -> None:
    """Also the key that says that somebody listens: nothing is told then, and no proof comes."""
    server = RedisServer(tmp_path, "--maxmemory", "4mb", "--maxmemory-policy", policy)
    server.start()
    client: Any = server.admin()
    with closing(RedisStore(server.url, timeout=PATIENCE)) as store, closing(client):
        seconds = ManualClock()
        mine, other = manager_of(store, near_cache=2), manager_of(store)
        mine.hub._clock = seconds
        try:
            with open_hub(mine) as step:
                token = other.create_session("alice") or ""
                assert mine.validate_session(token)
                seconds.advance(1)
                fill(client)
                assert client.info("stats")["evicted_keys"] > 0
                assert client.delete(LISTENING) in {0, 1}  # luck may have spared it
                other.invalidate_session(token)  # if Redis still has it
                epoch = mine.hub._epoch
                for _ in range(3):
                    step()
                assert mine.hub._epoch > epoch  # it broke, and may be open again
                assert mine.validate_session(token) is None
        finally:
            server.stop()
