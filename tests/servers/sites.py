"""The same small site twice, written for Flask and for Starlette."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Flask
from flask import request as flask_request
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute

from sessiongate import flask as for_flask
from sessiongate import starlette as for_starlette
from sessiongate.asgi import SessionAuthMiddleware as ASGIMiddleware
from sessiongate.wsgi import SessionAuthMiddleware as WSGIMiddleware

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.websockets import WebSocket

    from sessiongate import SessionManager

__all__ = ["flask_site", "starlette_site"]


def flask_site(manager: SessionManager, **options: Any) -> WSGIMiddleware:
    """Flask under the WSGI middleware; ``options`` are the middleware's."""
    app = Flask(__name__)

    @app.post("/login")
    def log_in() -> dict[str, Any]:
        given = flask_request.args
        options: Any = {"transport": given.get("transport"), "cross_site": "cross_site" in given}
        return {"token": for_flask.login_user(given["username"], **options)}

    @app.route("/me", methods=["GET", "POST"])
    @for_flask.login_required
    def me() -> dict[str, Any]:
        return {"username": for_flask.current_user.username}

    @app.get("/who")
    def who() -> dict[str, Any]:
        problem = flask_request.environ["sessiongate"].problem
        return {"username": for_flask.current_user.username, "problem": problem}

    @app.post("/logout")
    def log_out() -> dict[str, Any]:
        for_flask.logout_user()
        return {}

    return WSGIMiddleware(app.wsgi_app, manager, **options)


def starlette_site(manager: SessionManager, **options: Any) -> ASGIMiddleware:
    """Starlette under the ASGI middleware, with a websocket besides."""

    async def log_in(request: Request) -> JSONResponse:
        given = request.query_params
        options: Any = {"transport": given.get("transport"), "cross_site": "cross_site" in given}
        token = await for_starlette.login_user(request, given["username"], **options)
        return JSONResponse({"token": token})

    async def who(request: Request) -> JSONResponse:
        problem = request.scope["sessiongate"].problem
        return JSONResponse({"username": request.user.username, "problem": problem})

    async def log_out(request: Request) -> JSONResponse:
        await for_starlette.logout_user(request)
        return JSONResponse({})

    @for_starlette.login_required
    async def greet(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(websocket.user.username)
        await websocket.close()

    app = Starlette(
        routes=[
            Route("/login", log_in, methods=["POST"]),
            Route("/me", for_starlette.login_required(who), methods=["GET", "POST"]),
            Route("/who", who),
            Route("/logout", log_out, methods=["POST"]),
            WebSocketRoute("/ws", greet),
        ]
    )
    return ASGIMiddleware(app, manager, **options)
