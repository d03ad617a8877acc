"""A primary of Redis with its replica, and a sentinel that watches them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from tests.stores.redis_server import RedisServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["SERVICE", "Watched"]

SERVICE: Final = "sessions"
PATIENCE: Final = 60


class Watched:
    """Two servers and a sentinel, whose word alone counts.

    Args:
        directory: Where they keep what they keep.
        options: Of the two servers.
        patience: Milliseconds of silence after which the sentinel replaces the primary.
        over_tls: Whether all of them speak TLS alone; the options name the certificate.
    """

    def __init__(
        self, directory: Path, *options: str, patience: int = 60_000, over_tls: bool = False
    ) -> None:
        folders = [directory / name for name in ("one", "two", "sentinel")]
        for folder in folders:
            folder.mkdir()
        self.primary, self.replica = (
            RedisServer(folder, *options, over_tls=over_tls) for folder in folders[:2]
        )
        self._patience = patience
        file = folders[2] / "sentinel.conf"
        self.sentinel = RedisServer(
            folders[2], "--sentinel", *options, config=file, over_tls=over_tls
        )

    @property
    def url(self) -> str:
        return f"redis+sentinel://127.0.0.1:{self.sentinel.port}/{SERVICE}/0"

    def start(self) -> None:
        """Start all. It may take seconds until the sentinel knows the replica."""
        self.primary.start()
        self.replica.start()
        with self.replica.admin() as admin:
            admin.replicaof("127.0.0.1", self.primary.port)
        self.wait(lambda: self.info(self.replica)["master_link_status"] == "up")
        self.sentinel.config.write_text(
            "\n".join(
                (
                    f"sentinel monitor {SERVICE} 127.0.0.1 {self.primary.port} 1",
                    f"sentinel down-after-milliseconds {SERVICE} {self._patience}",
                    f"sentinel failover-timeout {SERVICE} 6000",
                    "",
                )
            )
        )
        self.sentinel.start()

    def wait_for_replica(self) -> None:
        """Return when the sentinel knows it, and so can put it in the place of the primary."""
        self.wait(lambda: self.said("num-slaves") == "1")

    def said(self, name: str) -> str:
        """What the sentinel says of the primary."""
        with self.sentinel.admin() as admin:
            found: Any = admin.execute_command("SENTINEL", "MASTER", SERVICE)
        texts = [str(one.decode() if isinstance(one, bytes) else one) for one in _flat(found)]
        return texts[texts.index(name) + 1]

    def info(self, server: RedisServer) -> Any:
        with server.admin() as admin:
            return admin.info("replication")

    def wait(self, holds: Callable[[], bool]) -> None:
        """Ask until it holds. No server tells of this by itself."""
        end = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < end, "it does not come about"
            time.sleep(0.05)

    def wait_for_failover(self) -> None:
        """Return when the sentinel names the replica, and that one is no replica any more."""
        self.wait(lambda: self.said("port") == str(self.replica.port))
        self.wait(lambda: self.info(self.replica)["role"] == "master")

    def stop(self) -> None:
        for server in (self.sentinel, self.primary, self.replica):
            server.kill()


def _flat(found: Any) -> list[Any]:
    if isinstance(found, dict):
        return [one for pair in found.items() for one in pair]
    return list(found)
