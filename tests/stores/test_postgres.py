"""PostgresStore on real servers: the contract, faults, races, restarts, and what it stores."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from tests.stores.briefly import Briefly
from tests.stores.postgres_server import PostgresServer
from tests.stores.thorough import Thorough

from sessiongate import ConfigurationError, SessionManager, StoreError
from sessiongate.core.rotation import NOW
from sessiongate.core.row import Row
from sessiongate.stores import PostgresStore
from sessiongate.testing import ManualClock, StoreContract
from sessiongate.testing.commands import (
    Close,
    CloseUser,
    Count,
    List,
    Read,
    Sweep,
    aexecute,
    execute,
)
from sessiongate.testing.contract._material import HOUR, MINUTE, START, login, named, session, touch
from sessiongate.testing.outcomes import Ended, Opened

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from sessiongate.testing.commands import Command

    Call = Callable[[Command], Any]

PATIENCE = 60
"""Seconds; where a test is not about waiting, a busy machine must not matter."""
PROMISED = 4
"""Seconds. The promise is one; the rest is for a machine that is busy with other tests, where
what is not bounded would take for ever."""
UNHURRIED: Any = {"connect_timeout": 1, "timeout": 0.5}
"""Within what is promised, but a server that is up has the time to answer on a busy machine."""
WORKER = Path(__file__).with_name("network_worker.py")


@pytest.fixture(scope="module")
def shared_server() -> Iterator[PostgresServer]:
    server = PostgresServer()
    server.start()
    with server.admin() as admin:
        admin.execute(PostgresStore.schema().encode())
    yield server
    server.close()


@pytest.fixture
def server(shared_server: PostgresServer) -> PostgresServer:
    """A server that stays up, with the tables and no rows in them."""
    with shared_server.admin() as admin:
        admin.execute("TRUNCATE sessiongate.session")
    return shared_server


@pytest.fixture
def fragile(shared_server: PostgresServer) -> Iterator[PostgresServer]:
    """The same server, to be maltreated: up again when the test is over."""
    yield shared_server
    with contextlib.suppress(AssertionError):
        shared_server.thaw()
    shared_server.kill()
    shared_server.start()


@pytest.fixture
def admin(server: PostgresServer) -> Iterator[psycopg.Connection[Any]]:
    with server.admin() as connection:
        yield connection


@pytest.fixture
def store(server: PostgresServer) -> Iterator[PostgresStore]:
    store = PostgresStore(server.url, connect_timeout=PATIENCE, timeout=PATIENCE)
    yield store
    store.close()


@pytest.fixture(params=["sync", pytest.param("async", marks=pytest.mark.slow)])
def using(request: pytest.FixtureRequest) -> Iterator[Callable[..., Call]]:
    """Makes a store and gives the function that carries out its commands, in both colours."""
    with contextlib.ExitStack() as stack:

        def use(*args: Any, **kwargs: Any) -> Call:
            store = stack.enter_context(contextlib.closing(PostgresStore(*args, **kwargs)))
            if request.param == "sync":
                return partial(execute, store)
            runner = stack.enter_context(asyncio.Runner())
            stack.callback(lambda: runner.run(store.aclose()))
            return lambda command: runner.run(aexecute(store, command))

        yield use


class TestPostgresStore(Briefly, StoreContract):
    PROGRAMS, PAIRS, TRIPLES = 20, 60, 100  # the slow class below tries more

    @pytest.fixture
    def store(self, server: PostgresServer) -> Iterator[PostgresStore]:
        store = PostgresStore(server.url, connect_timeout=PATIENCE, timeout=PATIENCE)
        yield store
        store.close()

    @pytest.fixture
    def damage(self, admin: psycopg.Connection[Any]) -> Callable[[str], object]:
        change = "UPDATE sessiongate.session SET data = '{' WHERE sid = %s"
        return lambda sid: admin.execute(change, (sid,))

    @pytest.fixture
    def footprint(self, admin: psycopg.Connection[Any]) -> Callable[[], int]:
        def count() -> int:
            row = admin.execute(
                "SELECT (SELECT count(*) FROM sessiongate.session)"
                " + (SELECT coalesce(sum(sessions), 0) FROM sessiongate.tally)"
            ).fetchone()
            return int(row[0]) if row else 0

        return count


@pytest.mark.slow
class TestPostgresThoroughly(Thorough):
    PAIRS, TRIPLES = 250, 250  # each takes dozens of trips to the server


def fails_in_time(call: Call) -> None:
    began = time.monotonic()
    with pytest.raises(StoreError):
        call(Read(named("one"), START))
    assert time.monotonic() - began < PROMISED


# The server goes away and comes back.


def test_a_killed_server_is_an_error_within_a_second_and_its_return_is_noticed(
    fragile: PostgresServer, using: Callable[..., Call]
) -> None:
    call = using(fragile.url, **UNHURRIED)
    call(CloseUser("alice", None, START))
    assert isinstance(call(login(session())), Opened)
    fragile.kill()
    for _ in range(3):
        fails_in_time(call)
    fragile.start()
    assert isinstance(call(Read(named("one"), START)), Row), "what was acknowledged is there"


def test_a_restart_between_two_calls_is_not_even_noticed(
    fragile: PostgresServer, using: Callable[..., Call]
) -> None:
    call = using(fragile.url, connect_timeout=PATIENCE)
    call(Count(START))
    fragile.stop()
    fragile.start()
    assert isinstance(call(Count(START)), int)


def test_a_frozen_server_is_an_error_within_a_second_and_goes_on_when_it_thaws(
    fragile: PostgresServer, using: Callable[..., Call]
) -> None:
    call = using(fragile.url, **UNHURRIED)
    call(Count(START))
    fragile.freeze()
    began = time.monotonic()
    with pytest.raises(StoreError, match="did not answer in time"):
        call(Count(START))
    assert time.monotonic() - began < PROMISED
    for _ in range(3):
        fails_in_time(call)
    fragile.thaw()
    eventually_counts(call)


def eventually_counts(call: Call) -> None:
    """A worker of the pool may still wait for the frozen server; others do not."""
    until = time.monotonic() + 5
    while time.monotonic() < until:
        with contextlib.suppress(StoreError):
            assert isinstance(call(Count(START)), int)
            return
    pytest.fail("it did not recover")


def test_a_server_that_starts_later_is_found(
    fragile: PostgresServer, using: Callable[..., Call]
) -> None:
    fragile.kill()
    call = using(fragile.url, **UNHURRIED)
    fails_in_time(call)
    fails_in_time(call)
    fragile.start()
    assert isinstance(call(Count(START)), int)


def test_a_replica_is_an_error_and_never_an_answer(
    fragile: PostgresServer, using: Callable[..., Call]
) -> None:
    call = using(fragile.url, **UNHURRIED)
    call(CloseUser("alice", None, START))
    call(login(session("before")))
    fragile.stop()
    fragile.make_standby(standby=True)
    fragile.start()
    try:
        for _ in range(2):
            with pytest.raises(StoreError, match="read-only"):
                call(Read(named("before"), START))
    finally:
        fragile.stop()
        fragile.make_standby(standby=False)
        fragile.start()
    assert isinstance(call(Read(named("before"), START)), Row)


def test_a_port_where_nothing_accepts_is_an_error_within_a_second(
    using: Callable[..., Call],
) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        call = using(f"postgresql://nobody@127.0.0.1:{silent.getsockname()[1]}/x")
        fails_in_time(call)
        fails_in_time(call)


@contextlib.contextmanager
def held(store: PostgresStore, count: int) -> Iterator[None]:
    """Keep so many connections busy, each in a transaction that waits."""
    together, enough = threading.Barrier(count + 1), threading.Event()

    def step() -> Generator[Any, Any, None]:
        yield "read", named("one")
        together.wait(PATIENCE)
        enough.wait(PATIENCE)

    def hold() -> None:
        with contextlib.suppress(StoreError):  # where it was held for longer than a call may take
            store.together(None, False, step)  # noqa: FBT003 - of the protocol

    with ThreadPoolExecutor(count) as threads:
        for _ in range(count):
            threads.submit(hold)
        together.wait(PATIENCE)
        try:
            yield
        finally:
            enough.set()


def test_an_exhausted_pool_is_a_fast_error(server: PostgresServer) -> None:
    store = PostgresStore(server.url, **UNHURRIED, max_size=1)
    execute(store, login(session()))
    with held(store, 1):
        fails_in_time(partial(execute, store))
    assert isinstance(execute(store, Read(named("one"), START)), Row)
    store.close()


WAITING = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"


def test_a_lock_that_is_held_too_long_is_an_error(
    server: PostgresServer, admin: psycopg.Connection[Any], using: Callable[..., Call]
) -> None:
    call = using(server.url, **UNHURRIED)
    call(login(session()))
    admin.execute("BEGIN")
    admin.execute("SELECT 1 FROM sessiongate.session FOR UPDATE")
    assert isinstance(call(touch(session(), START + 1)), Row), "what writes nothing goes on"
    fails_in_time(lambda _: call(Close(named("one"), START)))
    admin.execute("ROLLBACK")
    assert call(Close(named("one"), START)) == Ended(named("one"), "alice")


def test_a_number_that_no_row_can_have_is_only_a_number(store: PostgresStore) -> None:
    execute(store, login(session()))
    assert [store.count(now) for now in (-(2**63) - 1, 2**63, 2**99)] == [1, 0, 0]
    assert store.sweep(2**63, 0) == 0
    assert store.live(START, 10**30).place is None


def test_cancelled_calls_leave_no_connection_and_no_answer_behind(
    server: PostgresServer, admin: psycopg.Connection[Any]
) -> None:
    random = Random(7)

    async def cancel_many() -> None:
        store = PostgresStore(server.url, connect_timeout=PATIENCE, timeout=PATIENCE, max_size=4)
        await aexecute(store, login(session("one")))
        await aexecute(store, login(session("two", "bob")))
        for _ in range(50):
            calls = [
                asyncio.ensure_future(aexecute(store, Read(named("one"), START))) for _ in range(10)
            ]
            for _ in range(random.randrange(8)):
                await asyncio.sleep(0)
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
        answers = await asyncio.gather(
            *(aexecute(store, Read(named(*name), START)) for name in (("one",), ("two", "bob")) * 4)
        )
        assert [row.username for row in answers if isinstance(row, Row)] == ["alice", "bob"] * 4
        await store.aclose()

    asyncio.run(cancel_many())
    no_other_connection_is_left(admin)


def test_a_loop_that_ends_while_it_connects_leaves_no_connection_behind(
    server: PostgresServer, admin: psycopg.Connection[Any]
) -> None:
    async def begin(turns: int) -> None:
        store = PostgresStore(server.url, connect_timeout=PATIENCE, timeout=PATIENCE)
        await aexecute(store, Count(START))
        calls = [asyncio.ensure_future(aexecute(store, Count(START))) for _ in range(4)]
        for _ in range(turns):
            await asyncio.sleep(0)
        for call in calls:
            call.cancel()

    gc.disable()  # which would close it some time, but nobody knows when
    try:
        for turns in range(0, 150, 3):
            asyncio.run(begin(turns))
        no_other_connection_is_left(admin)
    finally:
        gc.enable()


def no_other_connection_is_left(admin: psycopg.Connection[Any]) -> None:
    until = time.monotonic() + PATIENCE
    while admin.execute(OTHERS).fetchone() != (0,):
        assert time.monotonic() < until, "a connection is still there"


OTHERS = """SELECT count(*) FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"""


def test_one_store_serves_several_event_loops_and_threads(store: PostgresStore) -> None:
    def log_in(number: int) -> None:
        async def both() -> None:
            await aexecute(store, login(session(f"async-{number}")))
            execute(store, login(session(f"sync-{number}")))

        asyncio.run(both())

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(log_in, range(8)))
    assert execute(store, Count(START)) == 16
    gc.collect()


def test_a_closed_store_says_so(server: PostgresServer) -> None:
    store = PostgresStore(server.url, connect_timeout=PATIENCE, timeout=PATIENCE)
    execute(store, Count(START))
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        execute(store, Count(START))


FORK = """
import os, sys
from sessiongate.stores import PostgresStore
store = PostgresStore(sys.argv[1], connect_timeout=10, timeout=10)
store.count(0)
child = os.fork()
for _ in range(20):
    assert store.count(0) == 0
if not child:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert store.count(0) == 0
store.close()
print("both work")
"""


def test_a_forked_process_makes_connections_of_its_own(server: PostgresServer) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORK, server.url], capture_output=True, text=True, check=False
    )
    assert done.stdout == "both work\n", done.stderr


# What a command costs.


class Proxy:
    """Counts the bursts of bytes that go to the server: one for each round trip."""

    def __init__(self, port: int) -> None:
        self.bursts = 0
        self._server = socket.create_server(("127.0.0.1", 0))
        self._target = port
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                upstream = socket.create_connection(("127.0.0.1", self._target))
                for ends in ((client, upstream, True), (upstream, client, False)):
                    threading.Thread(target=self._pump, args=ends, daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, counts: bool) -> None:  # noqa: FBT001
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self.bursts += counts
                sink.sendall(data)
            sink.close()

    def close(self) -> None:
        self._server.close()


def test_how_many_round_trips_a_command_takes(
    server: PostgresServer, using: Callable[..., Call]
) -> None:
    proxy = Proxy(server.port)
    url = server.url.replace(f":{server.port}/", f":{proxy.port}/")
    call = using(url, connect_timeout=PATIENCE, timeout=PATIENCE, max_size=1)

    def commands(name: str) -> list[tuple[Command, int]]:
        row, half = session(f"{name}1", name), START + HOUR // 2
        return [
            (login(row), 1),
            (touch(row, START + 1), 1),
            (Read(row.sid, START), 1),
            (touch(row, START + MINUTE), 2),
            (touch(row, half), 2),
            (touch(row, half, generation=1, rotation=NOW), 2),
            (List(name, START), 1),
            (List(None, START), 1),
            (Count(START), 1),
            (Sweep(START, 10), 1),
            (Close(row.sid, START), 2),
            (login(session(f"{name}2", name), limit=5), 4),
            (login(session(f"{name}3", name), user_limit=1, evict=True), 6),
            (CloseUser(name, None, START), 5),
        ]

    for command, _ in commands("prepared"):  # on its first use in a connection
        call(command)
    for command, trips in commands("counted"):
        before = proxy.bursts
        call(command)
        assert proxy.bursts - before == trips, command
    proxy.close()


def test_nothing_is_written_between_touches(
    store: PostgresStore, admin: psycopg.Connection[Any]
) -> None:
    def version() -> Any:
        return admin.execute(
            "SELECT xmin::text, ctid::text, xmax::text FROM sessiongate.session"
        ).fetchone()

    execute(store, login(session()))
    before = version()
    for second in range(59):
        assert isinstance(execute(store, touch(session(), START + second * 1_000_000)), Row)
    assert version() == before
    execute(store, touch(session(), START + MINUTE))
    assert version() != before


# What is in the database.

NEWER = "data = convert_to(replace(convert_from(data, 'UTF8'), '[3,', '[4,'), 'UTF8')"


@pytest.mark.parametrize(
    "change",
    [
        "data = ''",
        "data = '{'",
        NEWER,
        "data = '\\xff'",
    ],
)
@pytest.mark.usefixtures("nothing_was_told_before")
def test_what_cannot_be_read_is_no_session_and_one_line_in_the_log(
    store: PostgresStore,
    admin: psycopg.Connection[Any],
    caplog: pytest.LogCaptureFixture,
    change: str,
) -> None:
    execute(store, login(session("one", "mallory")))
    execute(store, login(session("two", "alice")))
    admin.execute(f"UPDATE sessiongate.session SET {change} WHERE username = 'mallory'".encode())
    caplog.clear()
    for command, outcome in (
        (touch(session("one", "mallory"), START), None),
        (Read(named("one", "mallory"), START), None),
        (List(None, START), (session("two"),)),
        (List("mallory", START), ()),
    ):
        assert execute(store, command) == outcome
        (line,) = caplog.records  # of the first of these reads
        assert (line.name, line.levelno) == ("sessiongate.stores", logging.WARNING)
        assert "mallory" not in line.getMessage()


def test_a_newer_schema_is_left_alone(
    server: PostgresServer, admin: psycopg.Connection[Any], using: Callable[..., Call]
) -> None:
    admin.execute("UPDATE sessiongate.meta SET version = 4")
    try:
        with pytest.raises(ConfigurationError, match=r"newer sessiongate.*upgrade sessiongate"):
            using(server.url, timeout=PATIENCE, connect_timeout=PATIENCE)(Count(START))
        with pytest.raises(psycopg.Error, match="newer sessiongate"):
            admin.execute(PostgresStore.schema().encode())
        admin.execute("ROLLBACK")
    finally:
        admin.execute("UPDATE sessiongate.meta SET version = 3")


OLD = """
    CREATE SCHEMA old;
    CREATE TABLE old.meta (version integer NOT NULL);
    INSERT INTO old.meta VALUES (2);
    CREATE TABLE old.session (sid text PRIMARY KEY, username text NOT NULL, device text NOT NULL);
    INSERT INTO old.session VALUES ('a', 'alice', '');
"""


@pytest.mark.parametrize("create", [True, False])
def test_an_older_schema_is_refused_and_left_as_it_is(
    server: PostgresServer,
    admin: psycopg.Connection[Any],
    using: Callable[..., Call],
    create: bool,  # noqa: FBT001
) -> None:
    admin.execute(OLD.encode())
    try:
        call = using(
            server.url, schema="old", timeout=PATIENCE, connect_timeout=PATIENCE, create=create
        )
        for _ in range(2):
            with pytest.raises(ConfigurationError, match=r"older sessiongate.*another schema"):
                call(Read(named("one"), START))
        with pytest.raises(psycopg.Error, match="older sessiongate"):
            admin.execute(PostgresStore.schema("old").encode())
        admin.execute("ROLLBACK")
        assert admin.execute("SELECT sid FROM old.session").fetchall() == [("a",)]
        assert admin.execute("SELECT version FROM old.meta").fetchall() == [(2,)]
    finally:
        admin.execute("DROP SCHEMA old CASCADE")


def test_a_role_that_may_not_make_the_tables_is_told_what_to_do(
    server: PostgresServer, admin: psycopg.Connection[Any], using: Callable[..., Call]
) -> None:
    admin.execute("DROP ROLE IF EXISTS guest")
    admin.execute("CREATE ROLE guest LOGIN PASSWORD 'guest'")
    url = f"postgresql://guest:guest@127.0.0.1:{server.port}/postgres"
    call = using(url, schema="other", timeout=PATIENCE, connect_timeout=PATIENCE)
    with pytest.raises(ConfigurationError, match=r"apply PostgresStore\.schema\(\)"):
        call(Count(START))
    admin.execute(PostgresStore.schema("other").encode())
    for grant in (
        "GRANT USAGE ON SCHEMA other TO guest",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA other TO guest",
    ):
        admin.execute(grant.encode())
    assert isinstance(call(login(session())), Opened)
    assert call(Count(START)) == 1
    admin.execute("DROP SCHEMA other CASCADE")


def test_the_tables_are_made_on_first_use_by_many_at_once(
    server: PostgresServer, admin: psycopg.Connection[Any]
) -> None:
    admin.execute("DROP SCHEMA IF EXISTS fresh CASCADE")

    def open_one(number: int) -> Any:
        store = PostgresStore(
            server.url, schema="fresh", timeout=PATIENCE, connect_timeout=PATIENCE
        )
        try:
            return execute(store, login(session(number)))
        finally:
            store.close()

    with ThreadPoolExecutor(8) as threads:
        assert all(isinstance(answer, Opened) for answer in threads.map(open_one, range(8)))
    admin.execute("DROP SCHEMA fresh CASCADE")


@pytest.mark.parametrize("schema", ["", "Sessions", "a.b", "x; DROP TABLE y", "1st", "é"])
def test_a_schema_is_a_plain_name(schema: str) -> None:
    with pytest.raises(ConfigurationError, match="schema"):
        PostgresStore("postgresql:///x", schema=schema)


def test_a_stolen_dump_opens_no_session(server: PostgresServer, store: PostgresStore) -> None:
    clock = ManualClock()
    key = "a key that is 32 bytes long, or more"
    manager = SessionManager(store=store, secret_key=key, clock=clock)
    tokens = [manager.create_session("alice", claims={"team": "blue"})]
    clock.advance(120)
    assert manager.validate_session(tokens[0] or "") is not None
    tokens.append(manager.refresh_session(tokens[0] or ""))
    stolen = server.dump()
    assert b"alice" in stolen
    for token in tokens:
        assert token is not None
        assert token.encode() not in stolen
        assert token.rpartition(".")[2].encode() not in stolen
    assert key.encode() not in stolen


def test_a_password_is_shown_nowhere(server: PostgresServer, using: Callable[..., Call]) -> None:
    wrong = server.url.replace(server.password, "a-wrong-password")
    with pytest.raises(StoreError, match=r"OperationalError.*password authentication") as failed:
        using(wrong, **UNHURRIED)(Count(START))
    shown = "".join(traceback.format_exception(failed.value)) + repr(PostgresStore(wrong))
    assert "a-wrong-password" not in shown
    with pytest.raises(ConfigurationError) as refused:
        PostgresStore("postgresql://x:hidden@[")
    assert "hidden" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_without_the_driver_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigurationError, match=r"sessiongate\[postgres\]"):
        PostgresStore("postgresql:///x")


# Locks: nobody waits in a circle, and what was waited for is looked at anew.


def until_somebody_waits_for_a_lock(server: PostgresServer) -> None:
    until = time.monotonic() + PATIENCE
    with server.admin() as admin:
        while not admin.execute(WAITING).fetchone():
            assert time.monotonic() < until, "nobody waits"


def test_a_touch_that_waited_for_a_logout_is_no_session_and_no_line_in_the_log(
    server: PostgresServer,
    store: PostgresStore,
    admin: psycopg.Connection[Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    for command in (touch(session(), START + HOUR // 2), touch(session(), START, rotation=NOW)):
        execute(store, login(session()))
        admin.execute("BEGIN")
        admin.execute("DELETE FROM sessiongate.session")
        with ThreadPoolExecutor(1) as thread:
            answer = thread.submit(partial(execute, store), command)
            until_somebody_waits_for_a_lock(server)
            admin.execute("COMMIT")
            assert answer.result() is None
    assert not caplog.records


def test_several_rows_are_locked_in_one_order(
    server: PostgresServer, store: PostgresStore, admin: psycopg.Connection[Any]
) -> None:
    lock = "SELECT 1 FROM sessiongate.session WHERE sid = %s FOR UPDATE NOWAIT"
    replacing = login(session("new"), existing="replace", replaces=(named("y"),))
    for command in (replacing, CloseUser("alice", None, START)):
        for row in (session("z"), session("a"), session("y")):
            execute(store, login(row))
        first, *behind = sorted(row.sid for row in execute(store, List("alice", START)))
        admin.execute("BEGIN")
        admin.execute(lock, (first,))
        with ThreadPoolExecutor(1) as thread, server.admin() as other:
            answer = thread.submit(execute, store, command)
            until_somebody_waits_for_a_lock(server)
            # Who waits for the first has not locked the others yet.
            for sid in behind:
                assert other.execute(lock, (sid,)).fetchone()
            admin.execute("ROLLBACK")
            answer.result()


def test_logins_logouts_and_sweeps_of_the_same_rows_never_wait_in_a_circle(
    store: PostgresStore, admin: psycopg.Connection[Any]
) -> None:
    def act(seed: int) -> None:
        random = Random(seed)
        for number in range(60):
            user, now = f"user {random.randrange(2)}", START + random.randrange(3) * MINUTE
            row = session(f"{seed}-{number}", user, expires_at=now + random.choice((1, HOUR)))
            opening = login(
                row,
                now,
                existing=random.choice(("new", "reuse", "replace")),
                replaces=(named(f"{random.randrange(8)}-{number - 1}", user),),
                limit=random.choice((None, 4, 6)),
                user_limit=random.choice((None, 2)),
                evict=True,
            )
            execute(store, random.choice((opening, opening, Sweep(now, 9))))
            execute(store, random.choice((CloseUser(user, None, now), Close(row.sid, now))))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(act, range(8)))  # a deadlock would be a StoreError
    assert tallied(admin) == counted(admin)


WAITED = """SELECT 1 FROM pg_stat_activity
    WHERE wait_event_type = 'Lock' AND clock_timestamp() - query_start > '0.4 s'"""


def test_a_login_may_wait_for_its_turn_for_longer_than_a_call_may_take(
    server: PostgresServer,
    store: PostgresStore,
    admin: psycopg.Connection[Any],
    using: Callable[..., Call],
) -> None:
    call = using(server.url, connect_timeout=PATIENCE, timeout=0.25)
    execute(store, login(session()))
    call(Count(START))
    released = threading.Event()

    def step() -> Generator[Any, Any, None]:
        yield "of_user", "alice"
        released.wait(PATIENCE)

    with ThreadPoolExecutor(2) as threads:
        holder = threads.submit(store.together, "alice", total=False, begin=step)
        while not admin.execute("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'").fetchone():
            assert not holder.done()
        waiting = threads.submit(call, login(session("new"), user_limit=1, evict=True))
        while not admin.execute(WAITED).fetchone():
            assert not waiting.done(), waiting.exception()
        released.set()
        assert isinstance(waiting.result(), Opened)


def test_a_limit_of_one_holds_in_sixty_races(store: PostgresStore) -> None:
    with ThreadPoolExecutor(4) as threads:
        for number in range(60):
            logins = [login(session(f"{number}-{n}", f"user {n}"), limit=1) for n in range(4)]
            answers = list(threads.map(partial(execute, store), logins))
            (opened,) = [answer for answer in answers if isinstance(answer, Opened)]
            execute(store, Close(opened.row.sid, START))


def test_the_number_of_rows_is_kept(store: PostgresStore, admin: psycopg.Connection[Any]) -> None:
    for number in range(9):
        row = session(number, f"user {number % 3}", expires_at=START + number + 1)
        execute(store, login(row, limit=20 if number % 2 else None))
    assert tallied(admin) == counted(admin) == 9
    execute(store, CloseUser("user 1", None, START))
    execute(store, Sweep(START + 2, 1))
    execute(store, Read(named(3, "user 0"), START + HOUR))
    execute(store, login(session("new", "user 2"), existing="replace"))
    assert tallied(admin) == counted(admin) > 0
    execute(store, login(session("other"), START + MINUTE))  # a few expired go with it
    assert tallied(admin) == counted(admin) == 2


@pytest.mark.parametrize(("least", "counted"), [(5000, 0), (2000, 1000), (-1, 3000)])
def test_a_limit_counts_no_more_of_the_expired_than_it_must(
    store: PostgresStore, admin: psycopg.Connection[Any], least: int, counted: int
) -> None:
    """A night may leave millions of them: a login that counts all would never end in time."""
    admin.execute(
        "INSERT INTO sessiongate.session SELECT 'old ' || i, '', 0, '' "
        "FROM generate_series(1, 3000) i"
    )
    explained = f"EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF) {store._live_now}"
    lines = [
        str(line) for (line,) in admin.execute(explained.encode(), (START, least, least)).fetchall()
    ]
    (index,) = [line for line in lines if "Limit" in line]
    assert f"actual rows={counted} " in index.replace(".00 ", " ")


@pytest.mark.parametrize("evict", [True, False])
def test_rows_that_somebody_else_removed_keep_nobody_out(
    store: PostgresStore,
    admin: psycopg.Connection[Any],
    evict: bool,  # noqa: FBT001
) -> None:
    for number in range(3):
        execute(store, login(session(number), limit=3))
    admin.execute("DELETE FROM sessiongate.session WHERE sid <> %s", (named(2),))
    for name in ("new", "newer"):
        answer = execute(store, login(session(name), limit=3, evict=evict))
        assert isinstance(answer, Opened)
        assert not answer.evicted
    assert tallied(admin) == counted(admin) == 3


def test_a_table_that_was_emptied_has_no_rows(
    store: PostgresStore, admin: psycopg.Connection[Any]
) -> None:
    execute(store, login(session()))
    admin.execute("TRUNCATE sessiongate.session")
    assert tallied(admin) == counted(admin) == 0


def tallied(admin: psycopg.Connection[Any]) -> Any:
    (number,) = admin.execute("SELECT coalesce(sum(sessions), 0) FROM sessiongate.tally").fetchone()  # type: ignore[misc] # there is one
    return number


def counted(admin: psycopg.Connection[Any]) -> Any:
    (number,) = admin.execute("SELECT count(*) FROM sessiongate.session").fetchone()  # type: ignore[misc] # likewise
    return number


# Connections that are not as they were.


def test_a_restart_is_not_noticed_however_many_connections_there_were(
    fragile: PostgresServer,
) -> None:
    store = PostgresStore(fragile.url, connect_timeout=PATIENCE, timeout=PATIENCE, max_size=6)

    async def all_at_once() -> None:
        counts = await asyncio.gather(*(aexecute(store, Count(START)) for _ in range(12)))
        assert len(set(counts)) == 1

    with ThreadPoolExecutor(6) as threads, asyncio.Runner() as runner:
        for again in (True, False):
            with held(store, 6):
                pass
            runner.run(all_at_once())
            assert len(set(threads.map(partial(execute, store), [Count(START)] * 12))) == 1
            if again:
                fragile.stop()
                fragile.start()
        runner.run(store.aclose())


def test_a_server_that_freezes_before_the_first_use_is_an_error_within_a_second(
    fragile: PostgresServer, using: Callable[..., Call]
) -> None:
    call = using(fragile.url, **UNHURRIED)
    fragile.freeze()
    fails_in_time(call)
    fails_in_time(call)


def test_an_interrupted_wait_leaves_no_answer_behind(
    server: PostgresServer, admin: psycopg.Connection[Any]
) -> None:
    # Long enough for the interruption to come first on a busy machine.
    store = PostgresStore(server.url, connect_timeout=PATIENCE, timeout=10, max_size=1)
    execute(store, login(session("one")))
    execute(store, login(session("two", "bob")))
    admin.execute("BEGIN")
    admin.execute("LOCK TABLE sessiongate.session")

    def interrupt() -> None:
        until_somebody_waits_for_a_lock(server)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    with ThreadPoolExecutor(1) as thread:
        thread.submit(interrupt)
        with pytest.raises(KeyboardInterrupt):
            execute(store, Read(named("one"), START))
    admin.execute("ROLLBACK")
    assert execute(store, Read(named("two", "bob"), START)) == session("two", "bob")
    store.close()


def test_many_open_files_do_not_matter(store: PostgresStore) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 1300:
        pytest.skip("needs 1300 open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1300), hard))
    with contextlib.ExitStack() as stack:
        for _ in range(1100):
            stack.callback(os.close, os.dup(0))
        assert execute(store, Count(START)) == 0
        assert execute(store, Count(START)) == 0
        assert asyncio.run(aexecute(store, Count(START))) == 0
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_settings_in_the_url_are_kept(server: PostgresServer) -> None:
    url = f"{server.url}?options=-c%20work_mem%3D5MB&client_encoding=latin1"
    store = PostgresStore(url, connect_timeout=PATIENCE, timeout=2)
    execute(store, Count(START))
    names = ("work_mem", "statement_timeout", "client_encoding")

    def ask() -> Generator[Any, Any, Any]:
        return (yield "SELECT " + ", ".join(["current_setting(%s)"] * 3), names)

    assert store._run(ask()) == [("5MB", "1600ms", "UTF8")]
    store.close()


# Tables that are not as they were.


def test_tables_that_somebody_dropped_are_made_again(
    server: PostgresServer, admin: psycopg.Connection[Any], using: Callable[..., Call]
) -> None:
    call = using(server.url, schema="dropped", timeout=PATIENCE, connect_timeout=PATIENCE)
    for _ in range(2):
        call(login(session()))
        admin.execute("DROP SCHEMA dropped CASCADE")
        with pytest.raises(StoreError):
            call(Count(START))
        assert call(Count(START)) == 0
    admin.execute("DROP SCHEMA dropped CASCADE")


def test_the_schema_can_be_applied_again(
    store: PostgresStore, admin: psycopg.Connection[Any]
) -> None:
    execute(store, login(session()))
    admin.execute(PostgresStore.schema().encode())
    assert execute(store, Count(START)) == 1


@pytest.mark.parametrize(
    "change",
    [
        "data = '{'",
        NEWER,
    ],
)
@pytest.mark.usefixtures("nothing_was_told_before")
def test_what_cannot_be_read_disturbs_no_login_and_no_logout(
    store: PostgresStore,
    admin: psycopg.Connection[Any],
    caplog: pytest.LogCaptureFixture,
    change: str,
) -> None:
    execute(store, login(session()))
    admin.execute(f"UPDATE sessiongate.session SET {change}".encode())
    caplog.clear()
    assert execute(store, touch(session(), START, generation=2**62, rotation=NOW)) is None
    reusing = login(session("new"), existing="reuse")
    assert isinstance(execute(store, reusing), Opened)
    assert execute(store, Close(named("one"), START)) is None
    (line,) = caplog.records
    assert "one" in line.getMessage()
    # Logging out everywhere ends what a newer version has opened as well.
    mine = (Ended(named("one"), "alice"), Ended(named("new"), "alice"))
    ended = execute(store, CloseUser("alice", None, START))
    assert ended in (mine, mine[1:])
    assert execute(store, Count(START)) == 0


def test_limits_larger_than_the_servers_numbers(store: PostgresStore) -> None:
    unlimited = login(session(), limit=10**30, user_limit=10**30)
    assert isinstance(execute(store, unlimited), Opened)
    assert execute(store, Sweep(START + HOUR, 10**30)) == 1


# Many processes.


def worker(task: str, url: str, *arguments: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, WORKER, task, url, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
    )


def test_the_limit_holds_across_processes(server: PostgresServer, store: PostgresStore) -> None:
    execute(store, Count(START))
    processes = [worker("logins", server.url, name, 10, 7) for name in "abcd"]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.flush()
    assert sum(int(process.communicate(timeout=60)[0]) for process in processes) == 7
    assert execute(store, Count(START)) == 7


@pytest.mark.parametrize("rounds", [5, pytest.param(50, marks=pytest.mark.slow)])
def test_what_was_acknowledged_survives_sigkill(
    server: PostgresServer, store: PostgresStore, rounds: int
) -> None:
    execute(store, Count(START))
    random = Random(rounds)
    alive: set[str] = set()
    dead: set[str] = set()
    for number in range(rounds):
        process = worker("churn", server.url, number)
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(random.randrange(1, 200))]
        process.kill()
        lines += process.stdout.readlines()
        process.communicate(timeout=60)
        for line in lines:
            what, sid = line.decode().split()
            if what == "in":
                alive.add(sid)
            elif what == "leaving":
                alive.discard(sid)  # until it is acknowledged it may be either
            else:
                dead.add(sid)
    found = {sid for sid in alive | dead if execute(store, Read(sid, START))}
    assert alive <= found, "an acknowledged login is lost"
    assert not dead & found, "an acknowledged logout is undone"
    assert alive
    assert dead
