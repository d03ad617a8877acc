"""The pages on moving: both apps of each do the same, and differ where the page says so.

``overtake`` is a request that is under way while its user logs out: its view logs out with a
client of its own, and returns afterwards. Nothing waits for anything.
"""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from tests.examples.documents import ROOT, run
from werkzeug.test import Client as WerkzeugClient

from sessiongate.testing import ManualClock

pytestmark = [
    # Of the others, not of ours: they are what is being left.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning"),
]

PASSWORD = {"username": "alice", "password": "open sesame"}
FORMS = ["flask-login", "flask-session", "starlette-sessions", "starsessions"]
"""The pages whose two apps are the same: a login form, a page, a logout."""


class Browser:
    """One client of either kind of app, over https; with a jar it brings those cookies only."""

    def __init__(self, app: Any, jar: str = "") -> None:
        self._headers = {"Cookie": jar} if jar else {}
        if isinstance(app, Flask):
            self.client: Any = WerkzeugClient(app, use_cookies=not jar)
            self._options = {"base_url": "https://localhost"}
        else:
            self.client = TestClient(app, base_url="https://localhost")
            self._options = {}

    def get(self, path: str) -> Any:
        return self.client.get(path, headers=self._headers, **self._options)

    def post(self, path: str, **fields: Any) -> Any:
        return self.client.post(path, data=fields, headers=self._headers, **self._options)

    @property
    def jar(self) -> str:
        """The cookies, as they would be copied out of a browser."""
        if isinstance(self.client, TestClient):
            return "; ".join(f"{name}={value}" for name, value in self.client.cookies.items())
        stored = self.client._cookies.values()
        return "; ".join(f"{cookie.key}={cookie.value}" for cookie in stored)


def app_of(page: str, which: str) -> Any:
    # Not the cached one of ``run``: tests add routes, and a login is not to leak into another.
    return run.__wrapped__(f"docs/moving-from/{page}.md", which)["app"]


def copy_of(jar: str, app: Any) -> int:
    """What a client gets that brings copied cookies and nothing else."""
    return int(Browser(app, jar).get("/").status_code)


def test_every_page_is_tried() -> None:
    pages = {path.stem for path in ROOT.glob("docs/moving-from/*.md")} - {"index"}
    elsewhere = {"django-sessions", "allauth-usersessions"}  # by the tests of the kit for Django
    assert pages == {*FORMS, "flask-jwt-extended", "fastapi-users", *elsewhere}


@pytest.mark.parametrize("which", ["before", "after"])
@pytest.mark.parametrize("page", FORMS)
def test_both_apps_do_the_same(page: str, which: str) -> None:
    app = app_of(page, which)
    browser = Browser(app)
    assert browser.get("/").status_code == 401
    assert browser.post("/login", **PASSWORD | {"password": "?"}).status_code == 403
    assert browser.get("/").status_code == 401
    assert browser.post("/login", **PASSWORD).text == "Welcome!"
    assert browser.get("/").text == "Hello, alice!"
    assert Browser(app).get("/").status_code == 401
    assert browser.post("/logout").text == "Bye!"
    assert browser.get("/").status_code == 401


@pytest.mark.parametrize("page", FORMS)
def test_after_the_move_a_copied_cookie_is_dead_after_the_logout(page: str) -> None:
    app = app_of(page, "after")
    browser = Browser(app)
    browser.post("/login", **PASSWORD)
    jar = browser.jar
    assert copy_of(jar, app) == 200
    browser.post("/logout")
    assert copy_of(jar, app) == 401


@pytest.mark.parametrize("page", ["flask-login", "starlette-sessions"])
def test_before_it_a_copied_cookie_outlives_the_logout(page: str) -> None:
    app = app_of(page, "before")
    browser = Browser(app)
    browser.post("/login", **PASSWORD)
    jar = browser.jar
    browser.post("/logout")
    assert copy_of(jar, app) == 200


def overtaken(page: str, which: str) -> int:
    """What the session is worth after a logout that a request under way has outlived."""
    app = app_of(page, which)
    browser = Browser(app)

    def log_out_elsewhere() -> str:
        Browser(app, jar).post("/logout")
        return "done"

    if isinstance(app, Flask):
        app.add_url_rule("/slow", "slow", log_out_elsewhere)
    else:
        app.routes.append(Route("/slow", lambda _: PlainTextResponse(log_out_elsewhere())))
    browser.post("/login", **PASSWORD)
    jar = browser.jar
    assert browser.get("/slow").text == "done"
    return copy_of(jar, app)


@pytest.mark.parametrize("page", ["flask-session", "starsessions"])
def test_before_it_a_request_under_way_undoes_the_logout(page: str) -> None:
    assert overtaken(page, "before") == 200


@pytest.mark.parametrize("page", FORMS)
def test_after_it_no_request_does(page: str) -> None:
    assert overtaken(page, "after") == 401


def test_starsessions_adopts_the_id_of_the_client() -> None:
    """Why the page says that a login has to call ``regenerate_session_id``."""
    names = run.__wrapped__("docs/moving-from/starsessions.md", "before")
    names["regenerate_session_id"] = lambda _: None
    planted = "session=planted"
    Browser(names["app"], planted).post("/login", **PASSWORD)
    assert copy_of(planted, names["app"]) == 200


class Api:
    """A client of the two JSON apps that keeps its token itself."""

    def __init__(self, app: Any) -> None:
        self._client = app.test_client()

    def login(self, password: str = "open sesame") -> Any:
        return self._client.post("/login", json=PASSWORD | {"password": password})

    def ask(self, method: str, path: str, token: str) -> Any:
        bearer = {"Authorization": f"Bearer {token}"}
        return self._client.open(path, method=method, headers=bearer)


@pytest.mark.parametrize("which", ["before", "after"])
def test_both_apps_with_tokens_do_the_same(which: str) -> None:
    api = Api(app_of("flask-jwt-extended", which))
    assert api._client.get("/me").status_code == 401
    assert api.login("?").status_code == 403
    token = api.login().json["token"]
    assert token.count(".") == 2
    assert api.ask("GET", "/me", token).json == {"name": "alice", "plan": "free"}
    assert api.ask("POST", "/logout", token).status_code == 204
    assert api.ask("GET", "/me", token).status_code == 401


def test_before_the_move_the_long_token_outlives_the_logout() -> None:
    api = Api(app_of("flask-jwt-extended", "before"))
    tokens = api.login().json
    api.ask("POST", "/logout", tokens["token"])
    again = api.ask("POST", "/refresh", tokens["refresh_token"])
    assert api.ask("GET", "/me", again.json["token"]).status_code == 200


def test_after_it_the_successor_comes_in_a_header(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock()
    monkeypatch.setattr("sessiongate.JWTSessionManager.now", lambda _: round(clock() * 1_000_000))
    api = Api(app_of("flask-jwt-extended", "after"))
    token = api.login().json["token"]
    assert "X-Refreshed-Token" not in api.ask("GET", "/me", token).headers
    clock.advance(15 * 60)
    newer = api.ask("GET", "/me", token).headers["X-Refreshed-Token"]
    assert newer != token
    assert api.ask("GET", "/me", newer).json == {"name": "alice", "plan": "free"}


class Users:
    """A client of the two apps with registration."""

    def __init__(self, which: str) -> None:
        page = "docs/moving-from/fastapi-users.md"
        self.names = run.__wrapped__(page, "users", which)
        self.browser = Browser(self.names["app"])
        registered = self.browser.client.post(
            "/register", json={"email": "alice@example.com", "password": "open sesame"}
        )
        assert registered.status_code == 201

    def login(self, password: str = "open sesame") -> int:
        answer = self.browser.post("/login", username="alice@example.com", password=password)
        return int(answer.status_code)

    def copy_of(self, jar: str) -> int:
        return int(Browser(self.names["app"], jar).get("/me").status_code)


@pytest.mark.parametrize("which", ["before", "after"])
def test_both_apps_with_users_do_the_same(which: str) -> None:
    users = Users(which)
    browser = users.browser
    assert browser.get("/me").status_code == 401
    assert users.login("?") == 400
    assert users.login() == 204
    assert browser.get("/me").json() == {"email": "alice@example.com"}
    users.names["users"].rows[1].is_active = False
    assert browser.get("/me").status_code == 401
    users.names["users"].rows[1].is_active = True
    assert browser.post("/logout").status_code == 204
    assert browser.get("/me").status_code == 401


@pytest.mark.parametrize(("which", "status"), [("before", 200), ("after", 401)])
def test_what_a_copied_cookie_is_worth_after_the_logout(which: str, status: int) -> None:
    users = Users(which)
    users.login()
    jar = users.browser.jar
    assert users.copy_of(jar) == 200
    users.browser.post("/logout")
    assert users.copy_of(jar) == status
