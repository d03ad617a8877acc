"""What PostgreSQL keeps of sessions that are touched, by the settings of their table. Prints alone.

Minutes of touches are done in seconds, so autovacuum looks once a second too, and does not rest.
"""

from __future__ import annotations

import argparse
import random
import time
from typing import Any, Final

import psycopg
from rich.console import Console
from rich.table import Table

from backends import postgres_server
from requesting import SECRET
from sessiongate import SessionManager
from sessiongate.stores import PostgresStore

BATCH_SIZE: Final = 100
_HASTE: Final = (
    "ALTER SYSTEM SET autovacuum_naptime = '1s'",
    "ALTER SYSTEM SET autovacuum_vacuum_cost_delay = 0",
    "SELECT pg_reload_conf()",
)
_FILL: Final = """
    INSERT INTO sessiongate.session (sid, username, expires_at, data)
    SELECT lpad(i::text, 22, '0'), 'user' || i, expires_at + i * 1000, data
    FROM sessiongate.session, generate_series(1, %s) i"""
_TOUCHES: Final = {
    "extend it": "UPDATE sessiongate.session SET expires_at = expires_at + 60000000, data = data "
    "WHERE sid = ANY (%s)",
    "leave expires_at": "UPDATE sessiongate.session SET data = data WHERE sid = ANY (%s)",
}
_OFTEN: Final = ", autovacuum_vacuum_scale_factor = 0.02"
_SETTINGS: Final = (
    *(f"fillfactor = {percent}" for percent in (100, 90, 70, 50)),
    *(f"fillfactor = {percent}{_OFTEN}" for percent in (100, 90, 70)),
)
_SIZES: Final = """SELECT pg_table_size('sessiongate.session') / 1e6,
    pg_indexes_size('sessiongate.session') / 1e6"""
_COUNTS: Final = """SELECT 100.0 * n_tup_hot_upd / n_tup_upd, n_dead_tup, autovacuum_count
    FROM pg_stat_user_tables WHERE relname = 'session'"""
_HEADS: Final = (
    *("settings", "touches", "HOT %", "table MB", "indexes MB", "dead rows", "vacuums"),
    "touches/s",
)


def measure(url: str, setting: str, touch: str, sessions: int, touches: int) -> tuple[str, ...]:
    """Fill a fresh table, touch its rows at random, and say what is left behind."""
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("DROP SCHEMA IF EXISTS sessiongate CASCADE")
        store = PostgresStore(url, timeout=60, connect_timeout=60)
        SessionManager(store=store, secret_key=SECRET).create_session("first")
        store.close()
        admin.execute(f"ALTER TABLE sessiongate.session SET ({setting})".encode())
        admin.execute(_FILL, (sessions,))
        admin.execute("VACUUM ANALYZE sessiongate.session")
        before = _row(admin, _SIZES)
        chance, start = random.Random(sessions), time.perf_counter()  # noqa: S311 - no secret
        for _ in range(touches // BATCH_SIZE):
            chosen = [f"{chance.randrange(1, sessions + 1):022}" for _ in range(BATCH_SIZE)]
            admin.execute(_TOUCHES[touch].encode(), (chosen,))
        rate = touches / (time.perf_counter() - start)
        after = _row(admin, _SIZES)
        time.sleep(1.5)  # for the last vacuum
        admin.execute("SELECT pg_stat_force_next_flush()")
        hot, dead, vacuums = _row(admin, _COUNTS)
    grown = (f"{old:.0f} → {new:.0f}" for old, new in zip(before, after, strict=True))
    return setting, touch, f"{hot:.0f}", *grown, f"{dead:,}", str(vacuums), f"{rate:,.0f}"


def _row(admin: psycopg.Connection[Any], sql: str) -> tuple[Any, ...]:
    (row,) = admin.execute(sql.encode()).fetchall()
    return tuple(row)


def main() -> None:
    """Read the command line, start a server, measure each setting on a table of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=100_000)
    parser.add_argument("--touches", type=int, default=500_000)
    options = parser.parse_args()
    table = Table()
    for number, head in enumerate(_HEADS):
        table.add_column(head, justify="left" if number < 2 else "right")  # noqa: PLR2004 - texts
    with postgres_server() as url:
        if url is None:
            parser.exit(1, "PostgreSQL is not installed\n")
        with psycopg.connect(url, autocommit=True) as admin:
            for sql in _HASTE:
                admin.execute(sql.encode())
        for touch in _TOUCHES:
            for setting in _SETTINGS:
                row = measure(url, setting, touch, options.sessions, options.touches)
                table.add_row(*row)
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
