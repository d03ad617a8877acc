"""The manager is found behind the client, however the app was put together; or it is asked for."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import flask
import httpx
import httpx2
import pytest
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Mount
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect
from tests.servers.running import serving_asgi, serving_wsgi
from tests.testing.clients import flask_app, starlette_app
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import Client

from sessiongate import ConfigurationError, SessionCookie, SessionManager
from sessiongate.asgi import SessionAuthMiddleware as ASGIMiddleware
from sessiongate.testing import ManualClock, login_as

if TYPE_CHECKING:
    from collections.abc import Callable

HTTP = SessionCookie.for_http()


def around(app: Any) -> Any:
    """A wrapper without attributes, but for the one that ``functools.wraps`` sets."""

    @functools.wraps(app)
    async def outer(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)

    return outer


@pytest.mark.parametrize(
    "wrap",
    [
        CORSMiddleware,
        around,
        lambda app: Starlette(routes=[Mount("/", app)]),
        lambda app: around(CORSMiddleware(Starlette(routes=[Mount("/", CORSMiddleware(app))]))),
    ],
    ids=["middleware", "wraps", "mount", "all"],
)
@pytest.mark.parametrize("started", [False, True], ids=["new", "used"])
def test_behind_asgi_wrappers(
    manager: SessionManager, wrap: Callable[[Any], Any], *, started: bool
) -> None:
    client = TestClient(wrap(starlette_app(manager)), base_url="https://testserver")
    if started:
        assert client.get("/").json()["username"] is None
    login_as(client, "alice")
    assert client.get("/").json()["username"] == "alice"


def test_behind_a_bound_method(manager: SessionManager) -> None:
    app = ASGIMiddleware(Starlette(), manager).__call__
    assert login_as(TestClient(app, base_url="https://testserver"), "alice").token


def test_behind_wsgi_wrappers(manager: SessionManager) -> None:
    mounted = DispatcherMiddleware(flask.Flask("outer"), {"/in": flask_app(manager).wsgi_app})
    client = Client(ProxyFix(mounted))
    login_as(client, "alice")
    assert client.get("/in/").json == {"username": "alice", "transport": "cookie", "scopes": []}


def test_in_a_mounted_app_on_its_path(manager: SessionManager) -> None:
    inner = starlette_app(manager, cookie=SessionCookie(name="admin", path="/admin"))
    client = TestClient(Starlette(routes=[Mount("/admin", inner)]), base_url="https://testserver")
    login_as(client, "alice")
    assert client.get("/admin/").json()["username"] == "alice"


def test_flask_is_asked_at_its_server_name(manager: SessionManager) -> None:
    app = flask_app(manager, cookie=SessionCookie(name="s", domain="example.com"))
    app.config["SERVER_NAME"] = "www.Example.com:8443"
    client = app.test_client()
    login_as(client, "alice")
    assert client.get("/").get_json()["username"] == "alice"


def test_two_managers_need_a_word(manager: SessionManager) -> None:
    other = SessionManager()
    first, second = starlette_app(manager), starlette_app(other, cookie=SessionCookie(name="b"))
    app = Starlette(routes=[Mount("/a", first), Mount("/b", second)])
    client = TestClient(app, base_url="https://testserver")
    with pytest.raises(ConfigurationError, match="several managers: say which"):
        login_as(client, "alice")
    login_as(client, "alice", manager=manager)
    login_as(client, "bob", manager=other)
    assert client.get("/a/").json()["username"] == "alice"
    assert client.get("/b/").json()["username"] == "bob"


class Yielding:
    """An app that has whatever it is asked for, and that again, as mocks do."""

    def __getattr__(self, name: str) -> Yielding:
        return Yielding()


@pytest.mark.parametrize(
    "app",
    [
        pytest.param(Starlette(), id="bare"),
        pytest.param(Yielding(), id="yielding"),
        pytest.param(Mock(), id="mock", marks=pytest.mark.slow),
        pytest.param(around(Starlette().__call__), id="wrapped"),
    ],
)
def test_without_a_middleware_it_says_so(app: Any) -> None:
    with pytest.raises(ConfigurationError, match="no SessionAuthMiddleware was found"):
        login_as(TestClient(app), "alice")


def test_a_word_that_contradicts_the_app_is_an_error(manager: SessionManager) -> None:
    client = TestClient(starlette_app(manager, cookie=HTTP))
    contradictions: list[dict[str, Any]] = [
        {"manager": SessionManager()},
        {"manager": manager, "cookie": SessionCookie()},
    ]
    for words in contradictions:
        with pytest.raises(ConfigurationError, match="not those of the SessionAuthMiddleware"):
            login_as(client, "alice", **words)
    login_as(client, "alice", manager=manager, cookie=HTTP)
    assert client.get("/").json()["username"] == "alice"
    with pytest.raises(ConfigurationError, match="pass its manager= as well"):
        login_as(client, "alice", cookie=HTTP)
    with pytest.raises(TypeError, match="manager must be a SessionManager"):
        login_as(client, "alice", manager="redis://")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "client", [flask.Flask("app"), Starlette(), "alice", None], ids=["flask", "asgi", "str", "none"]
)
def test_what_is_no_client_is_told_so(manager: SessionManager, client: Any) -> None:
    for known in (None, manager):
        with pytest.raises(TypeError, match=r"client must be Flask's .* not"):
            login_as(client, "alice", manager=known)
    assert manager.n_active_sessions() == 0


# Plain http, and real servers.


def test_a_secure_cookie_over_http_is_an_error_with_both_remedies(manager: SessionManager) -> None:
    app = starlette_app(manager)
    with pytest.raises(ConfigurationError) as caught:
        login_as(TestClient(app), "alice")
    assert "base_url='https://testserver'" in str(caught.value)
    assert "cookie=SessionCookie.for_http()" in str(caught.value)
    assert manager.n_active_sessions() == 0
    in_development = starlette_app(manager, cookie=SessionCookie.for_http())
    for client in (TestClient(app, base_url="https://testserver"), TestClient(in_development)):
        login_as(client, "alice")
        assert client.get("/").json()["username"] == "alice"
    login_as(TestClient(app), "alice", transport="bearer")


def test_a_websocket_comes_with_the_session(manager: SessionManager) -> None:
    client = TestClient(starlette_app(manager), base_url="https://testserver")
    with pytest.raises((WebSocketDisconnect, WebSocketDenialResponse)):
        client.websocket_connect("wss://testserver/ws").__enter__()
    login_as(client, "alice")
    with client.websocket_connect("wss://testserver/ws") as websocket:
        assert websocket.receive_text() == "alice"


@pytest.mark.parametrize("library", [httpx, httpx2])
@pytest.mark.parametrize("transport", ["cookie", "bearer"])
def test_a_real_server_needs_the_manager(
    manager: SessionManager, clock: ManualClock, library: Any, transport: Any
) -> None:
    sites = [
        (serving_asgi, starlette_app(manager, cookie=HTTP)),
        (serving_wsgi, flask_app(manager, cookie=HTTP)),
    ]
    for serving, app in sites:
        with (
            serving(app) as address,
            library.Client(base_url=f"http://{address}", trust_env=False) as client,
        ):
            with pytest.raises(ConfigurationError, match="out of sight"):
                login_as(client, "alice", transport=transport)
            login_as(client, "alice", transport=transport, manager=manager, cookie=HTTP)
            for _ in range(2):
                assert client.get("/").json()["username"] == "alice"
                clock.advance(61)


def test_a_client_without_a_base_url_is_told_where_it_asks(manager: SessionManager) -> None:
    with httpx.Client() as client:
        with pytest.raises(ConfigurationError, match="make it with base_url="):
            login_as(client, "alice", manager=manager)
        assert manager.n_active_sessions() == 0
        login_as(client, "alice", manager=manager, base_url="https://example.com/app/")
        request = client.build_request("GET", "https://example.com/")
        assert "__Host-session=" in request.headers["Cookie"]
        assert "Cookie" not in client.build_request("GET", "https://example.org/").headers


def test_one_cookie_remains_where_the_test_had_put_its_own(manager: SessionManager) -> None:
    client = TestClient(starlette_app(manager, cookie=HTTP))
    client.cookies.set(HTTP.name, "mine")
    login_as(client, "alice")
    assert client.get("/").json()["username"] == "alice"
