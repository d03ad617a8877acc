"""What goes wrong: each fault begins at once, and returns what ends it, if anything has to."""

from __future__ import annotations

import os
import signal
import sqlite3
from contextlib import closing, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from tests.stores.postgres_server import PostgresServer
from tests.stores.redis_server import RedisServer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

    from tests.feed.chaos.conductor import Conductor
    from tests.feed.chaos.proxy import Proxy

__all__ = ["FAULTS", "Server"]

Server: TypeAlias = "RedisServer | PostgresServer | None"
"""``None``: a file."""
Ended: TypeAlias = "Callable[[], object] | None"


def _proxy(world: Conductor, random: Random) -> Proxy:
    return random.choice(world.proxies)


def feed_cut(world: Conductor, random: Random) -> Ended:
    _proxy(world, random).cut("feed")
    return None


def feed_frozen(world: Conductor, random: Random) -> Ended:
    proxy = _proxy(world, random)
    proxy.freeze("feed")
    return proxy.heal


def feed_delayed(world: Conductor, random: Random) -> Ended:
    proxy = _proxy(world, random)
    proxy.delay("feed", random.uniform(0.02, 3 * world.near))
    return proxy.heal


def answers_delayed(world: Conductor, random: Random) -> Ended:
    """What was read arrives after the news of its end."""
    proxy = _proxy(world, random)
    proxy.delay("commands", random.uniform(0.02, 0.3))
    return proxy.heal


def all_frozen(world: Conductor, random: Random) -> Ended:
    proxy = _proxy(world, random)
    proxy.freeze("feed", "commands")
    return proxy.heal


def all_refused(world: Conductor, random: Random) -> Ended:
    proxy = _proxy(world, random)
    proxy.refuse()
    return proxy.heal


def store_frozen(world: Conductor, random: Random) -> Ended:  # noqa: ARG001
    assert world.server is not None
    world.server.freeze()
    return world.server.thaw


def store_killed(world: Conductor, random: Random) -> Ended:  # noqa: ARG001
    assert world.server is not None
    world.server.kill()
    return world.server.start


def worker_frozen(world: Conductor, random: Random) -> Ended:
    pid = random.choice(world.pids)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
    return lambda: _go_on(pid)


def _go_on(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


def worker_forked(world: Conductor, random: Random) -> Ended:
    world.tell(random.choice(world.pids), "fork")
    return None


def clock_stepped(world: Conductor, random: Random) -> Ended:
    world.tell(random.choice(world.pids), "clock", random.uniform(-20, 20))
    return None


def feed_starved(world: Conductor, random: Random) -> Ended:
    """The thread that follows the feed gets no turn, all others do."""
    return _starve(world, random, "follow", random.uniform(0.1, 3 * world.near))


def reads_starved(world: Conductor, random: Random) -> Ended:
    """What was read is kept later than the news of its end comes."""
    return _starve(world, random, "read", random.uniform(0.02, 0.2))


def _starve(world: Conductor, random: Random, verb: str, seconds: float) -> Ended:
    pid = random.choice(world.pids)
    world.tell(pid, "starve", verb, seconds)
    return lambda: world.tell(pid, "starve", verb, 0)


def primary_demoted(world: Conductor, random: Random) -> Ended:  # noqa: ARG001
    """It answers everybody for ever, and takes no change."""
    _command(world, "REPLICAOF", "127.0.0.1", "1")
    return partial(_command, world, "REPLICAOF", "NO", "ONE")


def lease_lost(world: Conductor, random: Random) -> Ended:  # noqa: ARG001
    """As if Redis had dropped the key for want of memory: nothing is told from then on."""
    _command(world, "DEL", "sessiongate:{0}:listening")
    return None


def _command(world: Conductor, *words: str) -> None:
    assert isinstance(world.server, RedisServer)
    client: Any = world.server.admin()
    with closing(client):
        client.execute_command(*words)


def listeners_ended(world: Conductor, random: Random) -> Ended:  # noqa: ARG001
    """By the server itself."""
    if isinstance(world.server, RedisServer):
        _command(world, "CLIENT", "KILL", "TYPE", "pubsub")
    elif isinstance(world.server, PostgresServer):
        with closing(world.server.admin()) as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
            )
    return None


def host_parted(world: Conductor, random: Random) -> Ended:
    host = random.choice(world.hosts)
    host.part()
    return host.join


def file_locked(world: Conductor, random: Random) -> Ended:  # noqa: ARG001
    connection = _file(world)
    with suppress(sqlite3.OperationalError):  # somebody else was faster
        connection.execute("BEGIN IMMEDIATE")
    return connection.close


def news_removed(world: Conductor, random: Random) -> Ended:  # noqa: ARG001
    with closing(_file(world)) as connection, suppress(sqlite3.OperationalError):
        connection.execute("DELETE FROM news")
    return None


def _file(world: Conductor) -> sqlite3.Connection:
    path = world.url.removeprefix("sqlite:///")
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=1)


_Fault: TypeAlias = "Callable[[Conductor, Random], Ended]"
_PROCESSES: Final[list[_Fault]] = [
    *(worker_frozen, worker_forked, clock_stepped, feed_starved, reads_starved, reads_starved),
]
_NETWORK: Final[list[_Fault]] = [
    *(feed_cut, feed_frozen, feed_frozen, feed_delayed, feed_delayed, answers_delayed),
    *(answers_delayed, all_frozen, all_refused, store_frozen, store_killed, listeners_ended),
    *_PROCESSES,
]
FAULTS: Final[Mapping[str, list[_Fault]]] = {
    "redis": [*_NETWORK, primary_demoted, lease_lost],
    "postgres": _NETWORK,
    "sqlite": [*_PROCESSES, file_locked, news_removed],
    "hosts": [
        *[host_parted] * 6,
        *_PROCESSES,
        store_frozen,
        store_killed,
        primary_demoted,
        lease_lost,
    ],
}
"""By the name of the store; what stands here twice is drawn twice as often."""
