"""The way back from the login page is no longer than what clients and servers take (22)."""

import flask
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route
from starlette.testclient import TestClient

from sessiongate import SessionManager
from sessiongate.asgi import SessionAuthMiddleware
from sessiongate.flask import install, login_required
from sessiongate.starlette import login_required as starlette_login_required

LONGEST = 16_384


@pytest.mark.parametrize("path", ["/" + "é" * 9_000, "/?" + "a=%ff&" * 9_000])
def test_a_redirect_does_not_multiply_what_came(path: str) -> None:
    page = {"Accept": "text/html"}
    app = flask.Flask(__name__)
    install(app, SessionManager())
    app.add_url_rule("/<path:rest>", "page", login_required(login_url="/login")(lambda rest: rest))
    app.add_url_rule("/", "root", login_required(login_url="/login")(lambda: ""))
    assert len(app.test_client().get(path, headers=page).headers["Location"]) < LONGEST

    @starlette_login_required(login_url="/login")
    async def endpoint(_request: Request) -> None:
        raise AssertionError

    starlette = Starlette(routes=[Route("/{rest:path}", endpoint)])
    starlette.add_middleware(SessionAuthMiddleware, manager=SessionManager())
    answer = TestClient(starlette, follow_redirects=False).get(path, headers=page)
    assert len(answer.headers["Location"]) < LONGEST
