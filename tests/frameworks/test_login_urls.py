"""Where the login page is: a path, a route's name or a function, below any prefix."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI
from flask import Blueprint, Flask, url_for
from starlette.applications import Starlette
from starlette.routing import Mount, Route
from tests.frameworks.cases import HTML, World
from tests.frameworks.kits import KITS, Kit, make_app, make_kit, whoever

from sessiongate import fastapi as for_fastapi
from sessiongate import flask as for_flask
from sessiongate import starlette as for_starlette
from sessiongate.asgi import SessionAuthMiddleware

if TYPE_CHECKING:
    from collections.abc import Callable

ASGI = ["starlette", "fastapi"]


@pytest.fixture
def world() -> World:
    return World()


def called(login_url: Any) -> str:
    """How a test names what it is given: one that every worker spells alike."""
    return str(getattr(login_url, "__name__", login_url))


def by_name(*_request: Any) -> str:
    return "entrance"


def by_path(*_request: Any) -> str:
    return "/enter"


def by_url_of_flask() -> str:
    return url_for("entrance")


def by_url_of_starlette(request: Any) -> str:
    return str(request.url_for("entrance").path)


def elsewhere(*_request: Any) -> str:
    return "https://login.example/?app=1"


WAYS = ["/enter", "entrance", by_name, by_path]


@pytest.mark.parametrize("prefix", ["", "/shop", "/caf\u00e9 1"])
@pytest.mark.parametrize("login_url", WAYS, ids=called)
@pytest.mark.parametrize("name", KITS)
def test_the_login_page_and_the_way_back_are_below_the_prefix(
    world: World, name: str, login_url: Any, prefix: str
) -> None:
    kit = Kit(make_app(name, world.manager, login_url=login_url), prefix)
    answer = kit.ask("GET", f"{prefix}/private?q=1", **HTML)
    shown = {"": "", "/shop": "/shop", "/caf\u00e9 1": "/caf%C3%A9%201"}[prefix]
    quoted = shown.replace("%", "%25")
    expected = f"{shown}/enter?next={quoted}/private%3Fq%3D1"
    assert (answer.status, answer.headers["Location"]) == (303, expected)


@pytest.mark.parametrize("login_url", [*WAYS, by_url_of_starlette], ids=called)
@pytest.mark.parametrize("name", ASGI)
def test_so_they_are_where_the_server_leaves_the_prefix_out_of_the_path(
    world: World, name: str, login_url: Any
) -> None:
    """A proxy that strips it, and a server that is told of it (`--root-path`)."""
    kit = Kit(make_app(name, world.manager, login_url=login_url), "/shop")
    answer = kit.ask("GET", "/private?q=1", **HTML)
    expected = "/shop/enter?next=/shop/private%3Fq%3D1"
    assert (answer.status, answer.headers["Location"]) == (303, expected)


@pytest.mark.parametrize(
    ("name", "login_url"),
    [("flask", by_url_of_flask), *((name, by_url_of_starlette) for name in ASGI)],
)
def test_a_function_may_give_what_has_the_prefix_already(
    world: World, name: str, login_url: Callable[..., str]
) -> None:
    kit = Kit(make_app(name, world.manager, login_url=login_url), "/shop")
    answer = kit.ask("GET", "/shop/private", **HTML)
    assert answer.headers["Location"] == "/shop/enter?next=/shop/private"


@pytest.mark.parametrize("login_url", [elsewhere, "https://login.example/?app=1"], ids=called)
@pytest.mark.parametrize("name", KITS)
def test_it_may_be_on_another_host(world: World, name: str, login_url: Any) -> None:
    kit = Kit(make_app(name, world.manager, login_url=login_url), "/shop")
    answer = kit.ask("GET", "/shop/private", **HTML)
    assert answer.headers["Location"] == "https://login.example/?app=1&next=/shop/private"


@pytest.mark.parametrize("login_url", WAYS, ids=called)
def test_fastapi_may_know_its_prefix_itself(world: World, login_url: Any) -> None:
    app = make_app("fastapi", world.manager, login_url=login_url)
    app.root_path = "/shop"
    answer = Kit(app).ask("GET", "/private", **HTML)
    assert answer.headers["Location"] == "/shop/enter?next=/shop/private"


def test_the_host_of_the_request_is_not_in_it(world: World) -> None:
    for name in KITS:
        kit = make_kit(name, world.manager, login_url="entrance")
        answer = kit.ask("GET", "/private", Host="evil.example", **HTML)
        assert answer.headers["Location"] == "/enter?next=/private", name


def test_a_name_of_flask_may_be_relative_to_its_blueprint(world: World) -> None:
    pages = Blueprint("pages", __name__)
    pages.get("/in", endpoint="entrance")(lambda: "Who are you?")
    page = for_flask.login_required(login_url=".entrance")
    pages.get("/private")(page(partial(str, "in")))
    app = Flask(__name__)
    app.register_blueprint(pages, url_prefix="/account")
    for_flask.install(app, world.manager)
    answer = Kit(app).ask("GET", "/account/private", **HTML)
    assert answer.headers["Location"] == "/account/in?next=/account/private"


def test_a_name_of_starlette_may_be_inside_a_mount(world: World) -> None:
    private = for_starlette.login_required(login_url="account:entrance")(whoever)
    inside = [Route("/in", whoever, name="entrance"), Route("/private", private)]
    app = Starlette(routes=[Mount("/account", routes=inside, name="account")])
    app.add_middleware(SessionAuthMiddleware, manager=world.manager)
    answer = Kit(app, "/shop").ask("GET", "/shop/account/private", **HTML)
    assert answer.headers["Location"] == "/shop/account/in?next=/shop/account/private"


@pytest.mark.parametrize("kit", [for_flask, for_starlette, for_fastapi])
def test_an_async_function_is_refused_at_once(kit: Any) -> None:
    async def find(_request: Any) -> str:
        return "/enter"

    with pytest.raises(TypeError, match="login_url must not be an async function"):
        kit.login_required(login_url=find)


def test_a_decorated_operation_of_fastapi_finds_it_too(world: World) -> None:
    app = FastAPI()
    app.get("/private")(for_fastapi.login_required(login_url="entrance")(whoever))
    app.get("/enter", name="entrance")(whoever)
    app.add_middleware(SessionAuthMiddleware, manager=world.manager)
    answer = Kit(app, "/shop").ask("GET", "/private", **HTML)
    assert answer.headers["Location"] == "/shop/enter?next=/shop/private"
