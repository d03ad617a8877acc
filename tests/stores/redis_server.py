"""Real Redis servers for tests: private, on a free port, to be stopped, killed and frozen."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING, Final

import pytest
import redis
from tests.stores.ports import free_port
from tests.stores.stopping import stop_now

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["RedisServer", "require_redis"]

_BINARY: Final = "redis-server"
_READY: Final = "Ready to accept connections"


def require_redis() -> None:
    """Skip the test where there is no server to start, or fail if there must be one."""
    if shutil.which(_BINARY) is None:
        reason = f"needs {_BINARY} on the PATH"
        if os.environ.get("SESSIONGATE_REQUIRE_BACKENDS") == "1":
            pytest.fail(reason)
        pytest.skip(reason)


class RedisServer:
    """One server process, in memory only. The port stays the same when it is started again."""

    def __init__(self, directory: Path, *options: str) -> None:
        require_redis()
        self._directory = directory
        self._options = options
        self._process: subprocess.Popen[str] | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start, and return when connections are accepted."""
        self._process = subprocess.Popen(
            [
                *(_BINARY, "--port", str(self.port), "--bind", "127.0.0.1"),
                *("--dir", str(self._directory), "--save", "", "--appendonly", "no"),
                *self._options,
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        said = []
        for line in self._process.stdout:
            said.append(line)
            if _READY in line:
                return
        self.stop()
        pytest.fail(f"{_BINARY} did not start:\n{''.join(said)}")

    def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a crash would."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Let it answer nothing, while its port still accepts connections."""
        if self._process is not None:
            stop_now(self._process.pid)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def admin(self) -> redis.Redis:
        """A client of the test's own; close it."""
        return redis.Redis(port=self.port, host="127.0.0.1", protocol=2)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self._signal(number)
        self._signal(signal.SIGCONT)  # a frozen one would not hear of it
        self._process.communicate()
        self._process = None
