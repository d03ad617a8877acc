"""The same gate on both stacks: a login page, a logout, and what a proxy asks."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from cryptography.hazmat.primitives.asymmetric import ec
from flask import Flask, redirect
from flask import request as flask_request
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import RedirectResponse
from starlette.routing import Mount, Route
from tests.forward.answers import Answer, Field
from tests.http.brittle import BrittleStore
from tests.tokens.material import private_pem
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from sessiongate import ServiceTokens, SessionManager
from sessiongate import flask as for_flask
from sessiongate.asgi import SessionAuthMiddleware
from sessiongate.forward import ForwardAuth, WSGIForwardAuth
from sessiongate.starlette import login_user, logout_user, safe_redirect
from sessiongate.testing import ManualClock

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

__all__ = ["AUDIENCE", "DUE", "STACKS", "Gate", "Stack", "bearer", "cookie", "described"]

Stack: TypeAlias = Literal["asgi", "wsgi"]
STACKS: Final[tuple[Stack, ...]] = ("asgi", "wsgi")
DUE: Final = 1800
"""Seconds until a token is rotated; half of the default lifetime."""
AUDIENCE: Final = "https://reports.example"
_PATHS: Final[dict[str, Any]] = {"passive": ["/public/poll"], "skip": ["/public/static"]}


def cookie(token: str) -> Field:
    return "Cookie", f"__Host-session={token}"


def bearer(token: str) -> Field:
    return "Authorization", f"Bearer {token}"


def described(
    method: str = "GET", uri: str = "/page", host: str = "app.example", proto: str = "https"
) -> list[Field]:
    """What a proxy says of the original request."""
    parts = {"Method": method, "Proto": proto, "Host": host, "Uri": uri}
    return [(f"X-Forwarded-{part}", value) for part, value in parts.items()]


class Gate:
    """A manager on a clock to move and a store to switch off, and an app of one stack."""

    def __init__(self, stack: Stack, **options: Any) -> None:
        self.stack: Stack = stack
        self.clock, self.store = ManualClock(), BrittleStore()
        self.manager = SessionManager(
            store=self.store, secret_key="k" * 64, clock=self.clock, max_concurrent_sessions=None
        )
        key = private_pem(ec.generate_private_key(ec.SECP256R1()))
        self.tokens = ServiceTokens(
            key, issuer="https://auth.example", client_id="gate", audiences={AUDIENCE: ["read"]}
        )
        options = {"service_tokens": self.tokens} | _PATHS | options
        make: Any = ForwardAuth if stack == "asgi" else WSGIForwardAuth
        self.verify: Any = make(self.manager, **options)
        self.app: Any = self._starlette() if stack == "asgi" else self._flask()

    def open(self, username: str = "alice", **options: Any) -> str:
        """A session that was opened elsewhere: its token."""
        token = self.manager.create_session(username, existing="new", **options)
        assert token is not None
        return token

    def ask(self, query: str, *fields: Field, method: str = "GET", **scope: Any) -> Answer:
        """Ask as a proxy does, without any server."""
        if self.stack == "asgi":
            return asyncio.run(self._ask_asgi(query, fields, method, scope))
        return self._ask_wsgi(query, fields, method)

    async def _ask_asgi(
        self, query: str, fields: tuple[Field, ...], method: str, more: dict[str, Any]
    ) -> Answer:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            return {"type": "websocket.connect"}

        headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in fields]
        scope = {"type": "http", "method": method, "path": "/verify", "headers": headers} | more
        await self.verify(scope | {"query_string": query.encode()}, receive, send)
        start, body = sent
        got = [(name.decode(), value.decode("latin-1")) for name, value in start["headers"]]
        return Answer(start["status"], got, body["body"])

    def _ask_wsgi(self, query: str, fields: tuple[Field, ...], method: str) -> Answer:
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "PATH_INFO": "/verify",
            "QUERY_STRING": query,
            "wsgi.input": io.BytesIO(),
        }
        for name, value in fields:  # as servers join them
            key = f"HTTP_{name.upper().replace('-', '_')}"
            environ[key] = f"{environ[key]},{value}" if key in environ else value
        started: list[Any] = []
        body = b"".join(self.verify(environ, lambda *given: started.extend(given)))
        status, headers = started
        return Answer(int(status[:3]), [(name.lower(), value) for name, value in headers], body)

    def _starlette(self) -> Starlette:
        async def login(request: Request) -> Response:
            await login_user(request, "alice", scopes=["admin", "read"])
            return RedirectResponse(safe_redirect(request.query_params.get("next")), 303)

        async def logout(request: Request) -> Response:
            await logout_user(request)
            return RedirectResponse("/login", 303)

        pages = Starlette(
            routes=[
                Route("/login", login, methods=["POST"]),
                Route("/logout", logout, methods=["POST"]),
            ],
            middleware=[Middleware(SessionAuthMiddleware, manager=self.manager)],
        )
        return Starlette(routes=[Route("/verify", self.verify), Mount("/", pages)])

    def _flask(self) -> Any:
        app = Flask(__name__)
        for_flask.install(app, self.manager)

        @app.post("/login")
        def login() -> Any:
            for_flask.login_user("alice", scopes=["admin", "read"])
            return redirect(safe_redirect(flask_request.args.get("next")), 303)

        @app.post("/logout")
        def logout() -> Any:
            for_flask.logout_user()
            return redirect("/login", 303)

        return DispatcherMiddleware(app, {"/verify": self.verify})
