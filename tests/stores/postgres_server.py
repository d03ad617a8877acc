"""Real PostgreSQL servers for tests: private, on a free port, to be stopped, killed and frozen."""

from __future__ import annotations

import hashlib
import hmac
import os
import pwd
import select
import shutil
import signal
import subprocess
from base64 import b64encode
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import psycopg
import pytest
from tests.stores.ports import free_port
from tests.stores.stopping import stop_now
from tests.stores.templates import fill

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PostgresServer"]

_PASSWORD: Final = "a-password-to-be-found"
_UNPRIVILEGED: Final = "postgres"
"""Who runs it if the tests run as root, which PostgreSQL refuses."""


def _binaries() -> Path:
    """Where the server's programs are; skip the test if nowhere, or fail if they must be."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if versions:
        return versions[-1].parent
    reason = "needs PostgreSQL's initdb on the PATH or in /usr/lib/postgresql"
    if os.environ.get("SESSIONGATE_REQUIRE_BACKENDS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def _verifier(password: str) -> str:
    """What the server keeps of a password. One round, for thousands would slow each login."""
    salt = b"of these tests"
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 1)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    salt_text, *keys = (b64encode(part).decode() for part in (salt, stored, server))
    return f"SCRAM-SHA-256$1:{salt_text}${':'.join(keys)}"


def _children(process: subprocess.Popen[Any]) -> list[int]:
    with suppress(FileNotFoundError):  # it has ended
        return [
            int(pid)
            for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        ]
    return []


class PostgresServer:
    """One server process. The port stays the same when it is started again.

    Args:
        standby_of: The server that runs whose standby it is, to be started.
    """

    def __init__(self, standby_of: PostgresServer | None = None) -> None:
        self._binaries = _binaries()
        # Not among pytest's own, which root keeps to itself.
        self._home = TemporaryDirectory(prefix="sessiongate-")
        self._process: subprocess.Popen[Any] | None = None
        self.port = free_port()
        directory = Path(self._home.name)
        directory.chmod(0o711)
        data = directory / "data"
        data.mkdir(mode=0o700)
        self._as: dict[str, Any] = {}
        if os.getuid() == 0:
            who = pwd.getpwnam(_UNPRIVILEGED)
            os.chown(data, who.pw_uid, who.pw_gid)
            self._as = {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []}
        self._data = data
        if standby_of is None:
            fill(data, "postgres", self._make)
        else:
            where = standby_of.url
            self._run("pg_basebackup", "-D", data, "-d", where, "-R", "-c", "fast", "--no-sync")

    def _make(self, data: Path) -> None:
        password = data.parent / "password"
        password.write_text(_verifier(_PASSWORD))
        password.chmod(0o644)
        self._run(
            *("initdb", "-D", data, "-U", "owner", "--no-sync", "-A", "scram-sha-256"),
            *("--pwfile", password, "-E", "UTF8", "--locale", "C", "--wal-segsize=1"),
        )

    def _run(self, program: str, *arguments: str | Path) -> None:
        subprocess.run(
            [self._binaries / program, *arguments],
            check=True,
            capture_output=True,
            cwd="/",
            **self._as,
        )

    @property
    def url(self) -> str:
        return f"postgresql://owner:{_PASSWORD}@127.0.0.1:{self.port}/postgres"

    @property
    def password(self) -> str:
        return _PASSWORD

    def start(self) -> None:
        """Start, and return when connections are accepted."""
        log = self._data.parent / "log"
        with log.open("ab") as said:
            process: subprocess.Popen[Any] = subprocess.Popen(
                [
                    *(self._binaries / "postgres", "-D", self._data, "-p", str(self.port)),
                    *("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="),
                    *("-c", "max_connections=60", "-c", "shared_buffers=16MB"),
                    *("-c", "fsync=off"),  # processes are killed here, not the machine
                ],
                stderr=said,
                cwd="/",
                start_new_session=True,
                **self._as,
            )
        self._process = process
        while process.poll() is None:
            with suppress(psycopg.OperationalError):
                self.admin().close()
                return
        pytest.fail(f"PostgreSQL did not start:\n{log.read_text()}")

    def stop(self) -> None:
        """End it at once, as an administrator would (“fast”), and wait until it has."""
        self._end(lambda process: process.send_signal(signal.SIGINT))

    def kill(self) -> None:
        """End it as a crash would, with all its processes."""
        if self._process is not None:
            self._signal(self._process, signal.SIGSTOP)  # so that it starts no more of them
        self._end(self._kill_all)

    def close(self) -> None:
        """End it, and remove what it has written."""
        self.kill()
        self._home.cleanup()

    def freeze(self) -> None:
        """Let it answer nothing, while its port still accepts connections."""
        assert self._process is not None
        stop_now(self._process.pid, *_children(self._process))

    def thaw(self) -> None:
        assert self._process is not None
        self._signal(self._process, signal.SIGCONT)

    def make_standby(self, *, standby: bool) -> None:
        """From its next start on it answers as a replica does, or no longer."""
        signal_file = self._data / "standby.signal"
        if standby:
            signal_file.touch()
        else:
            signal_file.unlink()

    def wait_for_standby(self) -> None:
        """From now on, acknowledge nothing that the standby has not written."""
        with self.admin() as admin:
            admin.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            admin.execute("SELECT pg_reload_conf()")
            while admin.execute("SELECT sync_state FROM pg_stat_replication").fetchall() != [
                ("sync",)
            ]:
                pass

    def promote(self) -> None:
        """Make a standby the primary, and return when it is."""
        with self.admin() as admin:
            assert admin.execute("SELECT pg_promote()").fetchone() == (True,)

    def admin(self) -> psycopg.Connection[Any]:
        """A connection of the test's own; close it."""
        return psycopg.connect(self.url, autocommit=True)

    def dump(self) -> bytes:
        """What ``pg_dump`` says of everything."""
        return subprocess.run(
            [self._binaries / "pg_dump", self.url], check=True, capture_output=True
        ).stdout

    def _signal(self, process: subprocess.Popen[Any], number: signal.Signals) -> None:
        """To the server and to its children, each of which has a session of its own."""
        for pid in (process.pid, *_children(process)):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _kill_all(self, process: subprocess.Popen[Any]) -> None:
        """Until the last one is gone, no new server may use their shared memory."""
        dying = []
        for pid in _children(process):
            with suppress(ProcessLookupError):
                dying.append(os.pidfd_open(pid))
        self._signal(process, signal.SIGKILL)
        for descriptor in dying:
            select.select([descriptor], [], [])
            os.close(descriptor)

    def _end(self, how: Callable[[subprocess.Popen[Any]], None]) -> None:
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            how(process)
        if process is not None:
            process.wait()
