"""What SQLiteStore promises beyond the contract: files, processes, failures."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest

from sessiongate import ConfigurationError, JWTSessionManager, SessionManager, StoreError
from sessiongate.core.rotation import NEVER, NOW
from sessiongate.core.row import FOREVER
from sessiongate.stores import SQLiteStore
from sessiongate.testing import ManualClock
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
from sessiongate.testing.contract._material import (
    HOUR,
    MINUTE,
    POLICY,
    START,
    login,
    named,
    session,
    touch,
)
from sessiongate.testing.outcomes import Ended, Opened, Rotated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sessiongate.testing.commands import Command

WORKER = Path(__file__).with_name("sqlite_worker.py")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessions.db"


@pytest.fixture
def store(path: Path) -> Iterator[SQLiteStore]:
    store = SQLiteStore(path, timeout=60)
    yield store
    store.close()


@pytest.fixture
def hasty(path: Path) -> Iterator[SQLiteStore]:
    """A store that does not wait for a lock."""
    store = SQLiteStore(path, timeout=0.01)
    yield store
    store.close()


@pytest.fixture
def other(path: Path) -> Iterator[sqlite3.Connection]:
    """Another connection to the file, as another process has it."""
    store = SQLiteStore(path, timeout=60)
    execute(store, Count(START))
    store.close()
    connection = sqlite3.connect(path, isolation_level=None)
    yield connection
    connection.close()


def worker(task: str, path: Path, *arguments: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, WORKER, task, str(path), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def said(process: subprocess.Popen[bytes]) -> list[str]:
    output, _ = process.communicate(b"go\n", timeout=60)
    assert process.returncode == 0
    return output.decode().split()


# The file.


def test_sessions_survive_a_restart(path: Path) -> None:
    first = SQLiteStore(path)
    row = session(scopes_and_claims='{"claims":{"a":1},"scopes":["read"]}', device='"pad"')
    execute(first, login(row))
    rotated = execute(first, touch(row, START + POLICY.rotate_after))
    assert isinstance(rotated, Rotated)
    first.close()
    second = SQLiteStore(path)
    assert execute(second, List(None, START)) == (rotated.row,)
    second.close()


def test_only_the_owner_may_read_the_files(store: SQLiteStore, path: Path) -> None:
    before = os.umask(0)
    try:
        execute(store, login(session()))
    finally:
        os.umask(before)
    modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    assert modes == {path.name + suffix: 0o600 for suffix in ("", "-wal", "-shm")}


def test_an_empty_file_will_do(path: Path) -> None:
    path.touch()
    store = SQLiteStore(str(path))
    assert isinstance(execute(store, login(session())), Opened)
    store.close()


def test_a_relative_path_stays_where_it_was(
    path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    store = SQLiteStore(path.name)
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    execute(store, login(session()))
    assert path.exists()
    store.close()


@pytest.mark.parametrize("unfit", [":memory:", ""])
def test_memory_is_another_store(unfit: str) -> None:
    with pytest.raises(ValueError, match=r"path must name a file.*MemoryStore"):
        SQLiteStore(unfit)


def test_a_url_is_no_path() -> None:
    with pytest.raises(ValueError, match=r"not a URL; open_store\(url\)"):
        SQLiteStore("redis://localhost")


def test_a_path_is_text(path: Path) -> None:
    with pytest.raises(TypeError, match="path must be a str or a Path, not bytes"):
        SQLiteStore(os.fsencode(path))  # type: ignore[arg-type] # the mistake


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"path: the directory '.*nowhere' does not exist"):
        SQLiteStore(tmp_path / "nowhere" / "sessions.db")


@pytest.mark.parametrize(
    ("version", "says"), [(4, r"a newer sessiongate.*upgrade"), (2, r"an older sessiongate.*path")]
)
def test_a_file_of_another_version_is_left_alone(
    store: SQLiteStore, other: sqlite3.Connection, path: Path, version: int, says: str
) -> None:
    execute(store, login(session()))
    other.execute(f"PRAGMA user_version = {version}")
    late = SQLiteStore(path)
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=says):
            execute(late, Count(START))
    late.close()
    assert execute(store, Read(session().sid, START)) == session()
    assert other.execute("PRAGMA user_version").fetchone() == (version,)


# A file that is not the one it was.


def others(store: SQLiteStore) -> Iterator[Callable[[], object]]:
    """All that may be asked of a store, by calling and by awaiting."""
    row = session()
    commands: tuple[Command, ...] = (
        Read(row.sid, START),
        Count(START),
        login(row),
        Close(row.sid, START),
    )
    for command in commands:
        yield partial(execute, store, command)
        yield partial(asyncio.run, aexecute(store, command))


@pytest.mark.parametrize("what", ["removed", "moved", "replaced", "all of it removed"])
def test_a_file_that_is_gone_is_an_error_and_no_second_truth(
    store: SQLiteStore, path: Path, tmp_path: Path, what: str
) -> None:
    execute(store, login(session()))
    if what == "replaced":
        copy = SQLiteStore(tmp_path / "copy.db")
        execute(copy, login(session("another")))
        copy.close()
        (tmp_path / "copy.db").replace(path)
    elif what == "moved":
        path.rename(tmp_path / "elsewhere.db")
    else:
        for suffix in ("", "-wal", "-shm") if "all" in what else ("",):
            path.with_name(path.name + suffix).unlink()
    for ask in others(store):
        with pytest.raises(StoreError, match="removed or replaced"):
            ask()
    if what != "replaced":
        assert not path.exists(), "a new file would be an empty truth"
    if what == "moved":
        (tmp_path / "elsewhere.db").rename(path)
        assert execute(store, Read(session().sid, START)) == session()


def test_a_new_store_makes_no_file_beside_the_rest_of_another(
    store: SQLiteStore, path: Path
) -> None:
    execute(store, login(session()))
    path.unlink()
    late = SQLiteStore(path)
    with pytest.raises(StoreError, match="-wal' is still there"):
        execute(late, Count(START))
    assert not path.exists()
    late.close()
    store.close()
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink()
    again = SQLiteStore(path)
    assert execute(again, Count(START)) == 0
    again.close()


def test_the_use_of_a_file_that_was_replaced_ends_no_process(path: Path) -> None:
    assert said(worker("replaced", path)) == ["StoreError"] * 4


def test_a_database_of_another_application_is_left_alone(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (a)")
    connection.close()
    before = path.read_bytes()
    store = SQLiteStore(path)
    with pytest.raises(ConfigurationError, match=r"another application.*a file of its own"):
        execute(store, Count(START))
    store.close()
    assert path.read_bytes() == before


def test_nothing_is_searched_by_reading_all(store: SQLiteStore, other: sqlite3.Connection) -> None:
    statements: list[str] = []
    execute(store, login(session()))
    execute(store, Count(START))
    for lane in (store._reading, store._writing):
        assert lane.connection is not None
        lane.connection.set_trace_callback(statements.append)
    commands: list[Command] = [
        login(session(1), existing="reuse", user_limit=3, limit=4),
        login(session(2), replaces=(named(1),), limit=1, evict=True),
        login(session(3), user_limit=1, limit=1, evict=True),
        touch(session(3), START, rotation=NOW),
        login(session(4, "bob"), limit=1, evict=True),
        Close(named(4, "bob"), START),
        login(session(5)),
        CloseUser("alice", named(3), START),
        List("alice", START),
        Sweep(START + HOUR, 10),
        Count(START),
    ]
    for command in commands:
        execute(store, command)
    plans = [
        (statement, step)
        for statement in statements
        if statement.startswith(("SELECT", "DELETE", "UPDATE session"))
        for *_, step in other.execute(f"EXPLAIN QUERY PLAN {statement}")
    ]
    assert plans
    for statement, step in plans:
        # Read only as far as there is a limit: the oldest; and all, if the tally is lost.
        limited = "expires_at + 0" in statement or "count(*) FROM session))" in statement
        assert limited or not step.startswith("SCAN session"), statement
        assert "TEMP B-TREE" not in step, statement


def test_the_tally_is_right(store: SQLiteStore, other: sqlite3.Connection) -> None:
    for number in range(20):
        execute(store, login(session(number, f"user {number % 3}"), limit=9, evict=True))
    execute(store, CloseUser("user 1", None, START))
    execute(store, Sweep(START + HOUR, 2))
    assert other.execute("SELECT count(*) FROM session").fetchone() == (store.count(0),)


def test_rows_that_somebody_else_removed_keep_nobody_out(
    store: SQLiteStore, other: sqlite3.Connection
) -> None:
    for number in range(3):
        execute(store, login(session(number), limit=3))
    other.execute("DELETE FROM session WHERE sid <> ?", (named(2),))
    for name in ("new", "newer"):
        assert isinstance(execute(store, login(session(name), limit=3)), Opened)
    assert store.count(0) == 3


# What is stored is no credential, and is judged before it is believed.


def test_a_stolen_file_opens_nothing(path: Path) -> None:
    secret = "a secret of many characters, " * 3
    store = SQLiteStore(path)
    clock = ManualClock()
    tokens: list[str] = []
    for kind in (SessionManager, JWTSessionManager):
        manager = kind(store=store, secret_key=secret, existing="new", clock=clock)
        token = manager.create_session(kind.__name__, scopes=["read"], claims={"a": 1})
        assert token is not None
        refreshed = manager.refresh_session(token)
        assert refreshed is not None
        tokens += token, refreshed
    stolen = worker("show", path)
    content, _ = stolen.communicate(timeout=60)
    store.close()
    assert b"JWTSessionManager" in content, "nothing was read that could show anything"
    for token in tokens:
        *_, mac = token.split(".")
        assert len(mac) > 20
        for part in (token, mac, mac[:20]):
            assert part.encode() not in content
    assert secret[:16].encode() not in content


CORRUPTIONS = {
    "no JSON": b"{",
    "nothing": b"",
    "no text": bytes(range(256)),
    "an object": b"{}",
    "nested too deep": b"[" * 100_000,
    "a newer version": b"[4,1]",
}


@pytest.mark.usefixtures("nothing_was_told_before")
@pytest.mark.parametrize("data", CORRUPTIONS.values(), ids=CORRUPTIONS.keys())
def test_what_is_not_understood_is_no_session(
    store: SQLiteStore,
    other: sqlite3.Connection,
    caplog: pytest.LogCaptureFixture,
    data: bytes,
) -> None:
    bad, good = session("bad", device='"content"'), session("good")
    execute(store, login(bad))
    execute(store, login(good))
    other.execute("UPDATE session SET data = ? WHERE sid = ?", (data, bad.sid))
    _warned(caplog, partial(execute, store, touch(bad, START, rotation=NEVER)), 1)
    _warned(caplog, partial(execute, store, touch(bad, START, rotation=NOW)), 0)
    _warned(caplog, lambda: execute(store, Read(bad.sid, START)), 0)
    _warned(caplog, lambda: execute(store, Close(bad.sid, START)), 0)
    caplog.clear()
    assert execute(store, List(None, START)) == (good,)
    assert execute(store, List("alice", START)) == (good,)
    assert execute(store, login(session("new"), existing="reuse")) is not None
    assert execute(store, CloseUser("alice", None, START)) == (Ended(good.sid, "alice"),)
    assert other.execute("SELECT count(*) FROM session").fetchone() == (0,)


def test_a_name_that_is_no_text_fails_no_list(
    store: SQLiteStore, other: sqlite3.Connection
) -> None:
    execute(store, login(session()))
    execute(store, login(session("two", "bob")))
    other.execute("UPDATE session SET username = CAST(x'ff616c' AS TEXT) WHERE username = 'alice'")
    _, records = store.of_user("alice")
    assert records == []
    opened = [named("one"), named("two", "bob")]
    assert [record.sid for record in store.live(START, 9).records] == opened


def _warned(caplog: pytest.LogCaptureFixture, ask: Callable[[], object], lines: int) -> None:
    caplog.clear()
    assert ask() is None
    assert len(caplog.records) == lines
    if not lines:
        return
    record = caplog.records[0]
    assert (record.name, record.levelno) == ("sessiongate.stores", logging.WARNING)
    message = record.getMessage()
    assert "unreadable" in message
    assert "content" not in message
    assert "scopes" not in message


# Reading does not write.


def test_nothing_is_written_between_touches(store: SQLiteStore, other: sqlite3.Connection) -> None:
    row = session()
    execute(store, login(row))
    (before,) = other.execute("PRAGMA data_version").fetchone()
    for now in range(START, START + MINUTE, MINUTE // 50):
        for rotation in (0, 1):
            assert execute(store, touch(row, now, rotation=rotation)) == row
    for command in (
        Read(row.sid, START),
        Read("nobody", START),
        touch(row, START, generation=9),
        touch(session("nobody"), START),
        Close("nobody", START),
        Close(row.sid, START, username="bob"),
        CloseUser("bob", None, START),
        Sweep(START, 10),
        Count(START),
        List(None, START),
    ):
        execute(store, command)
    assert other.execute("PRAGMA data_version").fetchone() == (before,)
    execute(store, touch(row, START + MINUTE))
    assert other.execute("PRAGMA data_version").fetchone() != (before,)


# Failures.


def test_while_somebody_holds_the_file_reading_goes_on(
    hasty: SQLiteStore, other: sqlite3.Connection
) -> None:
    row, due = session(), START + POLICY.rotate_after
    execute(hasty, login(row))
    other.execute("BEGIN EXCLUSIVE")
    assert execute(hasty, touch(row, START)) == row
    assert execute(hasty, Read(row.sid, START)) == row
    assert execute(hasty, List(None, START)) == (row,)
    assert execute(hasty, Count(START)) == 1
    for command in (
        touch(row, due),
        touch(row, START, rotation=NOW),
        login(session(2)),
        Close(row.sid, START),
        CloseUser("alice", None, START),
        Sweep(START + HOUR, 1),
        Read(row.sid, START + HOUR),
    ):
        with pytest.raises(StoreError, match="OperationalError: database is locked") as failure:
            execute(hasty, command)
        assert isinstance(failure.value.__cause__, sqlite3.Error)
    other.execute("ROLLBACK")
    assert execute(hasty, Read(row.sid, START)) == row, "a call that failed has changed something"
    assert isinstance(execute(hasty, touch(row, due)), Rotated)


def test_while_somebody_holds_the_file_last_accessed_may_lag(
    hasty: SQLiteStore, other: sqlite3.Connection
) -> None:
    row = session()
    execute(hasty, login(row))
    other.execute("BEGIN EXCLUSIVE")
    assert execute(hasty, touch(row, START + MINUTE)).sid == row.sid
    assert execute(hasty, Read(row.sid, START)) == row
    other.execute("ROLLBACK")
    slid = replace(row, last_accessed=START + MINUTE)
    assert execute(hasty, touch(row, START + MINUTE)) == slid


def test_while_somebody_holds_the_file_first_sight_may_not_be_missed(
    hasty: SQLiteStore, other: sqlite3.Connection
) -> None:
    row = session(previous_until=FOREVER)
    execute(hasty, login(row))
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreError):
        execute(hasty, touch(row, START))


def test_a_new_store_reads_while_somebody_holds_the_file(
    hasty: SQLiteStore, other: sqlite3.Connection, path: Path
) -> None:
    row = session()
    execute(hasty, login(row))
    other.execute("BEGIN EXCLUSIVE")
    late = SQLiteStore(path, timeout=0.01)
    assert execute(late, touch(row, START)) == row
    late.close()


def test_a_file_that_is_no_database(path: Path) -> None:
    path.write_bytes(b"no database at all " * 100)
    store = SQLiteStore(path)
    for _ in range(2):
        with pytest.raises(StoreError, match="not a database"):
            execute(store, login(session()))
    path.unlink()
    assert isinstance(execute(store, login(session())), Opened), "recovery needs no restart"
    store.close()


def test_a_damaged_file(path: Path) -> None:
    store = SQLiteStore(path)
    for number in range(200):
        execute(store, login(session(number)))
    store.close()
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xa5" * (len(content) - 4096))
    store = SQLiteStore(path)
    for command in (login(session()), touch(session(1), START), List(None, START), Count(START)):
        with pytest.raises(StoreError):
            execute(store, command)
    store.close()


@pytest.mark.parametrize("made", ["file", "directory"])
def test_where_writing_is_forbidden(made: str) -> None:
    # Not in tmp_path, which nobody but its owner may enter.
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "sessions.db")
        if made == "file":
            store = SQLiteStore(path)
            execute(store, login(session()))
            store.close()
            path.chmod(0o444)
        Path(directory).chmod(0o555)
        answers = said(worker("read_only", path))
        Path(directory).chmod(0o700)
    assert answers == ["StoreError", "StoreError"]


def test_a_full_disk_and_room_again(path: Path) -> None:
    assert said(worker("full", path)) == ["full", "True", "True", "True"]


def test_closed_means_closed(path: Path) -> None:
    store = SQLiteStore(path)
    execute(store, login(session()))
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        execute(store, Count(START))

    async def later() -> None:
        await store.aclose()
        with pytest.raises(StoreError, match="closed"):
            await aexecute(store, Count(START))

    asyncio.run(later())
    assert [file.name for file in path.parent.iterdir()] == [path.name], "a connection was left"


# Threads, tasks, processes.


def test_threads_leave_no_connections_behind(store: SQLiteStore, path: Path) -> None:
    for number in range(50):
        thread = threading.Thread(target=execute, args=(store, login(session(number))))
        thread.start()
        thread.join()
    with ThreadPoolExecutor(32) as threads:
        reads = [Read(named(number), START) for number in range(50)]
        assert all(threads.map(partial(execute, store), reads))
    opened = Path("/proc/self/fd")
    if opened.exists():
        names = [link.readlink() for link in opened.iterdir() if link.is_symlink()]
        assert names.count(path) <= 2


def test_cancelled_requests_leak_nothing(path: Path) -> None:
    store = SQLiteStore(path, timeout=60)
    holder = sqlite3.connect(path, isolation_level=None)
    before = set(threading.enumerate())

    async def requests() -> None:
        row = session()
        await aexecute(store, login(row))
        holder.execute("BEGIN EXCLUSIVE")
        tasks = [
            asyncio.create_task(aexecute(store, touch(row, START, rotation=number % 3)))
            for number in range(500)
        ]
        await asyncio.sleep(0)  # now they are all on their way
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
        holder.execute("ROLLBACK")
        assert isinstance(await aexecute(store, login(session(2))), Opened)
        await store.aclose()

    asyncio.run(requests())
    holder.close()
    assert set(threading.enumerate()) == before
    assert [file.name for file in path.parent.iterdir()] == [path.name], "a connection was left"


def test_a_queue_that_is_too_long_is_a_fast_failure(path: Path) -> None:
    store = SQLiteStore(path, timeout=0.05)
    execute(store, login(session()))

    async def requests() -> list[object]:
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN EXCLUSIVE")
        logins = (aexecute(store, login(session(number))) for number in range(200))
        outcomes = await asyncio.gather(*logins, return_exceptions=True)
        holder.close()
        return list(outcomes)

    outcomes = asyncio.run(requests())
    assert all(isinstance(outcome, StoreError) for outcome in outcomes)
    assert any("too many calls wait for a thread" in str(outcome) for outcome in outcomes)
    store.close()


def test_many_event_loops(store: SQLiteStore) -> None:
    for number in range(3):
        assert isinstance(asyncio.run(aexecute(store, login(session(number)))), Opened)
    assert execute(store, Count(START)) == 3


def test_both_sides_of_a_fork(path: Path) -> None:
    assert said(worker("fork", path)) == ["42"]


def test_a_fork_while_threads_are_at_work(path: Path) -> None:
    assert said(worker("fork_at_work", path)) == ["10"]


def test_a_limit_holds_across_processes(path: Path) -> None:
    workers = [worker("logins", path, f"user {number}", 10, 7) for number in range(4)]
    for process in workers:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
    for process in workers:  # all at once, on a file that does not exist yet
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.flush()
    assert sum(int(said(process)[0]) for process in workers) == 7
    store = SQLiteStore(path)
    assert execute(store, Count(START)) == 7
    store.close()


@pytest.mark.parametrize("rounds", [5, pytest.param(50, marks=pytest.mark.slow)])
def test_what_was_acknowledged_survives_sigkill(path: Path, rounds: int) -> None:
    random = Random(rounds)
    alive: set[str] = set()
    dead: set[str] = set()
    for number in range(rounds):
        process = worker("churn", path, number)
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
        store = SQLiteStore(path)
        found = {sid for sid in alive | dead if execute(store, Read(sid, START))}
        store.close()
        assert alive <= found, f"round {number}: an acknowledged login is lost"
        assert not dead & found, f"round {number}: an acknowledged logout is undone"
    assert alive
    assert dead
