"""Real Redis Clusters for tests, made of the servers of ``redis_server``."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

from tests.stores.ports import free_port
from tests.stores.redis_server import RedisServer

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["RedisCluster"]

SLOTS: Final = 16384
PATIENCE: Final = 60


class RedisCluster:
    """Primaries, among which the slots are dealt, and as many replicas of the first ones."""

    def __init__(
        self,
        directory: Path,
        primaries: int = 3,
        replicas: int = 0,
        options: tuple[str, ...] = (),
        *,
        over_tls: bool = False,
    ) -> None:
        self.nodes: list[RedisServer] = []
        self._buses: list[int] = []
        self._primaries = primaries
        for number in range(primaries + replicas):
            folder = directory / f"node-{number}"
            folder.mkdir()
            bus = free_port()
            self._buses.append(bus)
            self.nodes.append(
                RedisServer(
                    folder,
                    *("--cluster-enabled", "yes", "--cluster-port", str(bus)),
                    *("--cluster-node-timeout", "30000", *options),
                    over_tls=over_tls,
                )
            )

    @property
    def url(self) -> str:
        return self.url_of(*self.nodes)

    @staticmethod
    def url_of(*nodes: RedisServer) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in nodes)

    def start(self) -> None:
        """Start all, and return when each of them finds the cluster well."""
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        for node in self.nodes:
            node.start()
        primaries = self._primaries
        for number, node in enumerate(self.nodes):
            self.ask(node, "CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            if number < primaries:
                first, after = number * SLOTS // primaries, (number + 1) * SLOTS // primaries
                self.ask(node, "CLUSTER", "ADDSLOTSRANGE", first, after - 1)
            if number:
                first_node = self.nodes[0]
                self.ask(node, "CLUSTER", "MEET", "127.0.0.1", first_node.port, self._buses[0])
        self.wait(lambda: all(self.known(node) == len(self.nodes) for node in self.nodes))
        for number, node in enumerate(self.nodes[primaries:]):
            self.ask(node, "CLUSTER", "REPLICATE", self.id_of(self.nodes[number]))
        self.wait_until_well()

    def wait_until_well(self, *but: RedisServer) -> None:
        """Return when each node finds all slots served, and each replica has its primary."""
        nodes = [node for node in self.nodes if node not in but]
        self.wait(lambda: all(self._state(node) == "ok" for node in nodes))
        for node in nodes:
            self.wait(lambda node=node: self._is_linked(node))

    def wait(self, holds: Any) -> None:
        """Ask until it holds. No server tells of this by itself."""
        end = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < end, "the cluster does not come up"
            time.sleep(0.05)

    def ask(self, node: RedisServer, *command: Any) -> Any:
        with node.admin() as admin:
            return admin.execute_command(*command, NEVER_DECODE=True)

    def id_of(self, node: RedisServer) -> str:
        return str(self.ask(node, "CLUSTER MYID").decode())

    def known(self, node: RedisServer) -> int:
        with node.admin() as admin:
            state: Any = admin.execute_command("CLUSTER INFO")
        return int(state["cluster_known_nodes"])

    def flush(self) -> None:
        for node in self.nodes[: self._primaries]:
            self.ask(node, "FLUSHALL")

    def all_keys(self) -> list[tuple[RedisServer, bytes]]:
        """Every key, and where it is."""
        primaries = self.nodes[: self._primaries]
        return [(node, key) for node in primaries for key in self.ask(node, "KEYS", "*")]

    def stop(self) -> None:
        with ExitStack() as stack:
            for node in self.nodes:
                stack.callback(node.kill)

    def _state(self, node: RedisServer) -> str:
        with node.admin() as admin:
            state: Any = admin.execute_command("CLUSTER INFO")
        return str(state["cluster_state"])

    def _is_linked(self, node: RedisServer) -> bool:
        with node.admin() as admin:
            said: Any = admin.info("replication")
        return bool(said["role"] == "master" or said["master_link_status"] == "up")
