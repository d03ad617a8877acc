"""Starts the processes, draws the faults from the seed, and hands all that is seen to the judge."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from tests.feed.chaos.faults import FAULTS
from tests.feed.chaos.judge import Judge
from tests.feed.chaos.proxy import Proxy
from tests.stores.postgres_server import PostgresServer
from tests.stores.redis_server import RedisServer

from sessiongate.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.feed.chaos.faults import Server
    from tests.feed.chaos.hosts import Host

__all__ = ["NEAR", "STORES", "Conductor", "chaos"]

ROOT: Final = Path(__file__).parents[3]
STORES: Final = ("redis", "postgres", "sqlite")
NEAR: Final = 0.5
"""Seconds of ``near_cache``."""
_START: Final = 60
"""Seconds that the processes may take to begin, and to say goodbye."""
_LONGEST: Final = 5 * NEAR
"""Seconds that a fault lasts at the most."""
_MOST_PROCESSES: Final = 5


class Conductor:
    """One run over one store.

    Args:
        url: Of the store.
        server: Behind it; ``None``: there is none.
        seed: Draws the faults, and what the processes do.
        workers: Processes that are started; more are forked.
        control: The name of a hub that is wrong, in place of ours.
        hosts: Where the processes run, one on each; otherwise all run here, behind proxies.
    """

    def __init__(
        self,
        url: str,
        server: Server,
        *,
        seed: int,
        workers: int = 2,
        control: str = "",
        hosts: Sequence[Host] = (),
    ) -> None:
        self.url, self.server, self.near, self.hosts = url, server, NEAR, hosts
        self.judge = Judge(NEAR)
        self.faults: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.proxies: list[Proxy] = []
        self._random = random.Random(seed)
        self._workers, self._control = workers, control
        self._wires: dict[int, socket.socket] = {}
        self._changed = threading.Condition()
        self._speaking = threading.Lock()
        self._started: list[subprocess.Popen[bytes]] = []
        self._byes = 0

    @property
    def pids(self) -> list[int]:
        return list(self._wires)

    def tell(self, pid: int, *words: Any) -> None:
        """Say something to one process."""
        if words[0] == "fork" and len(self._wires) >= _MOST_PROCESSES:
            return
        with suppress(OSError), self._speaking:
            if pid in self._wires:
                self._wires[pid].sendall(json.dumps(words).encode() + b"\n")

    def run(self, seconds: float, *, until_convicted: bool = False) -> None:
        """Let them act for so long, or until something wrong was seen."""
        with ExitStack() as stack:
            folder = stack.enter_context(TemporaryDirectory())
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            address = f"{folder}/wire"
            listener.bind(address)
            listener.listen()
            threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
            stack.callback(self._end)
            for number in range(self._workers):
                self._start(number, address)
            self._wait_for(lambda: len(self._wires) >= self._workers)
            over = time.monotonic() + seconds
            while time.monotonic() < over:
                if self._pause(NEAR) and until_convicted:
                    return
                if self._one_fault() and until_convicted:
                    return
            self._finish()

    def _pause(self, most: float) -> bool:
        """Wait; return whether something wrong was seen meanwhile, or before."""
        seconds = self._random.triangular(0, most, most / 5)
        if self.judge.convicted.is_set():
            time.sleep(seconds)
        return self.judge.convicted.wait(seconds)

    def _one_fault(self) -> bool:
        kind = "hosts" if self.hosts else self.url.partition(":")[0].removesuffix("ql")
        fault = self._random.choice(FAULTS[kind])
        self.faults[fault.__name__] += 1
        heal = fault(self, self._random)
        if heal is None:
            return False
        try:
            return self._pause(_LONGEST)
        finally:
            heal()

    # Processes.

    def _start(self, number: int, address: str) -> None:
        url, prefix = self.url, []
        if self.hosts:
            url = url.replace("127.0.0.1", self.hosts[number].address)
            prefix = self.hosts[number].prefix
        elif self.server is not None:
            proxy = Proxy(self.server.port)
            self.proxies.append(proxy)
            url = url.replace(f":{self.server.port}/", f":{proxy.port}/")
        options = {
            "url": url,
            "address": address,
            "near": NEAR,
            "control": self._control,
            "name": f"process {number}",
            "seed": self._random.randrange(2**32),
        }
        command = [*prefix, sys.executable, "-m", "tests.feed.chaos.worker", json.dumps(options)]
        self._started.append(subprocess.Popen(command, cwd=ROOT))

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                wire, _ = listener.accept()
                threading.Thread(target=self._listen, args=(wire,), daemon=True).start()

    def _listen(self, wire: socket.socket) -> None:
        pid, name = 0, ""
        with suppress(OSError), wire, wire.makefile() as lines:
            for line in lines:
                kind, *said = json.loads(line)
                if kind == "hello":
                    pid, name = said
                    with self._changed:
                        self._wires[pid] = wire
                        self._changed.notify_all()
                elif kind == "token":
                    for other in self.pids:
                        if other != pid:
                            self.tell(other, "token", *said)
                elif kind == "bye":
                    self.counts.update(said[0])
                    self._byes += 1
                else:
                    self.judge.hear(name, kind, *said)
        with self._changed:
            self._wires.pop(pid, None)
            self._changed.notify_all()

    def _wait_for(self, condition: Any) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, _START), "the processes are not there"

    def _finish(self) -> None:
        """Let all be well, and hear the last words."""
        pids, ended = self.pids, self.judge.ended
        for pid in pids:
            self.tell(pid, "finish", ended)
        self._wait_for(lambda: not self._wires)
        if self._byes != len(pids):
            self.judge.convict("a process", "", "was gone before its end")

    def _end(self) -> None:
        for pid in {*self._wires, *(process.pid for process in self._started)}:
            for number in (signal.SIGKILL, signal.SIGCONT):
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
        for process in self._started:
            process.wait()
        for proxy in self.proxies:
            proxy.close()


def chaos(
    kind: str,
    seconds: float,
    *,
    seed: int,
    workers: int = 2,
    control: str = "",
    until_convicted: bool = False,
    hosts: Sequence[Host] = (),
) -> Conductor:
    """Start a store, let the processes and the faults loose on it, and return what was seen."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        server: Server = None
        if kind == "redis":
            reachable = ("--bind", "0.0.0.0", "--protected-mode", "no") if hosts else ()
            server = RedisServer(folder, *reachable)
            stack.callback(server.stop)
        elif kind == "postgres":
            server = PostgresServer()
            stack.callback(server.close)
        url = f"sqlite:///{folder}/sessions.db"
        if server is not None:
            server.start()
            url = server.url
        store = open_store(url, timeout=10)
        store.count(0)  # makes the tables
        store.close()
        conductor = Conductor(
            url, server, seed=seed, workers=len(hosts) or workers, control=control, hosts=hosts
        )
        conductor.run(seconds, until_convicted=until_convicted)
        return conductor
