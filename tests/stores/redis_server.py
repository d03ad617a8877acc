"""Real Redis servers for tests: private, on a free port, to be stopped, killed and frozen."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

import pytest
import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.stores.ports import free_port
from tests.stores.stopping import stop_now

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["RedisServer", "certificates", "require_redis"]

_BINARY: Final = "redis-server"
_IN_MEMORY: Final = "--save", "", "--appendonly", "no"
_AT_ONCE: Final = "--repl-diskless-sync-delay", "0"
_READY: Final = "Ready to accept connections", "+monitor master"


def require_redis() -> None:
    """Skip the test where there is no server to start, or fail if there must be one."""
    if shutil.which(_BINARY) is None:
        reason = f"needs {_BINARY} on the PATH"
        if os.environ.get("SESSIONGATE_REQUIRE_BACKENDS") == "1":
            pytest.fail(reason)
        pytest.skip(reason)


class RedisServer:
    """One server process, in memory only. The port stays the same when it is started again."""

    def __init__(
        self,
        directory: Path,
        *options: str,
        config: Path | None = None,
        binary: str = _BINARY,
        over_tls: bool = False,
    ) -> None:
        require_redis()
        self._directory = directory
        self._options = options
        self._binary = binary
        self._over_tls = over_tls
        self.config = config or directory / "unused.conf"
        """Where a server that needs a file for its configuration has it."""
        self._is_configured = config is not None
        self._process: subprocess.Popen[str] | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start, and return when connections are accepted."""
        self._process = subprocess.Popen(
            [
                *(self._binary, *([str(self.config)] if self._is_configured else [])),
                *(("--port", "0", "--tls-port") if self._over_tls else ("--port",)),
                *(str(self.port), "--bind", "127.0.0.1", "--dir", str(self._directory)),
                *(() if self._is_configured else (*_IN_MEMORY, *_AT_ONCE)),
                *self._options,
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        said = []
        for line in self._process.stdout:
            said.append(line)
            if any(sign in line for sign in _READY):
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
        tls: Any = {"ssl": True, "ssl_cert_reqs": "none"} if self._over_tls else {}
        return redis.Redis(port=self.port, host="127.0.0.1", protocol=2, **tls)

    def wait_for_replica(self, key: bytes = b"fence") -> None:
        """Return when the replica has all that was written until now; writes a key for that."""
        with self.admin() as admin:
            admin.set(key, "", ex=60)
            admin.wait(1, 0)

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


def certificates(directory: Path) -> dict[str, Path]:
    """A certificate of 127.0.0.1 that signs itself, as files: ``cert``, ``key``, ``ca-cert``."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    files = {what: directory / f"{what}.pem" for what in ("cert", "key", "ca-cert")}
    for what in ("cert", "ca-cert"):
        files[what].write_bytes(built.public_bytes(serialization.Encoding.PEM))
    files["key"].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return files
