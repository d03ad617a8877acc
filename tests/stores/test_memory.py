"""The contract suite on the default store, and what it alone promises."""

from __future__ import annotations

import gc
import logging
import os
import time
import warnings
from dataclasses import replace
from itertools import count
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import pytest
from tests.stores.mutants import entries
from tests.stores.thorough import Thorough

from sessiongate import SessionManager
from sessiongate.core.row import SECOND
from sessiongate.stores import MemoryStore
from sessiongate.testing import ManualClock, StoreContract
from sessiongate.testing.commands import CloseUser, List, execute
from sessiongate.testing.contract._material import START, login, session, touch

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 10
"""Seconds until a child that hangs is a failure."""


class VerbsAlone(MemoryStore):
    """As a third party's: no decision is made under its lock."""

    replace = None  # type: ignore[assignment]
    together = None  # type: ignore[assignment]
    atogether = None  # type: ignore[assignment]


class TestMemoryStore(StoreContract):
    PROGRAMS, PAIRS, TRIPLES = 20, 100, 250  # the slow class below tries them all

    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()

    @pytest.fixture
    def footprint(self, store: MemoryStore) -> Callable[[], int]:
        return lambda: entries(store._records)


class TestVerbsAlone(StoreContract):
    PROGRAMS, PAIRS, TRIPLES = 20, 100, 250

    @pytest.fixture
    def store(self) -> MemoryStore:
        return VerbsAlone()


@pytest.mark.slow
@pytest.mark.parametrize("kind", [MemoryStore, VerbsAlone])
class TestThoroughly(Thorough):
    TRIPLES = 1_500

    @pytest.fixture
    def store(self, kind: type[MemoryStore]) -> MemoryStore:
        return kind()


def in_a_child(work: Callable[[], int]) -> int:
    """Fork, do some work in the child and wait for it: what it returned; -1 if it hangs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads and fork: that is the test
        child = os.fork()
    if child == 0:
        code = 99
        try:
            code = work()
        finally:
            os._exit(code)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        Event().wait(0.001)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return -1


def test_a_fork_among_writing_threads_hangs_no_child_and_tears_nothing() -> None:
    store, stop, names = MemoryStore(), Event(), count()

    def write() -> None:
        while not stop.is_set():
            row = session(next(names), f"user {next(names) % 7}")
            execute(store, login(row, limit=50, user_limit=5, evict=True))
            execute(store, touch(row, START + 1))
            if next(names) % 5 == 0:
                execute(store, CloseUser(row.username, None, START))

    def look() -> int:
        rows = execute(store, List(None, START))
        by_user = [row for n in range(7) for row in execute(store, List(f"user {n}", START))]
        whole = len(rows) == store.count(START) == len(by_user) and set(rows) == set(by_user)
        row = session("child")
        execute(store, login(row))
        return 0 if whole and store.read(row.sid) == row else 1

    threads = [Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        assert [in_a_child(look) for _ in range(32)] == [0] * 32
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def lines_of_a_child(caplog: pytest.LogCaptureFixture, work: Callable[[], object]) -> int:
    """How many warnings the work logs in a child."""

    def child() -> int:
        caplog.clear()
        work()
        found = [r for r in caplog.records if r.levelno == logging.WARNING]
        assert all("SQLiteStore or RedisStore" in r.getMessage() for r in found)
        return len(found)

    return in_a_child(child)


USES: dict[str, Callable[[SessionManager, str], object]] = {
    "check": lambda m, token: m.validate_session(token),
    "login": lambda m, _: m.create_session("bob"),
    "listing": lambda m, _: m.user_sessions("alice"),
    "count": lambda m, _: m.n_active_sessions(),
    "all": lambda m, _: list(m.sessions),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_sessions_of_another_process_are_logged_once(
    caplog: pytest.LogCaptureFixture, use: Callable[[SessionManager, str], object]
) -> None:
    managers = [SessionManager(), SessionManager()]
    tokens = [manager.create_session("alice") or "" for manager in managers]

    def work() -> None:
        for _ in range(2):
            for manager, token in zip(managers, tokens, strict=True):
                use(manager, token)

    assert lines_of_a_child(caplog, work) == 1
    assert lines_of_a_child(caplog, lambda: None) == 0, "nobody asked"
    caplog.clear()
    work()
    assert not [r for r in caplog.records if r.levelno == logging.WARNING], "its own process"


def test_what_a_process_fills_itself_is_no_news(caplog: pytest.LogCaptureFixture) -> None:
    manager = SessionManager()

    def work() -> None:
        assert manager.validate_session(manager.create_session("alice") or "")

    assert lines_of_a_child(caplog, work) == 0
    in_a_child(lambda: 0)
    work()
    assert not [r for r in caplog.records if r.levelno == logging.WARNING]


def test_all_use_of_it_is_bounded_by_what_lives() -> None:
    store, clock = MemoryStore(), ManualClock()
    manager = SessionManager(store=store, max_concurrent_sessions=None, clock=clock)
    for number in range(3_000):
        token = manager.create_session(f"user {number % 10}", existing="new")
        assert manager.validate_session(token or "")
        manager.invalidate_session(token or "")
        clock.advance(0.01)
    assert entries(store._records) == len(store._records._chunks) == 0
    assert len(store._records._seconds) <= 31
    clock.advance(10_000)
    manager.cleanup_expired_sessions()
    assert store._records._seconds == []


def test_sessions_that_are_extended_leave_nothing_behind() -> None:
    store, many = MemoryStore(), 20
    rows = [session(number, "alice", expires_at=START + SECOND) for number in range(many)]
    for row in rows:
        execute(store, login(row))
    for second in range(2, 5_000):
        place = second % many
        new = replace(rows[place], expires_at=START + second * SECOND)
        assert store.replace(rows[place], new)
        rows[place] = new
        assert len(store._records._seconds) <= 2 * many + 20
    newest = max(row.expires_at for row in rows)
    for now in (START, newest - 10 * SECOND, newest - 1, newest):
        assert store.count(now) == sum(now < row.expires_at for row in rows)
    assert store.sweep(newest - 10 * SECOND, many) == many - 10
    assert store.sweep(newest, many) == 10
    assert entries(store._records) == 0
    assert store._records._seconds == []


@pytest.mark.slow
def test_a_batch_of_a_purge_is_short_and_pages_begin_anywhere() -> None:
    store, many = MemoryStore(), 200_000
    for number in range(many):
        row: Any = session(number, f"user {number}", expires_at=START + number * 20)
        execute(store, login(row, now=START - 1))
    gc.collect()
    place, seen = None, 0
    while True:
        start = time.thread_time()
        records, place = store.live(START - 1, 500, place)
        assert time.thread_time() - start < 0.02
        seen += len(records)
        if place is None:
            break
    assert seen == many
    start = time.thread_time()
    assert store.sweep(START + many * 20, 500) == 500
    assert time.thread_time() - start < 0.02


def test_a_session_of_another_worker_is_told_once_and_an_ended_one_is_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Two workers with one key and a store of memory each: half of the requests are nobody's."""
    here, there = (SessionManager(secret_key="k" * 64) for _ in range(2))
    ended = here.create_session("alice") or ""
    here.invalidate_session(ended)
    assert here.validate_session(ended) is None
    assert not [line for line in caplog.records if line.levelno >= logging.WARNING]
    for _ in range(2):
        assert here.validate_session(there.create_session("bob") or "") is None
    (line,) = [line for line in caplog.records if line.levelno >= logging.WARNING]
    assert "another process" in line.getMessage()
    assert "SQLiteStore" in line.getMessage()
