"""Redis, PostgreSQL and MariaDB servers of the benchmarks' own, with the settings they have."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "apart",
    "free_port",
    "mariadb_server",
    "postgres_server",
    "redis_server",
    "wait_for_port",
]

_PATIENCE: Final = 30
"""Seconds that a server may take to start."""


def free_port() -> int:
    """A port of this host that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int) -> None:
    """Return when somebody listens."""
    give_up = time.monotonic() + _PATIENCE
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        if time.monotonic() > give_up:
            msg = f"nobody listens on port {port}"
            raise TimeoutError(msg)
        time.sleep(0.05)


@contextmanager
def apart() -> Iterator[None]:
    """Start servers in here: they get a core of their own, and this process another afterwards.

    As on two machines. Where the system moves both about, half the time of a
    round trip is luck: two processes on one core wake each other far sooner.
    """
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(cores) > 1:
        os.sched_setaffinity(0, cores[1:])
    yield
    if len(cores) > 1:
        os.sched_setaffinity(0, cores[:1])


@contextmanager
def redis_server() -> Iterator[str | None]:
    """The URL of a server in memory alone, ``None`` where Redis is not installed."""
    program = shutil.which("redis-server")
    if program is None:
        yield None
        return
    port = free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with TemporaryDirectory() as folder, _running([program, *options, "--dir", folder], port):
        yield f"redis://127.0.0.1:{port}/0"


@contextmanager
def postgres_server() -> Iterator[str | None]:
    """The URL of a durable server, ``None`` where PostgreSQL is not installed."""
    programs = _postgres_programs()
    if programs is None:
        yield None
        return
    port = free_port()
    with TemporaryDirectory(prefix="sessiongate-") as folder:
        Path(folder).chmod(0o711)
        data = Path(folder) / "data"
        who = _owner(data, "postgres")
        initialise: list[str | Path] = [
            programs / "initdb",
            "-D",
            data,
            "-U",
            "owner",
            "-A",
            "trust",
            "-E",
            "UTF8",
        ]
        subprocess.run(initialise, check=True, capture_output=True, cwd="/", **who)  # noqa: S603
        serve: list[str | Path] = [programs / "postgres", "-D", data, "-p", str(port)]
        serve += ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
        with _running(serve, port, cwd="/", **who):
            yield f"postgresql://owner@127.0.0.1:{port}/postgres"


@contextmanager
def mariadb_server() -> Iterator[str | None]:
    """The URL of a durable server, as SQLAlchemy writes it; ``None`` where there is no MariaDB."""
    server = shutil.which("mariadbd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    install = shutil.which("mariadb-install-db")
    if server is None or install is None:
        yield None
        return
    port = free_port()
    with TemporaryDirectory(prefix="sessiongate-") as folder:
        Path(folder).chmod(0o711)
        data = Path(folder) / "data"
        who = _owner(data, "nobody")
        initialise = [install, "--no-defaults", f"--datadir={data}", "--skip-name-resolve"]
        initialise.append("--auth-root-authentication-method=normal")
        subprocess.run(initialise, check=True, capture_output=True, cwd="/", **who)  # noqa: S603
        serve = [server, "--no-defaults", f"--datadir={data}", f"--port={port}"]
        serve += ["--bind-address=127.0.0.1", f"--socket={data}/socket", "--skip-name-resolve"]
        with _running(serve, port, stop=signal.SIGTERM, cwd="/", **who):
            yield f"mysql+pymysql://root@127.0.0.1:{port}/test"


def _owner(data: Path, name: str) -> dict[str, Any]:
    """Make the folder of a server, and say who runs it: not root, which it refuses."""
    data.mkdir(mode=0o700)
    if os.getuid() != 0:
        return {}
    owner = pwd.getpwnam(name)
    os.chown(data, owner.pw_uid, owner.pw_gid)
    return {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}


def _postgres_programs() -> Path | None:
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return versions[-1].parent if versions else None


@contextmanager
def _running(
    command: list[Any], port: int, stop: signal.Signals = signal.SIGINT, **options: Any
) -> Iterator[None]:
    with subprocess.Popen(  # noqa: S603
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options
    ) as process:
        try:
            wait_for_port(port)
            yield
        finally:
            process.send_signal(stop)  # at once, whoever is connected
