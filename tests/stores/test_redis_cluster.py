"""RedisStore on real Redis Clusters: the contract, resharding, lost nodes, and where keys are."""

from __future__ import annotations

import asyncio
import time
from contextlib import closing
from itertools import count
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import redis
import redis.asyncio
from redis.crc import key_slot
from tests.stores.redis_cluster import RedisCluster
from tests.stores.redis_server import RedisServer

from sessiongate import SessionManager, SingleSessionManager
from sessiongate.core.buckets import bucket_of
from sessiongate.errors import ConfigurationError, StoreError
from sessiongate.stores.redis import RedisStore
from sessiongate.testing import StoreContract
from sessiongate.testing.commands import Close, Count, List, Sweep, execute
from sessiongate.testing.contract._material import HOUR, START, login, session
from sessiongate.testing.contract._verbs import Verbs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PATIENCE: Any = {"connect_timeout": 10, "timeout": 10}
UNHURRIED: Any = {"connect_timeout": 1, "timeout": 1}
PROMISED = 8
"""Seconds. The promise is one; the rest is for a machine that is busy with other tests."""
KEY = "k" * 64


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


@pytest.fixture
def store(cluster: RedisCluster) -> Iterator[RedisStore]:
    with closing(RedisStore(cluster.url, **PATIENCE)) as store:
        yield store


@pytest.fixture
def single(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.stop()


def manager_on(store: RedisStore, **options: Any) -> SessionManager:
    settings: dict[str, Any] = {"max_concurrent_sessions": None, "existing": "new", **options}
    return SessionManager(store=store, secret_key=KEY, **settings)


class TestRedisClusterInBrief(Verbs):
    verb = StoreContract.verb


@pytest.mark.slow
class TestRedisCluster(StoreContract):
    PROGRAMS, PAIRS, TRIPLES = 10, 20, 50

    @pytest.fixture
    def store(self, cluster: RedisCluster) -> Iterator[RedisStore]:
        with closing(RedisStore(cluster.url, **PATIENCE)) as store:
            yield store

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


# Where things are.


def test_all_keys_of_a_user_are_in_one_slot_and_users_on_every_node(
    cluster: RedisCluster, store: RedisStore
) -> None:
    manager = manager_on(store)
    for number in range(60):
        manager.create_session(f"user {number}")
        manager.create_session(f"user {number}")
    slots: dict[bytes, set[int]] = {}
    for _, key in cluster.all_keys():
        slots.setdefault(key.partition(b"}")[0], set()).add(key_slot(key))
    assert {len(of_bucket) for of_bucket in slots.values()} == {1}
    assert {node.port for node, _ in cluster.all_keys()} == {node.port for node in cluster.nodes}


def test_listings_counts_and_sweeps_are_over_all_nodes(store: RedisStore) -> None:
    rows = [session(number, f"user {number % 40}") for number in range(120)]
    for row in rows:
        execute(store, login(row))
    assert execute(store, Count(START)) == 120
    assert execute(store, List(None, START)) == tuple(rows), "in the order of opening"
    manager = manager_on(store, clock=lambda: START / 1_000_000)
    pages = [manager.list_sessions(limit=50)]
    while pages[-1]:
        pages.append(manager.list_sessions(limit=50, after=pages[-1][-1]["handle"]))
    assert [one["handle"] for page in pages for one in page] == [row.sid for row in rows]
    assert store.sweep(START + HOUR, 7) == 7
    assert execute(store, Sweep(START + HOUR, 1000)) == 113
    assert execute(store, Count(START)) == 0


def test_a_listing_misses_none_that_was_opened_at_the_same_moment(
    cluster: RedisCluster, store: RedisStore
) -> None:
    rows = [session(number, f"user {number}") for number in range(5)]
    for row in rows:
        execute(store, login(row))
    for node, key in cluster.all_keys():
        if key.endswith(b":order"):
            cluster.ask(node, "ZADD", key, 1000, cluster.ask(node, "ZRANGE", key, 0, 0)[0])
    page = store.live(START, 2)
    found = [*page.records]
    while page.place is not None:
        page = store.live(START, 2, page.place)
        found += page.records
    assert sorted(record.sid for record in found) == sorted(row.sid for row in rows)


def test_a_login_in_place_of_somebody_elses_session_ends_that_one(store: RedisStore) -> None:
    alice, bob = session(1), session(2, "bob")
    assert bucket_of("alice") != bucket_of("bob")
    execute(store, login(alice))
    opened = execute(store, login(bob, replaces=(alice.sid,)))
    assert [one.sid for one in opened.ended] == [alice.sid]
    assert execute(store, List(None, START)) == (bob,)


# What a cluster cannot do, and what it is told.


def test_a_limit_over_all_users_is_refused_with_the_remedy() -> None:
    store = RedisStore("redis+cluster://127.0.0.1:1")
    for make in (SessionManager, SingleSessionManager):
        with pytest.raises(ConfigurationError, match=r"pass max_concurrent_sessions=None"):
            make(store=store, secret_key=KEY)
    assert manager_on(store, max_sessions_per_user=3).max_concurrent_sessions is None


def test_there_is_no_feed_and_so_no_near_cache() -> None:
    store = RedisStore("redis+cluster://127.0.0.1:1")
    with pytest.raises(ConfigurationError, match=r"RedisClusterStore has no feed\(\)"):
        manager_on(store, near_cache=1)


def test_a_prefix_that_would_move_all_keys_into_one_slot_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="prefix"):
        RedisStore("redis+cluster://127.0.0.1:1", prefix="{shop}:")


@pytest.mark.parametrize(
    "url",
    [
        "redis+cluster://:sesame@",
        "redis+cluster://:sesame@host:x",
        "redis+cluster://:sesame@host,,other",
        "redis+cluster://:sesame@host/1",
        "redis+cluster://:sesame@host?unknown=1",
        "redis+something://:sesame@host",
        "unix+cluster://:sesame@host",
        "redis+sentinel://:sesame@host",
        "redis+sentinel://:1/sesame@host/service",
        "redis+cluster://:1?sesame@host",
    ],
)
def test_what_is_no_url_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"redis\+cluster://host:6379,host") as failed:
        RedisStore(url)
    assert "sesame" not in str(failed.value)


def test_the_url_of_a_cluster_for_a_single_server_names_the_remedy(single: RedisServer) -> None:
    async def use(store: RedisStore) -> None:
        await store.aread("sid")

    with closing(RedisStore(RedisCluster.url_of(single), **PATIENCE)) as store:
        with pytest.raises(StoreError, match=r"no Redis Cluster: take redis://"):
            store.read("sid")
        with pytest.raises(StoreError, match=r"no Redis Cluster: take redis://"):
            asyncio.run(use(store))


def test_the_url_of_a_single_server_for_a_cluster_is_right_or_names_the_remedy(
    cluster: RedisCluster,
) -> None:
    outcomes = set()
    for node in cluster.nodes:
        with closing(RedisStore(node.url, **PATIENCE)) as store:
            try:
                outcomes.add(store.read("sid"))
            except StoreError as error:
                outcomes.add("redis+cluster://" in str(error))
    assert outcomes == {None, True}


def test_a_list_of_nodes_may_be_partly_dead(cluster: RedisCluster) -> None:
    dead = "redis+cluster://127.0.0.1:1,127.0.0.1:2,"
    url = cluster.url_of(cluster.nodes[1]).replace("redis+cluster://", dead)

    async def read(store: RedisStore) -> None:
        assert await store.aread("sid") is None

    with closing(RedisStore(url, **PATIENCE)) as store:
        assert store.count(START) == 0
        asyncio.run(read(store))


def test_where_no_node_answers_that_is_an_error_each_time() -> None:
    async def read(store: RedisStore) -> None:
        for _ in range(2):
            outcomes = await asyncio.gather(
                *(store.aread("sid") for _ in range(20)), return_exceptions=True
            )
            assert {type(outcome) for outcome in outcomes} == {StoreError}

    with closing(RedisStore("redis+cluster://127.0.0.1:1,127.0.0.1:2")) as store:
        for _ in range(2):
            with pytest.raises(StoreError, match=r"Redis at 127\.0\.0\.1:1,127\.0\.0\.1:2 failed"):
                store.read("sid")
        asyncio.run(read(store))


# Clients.


@pytest.mark.parametrize("given", [False, True])
def test_many_tasks_may_race_for_the_first_use(
    cluster: RedisCluster,
    given: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    async def scenario() -> None:
        node = cluster.nodes[0]
        client: Any = None
        if given:
            client = redis.asyncio.RedisCluster(host="127.0.0.1", port=node.port)
        store = RedisStore(async_client=client) if given else RedisStore(cluster.url, **PATIENCE)
        rows = [session(number, f"user {number}") for number in range(50)]
        records = [store.codec.encode(row) for row in rows]
        found = await asyncio.gather(*(store.aread(row.sid) for row in rows))
        assert found == [None] * 50
        manager = manager_on(store)
        tokens = await asyncio.gather(*(manager.acreate_session(row.username) for row in rows))
        found = await asyncio.gather(*(manager.asession_username(str(one)) for one in tokens))
        assert found == [row.username for row in rows]
        assert len(records) == len(set(tokens))
        await store.aclose()
        if client is not None:
            await client.aclose()

    asyncio.run(scenario())


def test_a_given_client_is_used_and_left_open(cluster: RedisCluster) -> None:
    with redis.RedisCluster(host="127.0.0.1", port=cluster.nodes[0].port) as client:
        store = RedisStore(client=client)
        execute(store, login(session()))
        assert execute(store, Count(START)) == 1
        store.close()
        assert client.ping()


# A cluster that changes.


class Told(NamedTuple):
    """What was acknowledged of a session."""

    token: str
    username: str
    state: str


class Load:
    """Logs in, uses sessions and logs out, in several threads, and notes what was acknowledged."""

    def __init__(self, store: RedisStore, names: list[str]) -> None:
        self.manager = manager_on(store, touch_every=0)
        self.errors: list[Exception] = []
        self.slowest = 0.0
        self.told: list[Told] = []
        self._stopping = Event()
        self.progress = [0] * len(names)
        self._threads = [Thread(target=self._run, args=one) for one in enumerate(names)]
        for thread in self._threads:
            thread.start()

    def wait_for_progress(self) -> None:
        """Return when each thread has done something more."""
        before = list(self.progress)
        end = time.monotonic() + 120
        while any(now <= then + 2 for now, then in zip(self.progress, before, strict=True)):
            assert time.monotonic() < end, self.errors[-1:]
            self._stopping.wait(0.02)

    def stop(self) -> list[Told]:
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        return self.told

    def _run(self, place: int, username: str) -> None:
        for number in count():
            if self._stopping.is_set():
                return
            self._once(place, username, ends=number % 2 == 0)

    def _once(self, place: int, username: str, *, ends: bool) -> None:
        manager, state, token = self.manager, "unknown", None
        started = time.monotonic()
        try:
            token = str(manager.create_session(username))
            state = "in"
            started = time.monotonic()
            assert manager.session_username(token) == username
            if ends:
                state = "unknown"
                started = time.monotonic()
                assert manager.invalidate_session(token) == (True, username)
                state = "out"
            self.progress[place] += 1
        except StoreError as error:
            self.errors.append(error)
            self.slowest = max(self.slowest, time.monotonic() - started)
            self._stopping.wait(0.02)
        except BaseException as error:
            self.errors.append(error)  # type: ignore[arg-type]
            raise
        if token is not None:
            self.told.append(Told(token, username, state))


def assert_told_the_truth(manager: SessionManager, told: list[Told]) -> None:
    """What is in is in, and in every list; what is out is out."""
    listed = {row["handle"] for row in manager.list_sessions(limit=100_000)}
    of_users = {
        row["handle"]
        for username in {one.username for one in told}
        for row in manager.user_sessions(username)
    }
    for one in told:
        sid = one.token[3:25]
        valid = manager.session_username(one.token) == one.username
        assert one.state == "unknown" or valid is (one.state == "in"), one
        assert (sid in listed, sid in of_users) == (valid, valid), one
    for username in {one.username for one in told}:
        manager.invalidate_user_sessions(username)
    assert not any(manager.session_username(one.token) for one in told)


def names_in(bucket: str, many: int) -> list[str]:
    found = (name for name in map("user {}".format, count()) if bucket_of(name) == bucket)
    return [next(found) for _ in range(many)]


@pytest.mark.slow
def test_a_slot_moves_under_load_and_nothing_is_lost(
    cluster: RedisCluster, store: RedisStore
) -> None:
    bucket = bucket_of("alice")
    slot = key_slot(f"{{{bucket}}}".encode())
    load = Load(store, [*names_in(bucket, 3), "somebody else"])
    load.wait_for_progress()
    by_id = {cluster.id_of(node): node for node in cluster.nodes}
    for _ in range(2):
        source = next(node for node in cluster.nodes if owns(cluster, node, slot))
        target = next(node for node in cluster.nodes if node is not source)
        move(cluster, slot, source, target, load)
        assert len(by_id) == 3
        load.wait_for_progress()
    told = load.stop()
    assert {type(error) for error in load.errors} <= {StoreError}
    assert load.slowest < PROMISED
    assert {one.state for one in told} >= {"in", "out"}
    assert_told_the_truth(load.manager, told)


def owns(cluster: RedisCluster, node: RedisServer, slot: int) -> bool:
    shards: Any = cluster.ask(node, "CLUSTER SLOTS")
    return any(first <= slot <= last and where[1] == node.port for first, last, where, *_ in shards)


def move(
    cluster: RedisCluster, slot: int, source: RedisServer, target: RedisServer, load: Load
) -> None:
    """What redis-cli does to move a slot, one key at a time."""
    ids = {node: cluster.id_of(node) for node in (source, target)}
    cluster.ask(target, "CLUSTER SETSLOT", slot, "IMPORTING", ids[source])
    cluster.ask(source, "CLUSTER SETSLOT", slot, "MIGRATING", ids[target])
    moved = 0
    while keys := cluster.ask(source, "CLUSTER GETKEYSINSLOT", slot, 1):
        cluster.ask(source, "MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
        moved += 1
        if moved in {2, 5}:  # in the middle
            errors = len(load.errors)
            end = time.monotonic() + 30
            while len(load.errors) <= errors and time.monotonic() < end:
                Event().wait(0.02)
    for node in (target, source, *cluster.nodes):
        cluster.ask(node, "CLUSTER SETSLOT", slot, "NODE", ids[target])
    assert moved > 5


@pytest.mark.slow
def test_a_node_that_dies_is_replaced_by_its_replica_without_a_restart(tmp_path: Path) -> None:
    cluster = RedisCluster(tmp_path, replicas=1)
    cluster.start()
    for node in cluster.nodes:
        cluster.ask(node, "CONFIG SET", "cluster-node-timeout", "3000")
    lost, replica = cluster.nodes[0], cluster.nodes[-1]
    with closing(RedisStore(cluster.url, **UNHURRIED)) as store:
        load = Load(store, [f"user {number}" for number in range(8)])
        load.wait_for_progress()
        told_before = list(load.told)
        key = next(key for node, key in cluster.all_keys() if node is lost)
        lost.wait_for_replica(key.partition(b"}")[0] + b"}:fence")
        lost.kill()
        cluster.wait(lambda: owns(cluster, replica, 0))
        cluster.wait_until_well(lost)
        load.wait_for_progress()

        async def use() -> None:
            token = await load.manager.acreate_session("alice")
            assert await load.manager.asession_username(str(token)) == "alice"

        asyncio.run(use())
        load.stop()
        assert load.errors, "nobody noticed"
        assert {type(error) for error in load.errors} == {StoreError}
        assert load.slowest < PROMISED
        lost.start()
        cluster.wait_until_well()
        assert {one.state for one in told_before} >= {"in", "out"}
        for one in told_before:
            if one.state != "unknown":
                valid = load.manager.session_username(one.token) == one.username
                assert valid is (one.state == "in"), one
    cluster.stop()


@pytest.mark.slow
def test_a_node_that_is_frozen_is_an_error_in_time_for_its_users_alone(tmp_path: Path) -> None:
    cluster = RedisCluster(tmp_path)
    cluster.start()
    rows = [session(number, f"user {number}") for number in range(30)]
    with closing(RedisStore(cluster.url, **UNHURRIED)) as store:
        for row in rows:
            execute(store, login(row))
        cluster.nodes[1].freeze()
        found = []
        for row in rows:
            started = time.monotonic()
            try:
                found.append(store.read(row.sid) is not None)
            except StoreError:
                found.append(False)
                assert time.monotonic() - started < PROMISED
        assert set(found) == {True, False}
        cluster.nodes[1].thaw()
        cluster.wait_until_well()
        assert all(store.read(row.sid) is not None for row in rows)
        assert execute(store, Close(rows[0].sid, START)) is not None
    cluster.stop()
