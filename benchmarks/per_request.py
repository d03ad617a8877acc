"""What a request costs over the bare app, beside what one would pick instead.

Every app reads who it is and answers two bytes. Rivals are set up as their
documentation says; each view reads the user, so that lazy ones do their work.
"""

from __future__ import annotations

import hmac
import time
from typing import TYPE_CHECKING, Any

import jwt
from flask import Flask
from flask import session as flask_session
from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.middleware.sessions import SessionMiddleware
from werkzeug.test import EnvironBuilder

from measure import AsyncCase, Case
from sessiongate import JWTSessionManager, SessionManager
from sessiongate.asgi import SessionAuthMiddleware as ASGIMiddleware
from sessiongate.flask import current_user, login_required
from sessiongate.wsgi import SessionAuthMiddleware as WSGIMiddleware

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]

SECRET = "a secret that is long enough for every algorithm in this table, and some more"  # noqa: S105
START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/plain"), (b"content-length", b"2")],
}
BODY = {"type": "http.response.body", "body": b"ok"}
HEADERS = [
    (b"host", b"localhost"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64)"),
    (b"accept", b"text/html,*/*"),
    (b"accept-language", b"en"),
    (b"accept-encoding", b"gzip"),
    (b"connection", b"keep-alive"),
]


async def bare(_scope: Any, _receive: Any, send: Any) -> None:
    """Answer, and look at nothing."""
    await send(START)
    await send(BODY)


async def who(scope: Any, _receive: Any, send: Any) -> None:
    """Answer, and look at the user."""
    assert scope["user"].is_authenticated or scope["sessiongate"].transport is None  # noqa: S101
    await send(START)
    await send(BODY)


async def who_starlette(scope: Any, _receive: Any, send: Any) -> None:
    """Answer, and look at Starlette's user."""
    assert scope["user"].is_authenticated  # noqa: S101
    await send(START)
    await send(BODY)


async def who_session(scope: Any, _receive: Any, send: Any) -> None:
    """Answer, and look into Starlette's session."""
    assert scope["session"]["user"] == "alice"  # noqa: S101
    await send(START)
    await send(BODY)


def floor() -> tuple[ASGIApp, bytes]:
    """The least that can be done by hand: scan, HMAC, dict, clock."""
    key, rows = SECRET.encode(), {"a-session-id": ("alice", time.time() + 3600)}
    mac = hmac.digest(key, b"a-session-id", "sha256").hex()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for name, value in scope["headers"]:
            if name == b"cookie":
                sid, _, given = value.partition(b"=")[2].decode().partition(".")
                if hmac.compare_digest(hmac.digest(key, sid.encode(), "sha256").hex(), given):
                    row = rows.get(sid)
                    if row is not None and time.time() < row[1]:
                        scope["user"] = row[0]
                break
        await bare(scope, receive, send)

    return app, f"session=a-session-id.{mac}".encode()


class PyJWTBackend(AuthenticationBackend):
    """Starlette's documented way to authenticate, with PyJWT's documented call."""

    async def authenticate(self, conn: Any) -> tuple[AuthCredentials, SimpleUser] | None:
        """Read the bearer token of a request."""
        scheme, _, token = conn.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        claims = jwt.decode(token, SECRET, ["HS512"], audience="plantdb-client")
        return AuthCredentials(["authenticated"]), SimpleUser(claims["sub"])


async def no_body() -> Any:
    """A request without a body."""
    return {"type": "http.request"}


async def starlette_session() -> tuple[ASGIApp, bytes]:
    """``SessionMiddleware`` and the cookie that it would have set."""
    sent: list[Any] = []

    async def log_in(scope: Any, _receive: Any, send: Any) -> None:
        scope["session"]["user"] = "alice"
        await send(START)

    async def keep(message: Any) -> None:
        sent.append(message)

    await SessionMiddleware(log_in, SECRET)(scope_of(()), no_body, keep)
    cookies = [value for name, value in sent[0]["headers"] if name == b"set-cookie"]
    return SessionMiddleware(who_session, SECRET), cookies[0].partition(b";")[0]


def scope_of(more: tuple[tuple[bytes, bytes], ...]) -> dict[str, Any]:
    """A fresh scope, as a server makes one for each request."""
    return {"type": "http", "method": "GET", "path": "/", "headers": [*HEADERS, *more]}


def asgi_case(name: str, app: ASGIApp, *more: tuple[bytes, bytes]) -> Case:
    """One request through an ASGI app."""

    async def send(_message: Any) -> None:
        pass

    async def once() -> None:
        await app(scope_of(more), None, send)

    return AsyncCase(name, once)


def wsgi_case(name: str, app: Any, **headers: str) -> Case:
    """One request through a WSGI app."""
    environ = EnvironBuilder(headers=list(headers.items())).get_environ()

    def start_response(*_: Any) -> Any:
        pass

    def once() -> None:
        for _ in app(dict(environ), start_response):
            pass

    return Case(name, once, repeats=1_000)


def cookie(token: str | None) -> tuple[bytes, bytes]:
    """The header of a browser that is logged in."""
    return b"cookie", f"__Host-session={token}".encode()


async def asgi_cases() -> list[Case]:
    """The ASGI rows; the first is the bare app."""
    by_hand, by_hand_cookie = floor()
    opaque = SessionManager(secret_key=SECRET)
    signed = JWTSessionManager(secret_key=SECRET)
    session_app, session_cookie = await starlette_session()
    bearer = b"authorization", f"Bearer {signed.create_session('alice')}".encode()
    return [
        asgi_case("bare app", bare),
        asgi_case("floor: scan, HMAC, dict, clock by hand", by_hand, (b"cookie", by_hand_cookie)),
        asgi_case("sessiongate, anonymous", ASGIMiddleware(who, opaque)),
        asgi_case(
            "sessiongate, opaque cookie",
            ASGIMiddleware(who, opaque),
            cookie(opaque.create_session("alice")),
        ),
        asgi_case("sessiongate, JWT bearer", ASGIMiddleware(who, signed), bearer),
        asgi_case("Starlette SessionMiddleware", session_app, (b"cookie", session_cookie)),
        asgi_case(
            "Starlette AuthenticationMiddleware + PyJWT",
            AuthenticationMiddleware(who_starlette, PyJWTBackend()),
            bearer,
        ),
    ]


def flask_cases() -> list[Case]:
    """The Flask rows; the first is the bare app."""
    manager = SessionManager(secret_key=SECRET)
    apps = {name: Flask(name) for name in ("bare", "gate", "signed")}
    apps["signed"].secret_key = SECRET

    @apps["bare"].get("/")
    def bare_view() -> str:
        return "ok"

    @apps["gate"].get("/")
    @login_required
    def gate_view() -> str:
        assert current_user.username == "alice"  # noqa: S101
        return "ok"

    @apps["signed"].get("/login")
    def sign_view() -> str:
        flask_session["user"] = "alice"
        return "ok"

    @apps["signed"].get("/")
    def signed_view() -> str:
        assert flask_session["user"] == "alice"  # noqa: S101
        return "ok"

    signed_cookie = (
        apps["signed"].test_client().get("/login").headers["Set-Cookie"].partition(";")[0]
    )
    token = manager.create_session("alice")
    return [
        wsgi_case("bare Flask app", apps["bare"].wsgi_app),
        wsgi_case(
            "sessiongate login_required, opaque cookie",
            WSGIMiddleware(apps["gate"].wsgi_app, manager),
            Cookie=f"__Host-session={token}",
        ),
        wsgi_case("Flask's signed session", apps["signed"].wsgi_app, Cookie=signed_cookie),
    ]
