"""A pgbouncer for tests. In transaction mode it drops LISTEN without a word."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import psycopg
import pytest
from tests.stores.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.stores.postgres_server import PostgresServer

__all__ = ["pooler"]

_SETTINGS: Final = """
[databases]
postgres = host=127.0.0.1 port={server.port} dbname=postgres user=owner password={server.password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
admin_users = owner
pool_mode = {mode}
ignore_startup_parameters = {ignored}
server_login_retry = 1
log_connections = 0
"""
_READY: Final = "process up"


def _binary() -> str:
    """Where it is; skip the test if nowhere, or fail if it must be there."""
    found = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is not None:
        return found
    reason = "needs pgbouncer on the PATH or in /usr/sbin"
    if os.environ.get("SESSIONGATE_REQUIRE_BACKENDS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


class Pooler:
    """One pgbouncer. Its clients stay connected while its server is replaced."""

    def __init__(self, settings: Path, port: int, mode: str, ignored: str) -> None:
        self._settings, self._with = settings, {"port": port, "mode": mode, "ignored": ignored}
        self.url = f"postgresql://owner@127.0.0.1:{port}/postgres"
        self._admin = f"postgresql://owner@127.0.0.1:{port}/pgbouncer"

    @property
    def settings(self) -> str:
        return self._settings.read_text()

    def write(self, server: PostgresServer) -> None:
        self._settings.write_text(_SETTINGS.format(server=server, **self._with))
        self._settings.chmod(0o644)

    def lead_to(self, server: PostgresServer) -> None:
        """Take this server from now on, as an administrator would."""
        self.write(server)
        with psycopg.connect(self._admin, autocommit=True) as admin:
            admin.execute("RELOAD")
            admin.execute("RECONNECT")


@contextmanager
def pooler(server: PostgresServer) -> Iterator[str]:
    """The URL of a pooler in front of a server that runs."""
    with any_pooler(server) as started:
        yield started.url


@contextmanager
def any_pooler(
    server: PostgresServer, mode: str = "transaction", ignored: str = "options"
) -> Iterator[Pooler]:
    """A pooler in front of a server that runs, until the end of the block."""
    binary, port = _binary(), free_port()
    with TemporaryDirectory(prefix="sessiongate-") as folder:
        Path(folder).chmod(0o711)
        settings = Path(folder) / "pgbouncer.ini"
        made = Pooler(settings, port, mode, ignored)
        made.write(server)
        who: dict[str, Any] = {}
        if os.getuid() == 0:  # which it refuses
            owner = pwd.getpwnam("postgres")
            who = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
        log = Path(folder) / "log"
        with (
            log.open("ab") as said,
            subprocess.Popen([binary, settings], stderr=said, cwd="/", **who) as process,
        ):
            try:
                while _READY not in log.read_text():
                    if process.poll() is not None:
                        pytest.fail(f"pgbouncer did not start:\n{log.read_text()}")
                socket.create_connection(("127.0.0.1", port), timeout=10).close()
                yield made
            finally:
                process.kill()
