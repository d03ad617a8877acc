"""RedisStore on real servers: the contract, outages, cost at the wire, and what is stored."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import struct
import subprocess
import sys
import time
import traceback
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import redis
import redis.asyncio
from sessiongate.core.commands import (
    NEVER,
    NOW,
    WHEN_DUE,
    Close,
    CloseUser,
    Count,
    Ended,
    List,
    Open,
    Opened,
    Policy,
    Read,
    Rotated,
    Sweep,
    Touch,
)
from tests.stores.redis_server import RedisServer

from sessiongate import SessionManager
from sessiongate.core.row import FOREVER, SECOND, Row
from sessiongate.errors import ConfigurationError, StoreError
from sessiongate.stores.redis import RedisStore
from sessiongate.testing import ManualClock, StoreContract

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sessiongate.core.commands import Command, Outcome

START = 1_700_000_000 * SECOND
HOUR = 3600 * SECOND
PATIENCE = 5
"""Where a test is not about waiting, a busy machine must not matter."""
POLICY = Policy(
    timeout=HOUR,
    rotate_after=HOUR // 2,
    grace=30 * SECOND,
    touch_every=60 * SECOND,
    time_resolution=1,
)
PROMISED = 4
"""Seconds. The promise is one; the rest is for a machine that is busy with other tests, where
what is not bounded would take for ever."""
UNHURRIED: Any = {"connect_timeout": 1, "timeout": 0.5}
"""Within what is promised, but a server that is up has the time to answer on a busy machine."""


def session(sid: str = "sid", username: str = "alice", *, now: int = START) -> Row:
    return Row(
        sid=sid,
        username=username,
        created_at=now,
        last_accessed=now,
        expires_at=now + HOUR,
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


def login(row: Row, *, limit: int | None = None, user_limit: int | None = None) -> Open:
    return Open(row, row.created_at, "new", None, limit, user_limit, evict=False)


def check(sid: str = "sid", now: int = START, rotation: int = WHEN_DUE) -> Touch:
    return Touch(sid, 0, now, POLICY, rotation)


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


@pytest.fixture(params=["sync", "async"])
def using(request: pytest.FixtureRequest) -> Iterator[Callable[..., Call]]:
    """Makes a store and gives the function that carries out its commands, in both colours."""
    with contextlib.ExitStack() as stack:

        def use(*args: Any, **kwargs: Any) -> Call:
            store = stack.enter_context(contextlib.closing(RedisStore(*args, **kwargs)))
            if request.param == "sync":
                return store.execute
            runner = stack.enter_context(asyncio.Runner())
            return lambda command: runner.run(store.aexecute(command))

        yield use


if TYPE_CHECKING:
    Call = Callable[[Command], Outcome]


class TestRedisStore(StoreContract):
    @pytest.fixture
    def store(self, server: RedisServer) -> Iterator[RedisStore]:
        store = RedisStore(server.url, connect_timeout=PATIENCE, timeout=PATIENCE)
        yield store
        store.close()

    @pytest.fixture
    def damage(self, admin: redis.Redis) -> Callable[[str], object]:
        return lambda sid: admin.set(f"sessiongate:session:{sid}", b"mallory")

    @pytest.fixture
    def footprint(self, admin: redis.Redis) -> Callable[[], int]:
        def count() -> int:
            keys = list(admin.scan_iter())
            return sum(admin.zcard(key) if admin.type(key) == b"zset" else 1 for key in keys)

        return count


# The server goes away and comes back.


def test_a_killed_server_is_an_error_within_a_second_and_its_return_is_noticed(
    fragile: RedisServer, using: Callable[..., Call]
) -> None:
    call = using(fragile.url, **UNHURRIED)
    call(login(session()))
    fragile.kill()
    for _ in range(3):
        assert_fails_in_time(call)
    fragile.start()
    assert isinstance(call(login(session())), Opened)


def test_a_restart_between_two_calls_is_not_even_noticed(
    fragile: RedisServer, using: Callable[..., Call]
) -> None:
    call = using(fragile.url, **UNHURRIED)
    call(login(session()))
    fragile.stop()
    fragile.start()
    assert isinstance(call(login(session())), Opened)


@pytest.mark.parametrize("busy", [True, False])
def test_a_restart_while_an_event_loop_does_something_else_is_not_noticed(
    fragile: RedisServer,
    busy: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    async def scenario() -> None:
        store = RedisStore(fragile.url, **UNHURRIED)
        await asyncio.gather(*(store.aexecute(Count(START)) for _ in range(10)))
        if busy:  # the loop itself hears nothing
            fragile.stop()
            fragile.start()
        else:
            await asyncio.to_thread(fragile.stop)
            await asyncio.to_thread(fragile.start)
        counts = await asyncio.gather(*(store.aexecute(Count(START)) for _ in range(10)))
        assert counts == [0] * 10
        await store.aclose()

    asyncio.run(scenario())


def test_a_frozen_server_is_an_error_within_a_second_and_goes_on_when_it_thaws(
    fragile: RedisServer, using: Callable[..., Call]
) -> None:
    call = using(fragile.url, **UNHURRIED)
    call(login(session()))
    fragile.freeze()
    for _ in range(3):  # the first on an open connection, the others on new ones
        assert_fails_in_time(call)
    fragile.thaw()
    assert call(check()) == session(), "the late answers went to nobody"
    assert call(Count(START)) == 1


def test_many_callers_of_a_frozen_server_all_fail_within_a_second(fragile: RedisServer) -> None:
    async def scenario() -> None:
        store = RedisStore(fragile.url, **UNHURRIED, max_connections=10)
        fragile.freeze()
        started = time.monotonic()
        outcomes = await asyncio.gather(
            *(store.aexecute(check()) for _ in range(100)), return_exceptions=True
        )
        assert time.monotonic() - started < PROMISED
        assert {type(outcome) for outcome in outcomes} == {StoreError}
        fragile.thaw()
        assert await store.aexecute(check()) is None
        await store.aclose()

    asyncio.run(scenario())


def test_a_given_client_that_would_wait_for_ever_does_not(fragile: RedisServer) -> None:
    async def scenario() -> None:
        async with redis.asyncio.Redis.from_url(fragile.url, socket_timeout=None) as client:
            store = RedisStore(async_client=client, **UNHURRIED)
            await store.aexecute(Count(START))
            fragile.freeze()
            for _ in range(3):  # the first on an open connection, the others on new ones
                started = time.monotonic()
                with pytest.raises(StoreError):
                    await store.aexecute(check())
                assert time.monotonic() - started < PROMISED
            fragile.thaw()
            assert await store.aexecute(Count(START)) == 0

    asyncio.run(scenario())


def test_a_server_that_starts_later_is_found(tmp_path: Path, using: Callable[..., Call]) -> None:
    server = RedisServer(tmp_path)
    call = using(server.url, **UNHURRIED)
    assert_fails_in_time(call)
    server.start()
    assert call(Count(START)) == 0
    server.stop()


def test_a_command_that_the_server_refuses_is_an_error(
    fragile: RedisServer, using: Callable[..., Call]
) -> None:
    call = using(fragile.url, **UNHURRIED)
    with fragile.admin() as admin:
        admin.config_set("maxmemory", 1)
        admin.config_set("maxmemory-policy", "noeviction")
        with pytest.raises(StoreError, match=r"ResponseError|OutOfMemoryError"):
            call(login(session()))
        assert admin.dbsize() == 0


def assert_fails_in_time(call: Call) -> None:
    started = time.monotonic()
    with pytest.raises(StoreError):
        call(check())
    assert time.monotonic() - started < PROMISED


# Connections.


def test_an_exhausted_pool_is_a_fast_error(server: RedisServer, store: RedisStore) -> None:
    store = RedisStore(server.url, **UNHURRIED, max_connections=1)
    client: Any = store._clients.for_thread()
    with client.monitor():  # holds the only connection
        assert_fails_in_time(store.execute)
    assert store.execute(Count(START)) == 0
    store.close()


def test_an_exhausted_pool_is_a_fast_error_for_tasks(server: RedisServer) -> None:
    async def scenario() -> None:
        store = RedisStore(server.url, **UNHURRIED, max_connections=1)
        lender = await store._clients.for_loop()
        held = await lender.take()
        started = time.monotonic()
        with pytest.raises(StoreError):
            await store.aexecute(check())
        assert time.monotonic() - started < PROMISED
        await lender.give_back(held)
        assert await store.aexecute(Count(START)) == 0
        await store.aclose()

    asyncio.run(scenario())


def test_more_callers_than_connections_take_turns(server: RedisServer) -> None:
    store = RedisStore(server.url, timeout=PATIENCE, max_connections=2)
    store.execute(login(session()))
    with ThreadPoolExecutor(16) as threads:
        rows = list(threads.map(store.execute, [check()] * 200))
    assert rows == [session()] * 200
    store.close()


def test_cancelled_calls_leave_no_connection_and_no_answer_behind(
    server: RedisServer, admin: redis.Redis
) -> None:
    connections = 5

    async def scenario() -> None:
        store = RedisStore(server.url, timeout=PATIENCE, max_connections=connections)
        for number in range(20):
            await store.aexecute(login(session(f"sid-{number}")))
        for number in range(500):
            call = asyncio.create_task(store.aexecute(check(f"sid-{number % 20}")))
            others = [
                asyncio.create_task(store.aexecute(Read(f"sid-{n}", START)))
                for n in range(number % 3)
            ]
            for _ in range(number % 17):  # so that every place it waits at gets its turn
                await asyncio.sleep(0)
            call.cancel()
            await asyncio.wait([call])
            for n, other in enumerate(others):
                assert await other == session(f"sid-{n}")
        rows = await asyncio.gather(
            *(store.aexecute(check(f"sid-{n % 20}")) for n in range(connections * 20))
        )
        assert rows == [session(f"sid-{n % 20}") for n in range(connections * 20)]
        assert connections_but(admin) <= connections
        await store.aclose()

    asyncio.run(scenario())


def test_cancelling_calls_of_a_frozen_server_frees_their_connections(
    fragile: RedisServer,
) -> None:
    async def scenario() -> None:
        store = RedisStore(fragile.url, **UNHURRIED, max_connections=3)
        await store.aexecute(Count(START))
        fragile.freeze()
        calls = [asyncio.create_task(store.aexecute(check())) for _ in range(9)]
        for _ in range(20):
            await asyncio.sleep(0)
        for call in calls:
            call.cancel()
        await asyncio.wait(calls)
        assert all(call.cancelled() for call in calls)
        fragile.thaw()
        counts = await asyncio.gather(*(store.aexecute(Count(START)) for _ in range(9)))
        assert counts == [0] * 9
        await store.aclose()

    asyncio.run(scenario())


def test_one_store_serves_several_event_loops_and_threads(
    store: RedisStore, admin: redis.Redis
) -> None:
    def of_this_thread(number: int) -> Outcome:
        async def calls() -> Outcome:
            opened = await store.aexecute(login(session(f"sid-{number}")))
            assert isinstance(opened, Opened)
            return await store.aexecute(check(f"sid-{number}"))

        return asyncio.run(calls())

    with ThreadPoolExecutor(4) as threads:
        rows = list(threads.map(of_this_thread, range(12)))
    assert rows == [session(f"sid-{number}") for number in range(12)]
    assert store.execute(Count(START)) == 12
    assert connections_but(admin) == 1, "each loop has closed its connections at its end"


def connections_but(admin: redis.Redis) -> int:
    admin.ping()  # when it answers, the server has seen what was closed before
    return int(admin.info("clients")["connected_clients"]) - 1


def test_a_closed_store_says_so(server: RedisServer) -> None:
    async def scenario() -> None:
        store = RedisStore(server.url, **UNHURRIED)
        await store.aexecute(Count(START))
        store.execute(Count(START))
        await store.aclose()
        await store.aclose()
        store.close()
        with pytest.raises(StoreError, match="was closed"):
            store.execute(Count(START))
        with pytest.raises(StoreError, match="was closed"):
            await store.aexecute(Count(START))

    asyncio.run(scenario())


FORK = """
import asyncio, os, sys
from sessiongate.core.commands import Count
from sessiongate.stores.redis import RedisStore

store = RedisStore(sys.argv[1])
client_id = lambda: store._clients.for_thread().client_id()
runner = asyncio.Runner()
assert store.execute(Count(0)) == runner.run(store.aexecute(Count(0))) == 0
parents = client_id()
child = os.fork()
for _ in range(100):
    assert store.execute(Count(0)) == 0
if child == 0:
    assert client_id() != parents
    assert asyncio.run(store.aexecute(Count(0))) == 0
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert client_id() == parents, "the child has closed it"
assert runner.run(store.aexecute(Count(0))) == 0
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

COMMANDS: tuple[Command, ...] = (
    login(session(), limit=100, user_limit=100),
    check(),
    check(now=START + HOUR // 2),
    Read("sid", START),
    List(None, START),
    List("alice", START),
    Count(START),
    Sweep(START, 10),
    Close("sid", START),
    CloseUser("alice", None, START),
    check(),
)


def test_every_command_is_one_round_trip(store: RedisStore, admin: redis.Redis) -> None:
    def calls() -> None:
        for command in COMMANDS:
            store.execute(command)

    calls()
    asked, _ = watch(admin, calls)
    assert asked == ["EVALSHA"] * len(COMMANDS)


def test_every_awaited_command_is_one_round_trip(store: RedisStore, admin: redis.Redis) -> None:
    async def calls() -> None:
        for command in COMMANDS:
            await store.aexecute(command)

    with asyncio.Runner() as runner:
        runner.run(calls())
        asked, _ = watch(admin, lambda: runner.run(calls()))
    assert asked == ["EVALSHA"] * len(COMMANDS)


def test_a_server_that_has_forgotten_the_scripts_gets_them_in_the_same_call(
    server: RedisServer, admin: redis.Redis, using: Callable[..., Call]
) -> None:
    call = using(server.url, **UNHURRIED)
    call(login(session()))
    call(check())
    admin.script_flush()
    asked, _ = watch(admin, lambda: [call(check()), call(check())])
    assert asked == ["EVALSHA", "EVAL", "EVALSHA"]


def test_nothing_is_written_between_touches(store: RedisStore, admin: redis.Redis) -> None:
    store.execute(login(session()))
    store.execute(check())
    almost = START + POLICY.touch_every - 1
    _, done = watch(admin, lambda: [store.execute(check(now=almost)) for _ in range(10)])
    assert done == ["GET"] * 10
    _, done = watch(admin, lambda: store.execute(check(now=almost + 1)))
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


def test_closed_sessions_leave_nothing_behind(store: RedisStore, admin: redis.Redis) -> None:
    for number in range(1000):
        store.execute(login(session(f"sid-{number}")))
        store.execute(Close(f"sid-{number}", START))
    assert admin.dbsize() == 0


def test_expired_sessions_leave_nothing_behind(store: RedisStore, admin: redis.Redis) -> None:
    for number in range(200):
        now = START + number * HOUR
        store.execute(login(session(f"sid-{number}", now=now)))
    assert admin.dbsize() == 4, "one row, the index of its user, and the two over all"
    assert admin.zcard("sessiongate:user:alice") == 1


def test_every_key_expires_after_the_last_session_in_it(
    store: RedisStore, admin: redis.Redis
) -> None:
    store.execute(login(session("long")))
    store.execute(login(session("short")._replace(expires_at=START + SECOND)))
    store.execute(login(session("endless")._replace(expires_at=FOREVER)))
    store.execute(Close("endless", START))
    slack, hour = 3_600_000, 3_600_000
    assert 0 < admin.pttl("sessiongate:session:short") <= 1000 + slack
    assert 1000 + slack < admin.pttl("sessiongate:session:long") <= hour + slack
    for index in ("expiry", "order", "user:alice"):
        assert hour + slack < admin.pttl(f"sessiongate:{index}")


def test_a_rotation_puts_off_the_end_of_every_key(store: RedisStore, admin: redis.Redis) -> None:
    keys = ["session:sid", "expiry", "order", "user:alice"]
    store.execute(login(session()))
    for key in keys:
        admin.pexpire(f"sessiongate:{key}", 1_000_000)
    assert isinstance(store.execute(check(rotation=NOW)), Rotated)
    for key in keys:
        assert admin.pttl(f"sessiongate:{key}") > 1_000_000


def test_a_touch_leaves_the_end_of_the_key_alone(store: RedisStore, admin: redis.Redis) -> None:
    store.execute(login(session()))
    admin.pexpire("sessiongate:session:sid", 1_000_000)
    store.execute(check(now=START + POLICY.touch_every))
    assert 0 < admin.pttl("sessiongate:session:sid") <= 1_000_000


def test_a_row_that_redis_dropped_is_no_session(store: RedisStore, admin: redis.Redis) -> None:
    store.execute(login(session("lost")))
    store.execute(login(session("kept")))
    admin.delete("sessiongate:session:lost")
    assert store.execute(check("lost")) is None
    assert store.execute(Read("lost", START)) is None
    assert store.execute(Close("lost", START)) is None
    assert store.execute(List(None, START)) == (session("kept"),)
    assert store.execute(List("alice", START)) == (session("kept"),)
    assert isinstance(store.execute(login(session("third"), user_limit=2)), Opened)
    assert admin.zrange("sessiongate:user:alice", 0, -1) == [b"kept", b"third"]
    assert store.execute(Count(START)) == 2


def test_a_dropped_row_is_not_evicted_nor_ended_and_forgotten_when_it_would_expire(
    store: RedisStore, admin: redis.Redis
) -> None:
    for sid in ("lost", "lost-too", "kept"):
        store.execute(login(session(sid, username=sid)))
    admin.delete("sessiongate:session:lost", "sessiongate:session:lost-too")
    evicting = login(session("new"), limit=3)._replace(evict=True)
    assert store.execute(evicting) == Opened(session("new"), ())
    assert store.execute(CloseUser("lost-too", None, START)) == ()
    assert store.execute(Sweep(START + HOUR, 10)) == 2
    assert admin.dbsize() == 0


NUMBERS = START, START, START + HOUR, FOREVER, 0, START, 0, 0, 0, 0
TEXTS = b'["sid","mallory","",""]'


def stored(numbers: tuple[int, ...] = NUMBERS, texts: bytes = TEXTS, version: int = 1) -> bytes:
    return struct.pack(">B9qB", version, *numbers) + texts


UNREADABLE = {
    "text": b"mallory",
    "empty": b"",
    "newer": stored(version=2),
    "short": stored()[:73],
    "bare": stored(texts=b""),
    "other": stored(texts=TEXTS.replace(b'"sid"', b'"dis"')),
    "texts": stored(texts=TEXTS.replace(b'"sid"', b'"sid')),
    "few": stored(texts=TEXTS.replace(b',"",""', b"")),
    "more": stored(texts=TEXTS + b"1"),
    "number": stored((-1, *NUMBERS[1:])),
    "order": stored((*NUMBERS[:7], 2, 1, 0)),
    "shared": stored((*NUMBERS[:9], 2)),
    "encoding": stored(texts=TEXTS.replace(b"mallory", b"mallory\xff")),
    "null": stored(texts=TEXTS.replace(b'"mallory"', b"null")),
}


def test_what_is_stored_is_what_these_tests_take_for_it(
    store: RedisStore, admin: redis.Redis
) -> None:
    store.execute(login(session(username="mallory")))
    assert admin.get("sessiongate:session:sid") == stored()


@pytest.mark.parametrize("what", [*UNREADABLE, "list"])
def test_what_cannot_be_read_is_no_session_and_one_line_in_the_log(
    store: RedisStore, admin: redis.Redis, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    store.execute(login(session("sound")))
    store.execute(login(session()))
    admin.delete("sessiongate:session:sid")
    if what == "list":
        admin.rpush("sessiongate:session:sid", "mallory")
    else:
        admin.set("sessiongate:session:sid", UNREADABLE[what])
    row = session("sound")
    for command, outcome in (
        (check(), None),
        (check(rotation=NEVER), None),
        (Read("sid", START), None),
        (List(None, START), (row,)),
        (List("alice", START), (row,)),
    ):
        assert store.execute(command) == outcome
        assert_one_line(caplog)


@pytest.mark.parametrize("what", ["newer", "short", "other", "few", "number", "order", "shared"])
@pytest.mark.parametrize(
    "command",
    [
        check(now=START + POLICY.touch_every),
        check(now=START + POLICY.rotate_after),
        check(rotation=NOW),
        check(now=START + HOUR),
        Read("sid", START + HOUR),
        Close("sid", START + HOUR),
    ],
    ids=["touch", "rotate", "refresh", "expire", "read", "close"],
)
def test_what_cannot_be_read_is_not_changed_either(
    store: RedisStore,
    admin: redis.Redis,
    caplog: pytest.LogCaptureFixture,
    what: str,
    command: Command,
) -> None:
    admin.set("sessiongate:session:sid", UNREADABLE[what])
    assert store.execute(command) is None
    assert_one_line(caplog)
    assert admin.get("sessiongate:session:sid") == UNREADABLE[what]


def test_an_index_that_is_no_text_names_no_session(
    store: RedisStore, admin: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    admin.set(b"sessiongate:session:\xff", stored())
    admin.zadd("sessiongate:user:alice", {b"\xff": 1})
    assert store.execute(List("alice", START)) == ()
    assert len(caplog.records) == 1


@pytest.mark.parametrize("what", ["newer", "text", "few", "null", "list"])
def test_what_cannot_be_read_disturbs_no_login_and_no_logout(
    store: RedisStore, admin: redis.Redis, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    store.execute(login(session()))
    admin.delete("sessiongate:session:sid")
    if what == "list":
        admin.rpush("sessiongate:session:sid", "mallory")
    else:
        admin.set("sessiongate:session:sid", UNREADABLE[what])
    assert store.execute(Close("sid", START)) is None
    assert_one_line(caplog)
    reusing = login(session("new"), user_limit=1)._replace(existing="reuse")
    assert isinstance(store.execute(reusing), Opened)
    assert_one_line(caplog)
    # Logging out everywhere ends what a newer version has opened as well.
    assert store.execute(CloseUser("alice", "new", START)) == (Ended("sid", "alice"),)
    assert not caplog.records
    assert store.execute(List("alice", START)) == (session("new"),)


def assert_one_line(caplog: pytest.LogCaptureFixture) -> None:
    (line,) = caplog.records
    assert (line.name, line.levelno) == ("sessiongate.stores", logging.WARNING)
    assert "'sid'" in line.getMessage()
    assert "mallory" not in line.getMessage()
    caplog.clear()


def test_a_stolen_dump_opens_no_session(tmp_path: Path) -> None:
    server = RedisServer(tmp_path, "--rdbcompression", "no")
    server.start()
    clock = ManualClock()
    key = "a key that is 32 bytes long, or more"
    store = RedisStore(server.url, **UNHURRIED)
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
    assert store.execute(Count(START)) == 7


def test_a_limit_may_be_higher_than_anybody_counts(store: RedisStore) -> None:
    assert isinstance(store.execute(login(session(), limit=2**80, user_limit=2**80)), Opened)
    assert store.execute(Sweep(START + HOUR, 2**80)) == 1


def log_in_ten_times(url: str, process: int) -> int:
    store = RedisStore(url)
    logins = [login(session(f"sid-{process}-{n}"), limit=7) for n in range(10)]
    with ThreadPoolExecutor(10) as threads:
        opened = [isinstance(o, Opened) for o in threads.map(store.execute, logins)]
    store.close()
    return sum(opened)


# Configuration.


def test_a_password_is_used_and_shown_nowhere(tmp_path: Path, using: Callable[..., Call]) -> None:
    server = RedisServer(tmp_path, "--requirepass", "open-sesame")
    server.start()
    right = server.url.replace("//", "//:open-sesame@")
    assert using(right)(Count(START)) == 0
    wrong = right.replace("sesame", "barley")
    with pytest.raises(StoreError) as failed:
        using(wrong)(Count(START))
    shown = "".join(traceback.format_exception(failed.value)) + repr(RedisStore(wrong))
    assert f"127.0.0.1:{server.port}" in shown
    assert "barley" not in shown
    server.stop()
    with pytest.raises(StoreError) as failed:
        using(right)(Count(START))
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


@pytest.mark.parametrize("option", ["timeout=4", "max_connections=2"])
def test_options_of_the_pool_may_stand_in_the_url(server: RedisServer, option: str) -> None:
    async def scenario() -> None:
        store = RedisStore(f"{server.url}?{option}", **UNHURRIED)
        for _ in range(2):
            counts = await asyncio.gather(*(store.aexecute(Count(START)) for _ in range(12)))
            assert counts == [0] * 12
        assert store.execute(Count(START)) == 0
        await store.aclose()

    asyncio.run(scenario())


def test_a_unix_socket_will_do(tmp_path: Path, using: Callable[..., Call]) -> None:
    path = tmp_path / "s"
    server = RedisServer(tmp_path, "--unixsocket", str(path))
    server.start()
    assert using(f"unix://{path}")(Count(START)) == 0
    server.stop()


def test_stores_of_different_prefixes_do_not_meet(
    server: RedisServer, using: Callable[..., Call]
) -> None:
    ours, theirs = using(server.url, prefix="ours:"), using(server.url, prefix="theirs:")
    ours(login(session()))
    assert (ours(Count(START)), theirs(Count(START))) == (1, 0)


@pytest.mark.parametrize("options", [{}, {"decode_responses": True, "encoding": "latin-1"}])
def test_given_clients_are_used_and_left_open(server: RedisServer, options: dict[str, Any]) -> None:
    async def scenario() -> None:
        client = redis.Redis.from_url(server.url, **options)
        async_client = redis.asyncio.Redis.from_url(server.url, **options)
        store = RedisStore(client=client, async_client=async_client)
        row = session(username="álice ✓")
        assert store.execute(login(row)) == Opened(row)
        assert await store.aexecute(check()) == row
        await store.aclose()
        assert client.ping()
        assert await async_client.ping()
        client.close()
        await async_client.aclose()

    asyncio.run(scenario())


def test_a_client_of_one_kind_says_what_it_lacks(server: RedisServer) -> None:
    async_client = redis.asyncio.Redis.from_url(server.url)
    store = RedisStore(async_client=async_client)
    with pytest.raises(ConfigurationError, match="client="):
        store.execute(Count(START))

    async def use_once() -> None:
        assert await store.aexecute(Count(START)) == 0
        await async_client.aclose()

    asyncio.run(use_once())
    with pytest.raises(ConfigurationError, match="another event loop"):
        asyncio.run(store.aexecute(Count(START)))
    with redis.Redis.from_url(server.url) as client:
        store = RedisStore(client=client)
        assert store.execute(Count(START)) == 0
        with pytest.raises(ConfigurationError, match="async_client="):
            asyncio.run(store.aexecute(Count(START)))


def test_without_the_driver_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis.exceptions", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'sessiongate\[redis\]'"):
        RedisStore()
