"""The two example apps, tested as an app of yours would be: with ``sessiongate.testing``."""

from __future__ import annotations

import re
from typing import Any

import pytest
from starlette.testclient import TestClient

import fastapi_app
import flask_app
import starlette_app
from sessiongate import SessionManager
from sessiongate.stores import MemoryStore
from sessiongate.testing import ManualClock, login_as
from shared import (
    ROTATE_AFTER,
    SESSION_TIMEOUT,
    WRONG,
    Accounts,
    Services,
    Site,
    make_manager,
)

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
        # As a browser has it; TestClient takes "*/*", which is no browser's.
        return TestClient(self.app, follow_redirects=False, headers={"Accept": "text/html"})


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
    login = login_as(client, "alice", scopes=NOTES, transport="bearer")
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


# The login, with everything that can go wrong at one. All three apps hold to it.

PASSWORD = "open sesame"
ELSEWHERE = {"Sec-Fetch-Site": "cross-site", "Origin": "https://elsewhere.example"}
APPS = {
    "flask": flask_app.create_app,
    "starlette": starlette_app.create_app,
    "fastapi": fastapi_app.create_app,
}


@pytest.fixture(scope="module")
def accounts() -> Accounts:
    accounts = Accounts()
    accounts.add("alice", PASSWORD, scopes=("notes:read",))
    return accounts


class Login:
    """Logs in on one of the apps, by its form or by its API."""

    def __init__(self, name: str, accounts: Accounts, manager: SessionManager) -> None:
        app: Any = APPS[name](Services(manager, accounts, SITE))
        self.by_form = name != "fastapi"
        self.client: Any = (
            app.test_client() if name == "flask" else TestClient(app, follow_redirects=False)
        )
        self.token_url = "/token" if name == "fastapi" else "/api/login"

    def __call__(self, password: str = PASSWORD, **headers: str) -> Any:
        fields = {"username": "alice", "password": password}
        if self.by_form:
            fields |= {"next": "/devices"}
            return self.client.post("/login", data=fields, headers=headers)
        return self.client.post("/login", json=fields, headers=headers)

    def token(self, **headers: str) -> Any:
        fields = {"username": "alice", "password": PASSWORD}
        return self.client.post(self.token_url, json=fields, headers=headers)


@pytest.fixture(params=APPS)
def log_in(
    request: pytest.FixtureRequest, accounts: Accounts, full_manager: SessionManager
) -> Login:
    return Login(request.param, accounts, full_manager)


@pytest.fixture
def full_manager() -> SessionManager:
    """One session of another user may be open, and is not yet."""
    return SessionManager(max_concurrent_sessions=1, secret_key="k" * 64)


def test_a_login_leads_on(log_in: Login, full_manager: SessionManager) -> None:
    answer = log_in()
    assert answer.status_code == (303 if log_in.by_form else 204)
    assert not log_in.by_form or answer.headers["Location"] == "/devices"
    assert len(full_manager.user_sessions("alice")) == 1


def test_a_wrong_password_leads_nowhere(log_in: Login, full_manager: SessionManager) -> None:
    answer = log_in(password="guess")
    assert answer.status_code == 403
    assert WRONG in answer.text
    assert not log_in.by_form or 'name="next" value="/devices"' in answer.text
    assert full_manager.n_active_sessions() == 0


def test_at_a_limit_it_says_so(log_in: Login, full_manager: SessionManager) -> None:
    full_manager.create_session("bob")
    for answer in (log_in(), log_in.token()):
        assert answer.status_code == 403
        assert "There are too many sessions" in answer.text
        assert "Set-Cookie" not in answer.headers
    assert full_manager.user_sessions("alice") == []


def test_another_site_logs_nobody_in(log_in: Login, full_manager: SessionManager) -> None:
    answer = log_in(**ELSEWHERE)
    assert answer.status_code == 403
    assert "came from another site" in answer.text
    assert "Set-Cookie" not in answer.headers
    assert full_manager.n_active_sessions() == 0


def test_another_site_logs_nobody_out(log_in: Login, full_manager: SessionManager) -> None:
    log_in()
    assert log_in.client.post("/logout", headers=ELSEWHERE).status_code == 403
    assert len(full_manager.user_sessions("alice")) == 1
    assert log_in.client.post("/logout").status_code in {204, 303}
    assert full_manager.n_active_sessions() == 0


def test_the_websocket_ends_with_the_session(manager: SessionManager, clock: ManualClock) -> None:
    client = App("starlette", manager).client()
    login_as(client, "alice")
    with client.websocket_connect("/ws") as websocket:
        websocket.send_text("hello")
        assert "alice" in websocket.receive()["text"]
        clock.advance(SESSION_TIMEOUT)
        closed = websocket.receive()
    assert (closed["code"], closed["reason"]) == (1008, "session ended")
