"""RedisStore on real servers: the contract, outages, cost at the wire, and what is stored."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import subprocess
import sys
import time
import traceback
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from threading import Barrier, Event, Thread
from typing import TYPE_CHECKING, Any

import pytest
import redis
import redis.asyncio
from tests.stores.briefly import Briefly
from tests.stores.redis_server import RedisServer
from tests.stores.thorough import Thorough

from sessiongate import SessionManager
from sessiongate.core.row import FOREVER, SECOND, Row
from sessiongate.errors import ConfigurationError, StoreError
from sessiongate.stores.base import Record
from sessiongate.stores.codec import decode, encode
from sessiongate.stores.engine import result_of
from sessiongate.stores.redis import RedisStore
from sessiongate.testing import ManualClock, StoreContract

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Call = Callable[..., Any]
    """Carries out a verb of a store: its name, its arguments."""

START = 1_700_000_000 * SECOND
HOUR = 3600 * SECOND
PATIENCE = 60
"""Where a test is not about waiting, a busy machine must not matter."""
PROMISED = 4
"""Seconds. The promise is one; the rest is for a machine that is busy with other tests, where
what is not bounded would take for ever."""
PATIENT: Any = {"connect_timeout": PATIENCE, "timeout": PATIENCE}
UNHURRIED: Any = {"connect_timeout": 1, "timeout": 0.5}
"""Within what is promised, but a server that is up has the time to answer on a busy machine."""
BASE = "sessiongate:{0}:"


def record(
    sid: str = "sid", username: str = "alice", *, now: int = START, ends: int | None = None
) -> Record:
    """A session that is opened now."""
    expires_at = now + HOUR if ends is None else ends
    row = Row(
        sid=sid,
        username=username,
        created_at=now,
        last_accessed=now,
        expires_at=expires_at,
        lifetime_ends_at=FOREVER,
        generation=0,
        rotated_at=now,
        previous_until=0,
        oldest_accepted=0,
        revoked_below=0,
        shared=False,
        scopes_and_claims="",
        device="",
    )
    return Record(sid, username, expires_at, encode(row))


def later(old: Record, ends: int | None = None) -> Record:
    """The same session, used a minute later."""
    row = decode(old.data, old.sid)
    assert row is not None
    expires_at = old.expires_at if ends is None else ends
    row = replace(row, last_accessed=row.last_accessed + 60 * SECOND, expires_at=expires_at)
    return Record(old.sid, old.username, expires_at, encode(row))


def add(call: Call, new: Record, live: tuple[int, int] | None = None) -> bool:
    done: bool = call("commit", new.username, (), new, None, live, START)
    return done


def sids(records: Any) -> list[str]:
    return [one.sid for one in records]


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def server(shared_server: RedisServer) -> RedisServer:
    """A server without data, that stays up."""
    with shared_server.admin() as admin:
        admin.flushall()
        admin.config_resetstat()
    return shared_server


@pytest.fixture
def fragile(tmp_path: Path) -> Iterator[RedisServer]:
    """A server of the test's own, to be maltreated."""
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def admin(server: RedisServer) -> Iterator[redis.Redis]:
    with server.admin() as client:
        yield client


@pytest.fixture
def store(server: RedisServer) -> Iterator[RedisStore]:
    store = RedisStore(server.url, connect_timeout=PATIENCE, timeout=PATIENCE)
    yield store
    store.close()


@pytest.fixture(params=["sync", pytest.param("async", marks=pytest.mark.slow)])
def using(request: pytest.FixtureRequest) -> Iterator[Callable[..., Call]]:
    """Makes a store and gives the function that carries out its verbs, in both colours."""
    with contextlib.ExitStack() as stack:

        def use(*args: Any, **kwargs: Any) -> Call:
            store = stack.enter_context(contextlib.closing(RedisStore(*args, **kwargs)))
            if request.param == "sync":
                return lambda verb, *args: getattr(store, verb)(*args)
            runner = stack.enter_context(asyncio.Runner())
            return lambda verb, *args: runner.run(getattr(store, f"a{verb}")(*args))

        yield use


@pytest.fixture
def call(server: RedisServer, using: Callable[..., Call]) -> Call:
    return using(server.url, connect_timeout=PATIENCE, timeout=PATIENCE)


class TestRedisStore(Briefly, StoreContract):
    PROGRAMS, PAIRS, TRIPLES = 20, 60, 100  # the slow class below tries more

    @pytest.fixture
    def store(self, server: RedisServer) -> Iterator[RedisStore]:
        store = RedisStore(server.url, connect_timeout=PATIENCE, timeout=PATIENCE)
        yield store
        store.close()

    @pytest.fixture
    def damage(self, admin: redis.Redis) -> Callable[[str], object]:
        return lambda sid: admin.set(f"{BASE}session:{sid}", b"mallory")

    @pytest.fixture
    def footprint(self, admin: redis.Redis) -> Callable[[], int]:
        def count() -> int:
            keys = [key for key in admin.scan_iter() if not key.endswith(b":layout")]
            return sum(admin.zcard(key) if admin.type(key) == b"zset" else 1 for key in keys)

        return count


@pytest.mark.slow
class TestRedisThoroughly(Thorough):
    PAIRS, TRIPLES = 250, 250  # each takes dozens of trips to the server


# The server goes away and comes back.


def test_a_killed_server_is_an_error_within_a_second_and_its_return_is_noticed(
    fragile: RedisServer, using: Callable[..., Call]
) -> None:
    call = using(fragile.url, **UNHURRIED)
    assert add(call, record())
    fragile.kill()
    for _ in range(3):
        assert_fails_in_time(call)
    fragile.start()
    assert add(call, record())


def test_a_restart_between_two_calls_is_not_even_noticed(
    fragile: RedisServer, using: Callable[..., Call]
) -> None:
    call = using(fragile.url, **UNHURRIED)
    assert add(call, record())
    fragile.stop()
    fragile.start()
    assert add(call, record())
    fragile.stop()
    fragile.start()
    assert call("read", "sid") is None


@pytest.mark.parametrize("busy", [True, False])
def test_a_restart_while_an_event_loop_does_something_else_is_not_noticed(
    fragile: RedisServer,
    busy: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    async def scenario() -> None:
        store = RedisStore(fragile.url, **UNHURRIED)
        await asyncio.gather(*(store.acount(START) for _ in range(10)))
        if busy:  # the loop itself hears nothing
            fragile.stop()
            fragile.start()
        else:
            await asyncio.to_thread(fragile.stop)
            await asyncio.to_thread(fragile.start)
        counts = await asyncio.gather(*(store.acount(START) for _ in range(10)))
        assert counts == [0] * 10
        await store.aclose()

    asyncio.run(scenario())


def test_a_frozen_server_is_an_error_within_a_second_and_goes_on_when_it_thaws(
    fragile: RedisServer, using: Callable[..., Call]
) -> None:
    call = using(fragile.url, **UNHURRIED)
    add(call, record())
    add(call, record("other", "bob"))
    fragile.freeze()
    for _ in range(3):  # the first on an open connection, the others on new ones
        assert_fails_in_time(call, "read", "other")
    fragile.thaw()
    assert call("read", "sid") == record().data, "the late answers went to nobody"
    assert call("count", START) == 2


def test_many_callers_of_a_frozen_server_all_fail_within_a_second(fragile: RedisServer) -> None:
    async def scenario() -> None:
        store = RedisStore(fragile.url, **UNHURRIED, max_connections=10)
        fragile.freeze()
        started = time.monotonic()
        outcomes = await asyncio.gather(
            *(store.aread("sid") for _ in range(100)), return_exceptions=True
        )
        assert time.monotonic() - started < PROMISED
        assert {type(outcome) for outcome in outcomes} == {StoreError}
        fragile.thaw()
        assert await store.aread("sid") is None
        await store.aclose()

    asyncio.run(scenario())


@pytest.mark.slow
def test_a_given_client_that_would_wait_for_ever_does_not(fragile: RedisServer) -> None:
    async def scenario() -> None:
        async with redis.asyncio.Redis.from_url(fragile.url, socket_timeout=None) as client:
            store = RedisStore(async_client=client, **UNHURRIED)
            await store.acount(START)
            fragile.freeze()
            for _ in range(3):  # the first on an open connection, the others on new ones
                started = time.monotonic()
                with pytest.raises(StoreError):
                    await store.aread("sid")
                assert time.monotonic() - started < PROMISED
            fragile.thaw()
            assert await store.acount(START) == 0

    asyncio.run(scenario())


def test_a_server_that_starts_later_is_found(tmp_path: Path, using: Callable[..., Call]) -> None:
    server = RedisServer(tmp_path)
    call = using(server.url, **UNHURRIED)
    assert_fails_in_time(call)
    server.start()
    assert call("count", START) == 0
    server.stop()


def test_a_server_without_memory_refuses_a_login_as_a_whole(
    fragile: RedisServer, using: Callable[..., Call]
) -> None:
    call = using(fragile.url, **UNHURRIED)
    add(call, record("old"))
    with fragile.admin() as admin:
        admin.config_set("maxmemory", 1)
        admin.config_set("maxmemory-policy", "noeviction")
        with pytest.raises(StoreError, match=r"OutOfMemoryError: command not allowed"):
            add(call, record())
        assert call("read", "old") == record("old").data
        assert call("read", "sid") is None
        assert call("swap", record("old"), None, START) is True, "a logout needs none"
        assert admin.keys("*") == [f"{BASE}layout".encode()]


def test_a_replica_says_that_it_is_one(fragile: RedisServer, using: Callable[..., Call]) -> None:
    call = using(fragile.url, **UNHURRIED)
    add(call, record())
    with fragile.admin() as admin:
        admin.config_set("replica-serve-stale-data", "yes")
        admin.replicaof("127.0.0.1", 1)
        with pytest.raises(StoreError, match=r"ReadOnlyError: .*replica"):
            call("swap", record(), None, START)
        with pytest.raises(StoreError, match=r"ReadOnlyError: .*replica"):
            add(call, record("other"))
        assert call("read", "sid") == record().data
        admin.replicaof("NO", "ONE")
    assert call("swap", record(), None, START) is True


def test_a_user_without_the_right_is_told_so(
    fragile: RedisServer, using: Callable[..., Call]
) -> None:
    with fragile.admin() as admin:
        admin.acl_setuser("app", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-get"])
    call = using(fragile.url.replace("//", "//app:any@"), **UNHURRIED)
    with pytest.raises(StoreError, match=r"NoPermissionError: .*'get'"):
        call("read", "a-sid-to-be-found")


def test_what_the_server_says_names_no_session(tmp_path: Path) -> None:
    folder = tmp_path / "renamed"
    folder.mkdir()
    server = RedisServer(folder, "--rename-command", "GET", "")
    server.start()
    store = RedisStore(server.url, **PATIENT)
    sid = "a-sid-to-be-found"
    with pytest.raises(StoreError, match="unknown command") as failed:
        store.read(sid)
    assert sid not in "".join(traceback.format_exception(failed.value))
    store.close()
    server.stop()


def assert_fails_in_time(call: Call, *what: str) -> None:
    started = time.monotonic()
    with pytest.raises(StoreError):
        call(*(what or ("read", "sid")))
    assert time.monotonic() - started < PROMISED


# Connections.


def test_an_exhausted_pool_is_a_fast_error(fragile: RedisServer) -> None:
    store = RedisStore(fragile.url, connect_timeout=0.5, timeout=0.2, max_connections=1)
    assert store.read("sid") is None

    def fails(_: int) -> str:
        started = time.monotonic()
        with pytest.raises(StoreError) as failed:
            store.read("sid")
        assert time.monotonic() - started < PROMISED
        return str(failed.value)

    fragile.freeze()
    with ThreadPoolExecutor(9) as threads:
        errors = list(threads.map(fails, range(9)))
    assert any("No connection available" in error for error in errors)
    fragile.thaw()
    assert store.count(START) == 0, "whoever gave up has left its place"
    store.close()


def test_an_exhausted_pool_is_a_fast_error_for_tasks(fragile: RedisServer) -> None:
    async def scenario() -> None:
        store = RedisStore(fragile.url, connect_timeout=0.5, timeout=0.2, max_connections=1)
        assert await store.aread("sid") is None
        fragile.freeze()
        async with asyncio.TaskGroup() as tasks:
            calls = [tasks.create_task(fails(store)) for _ in range(5)]
        errors = [call.result() for call in calls]
        assert any("No connection available" in error for error in errors)
        fragile.thaw()
        assert await store.acount(START) == 0
        await store.aclose()

    async def fails(store: RedisStore) -> str:
        started = time.monotonic()
        with pytest.raises(StoreError) as failed:
            await store.aread("sid")
        assert time.monotonic() - started < PROMISED
        return str(failed.value)

    asyncio.run(scenario())


@pytest.mark.parametrize("connections", [1, 7])
def test_tasks_get_their_connection_in_turn(server: RedisServer, connections: int) -> None:
    done: list[int] = []

    async def scenario() -> None:
        store = RedisStore(server.url, timeout=PATIENCE, max_connections=connections)
        await store.aread("sid")

        async def read(number: int) -> None:
            for _ in range(10):
                await store.aread("sid")
                done.append(number)

        await asyncio.gather(*(read(number) for number in range(20)))
        await store.aclose()

    asyncio.run(scenario())
    for first in range(0, 200, 20):
        assert len(set(done[first : first + 20])) > 20 - 2 * connections, "nobody was passed by"


def test_more_callers_than_connections_take_turns(server: RedisServer) -> None:
    store = RedisStore(server.url, timeout=PATIENCE, max_connections=2)
    store.commit("alice", (), record(), None, None, START)
    with ThreadPoolExecutor(16) as threads:
        found = list(threads.map(store.read, ["sid"] * 200))
    assert found == [record().data] * 200
    store.close()


@pytest.mark.parametrize("connections", [1, 7])
def test_threads_get_their_connection_in_turn(server: RedisServer, connections: int) -> None:
    store = RedisStore(server.url, timeout=PATIENCE, max_connections=connections)
    client = result_of(store._clients.of(None))
    started, done = Event(), []

    def read(number: int) -> None:
        store.read("sid")
        done.append(number)

    for _ in range(connections):
        result_of(client.borrow(()))
    waiting = [Thread(target=read, args=(number,)) for number in range(20)]
    for number, thread in enumerate(waiting):
        thread.start()
        while len(client._waiting) <= number:
            started.wait(0.001)
    # It comes last, though it asks at the very moment when a connection becomes free.
    result_of(client.give_back(None))
    read(20)
    for _ in range(connections - 1):
        result_of(client.give_back(None))
    for thread in waiting:
        thread.join()
    place = done.index(20)
    assert place >= 20 - connections, "it has passed by those that waited"
    store.close()


@pytest.mark.slow
def test_a_crowd_of_logins_of_one_user_fails_for_no_thread(server: RedisServer) -> None:
    many, allowed = 200, 5
    clock = ManualClock(START / SECOND)
    store = RedisStore(server.url, **PATIENT)
    manager = SessionManager(
        store=store,
        secret_key="k" * 64,
        clock=clock,
        max_sessions_per_user=allowed,
        on_limit="evict_oldest",
    )
    barrier = Barrier(many)

    def log_in(_: int) -> str | None:
        barrier.wait()
        return manager.create_session("alice", existing="new")

    with ThreadPoolExecutor(many) as threads:
        tokens = list(threads.map(log_in, range(many)))
    assert None not in tokens
    assert store.count(START) == allowed
    store.close()


def test_cancelled_calls_leave_no_connection_and_no_answer_behind(
    server: RedisServer, admin: redis.Redis
) -> None:
    connections = 5

    async def scenario() -> None:
        store = RedisStore(server.url, timeout=PATIENCE, max_connections=connections)
        for number in range(20):
            await store.acommit("alice", (), record(f"sid-{number}"), None, None, START)
        for number in range(500):
            sid = f"sid-{number % 20}"
            swapping = store.aswap(record(sid), record(sid), START) if number % 2 else None
            call = asyncio.create_task(swapping or store.aread(sid))
            others = [asyncio.create_task(store.aread(f"sid-{n}")) for n in range(number % 3)]
            for _ in range(number % 17):  # so that every place it waits at gets its turn
                await asyncio.sleep(0)
            call.cancel()
            await asyncio.wait([call])
            for n, other in enumerate(others):
                assert await other == record(f"sid-{n}").data
        found = await asyncio.gather(
            *(store.aread(f"sid-{n % 20}") for n in range(connections * 20))
        )
        assert found == [record(f"sid-{n % 20}").data for n in range(connections * 20)]
        assert connections_but(admin) <= connections
        await store.aclose()

    asyncio.run(scenario())


def test_cancelling_calls_of_a_frozen_server_frees_their_connections(
    fragile: RedisServer,
) -> None:
    async def scenario() -> None:
        store = RedisStore(fragile.url, **UNHURRIED, max_connections=3)
        await store.acount(START)
        fragile.freeze()
        calls = [asyncio.create_task(store.aread("sid")) for _ in range(9)]
        for _ in range(20):
            await asyncio.sleep(0)
        for call in calls:
            call.cancel()
        await asyncio.wait(calls)
        assert all(call.cancelled() for call in calls)
        fragile.thaw()
        counts = await asyncio.gather(*(store.acount(START) for _ in range(9)))
        assert counts == [0] * 9
        await store.aclose()

    asyncio.run(scenario())


def test_one_store_serves_several_event_loops_and_threads(
    store: RedisStore, admin: redis.Redis
) -> None:
    def of_this_thread(number: int) -> bytes | None:
        async def calls() -> bytes | None:
            new = record(f"sid-{number}")
            assert await store.acommit("alice", (), new, None, None, START)
            return await store.aread(new.sid)

        return asyncio.run(calls())

    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(of_this_thread, range(12)))
    assert found == [record(f"sid-{number}").data for number in range(12)]
    assert store.count(START) == 12
    assert connections_but(admin) == 1, "each loop has closed its connections at its end"


def connections_but(admin: redis.Redis) -> int:
    admin.ping()  # when it answers, the server has seen what was closed before
    return int(admin.info("clients")["connected_clients"]) - 1


def test_a_closed_store_says_so(server: RedisServer) -> None:
    async def scenario() -> None:
        store = RedisStore(server.url, **PATIENT)
        await store.acount(START)
        store.count(START)
        await store.aclose()
        await store.aclose()
        store.close()
        with pytest.raises(StoreError, match="was closed"):
            store.read("sid")
        with pytest.raises(StoreError, match="was closed"):
            await store.acount(START)

    asyncio.run(scenario())


FORK = """
import asyncio, os, sys
from sessiongate.stores.engine import result_of
from sessiongate.stores.redis import RedisStore

store = RedisStore(sys.argv[1])
client_id = lambda: result_of(store._clients.of(None)).client.client_id()
runner = asyncio.Runner()
assert store.count(0) == runner.run(store.acount(0)) == 0
parents = client_id()
child = os.fork()
for _ in range(100):
    assert store.count(0) == 0
if child == 0:
    assert client_id() != parents
    assert asyncio.run(store.acount(0)) == 0
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert client_id() == parents, "the child has closed it"
assert runner.run(store.acount(0)) == 0
runner.run(store.aclose())
runner.close()
"""


def test_a_forked_process_makes_connections_of_its_own(server: RedisServer) -> None:
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", FORK, server.url],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


# What it costs.


def every_verb(call: Call) -> None:
    old = record()
    call("commit", "alice", (), old, None, (0, 100), START)
    call("swap", old, later(old), START)
    call("swap", later(old), later(old, START + 2 * HOUR), START)
    seen, found = call("of_user", "alice")
    call("live", START, 100)
    call("count", START)
    call("sweep", START, 10)
    call("commit", "alice", found, record("new"), seen, (0, 100), START)
    call("swap", record("new"), None, START)


def test_a_check_is_one_plain_get_and_every_other_verb_one_script(
    call: Call, admin: redis.Redis
) -> None:
    every_verb(call)
    asked, _ = watch(admin, partial(every_verb, call))
    assert asked == ["EVALSHA"] * 9
    asked, done = watch(admin, lambda: [call("read", "sid") for _ in range(10)])
    assert (asked, done) == (["GET"] * 10, [])


def test_the_layout_is_looked_at_once(server: RedisServer, admin: redis.Redis) -> None:
    store = RedisStore(server.url, **PATIENT)
    store.commit("alice", (), record(), None, None, START)
    store.close()
    store = RedisStore(server.url, **PATIENT)

    async def read() -> None:
        await store.aread("sid")

    def read_in_all_ways() -> None:
        store.read("sid")
        store.read("sid")
        asyncio.run(read())

    asked, _ = watch(admin, read_in_all_ways)
    assert [name for name in asked if name != "CLIENT"] == ["HGET", "GET", "GET", "GET"]
    store.close()


def test_a_server_that_has_forgotten_the_scripts_gets_them_in_the_same_call(
    server: RedisServer, admin: redis.Redis, using: Callable[..., Call]
) -> None:
    call = using(server.url, **PATIENT)
    add(call, record())
    call("count", START)
    admin.script_flush()
    asked, _ = watch(admin, lambda: [call("count", START), call("count", START)])
    assert asked == ["EVALSHA", "EVAL", "EVALSHA"]


def test_a_touch_writes_one_key(call: Call, admin: redis.Redis) -> None:
    add(call, record())
    _, done = watch(admin, lambda: call("swap", record(), later(record()), START))
    assert done == ["GET", "SET"]


def watch(admin: redis.Redis, act: Callable[[], object]) -> tuple[list[str], list[str]]:
    """The commands that clients sent meanwhile, and those that scripts ran."""
    asked: list[str] = []
    done: list[str] = []
    monitoring: Any = admin
    with monitoring.monitor() as monitor:
        act()
        admin.echo("enough")
        while True:
            seen = monitor.next_command()
            name = seen["command"].split(" ", 1)[0]
            if name == "ECHO":
                return asked, done
            (done if seen["client_type"] == "lua" else asked).append(name)


# What is kept, and for how long.


def test_ended_sessions_leave_nothing_but_the_layout_behind(
    store: RedisStore, admin: redis.Redis
) -> None:
    for number in range(1000):
        new = record(f"sid-{number}")
        store.commit("alice", (), new, None, None, START)
        store.swap(new, None, START)
    assert admin.keys("*") == [f"{BASE}layout".encode()]
    assert admin.pttl(f"{BASE}layout") > 0


def test_expired_sessions_leave_nothing_behind(store: RedisStore, admin: redis.Redis) -> None:
    for number in range(200):
        now = START + number * HOUR
        store.commit("alice", (), record(f"sid-{number}", now=now), None, None, now)
    assert admin.dbsize() == 5, "a session, the index of its user, two over all, and the layout"
    assert admin.zcard(f"{BASE}user:alice") == 1


def test_every_key_expires_after_the_last_session_in_it(
    store: RedisStore, admin: redis.Redis
) -> None:
    for new in (
        record("long"),
        record("short", ends=START + SECOND),
        record("endless", ends=FOREVER),
    ):
        assert store.commit("alice", (), new, None, None, START)
    store.swap(record("endless", ends=FOREVER), None, START)
    slack, hour = 3_600_000, 3_600_000
    assert 0 < admin.pttl(f"{BASE}session:short") <= 1000 + slack
    assert 1000 + slack < admin.pttl(f"{BASE}session:long") <= hour + slack
    for index in ("expiry", "order", "user:alice", "layout"):
        assert hour + slack < admin.pttl(f"{BASE}{index}")


def test_a_new_end_puts_off_that_of_every_key(store: RedisStore, admin: redis.Redis) -> None:
    keys = ["session:sid", "expiry", "order", "user:alice", "layout"]
    store.commit("alice", (), record(), None, None, START)
    for key in keys:
        admin.pexpire(f"{BASE}{key}", 1_000_000)
    assert store.swap(record(), later(record(), START + 2 * HOUR), START) is True
    for key in keys:
        assert admin.pttl(f"{BASE}{key}") > 1_000_000


def test_the_same_end_leaves_that_of_the_key_alone(store: RedisStore, admin: redis.Redis) -> None:
    store.commit("alice", (), record(), None, None, START)
    admin.pexpire(f"{BASE}session:sid", 1_000_000)
    assert store.swap(record(), later(record()), START) is True
    assert 0 < admin.pttl(f"{BASE}session:sid") <= 1_000_000


def test_a_clock_that_is_behind_drops_nothing(call: Call, admin: redis.Redis) -> None:
    old = record(now=SECOND)
    assert call("commit", "alice", (), old, None, None, SECOND)
    assert call("read", "sid") == old.data
    assert admin.pttl(f"{BASE}session:sid") > 3_600_000


# Redis may drop what it likes.


def test_a_session_that_redis_dropped_is_none(call: Call, admin: redis.Redis) -> None:
    for sid in ("lost", "kept"):
        add(call, record(sid))
    admin.delete(f"{BASE}session:lost")
    assert call("read", "lost") is None
    assert call("swap", record("lost"), later(record("lost")), START) is None
    assert call("swap", record("lost"), None, START) is None
    assert not call("commit", "alice", [record("lost")], record("new"), None, None, START)
    assert sids(call("live", START, 10).records) == ["kept"]
    seen, found = call("of_user", "alice")
    assert sids(found) == ["kept"]
    assert call("commit", "alice", [], record("new"), seen, None, START)
    assert admin.zrange(f"{BASE}user:alice", 0, -1) == [b"kept:alice", b"new:alice"]
    assert call("count", START) == 2


@pytest.mark.parametrize("many", [3, 30, 300])
def test_dropped_sessions_do_not_count(call: Call, admin: redis.Redis, many: int) -> None:
    for number in range(many):
        add(call, record(f"sid-{number}", f"user-{number}"))
    kept = many // 3
    admin.delete(*(f"{BASE}session:sid-{number}" for number in range(kept, many)))
    # Of many it looks at some each time, and at more while any of them is gone.
    counts = [call("count", START) for _ in range(1 if many <= 30 else 100)]
    assert counts[-1] == kept
    assert admin.zcard(f"{BASE}expiry") == admin.zcard(f"{BASE}order") == kept
    assert admin.dbsize() == 2 * kept + 3, "nor is anything left of them"


def test_dropped_sessions_do_not_fill_a_limit(call: Call, admin: redis.Redis) -> None:
    for sid in ("lost", "lost-too", "kept"):
        add(call, record(sid, sid))
    admin.delete(f"{BASE}session:lost", f"{BASE}session:lost-too")
    full = (3, 2**80)
    assert not call("commit", "alice", (), None, None, full, START), "nobody is refused for them"
    assert add(call, record("new"), (0, 3))
    assert add(call, record("last"), (3, 3))
    assert not add(call, record("one too many"), (0, 3))


def test_a_dropped_session_is_forgotten_when_it_would_expire(
    call: Call, admin: redis.Redis
) -> None:
    for sid in ("lost", "lost-too"):
        add(call, record(sid, sid))
    admin.delete(f"{BASE}session:lost", f"{BASE}session:lost-too")
    assert call("sweep", START + HOUR, 10) == 2
    assert admin.dbsize() == 1


def test_the_order_outlives_whoever_was_the_newest(call: Call) -> None:
    add(call, record("first"))
    add(call, record("second"))
    page = call("live", START, 2)
    call("swap", record("second"), None, START)
    add(call, record("third"))
    assert sids(call("live", START, 2, page.place).records) == ["third"]


def test_pages_are_of_live_sessions(call: Call) -> None:
    for number in range(600):
        ends = START + HOUR if number % 3 == 0 else START + 1
        add(call, record(f"sid-{number}", f"user-{number}", ends=ends))
    page = call("live", START + 1, 150)
    rest = call("live", START + 1, 150, page.place)
    expected = [f"sid-{number}" for number in range(0, 600, 3)]
    assert sids([*page.records, *rest.records]) == expected
    assert rest.place is None


def test_a_user_may_have_more_sessions_than_fit_into_one_answer(call: Call) -> None:
    for number in range(501):
        add(call, record(f"sid-{number}"))
    seen, found = call("of_user", "alice")
    assert sids(found) == [f"sid-{number}" for number in range(501)]
    assert call("commit", "alice", found, record("new"), seen, (1, 1), START)
    assert sids(call("of_user", "alice")[1]) == ["new"]


def test_the_mark_of_a_user_is_of_that_moment(call: Call) -> None:
    nobody, found = call("of_user", "alice")
    assert found == []
    add(call, record())
    assert not call("commit", "alice", (), record("other"), nobody, None, START)
    seen, _ = call("of_user", "alice")
    call("swap", record(), later(record()), START)
    assert call("commit", "alice", (), None, seen, None, START), "not of what is in them"
    call("swap", later(record()), None, START)
    assert not call("commit", "alice", (), None, seen, None, START)
    assert call("commit", "alice", (), None, nobody, None, START)


UNREADABLE = {
    "text": b"mallory",
    "empty": b"",
    "newer": record().data.replace(b"[3,", b"[4,"),
    "cut": record().data[:-1],
    "other": record().data.replace(b'"sid"', b'"dis"'),
    "encoding": record().data.replace(b"alice", b"mallory\xff"),
    "deep": b"[" * 60_000,
}


@pytest.mark.parametrize("what", [*UNREADABLE, "list"])
def test_what_cannot_be_read_is_no_session_and_one_line_in_the_log(
    server: RedisServer, admin: redis.Redis, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    clock = ManualClock(START / SECOND)
    store = RedisStore(server.url, connect_timeout=PATIENCE, timeout=PATIENCE)
    manager = SessionManager(store=store, secret_key="k" * 64, clock=clock, existing="new")
    tokens = [manager.create_session("alice") or "" for _ in range(2)]
    sid = manager.user_sessions("alice")[0]["handle"]
    spoil(admin, sid, what)
    caplog.clear()
    assert manager.validate_session(tokens[0]) is None
    assert_one_line(caplog, sid)
    assert manager.validate_session(tokens[1]) is not None
    if what != "list":  # Redis names it, and nothing can be in it
        assert len(manager.user_sessions("alice")) == 1
        assert not caplog.records, "it is told once"
    assert manager.create_session("alice", existing="reuse") is not None
    assert manager.create_session("alice", existing="replace") is not None
    assert len(manager.user_sessions("alice")) == 1
    assert not admin.exists(f"{BASE}session:{sid}")
    store.close()


def spoil(admin: redis.Redis, sid: str, what: str) -> None:
    key = f"{BASE}session:{sid}"
    admin.delete(key)
    if what == "list":
        admin.rpush(key, "mallory")
    else:
        admin.set(key, UNREADABLE[what])


def assert_one_line(caplog: pytest.LogCaptureFixture, sid: str) -> None:
    (line,) = caplog.records
    assert (line.name, line.levelno) == ("sessiongate.stores", logging.WARNING)
    assert repr(sid) in line.getMessage()
    assert "mallory" not in line.getMessage()
    caplog.clear()


@pytest.mark.parametrize("what", [*UNREADABLE])
def test_what_cannot_be_read_keeps_its_user_and_its_end(
    call: Call, admin: redis.Redis, what: str
) -> None:
    add(call, record())
    spoil(admin, "sid", what)
    found = record()._replace(data=UNREADABLE[what])
    assert call("read", "sid") == UNREADABLE[what]
    assert list(call("of_user", "alice")[1]) == [found]
    assert call("swap", record(), later(record()), START) == UNREADABLE[what]
    assert call("count", START) == 1
    assert call("commit", "alice", [found], record("new"), None, (1, 1), START)
    assert admin.exists(f"{BASE}session:sid") == 0


def test_an_index_that_is_no_text_harms_nobody(call: Call, admin: redis.Redis) -> None:
    add(call, record())
    for index in ("expiry", "order", "user:alice"):
        admin.zadd(f"{BASE}{index}", {b"\xff": 1, b"\xff:\xfe": 2, b"\xfd": 3})
    admin.set(f"{BASE}session:".encode() + b"\xfd", record().data)
    seen, found = call("of_user", "alice")
    assert sids(found) == ["sid", "\udcfd"]
    assert call("commit", "alice", found[1:], None, seen, None, START)
    assert sids(call("of_user", "alice")[1]) == ["sid"]
    assert sids(call("live", START, 10).records) == ["sid"]
    assert call("count", START) == 1
    call("sweep", START, 10)
    assert add(call, record("new"))


# The layout of before, and of what is to come.


@pytest.mark.parametrize("key", ["expiry", "order"])
def test_the_layout_of_before_is_refused_and_left_alone(
    server: RedisServer, admin: redis.Redis, using: Callable[..., Call], key: str
) -> None:
    admin.zadd(f"sessiongate:{key}", {"sid:alice": 1})
    admin.set("sessiongate:session:sid", b"packed")
    call = using(server.url, **PATIENT)
    for verb in (partial(call, "read", "sid"), partial(add, call, record())):
        with pytest.raises(ConfigurationError, match=r"an older version .* another prefix"):
            verb()
    assert sorted(admin.keys("*")) == [f"sessiongate:{key}".encode(), b"sessiongate:session:sid"]
    other = using(server.url, prefix="other:", **PATIENT)
    assert add(other, record())


def test_a_newer_layout_is_refused_by_name(
    server: RedisServer, admin: redis.Redis, using: Callable[..., Call]
) -> None:
    add(using(server.url, **PATIENT), record())
    admin.hset(f"{BASE}layout", "layout", "3")
    call = using(server.url, **PATIENT)
    with pytest.raises(ConfigurationError, match=r"a newer version .*layout 3, this one is 2"):
        call("read", "sid")
    admin.hset(f"{BASE}layout", "layout", "2")
    assert call("read", "sid") == record().data, "it is looked at anew"


def test_a_stolen_dump_opens_no_session(tmp_path: Path) -> None:
    server = RedisServer(tmp_path, "--rdbcompression", "no")
    server.start()
    clock = ManualClock()
    key = "a key that is 32 bytes long, or more"
    store = RedisStore(server.url, **PATIENT)
    manager = SessionManager(store=store, secret_key=key, clock=clock)
    tokens = [manager.create_session("alice", claims={"team": "blue"})]
    clock.advance(120)
    assert manager.validate_session(tokens[0] or "") is not None
    tokens.append(manager.refresh_session(tokens[0] or ""))
    with server.admin() as admin:
        admin.save()
    stolen = (tmp_path / "dump.rdb").read_bytes()
    assert b"alice" in stolen
    for token in tokens:
        assert token is not None
        assert token.encode() not in stolen
        assert token.rpartition(".")[2].encode() not in stolen
    assert key.encode() not in stolen
    store.close()
    server.stop()


def test_the_limit_holds_across_processes(server: RedisServer, store: RedisStore) -> None:
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(4, mp_context=spawn) as processes:
        opened = list(processes.map(log_in_ten_times, [server.url] * 4, range(4)))
    assert sum(opened) == 7
    assert store.count(START) == 7


def test_a_limit_may_be_higher_than_anybody_counts(call: Call) -> None:
    assert add(call, record(), (0, 2**80))
    assert call("sweep", START + HOUR, 2**80) == 1


def log_in_ten_times(url: str, process: int) -> int:
    store = RedisStore(url, timeout=PATIENCE)

    def log_in(number: int) -> bool:
        new = record(f"sid-{process}-{number}")
        return store.commit("alice", (), new, None, (0, 7), START)

    with ThreadPoolExecutor(10) as threads:
        opened = sum(threads.map(log_in, range(10)))
    store.close()
    return opened


# Configuration.


def test_a_password_is_used_and_shown_nowhere(tmp_path: Path, using: Callable[..., Call]) -> None:
    server = RedisServer(tmp_path, "--requirepass", "open-sesame")
    server.start()
    right = server.url.replace("//", "//:open-sesame@")
    assert using(right)("count", START) == 0
    wrong = right.replace("sesame", "barley")
    with pytest.raises(StoreError) as failed:
        using(wrong)("count", START)
    shown = "".join(traceback.format_exception(failed.value)) + repr(RedisStore(wrong))
    assert f"127.0.0.1:{server.port}" in shown
    assert "barley" not in shown
    server.stop()
    with pytest.raises(StoreError) as failed:
        using(right)("count", START)
    assert "sesame" not in "".join(traceback.format_exception(failed.value))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://:sesame@localhost",
        "redis://:sesame/me@localhost",  # so that it looks like a port
        "redis://:sesame@localhost/0?db=x",
        "redis://:sesame@localhost/0?unknown=1",
    ],
)
def test_what_is_no_url_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ConfigurationError, match="redis://localhost:6379/0") as failed:
        RedisStore(url)
    assert "sesame" not in "".join(traceback.format_exception(failed.value))


@pytest.mark.parametrize(
    "option", ["timeout=4", "max_connections=2", "protocol=3", "socket_timeout=3"]
)
def test_options_of_the_pool_may_stand_in_the_url(server: RedisServer, option: str) -> None:
    async def scenario() -> None:
        store = RedisStore(f"{server.url}?{option}", **UNHURRIED)
        for _ in range(2):
            counts = await asyncio.gather(*(store.acount(START) for _ in range(12)))
            assert counts == [0] * 12
        assert store.count(START) == 0
        await store.aclose()

    asyncio.run(scenario())


def test_a_unix_socket_will_do(tmp_path: Path, using: Callable[..., Call]) -> None:
    path = tmp_path / "s"
    server = RedisServer(tmp_path, "--unixsocket", str(path))
    server.start()
    assert using(f"unix://{path}")("count", START) == 0
    server.stop()


def test_stores_of_different_prefixes_do_not_meet(
    server: RedisServer, using: Callable[..., Call]
) -> None:
    ours, theirs = using(server.url, prefix="ours:"), using(server.url, prefix="theirs:")
    add(ours, record())
    assert (ours("count", START), theirs("count", START)) == (1, 0)


@pytest.mark.parametrize("options", [{}, {"decode_responses": True, "encoding": "latin-1"}])
def test_given_clients_are_used_and_left_open(server: RedisServer, options: dict[str, Any]) -> None:
    async def scenario() -> None:
        client = redis.Redis.from_url(server.url, **options)
        async_client = redis.asyncio.Redis.from_url(server.url, **options)
        store = RedisStore(client=client, async_client=async_client)
        new = record(username="álice ✓")
        assert store.commit(new.username, (), new, None, None, START)
        assert await store.aread("sid") == new.data
        assert store.swap(record(), None, START) == new.data
        assert list((await store.aof_user(new.username))[1]) == [new]
        await store.aclose()
        assert client.ping()
        assert await async_client.ping()
        client.close()
        await async_client.aclose()

    asyncio.run(scenario())


def test_a_client_of_the_other_kind_is_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match=r"client is of the other kind: .*async_client="):
        RedisStore(client=redis.asyncio.Redis())  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"async_client is of the other kind"):
        RedisStore(async_client=redis.Redis())  # type: ignore[arg-type]


def test_a_client_of_one_kind_says_what_it_lacks(server: RedisServer) -> None:
    async_client = redis.asyncio.Redis.from_url(server.url)
    store = RedisStore(async_client=async_client)
    with pytest.raises(ConfigurationError, match="client="):
        store.count(START)

    async def use_once() -> None:
        assert await store.acount(START) == 0
        await async_client.aclose()

    asyncio.run(use_once())
    with pytest.raises(ConfigurationError, match="another event loop"):
        asyncio.run(store.acount(START))
    with redis.Redis.from_url(server.url) as client:
        store = RedisStore(client=client)
        assert store.count(START) == 0
        with pytest.raises(ConfigurationError, match="async_client="):
            asyncio.run(store.acount(START))


def test_without_the_driver_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis.exceptions", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'sessiongate\[redis\]'"):
        RedisStore()
