"""A view of Flask whose store is down: a 503 in the app's own format, and no flood in the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask
from tests.http.brittle import BrittleStore
from werkzeug.exceptions import HTTPException, InternalServerError

from sessiongate import SessionManager, StoreError
from sessiongate.flask import install, login_user, logout_user

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT = "Sessions are unavailable for the moment."

verbs = pytest.mark.parametrize("path", ["/login", "/devices"])


@pytest.fixture
def app() -> Flask:
    return Flask(__name__)


@pytest.fixture
def site(app: Flask) -> Callable[[], Any]:
    """Installs, and gives a client; from then on the store is down."""

    def make() -> Any:
        store = BrittleStore()
        manager = SessionManager(store=store, secret_key="k" * 64)
        install(app, manager)
        app.post("/login", endpoint="login")(lambda: login_user("alice"))
        app.post("/devices", endpoint="devices")(lambda: manager.user_sessions("alice"))
        store.down = True
        return app.test_client()

    return make


@verbs
def test_the_answer_is_a_503_that_says_so(site: Callable[[], Any], path: str) -> None:
    answer = site().post(path)
    assert answer.status_code == 503
    assert TEXT in answer.text
    assert "500" not in answer.text
    assert answer.headers["Retry-After"] == "5"
    assert "Set-Cookie" not in answer.headers


@verbs
def test_flask_logs_no_traceback_for_it(
    site: Callable[[], Any], path: str, app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    site().post(path)
    assert [record.name for record in caplog.records if record.name == app.logger.name] == []


@verbs
@pytest.mark.parametrize("kind", [503, HTTPException, Exception])
def test_handlers_of_the_app_apply(
    site: Callable[[], Any], path: str, app: Flask, kind: Any
) -> None:
    @app.errorhandler(kind)
    def as_json(error: Any) -> Any:
        return {"error": error.description}, error.code

    answer = site().post(path)
    assert (answer.status_code, answer.json) == (503, {"error": TEXT})


@verbs
def test_a_handler_for_the_error_itself_stays(
    site: Callable[[], Any], path: str, app: Flask
) -> None:
    app.register_error_handler(StoreError, lambda _: ("Come back later", 503))
    assert site().post(path).text == "Come back later"


def test_one_that_comes_later_replaces_ours(site: Callable[[], Any], app: Flask) -> None:
    client = site()
    app.register_error_handler(StoreError, lambda _: ("Come back later", 503))
    assert client.post("/login").text == "Come back later"


def test_other_errors_are_as_before(site: Callable[[], Any], app: Flask) -> None:
    @app.get("/broken")
    def broken() -> str:
        raise InternalServerError

    assert site().get("/broken").status_code == 500


def test_a_logout_says_that_it_failed(app: Flask) -> None:
    store = BrittleStore()
    manager = SessionManager(store=store, secret_key="k" * 64)
    install(app, manager)

    @app.post("/logout")
    def logout() -> str:
        store.down = True
        logout_user()
        return "Bye!"

    token = manager.create_session("alice")
    headers = {"Authorization": f"Bearer {token}"}
    assert app.test_client().post("/logout", headers=headers).status_code == 503
