"""The sessions of Flask and of Starlette keep a cookie of their own beside ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import flask
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from sessiongate import SessionCookie, SessionManager
from sessiongate import flask as flask_kit
from sessiongate import starlette as starlette_kit
from sessiongate.asgi import SessionAuthMiddleware as ASGIMiddleware
from sessiongate.wsgi import SessionAuthMiddleware as WSGIMiddleware

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


def test_flash_logs_nobody_out() -> None:
    app = flask.Flask(__name__)
    app.secret_key = "s" * 64
    app.wsgi_app = WSGIMiddleware(  # type: ignore[method-assign]
        app.wsgi_app, SessionManager(), cookie=SessionCookie.for_http()
    )

    @app.post("/login")
    def login() -> str:
        flask_kit.login_user("alice")
        flask.flash("Welcome!")
        return ""

    @app.get("/")
    def home() -> dict[str, object]:
        name = flask_kit.current_user.username
        return {"user": name, "flashed": flask.get_flashed_messages()}

    client = app.test_client()
    client.post("/login")
    assert client.get("/").json == {"user": "alice", "flashed": ["Welcome!"]}
    assert client.get("/").json == {"user": "alice", "flashed": []}


def test_a_session_of_starlette_logs_nobody_out() -> None:
    async def login(request: Request) -> Response:
        await starlette_kit.login_user(request, "alice")
        request.session["cart"] = 3
        return JSONResponse({})

    async def home(request: Request) -> Response:
        request.session["seen"] = True
        user = starlette_kit.current_user(request)
        return JSONResponse({"user": user.username, "cart": request.session["cart"]})

    app = Starlette(
        routes=[Route("/login", login, methods=["POST"]), Route("/", home)],
        middleware=[
            Middleware(SessionMiddleware, secret_key="s" * 64),
            Middleware(ASGIMiddleware, manager=SessionManager(), cookie=SessionCookie.for_http()),
        ],
    )
    client = TestClient(app)
    client.post("/login")
    for _ in range(2):
        assert client.get("/").json() == {"user": "alice", "cart": 3}
