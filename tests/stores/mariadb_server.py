"""Real MariaDB servers for tests: private, on a free port, to be stopped, killed and frozen."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import pymysql
import pytest
from tests.stores.ports import free_port
from tests.stores.stopping import stop_now
from tests.stores.templates import fill

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MariaDBServer"]

_PASSWORD: Final = "a-password-to-be-found"
_UNPRIVILEGED: Final = "nobody"
"""Who runs it if the tests run as root, which MariaDB refuses."""


def _program(name: str) -> str:
    """Where a program of the server is; skip the test if nowhere, or fail if it must be."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is not None:
        return found
    reason = f"needs MariaDB's {name} on the PATH"
    if os.environ.get("SESSIONGATE_REQUIRE_BACKENDS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


class MariaDBServer:
    """One server process. The port stays the same when it is started again."""

    def __init__(self) -> None:
        self._program = _program("mariadbd")
        self._install = _program("mariadb-install-db")
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
        fill(data, "mariadb", self._make)
        self.start()

    def _make(self, data: Path) -> None:
        subprocess.run(
            [
                *(self._install, "--no-defaults", f"--datadir={data}", "--skip-test-db"),
                *("--auth-root-authentication-method=normal", "--skip-name-resolve"),
                "--innodb-log-file-size=8M",
            ],
            check=True,
            capture_output=True,
            cwd="/",
            **self._as,
        )
        self.start()
        with self.admin("mysql", user="root", password="") as admin:
            admin.cursor().execute("CREATE DATABASE app CHARACTER SET utf8mb4")
            admin.cursor().execute(f"CREATE USER app@'%' IDENTIFIED BY '{_PASSWORD}'")
            admin.cursor().execute("GRANT ALL ON *.* TO app@'%'")
        self.stop()  # its files are whole

    @property
    def url(self) -> str:
        """The URL of the database ``app``, as SQLAlchemy writes it."""
        return f"mysql+pymysql://app:{_PASSWORD}@127.0.0.1:{self.port}/app"

    @property
    def async_url(self) -> str:
        """The same, for a driver that is awaited."""
        return self.url.replace("pymysql", "asyncmy")

    @property
    def password(self) -> str:
        return _PASSWORD

    def start(self) -> None:
        """Start, and return when connections are accepted."""
        log = self._data.parent / "log"
        with log.open("ab") as said:
            process: subprocess.Popen[Any] = subprocess.Popen(
                [
                    *(self._program, "--no-defaults", f"--datadir={self._data}"),
                    *("--bind-address=127.0.0.1", f"--port={self.port}", "--skip-name-resolve"),
                    *(f"--socket={self._data}/socket", f"--pid-file={self._data}/pid"),
                    *("--innodb-log-file-size=8M", "--innodb-buffer-pool-size=16M"),
                    "--innodb-flush-log-at-trx-commit=2",  # processes are killed, not the machine
                ],
                stderr=said,
                stdout=said,
                cwd="/",
                start_new_session=True,
                **self._as,
            )
        self._process = process
        while process.poll() is None:
            try:
                self.admin("mysql").close()
            except pymysql.OperationalError as error:
                if error.args[0] != 2003:  # it is up, and the user is not there yet
                    return
            else:
                return
        pytest.fail(f"MariaDB did not start:\n{log.read_text()}")

    def stop(self) -> None:
        """End it as an administrator would, and wait until it has."""
        self._end(lambda process: process.terminate())

    def kill(self) -> None:
        """End it as a crash would."""
        self._end(lambda process: process.kill())

    def close(self) -> None:
        """End it, and remove what it has written."""
        self.kill()
        self._home.cleanup()

    def freeze(self) -> None:
        """Let it answer nothing, while its port still accepts connections."""
        assert self._process is not None
        stop_now(self._process.pid)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def admin(
        self, database: str = "app", *, user: str = "app", password: str = _PASSWORD
    ) -> pymysql.Connection[Any]:
        """A connection of the test's own; close it."""
        return pymysql.connect(
            host="127.0.0.1",
            port=self.port,
            user=user,
            password=password,
            database=database,
            autocommit=True,
        )

    def _end(self, how: Callable[[subprocess.Popen[Any]], None]) -> None:
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                how(process)
            process.wait()
