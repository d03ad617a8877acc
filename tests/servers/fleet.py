"""Several servers in processes of their own, over one store."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from tests.hygiene import leaks
from tests.servers.shared_clock import SharedClock
from tests.servers.worker import CLOCK, EVENTS, LOGGED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["Answer", "Call", "Fleet", "serving"]

_ROOT: Final = Path(__file__).parents[2]
_PATCHED: Final = ("gevent.monkey", "--module")
"""Runs a module with the standard library patched."""
_LONG: Final = 60
"""Seconds, after which a test that hangs is a test that fails."""


class Call(NamedTuple):
    """A request to the server of that number."""

    server: int
    path: str
    token: str = ""
    transport: Literal["cookie", "bearer"] = "bearer"
    method: str = "GET"

    @property
    def headers(self) -> dict[str, str]:
        headers = {"Connection": "close"}
        if self.token and self.transport == "cookie":
            headers["Cookie"] = f"__Host-session={self.token}"
        elif self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        return headers


class Answer(NamedTuple):
    status: int
    content: dict[str, str | None]
    """Empty for a refusal."""
    successor: str | None
    """The token that came with it, by header or by cookie; deleting one is no token."""


class Fleet:
    """The servers of these ports, the clock that they share, and what they told."""

    def __init__(self, ports: Sequence[int], directory: Path) -> None:
        self.ports = ports
        self.clock = SharedClock(directory / CLOCK)
        self._events = directory / EVENTS

    def __len__(self) -> int:
        return len(self.ports)

    def ask(self, call: Call) -> Answer:
        return self.volley([call])[0]

    def volley(self, calls: Iterable[Call]) -> list[Answer]:
        """Send them all, over a connection each, before the first answer is read."""
        calls = list(calls)
        with ExitStack() as stack:
            connections = []
            for call in calls:
                connection = HTTPConnection("127.0.0.1", self.ports[call.server], _LONG)
                stack.callback(connection.close)
                connection.connect()
                connections.append(connection)
            for call, connection in zip(calls, connections, strict=True):
                connection.request(call.method, call.path, headers=call.headers)
            return [_answer(connection) for connection in connections]

    def log_in(self, server: int, username: str = "alice") -> str:
        path = f"/login?username={username}&transport=bearer"
        token = self.ask(Call(server, path, method="POST")).content["token"]
        assert token is not None
        return token

    def told(self) -> list[str]:
        """The kinds of events since the last look, in order."""
        kinds = [line.split()[0] for line in self._events.read_text().splitlines()]
        self._events.write_bytes(b"")
        return kinds


def _answer(connection: HTTPConnection) -> Answer:
    response = connection.getresponse()
    body = response.read()
    successor = response.headers["X-Refreshed-Token"]
    for cookie in response.headers.get_all("Set-Cookie", []):
        name, _, value = cookie.partition(";")[0].partition("=")
        if name == "__Host-session" and value:
            assert successor is None
            successor = value
    content = json.loads(body) if response.status == 200 else {}
    return Answer(response.status, content, successor)


@contextmanager
def serving(servers: Sequence[str], manager: str, url: str, directory: Path) -> Iterator[Fleet]:
    """Start one process for each name; none is left behind, whatever happens."""
    SharedClock(directory / CLOCK)  # made before anybody looks at it
    with ExitStack() as stack:
        processes = []
        for server in servers:
            patched = _PATCHED if server == "gevent" else ()
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", *patched, "tests.servers.worker"),
                    *(server, manager, url, str(directory)),
                ],
                cwd=_ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            stack.callback(_end, process)
            processes.append(process)
        yield Fleet([_port(process) for process in processes], directory)
    assert leaks((directory / LOGGED).read_text().splitlines()) == []


def _port(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    said = process.stdout.readline()
    assert said, f"the server ended with {process.wait(_LONG)} before it listened"
    return int(said)


def _end(process: subprocess.Popen[str]) -> None:
    try:
        process.communicate(timeout=_LONG)  # which closes its stdin
    finally:
        process.kill()  # which does nothing to one that has ended
        process.wait()
