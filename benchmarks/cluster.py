"""A Redis Cluster of the benchmarks' own: three primaries in memory alone."""

from __future__ import annotations

import shutil
import subprocess
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from redis import Redis

from backends import free_port, wait_for_port

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["redis_cluster", "url_of"]

_SLOTS: Final = 16_384
_PRIMARIES: Final = 3
_PATIENCE: Final = 30
"""Seconds until each node finds the cluster well."""


@contextmanager
def redis_cluster() -> Iterator[list[int] | None]:
    """The ports of the primaries, ``None`` where Redis is not installed."""
    program = shutil.which("redis-server")
    if program is None:
        yield None
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        ports = [free_port() for _ in range(_PRIMARIES)]
        buses = [free_port() for _ in ports]
        for port, bus in zip(ports, buses, strict=True):
            place = folder / str(port)
            place.mkdir()
            options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(place)]
            options += ["--save", "", "--appendonly", "no"]
            options += ["--cluster-enabled", "yes", "--cluster-port", str(bus)]
            node = stack.enter_context(
                subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)  # noqa: S603
            )
            stack.callback(node.terminate)
        for number, port in enumerate(ports):
            wait_for_port(port)
            first, after = (_SLOTS * part // _PRIMARIES for part in (number, number + 1))
            _ask(port, "CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            _ask(port, "CLUSTER", "ADDSLOTSRANGE", first, after - 1)
            if number:
                _ask(port, "CLUSTER", "MEET", "127.0.0.1", ports[0], buses[0])
        _wait_until_well(ports)
        yield ports


def url_of(ports: list[int]) -> str:
    """The URL of the cluster, for ``RedisStore``."""
    return "redis+cluster://" + ",".join(f"127.0.0.1:{port}" for port in ports)


def _wait_until_well(ports: list[int]) -> None:
    give_up = time.monotonic() + _PATIENCE
    while not all(_is_well(port) for port in ports):
        if time.monotonic() > give_up:
            msg = "the cluster does not come up"
            raise TimeoutError(msg)
        time.sleep(0.05)


def _is_well(port: int) -> bool:
    said: bytes = _ask(port, "CLUSTER", "INFO")
    known = f"cluster_known_nodes:{_PRIMARIES}".encode()
    return b"cluster_state:ok" in said and known in said


def _ask(port: int, *command: Any) -> Any:
    client: Any = Redis(port=port)
    try:
        return client.execute_command(*command, NEVER_DECODE=True)
    finally:
        client.close()
