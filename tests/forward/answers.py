"""Requests of bytes, and what came back."""

from __future__ import annotations

import json
import socket
from http.client import HTTPResponse
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, cast

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Answer", "Field", "Told", "ask", "exchange", "parse", "told_in"]

Field: TypeAlias = tuple[str, str]
_LONG: Final = 30
"""Seconds, after which a test that hangs is a test that fails."""


class Told(NamedTuple):
    """What the backend was told of a request."""

    user: str
    method: str
    url: str
    headers: list[Field]
    body: str

    def all(self, name: str) -> list[str]:
        """The values of a field in each of its spellings."""
        name = name.lower()
        return [value for key, value in self.headers if key.lower().replace("_", "-") == name]


def told_in(text: bytes) -> Told:
    """What the backend says."""
    found: Any = json.loads(text)
    headers = [(name, value) for name, value in found["headers"]]
    return Told(found["user"], found["method"], found["url"], headers, found["body"])


class Answer(NamedTuple):
    """A status, the header fields with names in lower case, and the body."""

    status: int
    headers: list[Field]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name.lower()]

    def one(self, name: str) -> str | None:
        values = self.all(name)
        assert len(values) <= 1, f"{name} stands {len(values)} times"
        return values[0] if values else None

    @property
    def session(self) -> str | None:
        """The token of the session cookie that it sets."""
        ours = [one for one in self.all("set-cookie") if one.startswith("__Host-session=")]
        assert len(ours) <= 1
        return ours[0].partition(";")[0].partition("=")[2] if ours else None

    @property
    def told(self) -> Told:
        """What the backend says; only where it was asked."""
        return told_in(self.body)


def ask(
    port: int, method: str, path: str, *fields: Field, host: str = "app.example", body: str = ""
) -> Answer:
    """One request to a server, on a connection of its own."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in fields]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    received = exchange(port, "\r\n".join([*lines, "", body]).encode("latin-1"))
    assert received, "the server hung up"
    return parse(received, method)


def exchange(port: int, request: bytes, until: Callable[[bytes], bool] = lambda _: False) -> bytes:
    """What a server says to some bytes, until it hangs up or what it has said is enough."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), _LONG) as connection:
        try:
            connection.sendall(request)
            while not until(received) and (chunk := connection.recv(65536)):
                received += chunk
        except (BrokenPipeError, ConnectionResetError):
            pass
    return received


class _Received(BytesIO):
    """Bytes in place of a socket."""

    def makefile(self, _mode: str) -> BytesIO:
        return self


def parse(received: bytes, method: str = "GET") -> Answer:
    """The first answer in some bytes."""
    response = HTTPResponse(cast(socket.socket, _Received(received)), method=method)
    response.begin()
    headers = [(name.lower(), value) for name, value in response.getheaders()]
    return Answer(response.status, headers, response.read())
