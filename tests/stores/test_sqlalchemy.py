"""SQLAlchemyStore on a real MariaDB: the engine stays the app's, and each fault has an outcome."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
import threading
import time
import traceback
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from functools import partial
from typing import TYPE_CHECKING, Any

import pymysql
import pytest
from sqlalchemy import Connection, Engine, MetaData, QueuePool, create_engine, event, make_url, text
from sqlalchemy.ext.asyncio import create_async_engine
from tests.stores.mariadb_server import MariaDBServer
from tests.stores.postgres_server import PostgresServer

from sessiongate import ConfigurationError, StoreError
from sessiongate.core.row import Record, Row
from sessiongate.stores import SQLAlchemyStore, open_store
from sessiongate.testing.commands import Close, Count, Read, aexecute, execute
from sessiongate.testing.contract._material import START, login, named, session
from sessiongate.testing.outcomes import Ended, LimitReached, Opened

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

    from sessiongate.testing.commands import Command

    Call = Callable[[Command], Any]

PATIENCE = 20
"""Seconds; where a test is not about waiting, a busy machine must not matter."""
PROMISED = 4
"""Seconds. The promise is one; the rest is for a machine that is busy with other tests, where
what is not bounded would take for ever."""
LIMITS: dict[str, Any] = {"connect_timeout": 1, "read_timeout": 1, "write_timeout": 1}
"""The time limits of PyMySQL, as the page on deployment sets them."""


@pytest.fixture(scope="module")
def shared_server() -> Iterator[MariaDBServer]:
    server = MariaDBServer()
    yield server
    server.close()


@pytest.fixture
def server(shared_server: MariaDBServer) -> MariaDBServer:
    """A server that stays up, with no tables."""
    with shared_server.admin() as admin:
        admin.cursor().execute("DROP TABLE IF EXISTS sessiongate_session, sessiongate_lock")
    return shared_server


@pytest.fixture
def fragile(server: MariaDBServer) -> Iterator[MariaDBServer]:
    """The same server, to be maltreated: up again when the test is over."""
    yield server
    with contextlib.suppress(AssertionError):
        server.thaw()
    server.kill()
    server.start()


@pytest.fixture
def admin(server: MariaDBServer) -> Iterator[pymysql.cursors.Cursor]:
    with server.admin() as connection, connection.cursor() as cursor:
        yield cursor


@pytest.fixture
def engine(server: MariaDBServer) -> Iterator[Engine]:
    engine = create_engine(server.url)
    yield engine
    engine.dispose()


@pytest.fixture
def store(engine: Engine) -> Iterator[SQLAlchemyStore]:
    store = SQLAlchemyStore(engine, timeout=PATIENCE)
    yield store
    store.close()


@pytest.fixture(params=["sync", "async"])
def using(request: pytest.FixtureRequest) -> Iterator[Callable[..., Call]]:
    """Makes an engine and a store, and gives what carries out commands, in both colours."""
    with contextlib.ExitStack() as stack:

        def use(url: str, *, timeout: float = 0.9, **options: Any) -> Call:
            if request.param == "sync":
                engine = create_engine(url, connect_args=LIMITS, **options)
                stack.callback(engine.dispose)
                return partial(execute, SQLAlchemyStore(engine, timeout=timeout))
            awaited = create_async_engine(make_url(url).set(drivername="mysql+asyncmy"), **options)
            store = SQLAlchemyStore(async_engine=awaited, timeout=timeout)
            runner = stack.enter_context(asyncio.Runner())
            stack.callback(lambda: runner.run(awaited.dispose()))
            return lambda command: runner.run(aexecute(store, command))

        yield use


def fails_in_time(call: Call) -> None:
    began = time.monotonic()
    with pytest.raises(StoreError):
        call(Read(named("one"), START))
    assert time.monotonic() - began < PROMISED


# The engine is the app's.


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"isolation_level": "AUTOCOMMIT"},
        {"isolation_level": "AUTOCOMMIT", "skip_autocommit_rollback": True},
        {"isolation_level": "READ UNCOMMITTED"},
        {"isolation_level": "SERIALIZABLE"},
        {"connect_args": {"autocommit": True}},
        {"connect_args": {"init_command": "SET SESSION tx_isolation = 'SERIALIZABLE'"}},
    ],
    ids=str,
)
def test_the_settings_of_a_connection_stay_and_do_not_matter(
    server: MariaDBServer, options: dict[str, Any]
) -> None:
    asked = "SELECT CONNECTION_ID(), @@autocommit, @@tx_isolation, @@in_transaction"

    def settings(engine: Engine) -> Any:
        with engine.connect() as connection:
            cursor: Any = connection.connection.cursor()
            cursor.execute(asked)
            return cursor.fetchone()

    engine = create_engine(server.url, pool_size=1, max_overflow=0, **options)
    store = SQLAlchemyStore(engine, timeout=PATIENCE)
    before = settings(engine)
    opened = [execute(store, login(session(name), limit=2)) for name in ("one", "two", "three")]
    assert list(map(type, opened)) == [Opened, Opened, LimitReached]
    _, (one, two) = store.of_user("alice")
    assert not store.commit("alice", [one, two._replace(data=b"?")], None, None, None, START)
    assert store.swap(two._replace(data=b"?"), None, START) == two.data
    assert store.commit("alice", [one], None, None, (1, 1), START)
    assert store.read(one.sid) is None
    assert store.count(START) == 1

    def broken() -> Generator[Any, Any, None]:
        yield "read", one.sid
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.together("alice", True, broken)  # noqa: FBT003 - of the protocol
    after = settings(engine)
    # A rollback that is skipped costs the connection.
    assert after[0] == before[0] or "skip_autocommit_rollback" in options
    assert after[1:] == before[1:]
    engine.dispose()


@pytest.mark.parametrize("level", ["READ UNCOMMITTED", "SERIALIZABLE"])
def test_a_read_sees_what_was_committed_and_waits_for_nobody(
    server: MariaDBServer, admin: pymysql.cursors.Cursor, level: str
) -> None:
    engine = create_engine(server.url, isolation_level=level, connect_args=LIMITS)
    store = SQLAlchemyStore(engine, timeout=PATIENCE)
    execute(store, login(session()))
    admin.execute("BEGIN")
    admin.execute("UPDATE sessiongate_session SET data = '?'")
    assert isinstance(execute(store, Read(named("one"), START)), Row)
    admin.execute("ROLLBACK")
    engine.dispose()


def test_a_snapshot_of_before_is_never_an_answer(
    server: MariaDBServer, store: SQLAlchemyStore
) -> None:
    """A lost swap looks at the row of now, also inside of a transaction."""
    execute(store, login(session()))
    _, (one,) = store.of_user("alice")
    other_engine = create_engine(server.url)
    other = SQLAlchemyStore(other_engine, timeout=PATIENCE)

    def step() -> Generator[Any, Any, Any]:
        first = yield "read", one.sid
        assert other.swap(one, one._replace(data=b"now"), START) is True
        lost = yield "swap", one, one._replace(data=b"mine"), START
        return first, lost

    assert store.together("bob", True, step) == (one.data, b"now")  # noqa: FBT003 - of the protocol
    other_engine.dispose()


def test_a_row_counts_as_changed_when_it_was_found(server: MariaDBServer) -> None:
    """Some engines are made without the flag by which MySQL counts so."""
    url = make_url(server.url)
    options: dict[str, Any] = {"host": url.host, "port": url.port, "user": url.username}

    def connect() -> Any:
        return pymysql.connect(**options, password=server.password, database=url.database)

    engine = create_engine("mysql+pymysql://", creator=connect)
    store = SQLAlchemyStore(engine, timeout=PATIENCE)
    execute(store, login(session()))
    _, (one,) = store.of_user("alice")
    assert store.swap(one, one, START) is True
    assert store.swap(one._replace(data=b"?"), one, START) == one.data
    assert store.swap(one, one._replace(expires_at=one.expires_at + 1), START) is True
    engine.dispose()


def test_names_are_compared_as_bytes(store: SQLAlchemyStore) -> None:
    names = ["alice", "Alice", "alice ", "álice", "\U0001f600" * 256]
    for number, name in enumerate(names):
        execute(store, login(session(str(number), name)))
    for number, name in enumerate(names):
        _, records = store.of_user(name)
        assert [(record.sid, record.username) for record in records] == [
            (named(str(number), name), name)
        ]


def test_an_exhausted_pool_is_a_fast_error(server: MariaDBServer) -> None:
    """Though the pool itself lets the app wait for half a minute."""
    engine = create_engine(server.url, pool_size=1, max_overflow=0)
    store = SQLAlchemyStore(engine, timeout=0.9)
    execute(store, login(session()))
    with engine.connect(), ThreadPoolExecutor(20) as threads:  # more than wait for one
        began = time.monotonic()
        asked = [threads.submit(store.count, 0) for _ in range(20)]
        failed = [one.exception() for one in asked]
        assert time.monotonic() - began < PROMISED
        assert all("pool_size or max_overflow" in str(error) for error in failed)
    assert store.count(START) == 1
    engine.dispose()


def test_two_who_go_for_the_last_free_connection_do_not_wait_for_the_pool(
    server: MariaDBServer,
) -> None:
    together, go_on = threading.Barrier(2), threading.Event()

    class Contended(QueuePool):
        def connect(self) -> Any:
            if not go_on.is_set():
                together.wait(PATIENCE)
            return super().connect()

    go_on.set()
    engine = create_engine(server.url, pool_size=1, max_overflow=0, poolclass=Contended)
    store = SQLAlchemyStore(engine, timeout=0.9)
    assert store.count(START) == 0
    go_on.clear()
    event.listen(engine, "checkout", lambda *_: go_on.wait(PATIENCE))
    with ThreadPoolExecutor(2) as threads:
        asked = [threads.submit(store.count, 0) for _ in range(2)]
        done, others = wait(asked, PATIENCE / 2, FIRST_COMPLETED)
        go_on.set()
        assert ["pool_size or max_overflow" in str(one.exception()) for one in done] == [True]
        assert [one.result(PATIENCE) for one in others] == [0]
    engine.dispose()


def test_an_exhausted_pool_is_a_fast_error_for_tasks(server: MariaDBServer) -> None:
    async def exhaust() -> None:
        engine = create_async_engine(server.async_url, pool_size=1, max_overflow=0)
        store = SQLAlchemyStore(async_engine=engine, timeout=0.9)
        await aexecute(store, login(session()))
        async with engine.connect():
            began = time.monotonic()
            with pytest.raises(StoreError, match="pool_size or max_overflow"):
                await aexecute(store, Count(START))
            assert time.monotonic() - began < PROMISED
        assert await aexecute(store, Count(START)) == 1
        await engine.dispose()

    asyncio.run(exhaust())


def test_a_cancelled_call_gives_its_connection_back(server: MariaDBServer) -> None:
    async def cancel_many() -> None:
        engine = create_async_engine(server.async_url, pool_size=2, max_overflow=0)
        store = SQLAlchemyStore(async_engine=engine, timeout=PATIENCE)
        for name in ("one", "two"):
            await aexecute(store, login(session(name, name)))
        for turns in range(40):
            calls = [
                asyncio.ensure_future(aexecute(store, Read(named("one", "one"), START)))
                for _ in range(4)
            ]
            for _ in range(turns % 10):
                await asyncio.sleep(0)
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
        answers = [
            await aexecute(store, Read(named(name, name), START)) for name in ("one", "two") * 4
        ]
        assert [row.username for row in answers if isinstance(row, Row)] == ["one", "two"] * 4
        assert engine.sync_engine.pool.checkedout() == 0  # type: ignore[attr-defined]
        await engine.dispose()

    asyncio.run(cancel_many())


FORK = """
import os, sys
from sqlalchemy import create_engine, text
from sessiongate.stores import SQLAlchemyStore
engine = create_engine(sys.argv[1])
store = SQLAlchemyStore(engine, timeout=20)
store.count(0)

def asked():
    with engine.connect() as connection:
        return connection.scalar(text("SELECT CONNECTION_ID()"))

before = asked()
child = os.fork()
assert store.count(0) == 0
if not child:
    os._exit(asked() == before)
assert asked() == before
assert os.waitpid(child, 0)[1] == 0
assert store.count(0) == 0
engine.dispose()
print("both work")
"""


def test_a_forked_process_makes_connections_of_its_own(server: MariaDBServer) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORK, server.url], capture_output=True, text=True, check=False
    )
    assert done.stdout == "both work\n", done.stderr


def test_an_engine_of_a_url_has_time_limits(fragile: MariaDBServer) -> None:
    with contextlib.closing(open_store(fragile.url, timeout=1)) as store:
        store.count(0)
        fragile.freeze()
        with ThreadPoolExecutor(1) as threads:
            failed = threads.submit(store.count, 0)
            try:
                assert isinstance(failed.exception(PATIENCE), StoreError)
            finally:
                fragile.thaw()


def test_the_rows_to_lock_are_there_all_at_once(tmp_path: Path) -> None:
    """In autocommit as well: a row that is missing would lock nobody out."""
    engine = create_engine(f"sqlite:///{tmp_path}/app.db", isolation_level="AUTOCOMMIT")
    made: list[bool] = []

    @event.listens_for(engine, "before_cursor_execute")
    def look(*said: Any) -> None:
        if "INSERT INTO sessiongate_lock" in said[2]:
            made.append(said[-1])

    SQLAlchemyStore(engine, timeout=PATIENCE).count(0)
    assert made == [False], "one statement, not one for each row"
    engine.dispose()


# Conflicts.


def lock_waits(server: MariaDBServer) -> int:
    """How often somebody has waited for a row, since the server started."""
    with server.admin() as admin, admin.cursor() as cursor:
        cursor.execute("SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_waits'")
        ((_, count),) = cursor.fetchall()
        return int(count)


def blocked(server: MariaDBServer, waits: int) -> None:
    """Return when somebody has waited so often."""
    until = time.monotonic() + PATIENCE
    while lock_waits(server) < waits:
        assert time.monotonic() < until, "nobody waits"


def test_a_deadlock_is_a_conflict_and_done_over(
    server: MariaDBServer, store: SQLAlchemyStore
) -> None:
    for name in ("one", "two"):
        execute(store, login(session(name)))
    _, records = store.of_user("alice")
    one, two = sorted(record.sid for record in records)
    with server.admin() as other, ThreadPoolExecutor(1) as threads:
        cursor = other.cursor()
        cursor.execute("CREATE TABLE IF NOT EXISTS ballast (id INT)")
        cursor.execute("BEGIN")
        # The server undoes the transaction that has changed less.
        cursor.execute("INSERT INTO ballast SELECT seq FROM seq_1_to_1000")
        lock = "SELECT 1 FROM sessiongate_session WHERE sid = %s FOR UPDATE"
        cursor.execute(lock, (two.encode(),))
        before = lock_waits(server)
        ended = threads.submit(store.commit, "alice", records, None, None, None, START)
        blocked(server, before + 1)
        cursor.execute(lock, (one.encode(),))
        cursor.execute("ROLLBACK")
        assert ended.result(PATIENCE) is True
    assert store.count(START) == 0


def test_who_has_waited_too_long_for_a_row_tries_again(server: MariaDBServer) -> None:
    limit = {"init_command": "SET SESSION innodb_lock_wait_timeout = 1"}
    engine = create_engine(server.url, connect_args=limit)
    store = SQLAlchemyStore(engine, timeout=PATIENCE)
    execute(store, login(session()))
    _, (one,) = store.of_user("alice")
    before = lock_waits(server)
    with server.admin() as other, ThreadPoolExecutor(1) as threads:
        other.cursor().execute("BEGIN")
        other.cursor().execute("SELECT 1 FROM sessiongate_session FOR UPDATE")
        ended = threads.submit(store.swap, one, None, START)
        blocked(server, before + 2)
        other.rollback()
        assert ended.result(PATIENCE) is True
    engine.dispose()


def test_a_transaction_that_was_undone_is_done_over_as_a_whole(server: MariaDBServer) -> None:
    """Not from where it was: its locks are gone."""
    limit = {"init_command": "SET SESSION innodb_lock_wait_timeout = 1"}
    engine = create_engine(server.url, connect_args=limit)
    store = SQLAlchemyStore(engine, timeout=PATIENCE)
    execute(store, login(session()))
    _, (one,) = store.of_user("alice")
    begun: list[int] = []

    def step() -> Generator[Any, Any, Any]:
        begun.append(1)
        return (yield "swap", one, one._replace(data=b"new"), START)

    before = lock_waits(server)
    with server.admin() as other, ThreadPoolExecutor(1) as threads:
        other.cursor().execute("BEGIN")
        other.cursor().execute("SELECT 1 FROM sessiongate_session FOR UPDATE")
        swapped = threads.submit(store.together, "alice", True, step)  # noqa: FBT003 - of the protocol
        blocked(server, before + 2)
        other.rollback()
        assert swapped.result(PATIENCE) is True
    assert len(begun) > 1
    engine.dispose()


def test_a_row_that_is_held_too_long_is_an_error_and_nothing_was_done(
    server: MariaDBServer, admin: pymysql.cursors.Cursor, using: Callable[..., Call]
) -> None:
    call = using(server.url)
    call(login(session()))
    admin.execute("BEGIN")
    admin.execute("SELECT 1 FROM sessiongate_session FOR UPDATE")
    assert isinstance(call(Read(named("one"), START)), Row), "who only reads waits for nobody"
    began = time.monotonic()
    with pytest.raises(StoreError):
        call(Close(named("one"), START))
    assert time.monotonic() - began < PROMISED
    admin.execute("ROLLBACK")
    assert call(Close(named("one"), START)) == Ended(named("one"), "alice")


# The server goes away and comes back.


@pytest.mark.slow
def test_a_killed_server_is_an_error_within_a_second_and_its_return_is_noticed(
    fragile: MariaDBServer, using: Callable[..., Call]
) -> None:
    call = using(fragile.url, timeout=PROMISED)
    assert isinstance(call(login(session())), Opened)
    fragile.kill()
    for _ in range(3):
        fails_in_time(call)
    fragile.start()
    assert isinstance(call(Read(named("one"), START)), Row), "what was acknowledged is there"


@pytest.mark.slow
def test_a_restart_between_two_calls_is_not_even_noticed(
    fragile: MariaDBServer, using: Callable[..., Call]
) -> None:
    call = using(fragile.url, timeout=PATIENCE)
    call(Count(START))
    fragile.stop()
    fragile.start()
    assert call(Count(START)) == 0


def test_a_frozen_server_is_an_error_in_time_and_goes_on_when_it_thaws(
    fragile: MariaDBServer, using: Callable[..., Call]
) -> None:
    call = using(fragile.url)
    call(Count(START))
    fragile.freeze()
    for _ in range(2):
        fails_in_time(call)
    fragile.thaw()
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        with contextlib.suppress(StoreError):
            assert call(Count(START)) == 0
            return
    pytest.fail("it did not recover")


class Cut:
    """Hands on what is said, until the next answer, which it keeps, and hangs up."""

    def __init__(self, port: int) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self._target = port
        self.port: int = self._server.getsockname()[1]
        self.cuts = threading.Event()
        self._threads: list[threading.Thread] = []
        self._ends: list[socket.socket] = []
        self._start(self._accept)

    def _start(self, target: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                upstream = socket.create_connection(("127.0.0.1", self._target))
                self._ends += [client, upstream]
                self._start(self._pump, client, upstream, False)  # noqa: FBT003
                self._start(self._pump, upstream, client, True)  # noqa: FBT003

    def _pump(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:  # noqa: FBT001
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if answers and self.cuts.is_set():
                    self.cuts.clear()
                    break
                sink.sendall(data)
            sink.shutdown(socket.SHUT_RDWR)
            source.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Hang up at the latest now."""
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for thread in self._threads:
            thread.join()
        for end in self._ends:
            end.close()


@pytest.fixture
def cut(server: MariaDBServer) -> Iterator[Cut]:
    cut = Cut(server.port)
    yield cut
    cut.close()


def test_after_a_lost_answer_nothing_is_repeated_but_a_read(
    server: MariaDBServer, cut: Cut, using: Callable[..., Call]
) -> None:
    call = using(server.url.replace(f":{server.port}/", f":{cut.port}/"), timeout=PATIENCE)
    assert isinstance(call(login(session())), Opened)
    cut.cuts.set()
    assert isinstance(call(Read(named("one"), START)), Row), "a read is asked again"
    cut.cuts.set()
    with pytest.raises(StoreError):
        call(login(session("two")))
    assert call(Count(START)) in {1, 2}


# The tables.


def test_many_may_make_the_tables_at_once(server: MariaDBServer) -> None:
    engines = [create_engine(server.url) for _ in range(8)]
    start = threading.Barrier(len(engines))

    def count(engine: Engine) -> int:
        store = SQLAlchemyStore(engine, timeout=PATIENCE)
        start.wait(PATIENCE)
        return store.count(0)

    with ThreadPoolExecutor(len(engines)) as threads:
        assert list(threads.map(count, engines)) == [0] * len(engines)
    for engine in engines:
        engine.dispose()
    with server.admin() as admin, admin.cursor() as cursor:
        assert cursor.execute("SELECT * FROM sessiongate_lock") == 64
        # The primary key, that of the sids, one of two columns, and that of the times.
        assert cursor.execute("SHOW INDEX FROM sessiongate_session") == 5


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("MODIFY username VARCHAR(255) NOT NULL", "column 'username'.*'Alice' for 'alice': ALTER"),
        ("MODIFY sid VARCHAR(64) COLLATE utf8mb4_bin", r"column 'sid'.*and not VARBINARY\(64\)"),
        ("DROP COLUMN data", "column 'data'.*is None"),
        ("DROP INDEX sessiongate_of_user, ENGINE Aria", "is kept by Aria.*ALTER it to InnoDB"),
    ],
)
def test_tables_that_would_break_a_promise_are_refused(
    admin: pymysql.cursors.Cursor, engine: Engine, change: str, says: str
) -> None:
    SQLAlchemyStore(engine, timeout=PATIENCE).count(0)
    admin.execute(f"ALTER TABLE sessiongate_session {change}")
    with pytest.raises(ConfigurationError, match=says):
        SQLAlchemyStore(engine, timeout=PATIENCE).count(0)


def test_tables_of_another_version_are_refused_by_name(
    admin: pymysql.cursors.Cursor, engine: Engine
) -> None:
    SQLAlchemyStore(engine, timeout=PATIENCE).count(0)
    for version, says in ((4, "a newer.*upgrade"), (2, "an older")):
        admin.execute("UPDATE sessiongate_lock SET version = %s", (version,))
        with pytest.raises(ConfigurationError, match=f"'sessiongate' was made by {says}"):
            SQLAlchemyStore(engine, timeout=PATIENCE).count(0)


def test_tables_that_are_not_to_be_made_are_missed_by_name(engine: Engine) -> None:
    store = SQLAlchemyStore(engine, timeout=PATIENCE, create=False)
    with pytest.raises(ConfigurationError, match=r"no table 'sessiongate_session'.*Alembic"):
        store.count(0)
    metadata = MetaData()
    assert SQLAlchemyStore.tables(metadata) is SQLAlchemyStore.tables(metadata)
    metadata.create_all(engine)
    assert store.count(0) == 0


def test_tables_that_were_dropped_are_made_again(
    admin: pymysql.cursors.Cursor, store: SQLAlchemyStore
) -> None:
    store.count(0)
    admin.execute("DROP TABLE sessiongate_session, sessiongate_lock")
    with pytest.raises(StoreError, match="sessiongate_session"):
        store.count(0)
    assert store.count(0) == 0


def test_two_apps_have_tables_of_their_own(engine: Engine, server: MariaDBServer) -> None:
    with server.admin() as admin:
        admin.cursor().execute("DROP DATABASE IF EXISTS auth")
        admin.cursor().execute("CREATE DATABASE auth")
    one = SQLAlchemyStore(engine, timeout=PATIENCE)
    other = SQLAlchemyStore(engine, timeout=PATIENCE, name="auth.admin")
    execute(one, login(session()))
    assert (one.count(START), other.count(START)) == (1, 0)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM auth.admin_session")) == 0


# Other databases.


def begins_by_itself(engine: Engine) -> None:
    """As some apps do, so that SQLite's transactions are what SQLAlchemy takes them for."""

    @event.listens_for(engine, "connect")
    def connect(connection: Any, _: object) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")


def limits_hold_and_errors_undo(engine: Engine) -> None:
    store = SQLAlchemyStore(engine, timeout=PATIENCE)
    with ThreadPoolExecutor(8) as threads:
        opened = threads.map(
            lambda number: execute(store, login(session(str(number)), limit=3)), range(8)
        )
        assert sorted(type(one).__name__ for one in opened) == ["LimitReached"] * 5 + ["Opened"] * 3
    _, records = store.of_user("alice")

    def broken() -> Generator[Any, Any, None]:
        assert (yield "commit", "alice", records, None, None, None, START)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.together("alice", True, broken)  # noqa: FBT003 - of the protocol
    assert store.count(START) == 3
    assert store.swap(records[0], None, START) is True
    assert store.sweep(records[1].expires_at, 9) == 2
    engine.dispose()


@pytest.mark.parametrize("options", [{}, {"isolation_level": "AUTOCOMMIT"}, None], ids=str)
def test_sqlite_in_each_way_to_begin_a_transaction(
    tmp_path: Path, options: dict[str, Any] | None
) -> None:
    limits = {"timeout": PATIENCE}
    engine = create_engine(f"sqlite:///{tmp_path}/app.db", connect_args=limits, **options or {})
    if options is None:
        begins_by_itself(engine)
    limits_hold_and_errors_undo(engine)


@pytest.mark.slow
def test_postgresql_at_each_isolation_level() -> None:
    server = PostgresServer()
    server.start()
    url = server.url.replace("postgresql:", "postgresql+psycopg:")
    for level in ("AUTOCOMMIT", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"):
        with server.admin() as admin:
            admin.execute("DROP TABLE IF EXISTS sessiongate_session, sessiongate_lock")
        engine = create_engine(url, isolation_level=level)
        limits_hold_and_errors_undo(engine)
        with engine.connect() as connection:
            fairy: Any = connection.connection
            assert bool(fairy.autocommit) is (level == "AUTOCOMMIT")
            if not fairy.autocommit:
                assert connection.get_isolation_level() == level
        engine.dispose()
    server.close()


# What is no engine, and what is said.


def test_what_is_no_engine_is_an_error_that_names_the_remedy(tmp_path: Path) -> None:
    awaited = create_async_engine("sqlite+aiosqlite:////tmp/x.db")
    made: Any = SQLAlchemyStore
    for arguments, says in (
        ((), "engine: give the engine"),
        (("mysql+pymysql://there/x",), "engine must be of Engine, not str"),
        ((awaited,), "engine must be of Engine, not AsyncEngine"),
        ((create_engine("sqlite://"),), "MemoryStore"),
        ((create_engine("sqlite:///:memory:"),), "MemoryStore"),
    ):
        with pytest.raises(ConfigurationError, match=says):
            made(*arguments)
    with pytest.raises(ConfigurationError, match="plain lower-case name"):
        made(async_engine=awaited, name="x; DROP")
    with pytest.raises(ConfigurationError, match=r"engine: .* cannot be called"):
        made(async_engine=awaited).count(0)
    with pytest.raises(ConfigurationError, match=r"async_engine: .* cannot be awaited"):
        asyncio.run(made(create_engine(f"sqlite:///{tmp_path}/x.db")).acount(0))


def test_another_database_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = create_engine("sqlite:////tmp/x.db")
    monkeypatch.setattr(engine.dialect, "name", "oracle")
    with pytest.raises(ConfigurationError, match="oracle is not one of MySQL, MariaDB"):
        SQLAlchemyStore(engine)


@pytest.mark.parametrize("module", ["sqlalchemy", "sqlalchemy.ext.asyncio"])
def test_without_sqlalchemy_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, engine: Engine, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigurationError, match=r"pip install 'sessiongate\[sqlalchemy\]'"):
        SQLAlchemyStore(engine)


def test_a_closed_store_says_so_and_leaves_the_engine_alone(
    store: SQLAlchemyStore, engine: Engine
) -> None:
    store.count(0)
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.count(0)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT 1")) == 1


def test_no_message_shows_a_password_a_statement_or_a_session(
    server: MariaDBServer, store: SQLAlchemyStore
) -> None:
    execute(store, login(session()))
    record = Record(named("one"), "bob", 1, b"secret data")
    url = make_url(server.url).set(username="nobody")
    refused = SQLAlchemyStore(create_engine(url), timeout=PATIENCE)
    for call in (
        partial(store.commit, "bob", (), record, None, None, START),
        partial(refused.count, 0),
    ):
        with pytest.raises(StoreError) as raised:
            call()
        said = "".join(traceback.format_exception(raised.value)) + repr(refused) + repr(store)
        assert "MySQL failed: " in said
        for secret in (server.password, named("one"), "secret data", "INSERT"):
            assert secret not in said
