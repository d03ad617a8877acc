"""A verb that was called and not awaited did nothing; the log says so, at the answer."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from tests.frameworks.cases import World
from tests.frameworks.kits import Kit

from sessiongate.asgi import SessionAuthMiddleware
from sessiongate.starlette import login_user, logout_user

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response

# Python's own warning names the coroutine; nobody reads it in production.
pytestmark = pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")


def forget_login(request: Request) -> Any:
    return login_user(request, "carol")


def forget_logout(request: Request) -> Any:
    return logout_user(request)


def forget_alogin(request: Request) -> Any:
    return request.scope["sessiongate"].alogin("carol")


def forget_alogout(request: Request) -> Any:
    return request.scope["sessiongate"].alogout()


def forget_arefresh(request: Request) -> Any:
    return request.scope["sessiongate"].arefresh()


VERBS: dict[str, Callable[[Request], Any]] = {
    "login_user()": forget_login,
    "logout_user()": forget_logout,
    "alogin()": forget_alogin,
    "alogout()": forget_alogout,
    "arefresh()": forget_arefresh,
}


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelno == logging.ERROR]


@pytest.mark.parametrize("make", [Starlette, FastAPI])
@pytest.mark.parametrize("verb", VERBS)
def test_the_log_names_the_verb(
    caplog: pytest.LogCaptureFixture, make: type[Starlette], verb: str
) -> None:
    world, app = World(), make()

    async def careless(request: Request) -> Response:
        VERBS[verb](request)
        return PlainTextResponse("Welcome!")

    app.add_route("/", careless, methods=["POST"])
    app.add_middleware(SessionAuthMiddleware, manager=world.manager)
    answer = Kit(app).ask("POST", "/", **world.headers("reader"))
    assert (answer.status, answer.text) == (200, "Welcome!")
    assert "Set-Cookie" not in answer.headers
    (line,) = told(caplog)
    assert line.startswith(f"{verb} was called and never awaited")
    assert world.manager.session_username(str(world.tokens["reader"])) == "reader"
    assert world.manager.user_sessions("carol") == []


@pytest.mark.parametrize("make", [Starlette, FastAPI])
def test_an_awaited_one_is_not_told(
    caplog: pytest.LogCaptureFixture, make: type[Starlette]
) -> None:
    world, app = World(), make()

    async def careful(request: Request) -> Response:
        later = login_user(request, "carol")
        await later
        await logout_user(request)
        await login_user(request, "carol")
        return PlainTextResponse("Welcome!")

    app.add_route("/", careful, methods=["POST"])
    app.add_middleware(SessionAuthMiddleware, manager=world.manager)
    assert Kit(app).ask("POST", "/").text == "Welcome!"
    assert told(caplog) == []
    assert len(world.manager.user_sessions("carol")) == 1
