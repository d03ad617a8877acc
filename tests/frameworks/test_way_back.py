"""The way to the login page and back, the same in Flask, Starlette and FastAPI."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias
from urllib.parse import parse_qs, urljoin, urlsplit

import pytest
from fastapi import APIRouter, Depends, FastAPI
from flask import Flask
from flask import request as flask_request
from starlette.applications import Starlette
from starlette.requests import Request  # noqa: TC002 - FastAPI resolves the hints
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.testclient import TestClient
from tests.frameworks.cases import HTML, World
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from sessiongate import fastapi as for_fastapi
from sessiongate import flask as for_flask
from sessiongate import starlette as for_starlette
from sessiongate.asgi import SessionAuthMiddleware as ASGIMiddleware
from sessiongate.wsgi import SessionAuthMiddleware as WSGIMiddleware

METHODS = ["GET", "HEAD", "POST", "PUT"]

Ask: TypeAlias = Callable[..., Any]
"""Takes a path, a method and headers, gives the response as the framework's client has it."""
MakeAsk: TypeAlias = Callable[..., Ask]


def flask_asker(world: World, **demands: Any) -> Ask:
    """A page at every path, below ``/mounted`` as well."""
    app = Flask(__name__)

    @app.route("/", defaults={"path": ""}, methods=METHODS)
    @app.route("/<path:path>", methods=METHODS)
    @for_flask.login_required(**demands)
    def page(path: str) -> dict[str, Any]:
        return {"path": f"{flask_request.script_root}/{path}", "q": flask_request.args.get("q")}

    mounted: Any = DispatcherMiddleware(app.wsgi_app, {"/mounted": app.wsgi_app})
    app.wsgi_app = WSGIMiddleware(mounted, world.manager)  # type: ignore[method-assign]
    client = app.test_client(use_cookies=False)
    return lambda path, method="GET", **headers: client.open(path, method=method, headers=headers)


def starlette_asker(world: World, **demands: Any) -> Ask:
    """The same."""

    @for_starlette.login_required(**demands)
    async def page(request: Request) -> Response:
        return JSONResponse({"path": request.url.path, "q": request.query_params.get("q")})

    every = Route("/{path:path}", page, methods=METHODS)
    app = Starlette(routes=[Mount("/mounted", routes=[every]), every])
    app.add_middleware(ASGIMiddleware, manager=world.manager)
    client = TestClient(app, base_url="https://testserver", follow_redirects=False)
    return lambda path, method="GET", **headers: client.request(method, path, headers=headers)


def fastapi_asker(world: World, **demands: Any) -> Ask:
    """The same."""
    router = APIRouter()

    async def page(request: Request) -> Response:
        return JSONResponse({"path": request.url.path, "q": request.query_params.get("q")})

    router.add_api_route("/{path:path}", page, methods=METHODS)
    app = FastAPI(dependencies=[Depends(for_fastapi.login_required(**demands))], docs_url=None)
    app.include_router(router, prefix="/mounted")
    app.include_router(router)
    app.add_middleware(ASGIMiddleware, manager=world.manager)
    client = TestClient(app, base_url="https://testserver", follow_redirects=False)
    return lambda path, method="GET", **headers: client.request(method, path, headers=headers)


@pytest.fixture(params=[flask_asker, starlette_asker, fastapi_asker])
def make(request: pytest.FixtureRequest) -> MakeAsk:
    chosen: MakeAsk = request.param
    return chosen


@pytest.fixture
def world() -> World:
    return World()


def way_back(location: str) -> str:
    """What a login page would find in ``next``."""
    (target,) = parse_qs(urlsplit(location).query, strict_parsing=True)["next"]
    return target


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/a/b",
        "/a?q=1",
        "/a?q=a%26b%3Dc",
        "/a?q=%25&next=%2Fother",
        "/a?q=https://elsewhere.example/?x=1",
        "/a%20b",
        "/a%3Fq=1",
        "/a%23b?q=1",
        "/100%25",
        "/n%C3%A9e?q=%C3%A9",
        "/a;b=1,2/@c:d",
        "/%E5%90%8D",
        "/mounted/inside?q=1",
    ],
)
def test_it_leads_back_to_the_same_page(world: World, make: MakeAsk, path: str) -> None:
    ask = make(world, login_url="/login")
    answer = ask(path, **HTML)
    assert answer.status_code == 303
    location = answer.headers["Location"]
    assert location.isascii()
    # A Flask app that is mounted is mounted with its login page.
    prefix = "/mounted" if make is flask_asker and path.startswith("/mounted") else ""
    assert urlsplit(location).path == f"{prefix}/login"
    target = way_back(location)
    assert for_flask.safe_redirect(target, "/elsewhere") == target
    there = ask(path, **world.headers("reader"))
    back = ask(target, **world.headers("reader"))
    assert there.status_code == back.status_code == 200
    assert there.text == back.text


@pytest.mark.parametrize(
    "path", ["//evil.example/x", "//evil.example%2Fx", "///evil.example", "/%5Cevil.example"]
)
def test_a_path_that_names_another_host_leads_nowhere(
    world: World, make: MakeAsk, path: str
) -> None:
    """To a browser it is a whole address. Some routers redirect to a shorter one by themselves."""
    here = "https://testserver"
    target = make(world, login_url="/login")(here + path, **HTML).headers["Location"]
    if urlsplit(target).path == "/login":
        target = for_starlette.safe_redirect(way_back(target), "/home")
    assert urlsplit(urljoin(f"{here}/login", target.replace("\\", "/"))).netloc == "testserver"


@pytest.mark.parametrize(
    ("method", "expected"),
    [("GET", "/login?next=/a"), ("HEAD", "/login?next=/a"), ("POST", "/login"), ("PUT", "/login")],
)
def test_only_what_can_be_asked_again_has_a_way_back(
    world: World, make: MakeAsk, method: str, expected: str
) -> None:
    answer = make(world, login_url="/login")("/a", method, **HTML)
    assert (answer.status_code, answer.headers["Location"]) == (303, expected)
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_rotated_token_comes_with_the_redirect(world: World, make: MakeAsk) -> None:
    world.clock.advance(1800)
    answer = make(world, login_url="/login", fresh=60)("/a", **HTML, **world.headers("writer"))
    assert answer.status_code == 303
    assert answer.headers["Set-Cookie"].startswith("__Host-session=")
