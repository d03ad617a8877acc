"""The clients that can be logged in, each with an app behind it, told apart by nothing else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import fastapi
import flask
import httpx
import httpx2
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from werkzeug.test import Client

from sessiongate.asgi import SessionAuthMiddleware as ASGIMiddleware
from sessiongate.flask import login_user, logout_user
from sessiongate.starlette import login_required
from sessiongate.starlette import login_user as alogin_user
from sessiongate.starlette import logout_user as alogout_user
from sessiongate.wsgi import SessionAuthMiddleware as WSGIMiddleware

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack

    from starlette.websockets import WebSocket

    from sessiongate import SessionManager

__all__ = ["KINDS", "Seen", "Visitor", "flask_app", "starlette_app"]


class Seen(NamedTuple):
    """Whom a view saw."""

    username: str | None
    transport: str | None = None
    scopes: tuple[str, ...] = ()


class Visitor:
    """A client of either colour, with the same verbs."""

    def __init__(self, client: Any, runner: asyncio.Runner) -> None:
        self.client = client
        self._runner = runner

    def ask(self, method: str, path: str, **options: Any) -> Any:
        if isinstance(self.client, Client):
            return self.client.open(path, method=method, **options)
        answer = self.client.request(method, path, **options)
        return self._runner.run(answer) if asyncio.iscoroutine(answer) else answer

    def sees(self, **options: Any) -> Seen:
        response = self.ask("GET", "/", **options)
        if response.status_code != 200:
            return Seen(f"refused with {response.status_code}")
        said: Any = response.get_json() if isinstance(self.client, Client) else response.json()
        return Seen(said["username"], said["transport"], tuple(said["scopes"]))

    def tokens(self) -> list[str]:
        """Each session cookie in the jar."""
        if isinstance(self.client, Client):
            return [c.value for c in (self.client._cookies or {}).values() if "session" in c.key]
        return [cookie.value for cookie in self.client.cookies.jar if "session" in cookie.name]

    def close(self) -> None:
        if isinstance(self.client, (httpx.AsyncClient, httpx2.AsyncClient)):
            self._runner.run(self.client.aclose())
        elif not isinstance(self.client, Client):
            self.client.close()


def flask_app(manager: SessionManager, **options: Any) -> flask.Flask:
    app = flask.Flask("site")

    @app.get("/")
    def who() -> Any:
        return _said(flask.request.environ["sessiongate"])

    @app.get("/away")
    def away() -> Any:
        return flask.redirect("/")

    @app.post("/login")
    def login() -> Any:
        login_user(flask.request.args["username"])
        return _said(flask.request.environ["sessiongate"])

    @app.post("/logout")
    def logout() -> Any:
        logout_user()
        return ""

    app.wsgi_app = WSGIMiddleware(app.wsgi_app, manager, **options)  # type: ignore[method-assign]
    return app


async def _who(request: Request) -> JSONResponse:
    return JSONResponse(_said(request.scope["sessiongate"]))


async def _away(_request: Request) -> JSONResponse:
    return JSONResponse("", 302, {"Location": "/"})


async def _login(request: Request) -> JSONResponse:
    await alogin_user(request, request.query_params["username"])
    return JSONResponse(_said(request.scope["sessiongate"]))


async def _logout(request: Request) -> JSONResponse:
    await alogout_user(request)
    return JSONResponse("")


@login_required
async def _echo(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(websocket.scope["sessiongate"].user.username)
    await websocket.close()


def starlette_app(manager: SessionManager, **options: Any) -> Starlette:
    routes = [
        Route("/", _who),
        Route("/away", _away),
        Route("/login", _login, methods=["POST"]),
        Route("/logout", _logout, methods=["POST"]),
        WebSocketRoute("/ws", _echo),
    ]
    ours = Middleware(ASGIMiddleware, manager=manager, **options)
    return Starlette(routes=routes, middleware=[Middleware(CORSMiddleware), ours])


def fastapi_app(manager: SessionManager, **options: Any) -> fastapi.FastAPI:
    app = fastapi.FastAPI()
    app.add_api_route("/", _who, response_model=None)
    app.add_api_route("/away", _away, response_model=None)
    app.add_api_route("/login", _login, methods=["POST"], response_model=None)
    app.add_api_route("/logout", _logout, methods=["POST"], response_model=None)
    app.add_middleware(ASGIMiddleware, manager=manager, **options)
    return app


def _said(handle: Any) -> dict[str, Any]:
    user = handle.user
    return {
        "username": user.username,
        "transport": handle.transport,
        "scopes": sorted(user.scopes),
    }


def _flask(manager: SessionManager, _base_url: str, **options: Any) -> Any:
    return flask_app(manager, **options).test_client()


def _werkzeug(manager: SessionManager, _base_url: str, **options: Any) -> Any:
    return Client(flask_app(manager, **options).wsgi_app)


def _starlette(manager: SessionManager, base_url: str, **options: Any) -> Any:
    return TestClient(starlette_app(manager, **options), base_url=base_url)


def _fastapi(manager: SessionManager, base_url: str, **options: Any) -> Any:
    return TestClient(fastapi_app(manager, **options), base_url=base_url)


def _calling(library: Any) -> Any:
    def make(manager: SessionManager, base_url: str, **options: Any) -> Any:
        transport = library.WSGITransport(flask_app(manager, **options))
        return library.Client(transport=transport, base_url=base_url)

    return make


def _awaiting(library: Any) -> Any:
    def make(manager: SessionManager, base_url: str, **options: Any) -> Any:
        transport = library.ASGITransport(starlette_app(manager, **options))
        return library.AsyncClient(transport=transport, base_url=base_url)

    return make


KINDS: Final[dict[str, Callable[..., Any]]] = {
    "flask": _flask,
    "werkzeug": _werkzeug,
    "starlette": _starlette,
    "fastapi": _fastapi,
    "httpx": _calling(httpx),
    "httpx-async": _awaiting(httpx),
    "httpx2": _calling(httpx2),
    "httpx2-async": _awaiting(httpx2),
}


class Visitors:
    """Makes visitors, and closes what it made."""

    def __init__(self, kind: str, manager: SessionManager, stack: ExitStack) -> None:
        self._make = KINDS[kind]
        self._manager = manager
        self._stack = stack
        self._runner = stack.enter_context(asyncio.Runner())

    def __call__(self, base_url: str = "https://app.example.com", **options: Any) -> Visitor:
        visitor = Visitor(self._make(self._manager, base_url, **options), self._runner)
        self._stack.callback(visitor.close)
        return visitor
