"""Requests without a server: one call of an ASGI or WSGI app is one request.

Each answer is looked at, lest a refusal be measured in place of a page.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from werkzeug.test import Client, EnvironBuilder

from measure import Case, Kind

__all__ = [
    "SECRET",
    "ASGIApp",
    "asgi_case",
    "asgi_cookie",
    "bearer",
    "cookie",
    "request",
    "wsgi_case",
]

ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]
Header = tuple[bytes, bytes]

SECRET: Final = (
    "a secret that is long enough for every algorithm in these tables, and then some more"  # noqa: S105
)

_HEADERS: Final = (
    (b"host", b"localhost"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64)"),
    (b"accept", b"text/html,*/*"),
    (b"accept-language", b"en"),
    (b"accept-encoding", b"gzip"),
    (b"connection", b"keep-alive"),
)
"""What a browser sends anyway."""


def bearer(token: str | None) -> Header:
    """The header of a client that is logged in."""
    return b"authorization", f"Bearer {token}".encode()


def cookie(token: str | None) -> Header:
    """The header of a browser that is logged in here."""
    return b"cookie", f"__Host-session={token}".encode()


def _scope(path: str, more: tuple[Header, ...]) -> dict[str, Any]:
    """A fresh scope, as a server makes one for each request."""
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "https",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [*_HEADERS, *more],
        "client": ("127.0.0.1", 50000),
        "server": ("localhost", 443),
        "state": {},
    }


async def _receive() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def request(app: ASGIApp, send: Any, *more: Header) -> None:
    """One request for the page, whatever the answer."""
    await app(_scope("/", more), _receive, send)


def asgi_case(name: str, app: ASGIApp, *more: Header, kind: Kind = "rival") -> Case:
    """One request through an ASGI app."""

    async def send(message: Any) -> None:
        assert message.get("status", 200) == 200  # noqa: S101, PLR2004

    async def once() -> None:
        await request(app, send, *more)

    return Case(name, once, kind)


async def asgi_cookie(app: ASGIApp, path: str = "/login") -> Header:
    """The header with the cookies that an app sets at its login page."""
    pairs: list[bytes] = []

    async def send(message: Any) -> None:
        fields = message.get("headers", ())
        pairs.extend(v.partition(b";")[0] for n, v in fields if n.lower() == b"set-cookie")

    await app(_scope(path, ()), _receive, send)
    assert pairs, "the login page set no cookie"  # noqa: S101
    return b"cookie", b"; ".join(pairs)


def wsgi_case(name: str, app: Any, *more: Header, kind: Kind = "rival") -> Case:
    """One request through a WSGI app."""
    headers = [(key.decode(), value.decode()) for key, value in (*_HEADERS, *more)]
    environ = EnvironBuilder(headers=headers, base_url="https://localhost").get_environ()

    def start_response(status: str, *_: Any) -> Any:
        assert status == "200 OK"  # noqa: S101

    def once() -> None:
        body = app(dict(environ), start_response)
        for _ in body:
            pass
        getattr(body, "close", int)()

    return Case(name, once, kind)


def wsgi_cookie(app: Any, path: str = "/login") -> Header:
    """The header with the cookies that an app sets at its login page."""
    response = Client(app).get(path, base_url="https://localhost")
    pairs = [value.partition(";")[0] for value in response.headers.getlist("Set-Cookie")]
    assert pairs, "the login page set no cookie"  # noqa: S101
    return b"cookie", "; ".join(pairs).encode()
