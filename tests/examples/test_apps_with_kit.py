"""The two example apps, tested as an app of yours would be: with ``sessiongate.testing``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from starlette.testclient import TestClient

import flask_app
import starlette_app
from sessiongate.stores import MemoryStore
from sessiongate.testing import ManualClock, login_as
from shared import (
    ROTATE_AFTER,
    SESSION_TIMEOUT,
    Accounts,
    Services,
    Site,
    make_manager,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sessiongate import SessionManager

SITE = Site("here", "http://testserver", "there", "http://there")
NOTES = ["notes:read", "notes:write"]


class App:
    """One of the apps, and clients that differ in nothing a test sees."""

    def __init__(self, name: str, manager: SessionManager) -> None:
        services = Services(manager, Accounts(), SITE)
        create = {"flask": flask_app.create_app, "starlette": starlette_app.create_app}[name]
        self.app: Any = create(services)

    def client(self) -> Any:
        if hasattr(self.app, "test_client"):
            return self.app.test_client()
        return TestClient(self.app, headers={"Accept": "text/html"}, follow_redirects=False)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def manager(clock: ManualClock) -> SessionManager:
    return make_manager(MemoryStore(), "k" * 64, clock=clock)


@pytest.fixture(params=["flask", "starlette"])
def app(request: pytest.FixtureRequest, manager: SessionManager) -> App:
    return App(request.param, manager)


@pytest.fixture
def client(app: App) -> Any:
    return app.client()


def lands(response: Any) -> tuple[int, str]:
    return response.status_code, response.headers.get("Location", "")


def test_the_account_page_is_for_the_logged_in(client: Any) -> None:
    assert lands(client.get("/account")) == (303, "/login?next=/account")
    login_as(client, "alice", scopes=NOTES)
    page = client.get("/account")
    assert page.status_code == 200
    for fact in ("alice", *NOTES):
        assert fact in page.text


def test_a_session_rotates_as_time_goes_by_and_ends_with_it(
    client: Any, clock: ManualClock
) -> None:
    login = login_as(client, "alice")
    tokens = {login.token}
    for _ in range(12):
        clock.advance(ROTATE_AFTER)
        assert client.get("/account").status_code == 200
        tokens.add(login.token)
    assert len(tokens) == 13, "each minute has its token"

    clock.advance(SESSION_TIMEOUT)
    assert lands(client.get("/account")) == (303, "/login?next=/account")


def test_the_old_token_in_other_hands_ends_the_session(
    app: App, client: Any, clock: ManualClock, manager: SessionManager
) -> None:
    login = login_as(client, "alice", transport="bearer")
    stolen = {"Authorization": f"Bearer {login.token}"}
    clock.advance(ROTATE_AFTER)
    client.get("/api/me")
    client.get("/api/me")
    clock.advance(31)
    assert app.client().get("/api/me", headers=stolen).status_code == 401
    assert manager.user_sessions("alice") == []
    assert client.get("/api/me").status_code == 401


def test_a_logout_reaches_this_device_alone(app: App, client: Any) -> None:
    phone = app.client()
    login_as(client, "alice")
    login_as(phone, "alice")
    assert lands(client.post("/logout")) == (303, "/")
    assert client.get("/account").status_code == 303
    assert phone.get("/account").status_code == 200


def test_my_devices_shows_and_ends_the_others(app: App, client: Any) -> None:
    phone, stranger = app.client(), app.client()
    login_as(
        client, "alice", device={"user_agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"}
    )
    login_as(phone, "alice", device={"name": "Safari on iPhone"})
    login_as(stranger, "bob", device={"user_agent": "curl/8"})

    page = client.get("/devices").text
    assert "Firefox on Linux" in page
    assert "Safari on iPhone" in page
    assert "curl" not in page

    _, end = re.findall(r'action="([^"]+/end/[^"]+)"', page)
    stranger.post(end)
    assert phone.get("/account").status_code == 200, "nobody ends the session of another user"
    client.post(end)
    assert phone.get("/account").status_code == 303

    login_as(phone, "alice")
    client.post("/devices/end-others")
    assert phone.get("/account").status_code == 303
    assert client.get("/account").status_code == 200
    assert stranger.get("/account").status_code == 200


def test_the_sixth_device_takes_the_place_of_the_first(app: App) -> None:
    devices = [app.client() for _ in range(6)]
    for device in devices:
        login_as(device, "alice")
    assert [device.get("/account").status_code for device in devices] == [303, *[200] * 5]


def test_the_api_says_what_the_session_is(client: Any, clock: ManualClock) -> None:
    login = login_as(client, "alice", scopes=NOTES, transport="bearer")
    clock.advance(1)
    response = client.get("/api/me")
    me: Any = response.json() if isinstance(client, TestClient) else response.get_json()
    assert (me["username"], me["transport"], me["scopes"]) == ("alice", "bearer", NOTES)
    assert client.post("/api/logout").status_code == 204
    assert client.get("/api/me").status_code == 401
    login.logout()


@pytest.fixture
def talk(manager: SessionManager) -> Iterator[Callable[[str], Any]]:
    """Says something on the websocket of the Starlette app, as alice."""
    client = App("starlette", manager).client()
    login_as(client, "alice")
    with client.websocket_connect("/ws") as websocket:

        def say(text: str) -> Any:
            websocket.send_text(text)
            return websocket.receive()

        yield say


def test_the_websocket_ends_with_the_session(
    talk: Callable[[str], Any], clock: ManualClock
) -> None:
    assert "alice" in talk("hello")["text"]
    clock.advance(SESSION_TIMEOUT)
    assert talk("still there?")["code"] == 1008
