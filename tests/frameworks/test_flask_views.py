"""Flask views, sync and async, of functions, classes and blueprints."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from flask import Blueprint, Flask, jsonify
from flask.views import MethodView, View
from tests.frameworks.cases import (
    CASES,
    FRESH,
    HTML,
    LOGIN_URL,
    LOGIN_URL_WITH_QUERY,
    SCOPES,
    Case,
    World,
    check,
    way_back,
)
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

from sessiongate import ConfigurationError, SessionManager
from sessiongate.flask import (
    LoginRequired,
    ScopeRequired,
    current_user,
    install,
    login_required,
    login_user,
    logout_user,
    safe_redirect,
)
from sessiongate.wsgi import SessionAuthMiddleware

if TYPE_CHECKING:
    from flask.testing import FlaskClient


def name() -> str:
    return current_user.display_name


class ByMethod(MethodView):
    @login_required
    def get(self) -> str:
        return name()


class ByDecorators(View):
    decorators = [login_required]  # noqa: RUF012 - as Flask's documentation writes it

    def dispatch_request(self) -> str:
        return name()


def app_of(world: World) -> Flask:
    app = Flask(__name__)
    app.wsgi_app = SessionAuthMiddleware(app.wsgi_app, world.manager)  # type: ignore[method-assign]
    inside = Blueprint("inside", __name__)

    async def asynchronous() -> str:
        return name()

    page = login_required(login_url=LOGIN_URL)
    app.get("/sync")(login_required(name))
    app.get("/async", endpoint="async")(login_required(asynchronous))
    app.get("/write", endpoint="write")(login_required(scopes=SCOPES)(name))
    app.get("/fresh", endpoint="fresh")(login_required(fresh=FRESH)(name))
    app.route("/page", endpoint="page", methods=["GET", "POST"])(page(name))
    fresh_page = login_required(fresh=FRESH, login_url=LOGIN_URL)
    app.get("/fresh-page", endpoint="fresh-page")(fresh_page(name))
    write_page = login_required(scopes=SCOPES, login_url=LOGIN_URL_WITH_QUERY)
    app.get("/write-page", endpoint="write-page")(write_page(name))

    @app.get("/deep/<path:_rest>")
    @page
    def deep(_rest: str) -> str:
        return name()

    app.add_url_rule("/class", view_func=ByMethod.as_view("method"))
    app.add_url_rule("/class-decorated", view_func=ByDecorators.as_view("decorated"))
    inside.get("/inside")(login_required(name))
    inside.get("/page", endpoint="page")(page(name))
    app.register_blueprint(inside, url_prefix="/mounted")

    @app.post("/login/<username>")
    def log_in(username: str) -> Any:
        before = name()
        token = login_user(username, scopes=["read", "write"])
        return jsonify(before=before, after=name(), token=token)

    @app.post("/logout")
    def log_out() -> Any:
        before = name()
        logout_user()
        return jsonify(before=before, after=name(), authenticated=current_user.is_authenticated)

    return app


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def client(world: World) -> FlaskClient:
    return app_of(world).test_client(use_cookies=False)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_view_answers_as_it_should(world: World, client: FlaskClient, case: Case) -> None:
    headers = world.headers(case.visitor, case.transport) | case.headers
    response = client.open(case.path, method=case.method, headers=headers)
    if case.status == 401 and case.visitor == "forged" and case.transport == "cookie":
        assert "error" not in response.headers["WWW-Authenticate"], "it was not minted here"
    check(case, response.status_code, response.headers)
    if case.status == 200:
        assert response.text == case.visitor
    elif "next=" in response.headers.get("Location", ""):
        target = safe_redirect(way_back(response.location), "/elsewhere")
        assert client.get(target, headers=world.headers("writer")).text == "writer"


def test_a_class_with_decorators_is_protected_as_a_whole(world: World, client: FlaskClient) -> None:
    assert client.get("/class-decorated").status_code == 401
    assert client.get("/class-decorated", headers=world.headers("reader")).text == "reader"


def test_login_and_logout_are_seen_at_once(client: FlaskClient) -> None:
    told = client.post("/login/carol").get_json()
    assert (told["before"], told["after"]) == ("", "carol")
    headers = {"Cookie": f"__Host-session={told['token']}"}
    assert client.get("/write", headers=headers).text == "carol"
    answer = client.post("/logout", headers=headers)
    assert answer.json == {"before": "carol", "after": "", "authenticated": False}
    assert client.get("/sync", headers=headers).status_code == 401


def test_a_login_is_fresh_and_a_rotation_is_not(world: World, client: FlaskClient) -> None:
    token = client.post("/login/carol").get_json()["token"]
    world.clock.advance(1801)
    headers = {"Authorization": f"Bearer {token}"}
    rotated = client.get("/sync", headers=headers).headers["X-Refreshed-Token"]
    headers = {"Authorization": f"Bearer {rotated}"}
    assert client.get("/fresh", headers=headers).status_code == 401
    again = client.post("/login/carol", headers=headers).headers["X-Refreshed-Token"]
    headers = {"Authorization": f"Bearer {again}"}
    assert client.get("/fresh", headers=headers).text == "carol"


def test_the_error_handlers_of_the_app_see_refusals(world: World) -> None:
    app = app_of(world)
    app.register_error_handler(401, lambda error: (f"please log in: {error.code}", 401))
    app.register_error_handler(403, lambda _: ("not yours", 403))
    client = app.test_client(use_cookies=False)
    assert client.get("/sync").text == "please log in: 401"
    assert client.get("/write", headers=world.headers("reader")).text == "not yours"
    assert client.get("/page", headers=HTML).status_code == 303


def test_without_the_middleware_the_remedy_is_named() -> None:
    app = Flask(__name__)
    app.get("/")(login_required(name))
    app.testing = True
    with pytest.raises(ConfigurationError, match=r"app\.wsgi_app = SessionAuthMiddleware"):
        app.test_client().get("/")


def test_a_class_is_not_decorated_itself() -> None:
    with pytest.raises(TypeError, match="decorators"):
        login_required(ByMethod)


@pytest.mark.parametrize("given", ["/login", ["write"], 5])
def test_positional_arguments_are_refused(given: Any) -> None:
    with pytest.raises(TypeError, match="takes keywords"):
        login_required(given)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"login_url": ""}, "login_url"),
        ({"login_url": 5}, "login_url"),
        ({"fresh": -1}, "fresh"),
        ({"fresh": "1"}, "fresh"),
        ({"scopes": "write"}, "scopes"),
        ({"scopes": ["a b"]}, "scope"),
    ],
)
def test_unfit_keywords_are_named_when_the_view_is_decorated(
    options: dict[str, Any], named: str
) -> None:
    with pytest.raises((TypeError, ValueError), match=named):
        login_required(**options)


def test_async_methods_and_partials_are_protected(world: World) -> None:
    class Async(MethodView):
        decorators = [login_required(scopes=["write"])]  # noqa: RUF012 - as Flask writes it

        async def get(self) -> str:
            return name()

        @login_required(fresh=FRESH)
        async def post(self) -> str:
            return f"posted by {name()}"

    def greet(greeting: str) -> str:
        return f"{greeting}, {name()}"

    app = app_of(world)
    app.add_url_rule("/class-async", view_func=Async.as_view("async-methods"))
    app.add_url_rule("/partial", "partial", login_required(partial(greet, "hello")))
    client = app.test_client(use_cookies=False)
    assert client.get("/class-async").status_code == 401
    assert client.get("/class-async", headers=world.headers("reader")).status_code == 403
    assert client.get("/class-async", headers=world.headers("old")).text == "old"
    assert client.post("/class-async", headers=world.headers("old")).status_code == 401
    posted = client.post("/class-async", headers=world.headers("writer"))
    assert posted.text == "posted by writer"
    assert client.get("/partial").status_code == 401
    assert client.get("/partial", headers=world.headers("reader")).text == "hello, reader"


def test_refusals_can_be_handled_by_their_classes(world: World) -> None:
    app = app_of(world)
    app.register_error_handler(LoginRequired, lambda _: ("who are you?", 401))
    app.register_error_handler(ScopeRequired, lambda _: ("not yours", 403))
    app.register_error_handler(Exception, lambda _: ("a catch-all", 500))
    client = app.test_client(use_cookies=False)
    assert client.get("/async").text == "who are you?"
    assert client.get("/write", headers=world.headers("reader")).text == "not yours"
    assert client.get("/page", headers=HTML).status_code == 303, "a redirect is no error"


def test_the_way_back_leads_below_a_prefix(world: World) -> None:
    app = app_of(world)
    outside = DispatcherMiddleware(Flask("outside").wsgi_app, {"/shop": app.wsgi_app})
    answer = Client(outside).get("/shop/page?q=1", headers=HTML)
    assert answer.status_code == 303
    assert way_back(answer.location) == "/shop/page?q=1"


def test_an_app_under_the_middleware_of_its_server(world: World) -> None:
    """One middleware around several apps, as a server's configuration may have it."""
    inner = Flask("inner")
    inner.get("/")(login_required(name))
    whole = DispatcherMiddleware(Flask("outer").wsgi_app, {"/inner": inner.wsgi_app})
    client = Client(SessionAuthMiddleware(whole, world.manager), use_cookies=False)
    assert client.get("/inner/").status_code == 401
    assert client.get("/inner/", headers=world.headers("reader")).text == "reader"


def test_a_browser_keeps_and_loses_its_cookie(world: World) -> None:
    browser = app_of(world).test_client()
    assert browser.post("/login/carol", base_url="https://localhost").status_code == 200
    cookie = browser.get_cookie("__Host-session")
    assert cookie is not None
    assert (cookie.secure, cookie.http_only, cookie.same_site) == (True, True, "Lax")
    assert browser.get("/sync", base_url="https://localhost").text == "carol"
    browser.post("/logout", base_url="https://localhost")
    assert browser.get_cookie("__Host-session") is None


def test_outside_a_request_the_user_is_anonymous_and_a_login_says_where_this_is() -> None:
    app = Flask(__name__)
    assert current_user.username is None
    with pytest.raises(ConfigurationError, match="no context of Flask"):
        logout_user()
    with app.app_context():
        assert not current_user.is_authenticated
        with pytest.raises(ConfigurationError, match="an app context"):
            login_user("alice")
    with app.test_request_context():
        assert current_user.info is None
        with pytest.raises(ConfigurationError, match="test_client"):
            login_user("alice")
    install(app, SessionManager())
    with app.test_request_context() as context:
        with pytest.raises(ConfigurationError, match="this is a test_request_context"):
            login_user("alice")
        vars(context.request).update(sid="abc", namespace="/")  # as Flask-SocketIO does
        with pytest.raises(ConfigurationError, match="this is a SocketIO handler"):
            login_user("alice")
