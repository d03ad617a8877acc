"""What a million sessions cost beside a thousand: ``make bench-scale``. Never fails on a number.

In PostgreSQL, ten million.
"""

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
    ALTER TABLE sessiongate.session DROP CONSTRAINT session_pkey;
    DROP INDEX sessiongate.session_of_user, sessiongate.session_by_expiry,
        sessiongate.session_in_order;
    WITH one AS (SELECT sid, username, expires_at, convert_from(data, 'UTF8') AS data
        FROM sessiongate.session),
    more AS (SELECT i,
        translate(substr(encode(sha256(i::text::bytea), 'base64'), 1, 22), '+/', '-_') AS sid
        FROM generate_series(1, {count}) i)
    INSERT INTO sessiongate.session
    SELECT more.sid, 'user' || i, expires_at + i % 600000000, convert_to(
        replace(replace(one.data, one.sid, more.sid), one.username, 'user' || i), 'UTF8')
    FROM one, more;
    ALTER TABLE sessiongate.session ADD PRIMARY KEY (sid)"""
"""Indexes are made after that, which takes a third of the time."""
_POSTGRES_BYTES: Final = """
    SELECT pg_table_size('sessiongate.session')::float / count(*),
        pg_indexes_size('sessiongate.session')::float / count(*) FROM sessiongate.session"""


def _manager(
    store: Store, clock: Callable[[], float] = time.time, limit: int | None = None, **limits: Any
) -> SessionManager:
    return SessionManager(
        max_concurrent_sessions=limit,
        store=store,
        secret_key=SECRET,
        clock=clock,
        existing="new",
        **limits,
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


def _fill_postgres(store: PostgresStore, url: str, count: int) -> tuple[float, float]:
    """Fill it with copies of a session: bytes of one in the table, and in the indexes."""
    _manager(store).create_session("somebody")  # makes the tables
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET maintenance_work_mem = '1GB'")
        connection.execute(_POSTGRES_FILL.format(count=count).encode())
        connection.execute(PostgresStore.schema().encode())
        connection.execute("VACUUM ANALYZE sessiongate.session")
        (taken,) = connection.execute(_POSTGRES_BYTES.encode()).fetchall()
    return taken


def _limited(store: Store, count: int) -> dict[str, Case]:
    """What is counted, and logins that are, in a store of about ``count`` sessions."""
    manager, full = _manager(store, limit=2 * count), _manager(store, limit=1)
    each = _manager(store, max_sessions_per_user=1, on_limit="evict_oldest")

    def counts() -> None:
        assert manager.n_active_sessions() >= count  # noqa: S101

    def below() -> None:
        manager.invalidate_session(manager.create_session("dora") or "")

    def above() -> None:
        assert full.create_session("dora") is None  # noqa: S101

    def evicting() -> None:
        assert each.create_session("erin")  # noqa: S101

    said = f"PostgreSQL, {count:,} sessions"
    return {
        "count": Case(f"{said}: count", counts, "ours"),
        "login below a limit on all, and logout": Case(f"{said}: below", below, "ours"),
        "login refused by it": Case(f"{said}: above", above, "ours"),
        "login that ends the user's oldest": Case(f"{said}: evicting", evicting, "ours"),
    }


def _bites(store: Store) -> list[float]:
    """Purge what has expired in a day: milliseconds that each of a few bites took."""
    bites, now = [], time.time_ns() // 1000 + 86_400 * SECOND
    for _ in range(20):
        start = time.perf_counter()
        if store.sweep(now, BATCH_SIZE) != BATCH_SIZE:
            break
        bites.append((time.perf_counter() - start) * 1000)
    return bites


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


async def measure(
    folder: Path, redis: str | None, postgres: list[str], many: int, most: int
) -> None:
    """Fill all stores twice, with few and with many, and compare; PostgreSQL with most."""
    sizes = (FEW, many)
    remotes: list[PostgresStore] = []
    table_bytes: list[tuple[float, float]] = []
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
    for url, size in zip(postgres, (FEW, most), strict=False):
        remote = PostgresStore(url, timeout=_PATIENCE)
        table_bytes.append(_fill_postgres(remote, url, size))
        verbs = _verbs("PostgreSQL", _manager(remote), size)
        by_store["PostgreSQL"].append(verbs | _limited(remote, size))
        remotes.append(remote)
    cases = [case for verbs in by_store.values() for one in verbs for case in one.values()]
    await interleaved(cases)

    report = Report("scale", "make bench-scale", ("sessiongate", "psycopg", "redis"))
    lines: dict[str, list[tuple[float, float]]] = {}
    for name, (few, lots) in ((n, v) for n, v in by_store.items() if v):
        large = most if name == "PostgreSQL" else many
        report.table(
            f"{name}: µs, best",
            ("case", *(f"{size:,} sessions" for size in (FEW, large)), "ratio"),
            [(verb, *_compared(few[verb], lots[verb])) for verb in few],
        )
        for verb in few:
            ratio = lots[verb].minimum / few[verb].minimum
            kept.append(Kept(f"{name}: {verb}, {large:,} against {FEW:,} sessions", 1.5, ratio))
            lines[f"{name}: {verb}"] = [(FEW, 1.0), (large, ratio)]
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
    if remotes:
        _, (table, indexes) = table_bytes
        purged = [min(_bites(remote)) for remote in remotes]
        numbers += [
            (f"PostgreSQL: bytes of one of {most:,} sessions, in the table", f"{table:.0f}"),
            ("PostgreSQL: bytes of it in the four indexes", f"{indexes:.0f}"),
            (f"PostgreSQL: ms of a bite of a purge, of {FEW:,} sessions", f"{purged[0]:.1f}"),
            (f"PostgreSQL: ms of a bite of a purge, of {most:,}", f"{purged[1]:.1f}"),
        ]
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
    parser.add_argument("--postgres", type=int, default=10_000_000, help="sessions in PostgreSQL")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        with apart():
            redis = stack.enter_context(redis_server())
            servers = [stack.enter_context(postgres_server()) for _ in range(2)]
        postgres = [url for url in servers if url is not None]
        asyncio.run(measure(folder, redis, postgres, options.sessions, options.postgres))


if __name__ == "__main__":
    main()
