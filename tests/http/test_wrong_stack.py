"""The WSGI middleware in an ASGI app, and the other way round: the error names the right import."""

from __future__ import annotations

import asyncio
import functools
import inspect
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient
from tests.http.harness import call_wsgi, environ_of, scope_of
from werkzeug.middleware.proxy_fix import ProxyFix

from sessiongate import SessionManager
from sessiongate.asgi import SessionAuthMiddleware as ASGIMiddleware
from sessiongate.wsgi import SessionAuthMiddleware as WSGIMiddleware

if TYPE_CHECKING:
    from collections.abc import Callable

TO_ASGI = r"use sessiongate\.asgi\.SessionAuthMiddleware"
TO_WSGI = r"use sessiongate\.wsgi\.SessionAuthMiddleware"


def wsgi_app(_environ: Any, start_response: Any) -> list[bytes]:
    start_response("204 No Content", [])
    return []


async def asgi_app(_scope: Any, _receive: Any, _send: Any) -> None: ...


class ASGIClass:
    """Such as an endpoint of Starlette: made for each request, and awaited."""

    def __init__(self, scope: Any, receive: Any, send: Any) -> None: ...


class WSGIClass:
    """The app class of PEP 3333: made for each request, and read."""

    def __init__(self, environ: Any, start_response: Any) -> None: ...


WSGI_APPS: dict[str, Any] = {
    "function": wsgi_app,
    "class": WSGIClass,
    "lambda": lambda e, s: wsgi_app(e, s),  # noqa: PLW0108 - other names of the arguments
    "partial": functools.partial(lambda _, e, s: wsgi_app(e, s), None),
    "Flask": Flask("app"),
    "Flask.wsgi_app": Flask("app").wsgi_app,
    "ProxyFix": ProxyFix(wsgi_app),
    "ours": WSGIMiddleware(wsgi_app, SessionManager()),
}
ASGI_APPS: dict[str, Any] = {
    "function": asgi_app,
    "class": ASGIClass,
    "Starlette": Starlette(),
    "ours": ASGIMiddleware(asgi_app, SessionManager()),
}
EITHER: dict[str, Any] = {
    "any arguments": lambda *_: None,
    "no signature": dict,
    "no function": object(),
    "one argument": lambda scope: scope,
}


@pytest.mark.parametrize("app", WSGI_APPS.values(), ids=WSGI_APPS)
def test_an_asgi_middleware_is_put_around_no_wsgi_app(app: Any) -> None:
    with pytest.raises(TypeError, match=TO_WSGI) as caught:
        ASGIMiddleware(app, SessionManager())
    assert "WSGI app, called with (environ, start_response)" in str(caught.value)
    WSGIMiddleware(app, SessionManager())


@pytest.mark.parametrize("app", ASGI_APPS.values(), ids=ASGI_APPS)
def test_a_wsgi_middleware_is_put_around_no_asgi_app(app: Any) -> None:
    with pytest.raises(TypeError, match=TO_ASGI) as caught:
        WSGIMiddleware(app, SessionManager())
    assert "ASGI app, called with (scope, receive, send)" in str(caught.value)
    ASGIMiddleware(app, SessionManager())


@pytest.mark.parametrize("app", EITHER.values(), ids=EITHER)
@pytest.mark.parametrize("middleware", [ASGIMiddleware, WSGIMiddleware])
def test_what_might_be_either_is_taken(middleware: Callable[..., object], app: Any) -> None:
    middleware(app, SessionManager())


def test_starlette_says_it_at_the_first_request() -> None:
    theirs: Any = WSGIMiddleware
    app = Starlette(middleware=[Middleware(theirs, manager=SessionManager())])
    with pytest.raises(TypeError, match=TO_ASGI):
        TestClient(app).get("/")


def test_a_wsgi_server_that_calls_an_asgi_middleware_is_told() -> None:
    with pytest.raises(TypeError, match=TO_WSGI) as caught:
        call_wsgi(ASGIMiddleware(asgi_app, SessionManager()), environ_of("GET", []))
    assert "missing 1 required positional argument: 'send'" in str(caught.value)


@pytest.mark.parametrize("count", [1, 3])
def test_an_asgi_server_that_calls_a_wsgi_middleware_is_told(count: int) -> None:
    """Some pass the scope alone: a plain function might be an app of ASGI 2."""
    app: Any = WSGIMiddleware(wsgi_app, SessionManager())
    with pytest.raises(TypeError, match=TO_ASGI):
        app(*(scope_of("GET", []), None, None)[:count])


def test_servers_still_see_which_kind_it_is() -> None:
    ours = ASGIMiddleware(asgi_app, SessionManager())
    assert inspect.iscoroutinefunction(ours.__call__)
    assert asyncio.run(ours({"type": "lifespan"}, None, None)) is None  # type: ignore[arg-type]
    assert not inspect.iscoroutinefunction(WSGIMiddleware(wsgi_app, SessionManager()).__call__)
