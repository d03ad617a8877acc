"""How the page gets into an app, and what is refused when it does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.testclient import TestClient
from tests.devices.site import make_site

from sessiongate.asgi import SessionAuthMiddleware
from sessiongate.devices.endpoints import Asked, Endpoints
from sessiongate.devices.flask import my_devices as for_flask
from sessiongate.devices.starlette import my_devices as for_starlette
from sessiongate.http.request_session import RequestSession
from sessiongate.http.settings import MiddlewareSettings

if TYPE_CHECKING:
    from starlette.requests import Request

    from sessiongate.devices import DevicesPage

BOTH = pytest.mark.parametrize("my_devices", [for_flask, for_starlette])


@BOTH
@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"path": "devices"}, "path"),
        ({"path": "/devices/"}, "path"),
        ({"path": "/"}, "path"),
        ({"path": None}, "path"),
        ({"home_url": ""}, "home_url"),
        ({"home_url": None}, "home_url"),
        ({"login_url": ""}, "login_url"),
        ({"scopes": "account"}, "scopes"),
        ({"fresh": -1}, "fresh"),
        ({"render": "devices.html"}, "render"),
    ],
)
def test_unfit_arguments_are_named_at_once(
    my_devices: Any, options: dict[str, Any], named: str
) -> None:
    with pytest.raises((TypeError, ValueError), match=named):
        my_devices(**options)


def test_the_pages_have_names_to_link_to() -> None:
    app = Flask(__name__)
    app.register_blueprint(for_flask())
    with app.test_request_context():
        assert app.url_for("my_devices.page") == "/devices"
    starlette = Starlette(routes=for_starlette("/account/devices"))
    assert starlette.url_path_for("my_devices:page") == "/account/devices"


def test_a_blueprint_may_be_all_that_there_is() -> None:
    site = make_site("flask")
    app = Flask(__name__)
    app.register_blueprint(for_flask(), url_prefix="/")
    site.app.wsgi_app.app = app.wsgi_app
    here, there = site.open(), site.open()
    shown = site.ask("GET", "/", here)
    (link,) = shown.all("link")
    assert site.ask("GET", str(link.attributes["href"])).status == 200
    (*_, others) = shown.all("form")
    answer = site.ask("POST", str(others.attributes["action"]), here)
    assert answer.headers["Location"] == "/"
    assert site.manager.validate_session(there) is None


async def asynchronous(_request: Request, page: DevicesPage) -> HTMLResponse:
    return HTMLResponse(f"for {page.username}", headers={"Cache-Control": "private"})


def html(_request: Request, page: DevicesPage) -> str:
    return f"<p>for {page.username}</p>"


@pytest.mark.parametrize(
    ("render", "text", "caching"),
    [(asynchronous, "for alice", "private"), (html, "<p>for alice</p>", "no-store")],
)
def test_starlette_takes_responses_and_html(render: Any, text: str, caching: str) -> None:
    site = make_site("starlette", render=render)
    shown = site.ask("GET", token=site.open())
    assert (shown.text, shown.headers["Cache-Control"]) == (text, caching)
    assert shown.headers["Content-Type"].startswith("text/html")


def test_flask_takes_whatever_a_view_returns() -> None:
    async def render(page: DevicesPage) -> Any:
        return {"username": page.username}, 200, {"Cache-Control": "private"}

    site = make_site("flask", render=render)
    shown = site.ask("GET", token=site.open())
    assert shown.json == {"username": "alice"}
    assert shown.headers["Cache-Control"] == "private"


def test_a_path_that_names_a_host_is_no_way_to_leave() -> None:
    site = make_site("starlette")
    tenants = Starlette()
    tenants.mount("/{tenant:path}/in", Starlette(routes=for_starlette()))
    tenants.add_middleware(SessionAuthMiddleware, manager=site.manager)
    client = TestClient(tenants, "https://app.example.com", follow_redirects=False)
    headers = {"Cookie": f"__Host-session={site.open()}"}
    path = "https://app.example.com//evil.example/in/devices/end-others"
    answer = client.post(path, headers=headers)
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/evil.example/in/devices"


def test_nobody_would_be_shown_nothing_even_without_the_guard() -> None:
    """Defence in depth: a store that is asked without a name lists everybody."""
    site = make_site("flask")
    site.open()
    handle = RequestSession(MiddlewareSettings(site.manager))
    (listing, *_) = (e for e in Endpoints("/devices", None) if e.name == "api_list")
    answer = listing.run(Asked(handle, "/devices/api", ""))
    assert answer.body == '{"devices": []}'
