"""RedisStore on real Redis Clusters: the contract, resharding, lost nodes, and where keys are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.stores.redis_cluster import RedisCluster

from sessiongate.stores.redis import RedisStore
from sessiongate.testing import StoreContract

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE = 10


@pytest.fixture(scope="module")
def shared_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    cluster = RedisCluster(tmp_path_factory.mktemp("cluster"))
    cluster.start()
    yield cluster
    cluster.stop()


@pytest.fixture
def cluster(shared_cluster: RedisCluster) -> RedisCluster:
    """A cluster without data, that stays up."""
    shared_cluster.flush()
    return shared_cluster


class TestRedisCluster(StoreContract):
    PROGRAMS, PAIRS, TRIPLES, ROUNDS = 2, 4, 10, 2

    @pytest.fixture
    def store(self, cluster: RedisCluster) -> Iterator[RedisStore]:
        store = RedisStore(cluster.url, connect_timeout=PATIENCE, timeout=PATIENCE)
        yield store
        store.close()

    @pytest.fixture
    def damage(self, cluster: RedisCluster) -> Callable[[str], object]:
        def spoil(sid: str) -> None:
            for node, key in cluster.all_keys():
                if key.endswith(f"session:{sid}".encode()):
                    cluster.ask(node, "SET", key, "mallory")

        return spoil

    @pytest.fixture
    def footprint(self, cluster: RedisCluster) -> Callable[[], int]:
        def count() -> int:
            found = [
                (node, key) for node, key in cluster.all_keys() if not key.endswith(b":layout")
            ]
            return sum(
                cluster.ask(node, "ZCARD", key) if cluster.ask(node, "TYPE", key) == b"zset" else 1
                for node, key in found
            )

        return count
