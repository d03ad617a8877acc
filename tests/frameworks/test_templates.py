"""Templates know the user: `install` of Flask, a context processor of Starlette."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI
from flask import Flask, render_template_string
from jinja2 import DictLoader, Environment
from starlette.applications import Starlette
from starlette.templating import Jinja2Templates
from tests.frameworks.cases import World
from tests.frameworks.kits import Kit

from sessiongate import SessionCookie
from sessiongate.asgi import SessionAuthMiddleware
from sessiongate.flask import install, login_user
from sessiongate.starlette import user_context

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response

TEMPLATE = "{{ current_user.display_name if current_user.is_authenticated else 'nobody' }}"


def flask_app(world: World) -> Flask:
    app = Flask(__name__)
    install(app, world.manager)
    app.get("/")(lambda: render_template_string(TEMPLATE))
    return app


def asgi_app(app: Starlette, world: World) -> Starlette:
    environment = Environment(loader=DictLoader({"page.html": TEMPLATE}), autoescape=True)
    templates = Jinja2Templates(env=environment, context_processors=[user_context])

    async def page(request: Request) -> Response:
        return templates.TemplateResponse(request, "page.html")

    app.add_route("/", page)
    app.add_middleware(SessionAuthMiddleware, manager=world.manager)
    return app


@pytest.mark.parametrize("name", ["flask", "starlette", "fastapi"])
def test_a_template_names_who_it_is(name: str) -> None:
    world = World()
    made: dict[str, Callable[[], Any]] = {
        "flask": lambda: flask_app(world),
        "starlette": lambda: asgi_app(Starlette(), world),
        "fastapi": lambda: asgi_app(FastAPI(), world),
    }
    kit = Kit(made[name]())
    assert kit.ask("GET", "/").text == "nobody"
    assert kit.ask("GET", "/", **world.headers("reader")).text == "reader"


def test_install_takes_the_options_of_the_middleware() -> None:
    app, world = Flask(__name__), World()
    install(app, world.manager, cookie=SessionCookie(name="__Host-id"), record_device=False)
    app.post("/login")(lambda: login_user("carol"))
    answer = Kit(app).ask("POST", "/login")
    assert answer.headers["Set-Cookie"].startswith("__Host-id=")
    assert [row["device"] for row in world.manager.user_sessions("carol")] == [None]


def test_unfit_options_leave_the_app_as_it_was() -> None:
    app, world = Flask(__name__), World()
    before = app.wsgi_app, dict(app.template_context_processors)
    with pytest.raises(ValueError, match="realm"):
        install(app, world.manager, realm='"')
    assert (app.wsgi_app, dict(app.template_context_processors)) == before


def test_a_template_outside_of_a_request_knows_nobody() -> None:
    app, world = Flask(__name__), World()
    install(app, world.manager)
    with app.app_context():
        assert render_template_string(TEMPLATE) == "nobody"
