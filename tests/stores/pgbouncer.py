"""A pgbouncer for tests, in transaction mode: it drops LISTEN without a word."""

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
pool_mode = transaction
ignore_startup_parameters = options
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


@contextmanager
def pooler(server: PostgresServer) -> Iterator[str]:
    """The URL of a pooler in front of a server that runs."""
    binary, port = _binary(), free_port()
    with TemporaryDirectory(prefix="sessiongate-") as folder:
        Path(folder).chmod(0o711)
        settings = Path(folder) / "pgbouncer.ini"
        settings.write_text(_SETTINGS.format(server=server, port=port))
        settings.chmod(0o644)
        who: dict[str, Any] = {}
        if os.getuid() == 0:  # which it refuses
            owner = pwd.getpwnam("postgres")
            who = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
        with subprocess.Popen(
            [binary, settings], stderr=subprocess.PIPE, text=True, cwd="/", **who
        ) as process:
            try:
                assert process.stderr is not None
                said = []
                for line in process.stderr:
                    said.append(line)
                    if _READY in line:
                        break
                else:
                    pytest.fail(f"pgbouncer did not start:\n{''.join(said)}")
                socket.create_connection(("127.0.0.1", port), timeout=10).close()
                yield f"postgresql://owner@127.0.0.1:{port}/postgres"
            finally:
                process.kill()
