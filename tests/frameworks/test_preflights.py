"""A CORS decorator goes outside of `@login_required`: inside, no preflight reaches it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI
from flask import Flask, make_response
from flask import request as flask_request
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from tests.frameworks.cases import World
from tests.frameworks.kits import FRONT_END, KITS, Kit, add_cors, make_kit

from sessiongate import flask as for_flask
from sessiongate import starlette as for_starlette
from sessiongate.asgi import SessionAuthMiddleware

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

PREFLIGHT = {"Origin": FRONT_END, "Access_Control_Request_Method": "POST"}
ALLOW = {"Access-Control-Allow-Origin": FRONT_END}


def cors_of_flask(view: Callable[[], Any]) -> Callable[[], Any]:
    @functools.wraps(view)
    def decorated() -> Any:
        response = make_response("" if flask_request.method == "OPTIONS" else view())
        response.headers.update(ALLOW)
        return response

    return decorated


def cors_of_starlette(endpoint: Callable[[Request], Any]) -> Callable[[Request], Any]:
    @functools.wraps(endpoint)
    async def decorated(request: Request) -> Response:
        response: Response = Response() if request.method == "OPTIONS" else await endpoint(request)
        response.headers.update(ALLOW)
        return response

    return decorated


def site(name: str, world: World, *, cors_is_outside: bool) -> Kit:
    """A view that answers `OPTIONS` itself."""
    methods = ["POST", "OPTIONS"]
    if name == "flask":
        app: Any = Flask(__name__)
        for_flask.install(app, world.manager)

        def view() -> str:
            return "done"

        layers: list[Any] = [for_flask.login_required, cors_of_flask]
        for layer in layers if cors_is_outside else reversed(layers):
            view = layer(view)
        app.route("/", methods=methods, provide_automatic_options=False)(view)
        return Kit(app)

    async def endpoint(_request: Request) -> Response:
        return PlainTextResponse("done")

    layers = [for_starlette.login_required, cors_of_starlette]
    for layer in layers if cors_is_outside else reversed(layers):
        endpoint = layer(endpoint)
    app = {"starlette": Starlette, "fastapi": FastAPI}[name]()
    app.add_route("/", endpoint, methods=methods)
    app.add_middleware(SessionAuthMiddleware, manager=world.manager)
    return Kit(app)


@pytest.mark.parametrize("name", KITS)
def test_outside_it_answers_preflights(name: str) -> None:
    world = World()
    kit = site(name, world, cors_is_outside=True)
    answer = kit.ask("OPTIONS", "/", **PREFLIGHT)
    assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (200, FRONT_END)
    assert kit.ask("POST", "/").status == 401
    assert kit.ask("POST", "/", **world.headers("reader", "bearer")).text == "done"


@pytest.mark.parametrize("name", KITS)
def test_inside_it_does_not_for_the_options_of_a_view_are_guarded(name: str) -> None:
    answer = site(name, World(), cors_is_outside=False).ask("OPTIONS", "/", **PREFLIGHT)
    assert answer.status == 401
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("name", KITS)
def test_for_the_whole_app_it_is_outside(name: str) -> None:
    """Flask answers `OPTIONS` by itself, and Starlette's middleware is around the routes."""
    kit = make_kit(name, World().manager)
    add_cors(kit.app)
    answer = kit.ask("OPTIONS", "/private", **PREFLIGHT)
    assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (200, FRONT_END)
