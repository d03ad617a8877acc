"""What a million sessions cost beside a thousand: ``make bench-scale``. Never fails on a number."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import random
import resource
import sqlite3
import time
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import psycopg
from redis import Redis

import plots
from backends import apart, postgres_server, redis_server
from measure import Case, interleaved
from promises import Kept
from report import Report
from requesting import SECRET
from sessiongate import SessionManager
from sessiongate.core.row import SECOND
from sessiongate.stores import MemoryStore, PostgresStore, RedisStore, SQLiteStore
from sessiongate.testing import ManualClock
from sessiongate.testing.commands import List, execute

if TYPE_CHECKING:
    from collections.abc import Callable

    from sessiongate.stores import Store

FEW: Final = 1_000
CLIENTS: Final = 64
"""Sessions that are asked for in turn, however many there are."""
BATCH_SIZE: Final = 500
"""Rows in one step of a purge, as the manager takes it."""

_PATIENCE: Final = 10
"""Seconds; a busy machine may make a server slow, and a refusal would be no measurement."""

_SQLITE_FILL: Final = """
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
    INSERT INTO session (sid, username, expires_at, data)
    SELECT printf('%022d', i), 'user' || i, {now} + 3600000000, zeroblob(150) FROM n"""
_POSTGRES_FILL: Final = """
    INSERT INTO sessiongate.session
    SELECT lpad(i::text, 22, '0'), 'user' || i, {now} + 3600000000, repeat(' ', 150)::bytea
    FROM generate_series(1, {count}) i;
    ANALYZE sessiongate.session"""


def _manager(store: Store, clock: Callable[[], float] = time.time) -> SessionManager:
    return SessionManager(
        max_concurrent_sessions=None, store=store, secret_key=SECRET, clock=clock, existing="new"
    )


def _verbs(name: str, manager: SessionManager, count: int) -> dict[str, Case]:
    """The verbs whose cost must not grow, on a manager that has ``count`` sessions."""
    tokens = cycle([manager.create_session(f"client{i}") or "" for i in range(CLIENTS)])

    def check() -> None:
        assert manager.validate_session(next(tokens))  # noqa: S101

    def log_in_and_out() -> None:
        manager.invalidate_session(manager.create_session("carol") or "")

    def devices() -> None:
        assert len(manager.user_sessions("client7")) == 1  # noqa: S101

    said = f"{name}, {count:,} sessions"
    return {
        "check": Case(f"{said}: check", check, "ours"),
        "login and logout": Case(f"{said}: login and logout", log_in_and_out, "ours"),
        "list of devices": Case(f"{said}: list of devices", devices, "ours"),
    }


def _check_of_anyone(manager: SessionManager, store: MemoryStore, count: int) -> Case:
    """Sessions at random: of many, neither we nor the caches of the processor know the next one."""
    rows = execute(store, List(None, manager.now()))
    chosen = random.Random(count).choices(rows, k=20_000)  # noqa: S311 - no secret
    tokens = cycle([manager.operations.codec.mint(row) for row in chosen])

    def check() -> None:
        assert manager.validate_session(next(tokens))  # noqa: S101

    return Case(f"memory, {count:,} sessions: check of anyone", check, "ours")


def _resident() -> int:
    """Bytes of this process in memory, now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


def _fill(manager: SessionManager, clock: ManualClock, count: int) -> float:
    """Open sessions over half an hour, each by a user of its own: bytes that one took."""
    gc.collect()
    before = _resident()
    for number in range(count):
        clock.advance(1800 / count)
        manager.create_session(f"user{number}")
    gc.collect()
    return (_resident() - before) / count


def _purge(manager: SessionManager, store: MemoryStore, clock: ManualClock) -> list[float]:
    """Let a tenth of the sessions expire and purge it: milliseconds that each bite took.

    In time of the processor, which nobody else can take: the lock is held for as long.
    """
    manager.cleanup_expired_sessions()
    clock.advance(1800 + 180)
    bites = []
    now = round(clock() * SECOND)
    while True:
        start = time.thread_time()
        removed = store.sweep(now, BATCH_SIZE)
        bites.append((time.thread_time() - start) * 1000)
        if removed != BATCH_SIZE:
            return bites


def _fill_sqlite(store: SQLiteStore, path: Path, count: int) -> None:
    _manager(store).n_active_sessions()  # makes the tables
    with sqlite3.connect(path) as connection:
        connection.executescript(_SQLITE_FILL.format(count=count, now=time.time_ns() // 1000))
    connection.close()


def _fill_postgres(store: PostgresStore, url: str, count: int) -> None:
    _manager(store).n_active_sessions()  # makes the tables
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_POSTGRES_FILL.format(count=count, now=time.time_ns() // 1000).encode())


def _redis_bytes(url: str, count: int) -> float:
    """What Redis itself says that one session took."""
    client: Any = Redis.from_url(url)
    store = RedisStore(url, timeout=_PATIENCE)
    manager = _manager(store)
    manager.create_session("first")
    before = client.info("memory")["used_memory"]
    for number in range(count):
        manager.create_session(f"user{number:06}")
    taken: float = (client.info("memory")["used_memory"] - before) / count
    store.close()
    return taken


async def measure(folder: Path, redis: str | None, postgres: list[str], many: int) -> None:
    """Fill all stores twice, with few and with many, and compare."""
    sizes = (FEW, many)
    by_store: dict[str, list[dict[str, Case]]] = {"memory": [], "SQLite": [], "PostgreSQL": []}
    numbers: list[tuple[str, str]] = []
    kept: list[Kept] = []
    memory = [(MemoryStore(), ManualClock()) for _ in sizes]
    taken: list[float] = []
    managers = [_manager(store, clock) for store, clock in memory]
    for (store, clock), manager, size in zip(memory, managers, sizes, strict=True):
        taken.append(_fill(manager, clock, size))
        verbs = _verbs("memory", manager, size)
        verbs["check of anyone"] = _check_of_anyone(manager, store, size)
        by_store["memory"].append(verbs)
    numbers.append((f"memory: bytes of one of {many:,} sessions (resident)", f"{taken[-1]:.0f}"))
    kept.append(Kept("bytes of a session in memory", 600, taken[-1]))
    for size in sizes:
        path = folder / f"{size}.db"
        sqlite = SQLiteStore(path, timeout=_PATIENCE)
        _fill_sqlite(sqlite, path, size)
        by_store["SQLite"].append(_verbs("SQLite", _manager(sqlite), size))
    for url, size in zip(postgres, sizes, strict=False):
        remote = PostgresStore(url, timeout=_PATIENCE)
        _fill_postgres(remote, url, size)
        by_store["PostgreSQL"].append(_verbs("PostgreSQL", _manager(remote), size))
    cases = [case for verbs in by_store.values() for one in verbs for case in one.values()]
    await interleaved(cases)

    report = Report("scale", "make bench-scale", ("sessiongate", "psycopg", "redis"))
    lines: dict[str, list[tuple[float, float]]] = {}
    for name, (few, lots) in ((n, v) for n, v in by_store.items() if v):
        report.table(
            f"{name}: µs, best",
            ("case", *(f"{size:,} sessions" for size in sizes), "ratio"),
            [(verb, *_compared(few[verb], lots[verb])) for verb in few],
        )
        for verb in few:
            ratio = lots[verb].minimum / few[verb].minimum
            kept.append(Kept(f"{name}: {verb}, {many:,} against {FEW:,} sessions", 1.5, ratio))
            lines[f"{name}: {verb}"] = list(zip(sizes, (1.0, ratio), strict=True))
    bites = _purge(managers[-1], memory[-1][0], memory[-1][1])
    numbers += [
        (
            f"memory: sessions purged, in bites of {BATCH_SIZE}",
            f"{(len(bites) - 1) * BATCH_SIZE:,}",
        ),
        ("memory: ms of the processor for the longest bite", f"{max(bites):.2f}"),
        ("memory: ms of the processor for the middle one", f"{sorted(bites)[len(bites) // 2]:.2f}"),
    ]
    kept.append(Kept("memory: ms that a purge holds the lock", 5, max(bites)))
    if redis is not None:
        numbers.append(("Redis: bytes of a session", f"{_redis_bytes(redis, 5_000):.0f}"))
    report.table("Numbers", ("number", "measured"), numbers)
    report.promises(kept)
    report.save()
    plots.lines(
        "costs-scale",
        "What a verb costs, by live sessions",
        ("live sessions", f"times the cost with {FEW:,}"),
        lines,
        logarithmic=True,
    )


def _compared(few: Case, lots: Case) -> tuple[str, str, str]:
    return f"{few.minimum:.1f}", f"{lots.minimum:.1f}", f"{lots.minimum / few.minimum:.2f}"


def main() -> None:
    """Read the command line, start the servers, measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=1_000_000)
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        with apart():
            redis = stack.enter_context(redis_server())
            servers = [stack.enter_context(postgres_server()) for _ in range(2)]
        postgres = [url for url in servers if url is not None]
        asyncio.run(measure(folder, redis, postgres, options.sessions))


if __name__ == "__main__":
    main()
