"""What one session and one call cost a server: ``make bench-capacity``. Never fails on a number.

The figures that the plan past one machine rests on. All calls come from one client,
one after the other. A server that is asked by many at once works more cheaply:
it finds several commands each time that it wakes up.
"""

from __future__ import annotations

import argparse
import logging
import os
import time
from contextlib import ExitStack, closing, contextmanager, suppress
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import psycopg
from redis import Redis
from redis.cluster import ClusterNode, RedisCluster
from sqlalchemy import create_engine, text

from backends import apart, mariadb_server, postgres_server, redis_server
from cluster import redis_cluster, url_of
from report import Report
from requesting import SECRET
from sessiongate import SessionManager
from sessiongate.stores import PostgresStore, RedisStore, SQLAlchemyStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sessiongate.stores import Store

SESSIONS: Final = 10_000
ASKED_FOR: Final = 64
"""Sessions that are checked and rotated in turn."""
ROUNDS: Final = 4
"""In which the cases take turns. The best one counts."""
SECONDS: Final = 0.7
"""How long a case is repeated in a round."""

_PATIENCE: Final = 10
"""Seconds; a busy machine may make a server slow, and a refusal would be no measurement."""
_ROW: Final = b"x" * 250
"""About as long as the record of a session."""

_POSTGRES_SIZE: Final = "SELECT pg_total_relation_size('sessiongate.session')"
_MARIADB_SIZE: Final = """
    SELECT sum(data_length + index_length) FROM information_schema.tables
    WHERE table_schema = 'test' AND table_name LIKE '%session%'"""


class Cost(NamedTuple):
    """What one call of a case took."""

    server: float
    """Microseconds of processor, all processes of the server."""
    client: float
    """Microseconds of processor, this process."""
    rate: float
    """Calls a second."""


class Engine(NamedTuple):
    """A server, and how it is asked."""

    name: str
    bare_name: str
    processes: list[int]
    store: Store
    bare: Callable[[], object]
    size: Callable[[], float]
    """Bytes that the sessions take, in all nodes."""
    nodes: int = 1


def _children(process: int) -> list[int]:
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended
            parent = status.read_text(encoding="utf-8").rpartition(")")[2].split()[1]
            if int(parent) == process:
                found.append(int(status.parent.name))
    return found


def _used(processes: list[int]) -> float:
    """Seconds of processor that the threads of these have used, and those of their children."""
    total = 0.0
    for process in processes:
        for task in Path(f"/proc/{process}/task").glob("*/schedstat"):
            with suppress(FileNotFoundError, ProcessLookupError):
                total += int(task.read_text(encoding="ascii").split()[0]) / 1e9
        total += _used(_children(process))
    return total


def _cost(processes: list[int], once: Callable[[], object], count: int | None = None) -> Cost:
    """Call it ``count`` times, or for some seconds."""
    calls = 0
    server, client, start = _used(processes), time.process_time(), time.perf_counter()
    while calls < count if count is not None else time.perf_counter() < start + SECONDS:
        once()
        calls += 1
    passed = time.perf_counter() - start
    client, server = time.process_time() - client, _used(processes) - server
    return Cost(server / calls * 1e6, client / calls * 1e6, calls / passed)


def _best(rounds: list[Cost]) -> Cost:
    """What was interrupted least."""
    servers, clients, rates = zip(*rounds, strict=True)
    return Cost(min(servers), min(clients), max(rates))


def _measure(engine: Engine, sessions: int) -> tuple[dict[str, Cost], float]:
    """The costs of each case, and the bytes of a session."""
    manager = SessionManager(
        store=engine.store, secret_key=SECRET, max_concurrent_sessions=None, existing="new"
    )
    tokens = [manager.create_session(f"client{number}") or "" for number in range(ASKED_FOR)]
    turns, places = cycle(tokens), cycle(range(ASKED_FOR))
    names = (f"user{number:06}" for number in range(sessions))

    def check() -> None:
        assert manager.validate_session(next(turns))  # noqa: S101

    def rotate() -> None:
        place = next(places)
        renewed = manager.refresh_session(tokens[place])
        assert renewed and renewed != tokens[place]  # noqa: S101, PT018
        tokens[place] = renewed

    def log_in() -> None:
        assert manager.create_session(next(names))  # noqa: S101

    before = engine.size()
    logins = [_cost(engine.processes, log_in, sessions // ROUNDS) for _ in range(ROUNDS)]
    size = (engine.size() - before) / (sessions // ROUNDS * ROUNDS)
    cases: dict[str, Callable[[], object]] = {engine.bare_name: engine.bare, "check": check}
    cases["rotation"] = rotate
    rounds: dict[str, list[Cost]] = {name: [] for name in cases}
    for _ in range(ROUNDS):
        for name, once in cases.items():
            turns = cycle(tokens)
            rounds[name].append(_cost(engine.processes, once))
    rounds["login"] = logins
    costs = {name: _best(some) for name, some in rounds.items()}
    return costs, size


def _memory(ports: list[int]) -> float:
    taken = 0.0
    for port in ports:
        with closing(Redis(port=port)) as client:
            info: Any = client.info("memory")
            taken += info["used_memory"]
    return taken


@contextmanager
def _started(server: Any) -> Iterator[tuple[Any, list[int]]]:
    """A server that runs, and its processes."""
    before = set(_children(os.getpid()))
    with server as where:
        yield where, [one for one in _children(os.getpid()) if one not in before]


def _on_redis(url: str, processes: list[int]) -> Engine:
    client: Any = Redis.from_url(url)
    client.set("bare", _ROW)
    port = int(url.rpartition(":")[2].partition("/")[0])
    return Engine(
        "Redis",
        "GET",
        processes,
        RedisStore(url, timeout=_PATIENCE),
        lambda: client.get("bare"),
        lambda: _memory([port]),
    )


def _on_cluster(ports: list[int], processes: list[int]) -> Engine:
    node: Any = ClusterNode
    client: Any = RedisCluster(startup_nodes=[node("127.0.0.1", port) for port in ports])
    keys = [f"bare{number}" for number in range(ASKED_FOR)]
    for key in keys:
        client.set(key, _ROW)
    turns = cycle(keys)
    return Engine(
        "Redis Cluster",
        "GET",
        processes,
        RedisStore(url_of(ports), connect_timeout=_PATIENCE, timeout=_PATIENCE),
        lambda: client.get(next(turns)),
        lambda: _memory(ports),
        len(ports),
    )


def _on_postgres(url: str, processes: list[int]) -> Engine:
    connection = psycopg.connect(url, autocommit=True)
    connection.execute("CREATE TABLE bare (id int PRIMARY KEY, data bytea)")
    connection.execute("INSERT INTO bare SELECT i, %s FROM generate_series(1, 10000) i", [_ROW])
    connection.execute("ANALYZE bare")
    numbers = cycle(range(1, ASKED_FOR + 1))

    def bare() -> None:
        chosen = "SELECT data FROM bare WHERE id = %s"
        assert connection.execute(chosen, [next(numbers)], prepare=True).fetchone()  # noqa: S101

    def size() -> float:
        found = connection.execute(_POSTGRES_SIZE).fetchone()
        return float(found[0]) if found else 0.0

    store = PostgresStore(url, timeout=_PATIENCE)
    return Engine("PostgreSQL", "SELECT by primary key", processes, store, bare, size)


def _on_mariadb(url: str, processes: list[int]) -> Engine:
    engine = create_engine(url)
    connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    connection.execute(text("CREATE TABLE bare (id int PRIMARY KEY, data blob)"))
    rows = [{"id": number, "data": _ROW} for number in range(1, 1001)]
    connection.execute(text("INSERT INTO bare VALUES (:id, :data)"), rows)
    numbers = cycle(range(1, ASKED_FOR + 1))
    chosen = text("SELECT data FROM bare WHERE id = :id")

    def bare() -> None:
        assert connection.execute(chosen, {"id": next(numbers)}).fetchone()  # noqa: S101

    def size() -> float:
        tables = connection.execute(text("SHOW TABLES LIKE '%session%'")).scalars().all()
        for table in tables:
            connection.execute(text(f"ANALYZE TABLE {table}")).fetchall()
        return float(connection.execute(text(_MARIADB_SIZE)).scalar() or 0)

    store = SQLAlchemyStore(engine)
    return Engine("MariaDB", "SELECT by primary key", processes, store, bare, size)


def _report(results: list[tuple[Engine, dict[str, Cost], float]]) -> None:
    packages = ("sessiongate", "redis", "psycopg", "sqlalchemy", "pymysql")
    report = Report("capacity", "make bench-capacity", packages)
    for engine, costs, _ in results:
        bare = costs[engine.bare_name]
        heads = ("case", "server CPU, µs", "client CPU, µs", "a second, from one client")
        ratio = f"times the server CPU of {engine.bare_name.split()[0]}"
        report.table(
            engine.name,
            (*heads, ratio),
            [
                (
                    name,
                    f"{cost.server:.0f}",
                    f"{cost.client:.0f}",
                    f"{cost.rate:,.0f}",
                    f"{cost.server / bare.server:.2f}",
                )
                for name, cost in costs.items()
            ],
        )
    report.table(
        "Bytes of a session",
        ("engine", "in all nodes", "in one node, of each session there is", "nodes"),
        [
            (engine.name, f"{size:.0f}", f"{size / engine.nodes:.0f}", str(engine.nodes))
            for engine, _, size in results
        ],
    )
    report.save()


def main() -> None:
    """Read the command line, start the servers, measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=SESSIONS)
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    starts: list[tuple[Any, Any]] = [
        (redis_server(), _on_redis),
        (redis_cluster(), _on_cluster),
        (postgres_server(), _on_postgres),
        (mariadb_server(), _on_mariadb),
    ]
    results = []
    with ExitStack() as stack:
        with apart():
            running = [(*stack.enter_context(_started(server)), on) for server, on in starts]
        for where, processes, on in running:
            if where is not None:
                engine = on(where, processes)
                results.append((engine, *_measure(engine, options.sessions)))
    _report(results)


if __name__ == "__main__":
    main()
