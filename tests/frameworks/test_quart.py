"""Quart: the verdicts of all kits, its handlers and templates, websockets, and real servers."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

import pytest
from hypercorn.asyncio import serve
from hypercorn.config import Config
from quart import Blueprint, Quart, jsonify, render_template_string, websocket
from quart.views import MethodView
from tests.frameworks.cases import CASES, FRESH, LOGIN_URL_WITH_QUERY, SCOPES, World, check
from tests.http.brittle import BrittleStore
from tests.servers.running import serving_asgi
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from werkzeug.exceptions import HTTPException

from sessiongate import ConfigurationError, SessionManager, StoreError
from sessiongate.quart import (
    current_session,
    current_user,
    install,
    login_required,
    login_user,
    logout_user,
)

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 60
"""Seconds after which a test that hangs is one that fails."""
ELSEWHERE = {"Sec-Fetch-Site": "cross-site", "Origin": "https://elsewhere.example"}
HEADERS = {"Host": "testserver"}
METHODS = ["GET", "POST"]


async def name() -> str:
    return str(current_user.username)


class Members(MethodView):
    decorators = [login_required]  # noqa: RUF012 - as there

    async def get(self) -> str:
        return str(current_user.username)


def site(manager: SessionManager) -> Quart:
    app = Quart("site")
    install(app, manager)

    @app.get("/sync")
    @login_required
    def sync() -> str:
        return str(current_user.username)

    def add(path: str, **demands: Any) -> None:
        app.add_url_rule(path, path[1:], login_required(**demands)(name), methods=METHODS)

    mounted = Blueprint("mounted", __name__, url_prefix="/mounted")
    mounted.get("/inside")(login_required(name))
    mounted.add_url_rule("/page", "page", login_required(login_url="entrance")(name))
    app.add_url_rule("/class", view_func=Members.as_view("class"))
    app.add_url_rule("/login", "entrance", name)
    add("/async")
    add("/write", scopes=SCOPES)
    add("/fresh", fresh=FRESH)
    add("/page", login_url="entrance")
    add("/fresh-page", fresh=FRESH, login_url=lambda: "/login")
    add("/write-page", scopes=SCOPES, login_url=LOGIN_URL_WITH_QUERY)
    app.register_blueprint(mounted)

    @app.get("/deep/<path:_rest>")
    @login_required(login_url="/login")
    async def deep(_rest: str) -> str:
        return await name()

    return app


def test_a_protected_view_answers_as_in_every_kit() -> None:
    world = World()
    app = site(world.manager)

    async def ask_all() -> None:
        client: Any = app.test_client(use_cookies=False)
        for case in CASES:
            headers = HEADERS | world.headers(case.visitor, case.transport) | case.headers
            answer = await client.open(
                case.path, method=case.method, headers=headers, scheme="https"
            )
            check(case, answer.status_code, answer.headers)

    asyncio.run(ask_all())


def members(manager: SessionManager) -> Quart:
    app = Quart("members")
    install(app, manager)

    @app.post("/login/<username>")
    async def log_in(username: str) -> str:
        await login_user(username)
        return str(current_user.username)

    @app.post("/logout")
    async def log_out() -> str:
        await logout_user()
        return await render_template_string(
            "{{ current_user.is_authenticated }} {{ current_user.display_name }}"
        )

    @app.get("/")
    async def home() -> str:
        return await render_template_string("{{ current_user.display_name }}")

    @app.websocket("/talk")
    @login_required
    async def talk() -> None:
        await websocket.send(str(current_user.username))
        await websocket.receive()

    @app.get("/private")
    @login_required
    def private() -> str:
        return "private"

    @app.post("/quiet/<username>")
    def quiet(username: str) -> Any:
        return jsonify(current_session().login(username) is not None)

    return app


def test_who_logs_in_is_known_to_views_and_templates_until_the_logout() -> None:
    manager = SessionManager()

    async def visit() -> None:
        client = members(manager).test_client()
        at = {"scheme": "https", "headers": HEADERS}
        assert await text(client.get("/", **at)) == ""
        assert await text(client.post("/login/alice", **at)) == "alice"
        assert await text(client.get("/", **at)) == "alice"
        refused = await client.post("/logout", scheme="https", headers=HEADERS | ELSEWHERE)
        assert refused.status_code == 403
        assert "another site" in await refused.get_data(as_text=True)
        assert await text(client.post("/logout", **at)) == "False "
        assert await text(client.post("/quiet/bob", **at)) == "true\n"
        assert await text(client.get("/", **at)) == "bob"

    asyncio.run(visit())
    assert manager.user_sessions("alice") == []


async def text(answer: Any) -> str:
    response = await answer
    assert response.status_code == 200
    body: str = await response.get_data(as_text=True)
    return body


def test_the_app_formats_refusals_limits_and_outages() -> None:
    store = BrittleStore()
    manager = SessionManager(60, 1, store=store, secret_key="k" * 64, existing="new")
    app = members(manager)

    @app.errorhandler(HTTPException)
    async def in_json(error: HTTPException) -> Any:
        headers = [h for h in error.get_headers() if not h[0].startswith("Content-")]
        return {"error": error.description}, error.code, headers

    async def visit() -> None:
        client = app.test_client()
        anonymous = await client.get("/private")
        assert anonymous.status_code == 401
        assert (await anonymous.get_json())["error"] == "Authentication is required."
        assert "Bearer" in anonymous.headers["WWW-Authenticate"]
        assert manager.create_session("bob")
        full = await client.post("/login/alice")
        assert full.status_code == 403
        assert "too many sessions" in (await full.get_json())["error"]
        store.down = True
        down = await client.post("/login/alice")
        assert down.status_code == 503
        assert down.headers["Retry-After"] == "5"
        assert "unavailable" in (await down.get_json())["error"]

    asyncio.run(visit())


def test_a_handler_that_the_app_has_for_outages_stays() -> None:
    app = Quart("site")
    app.register_error_handler(StoreError, lambda _: ("gone fishing", 503))
    before = app.error_handler_spec[None][None][StoreError]
    install(app, SessionManager())
    assert app.error_handler_spec[None][None][StoreError] is before


@pytest.mark.parametrize("server", ["uvicorn", "hypercorn"])
def test_a_websocket_on_a_real_server(server: str) -> None:
    """Refused before it is accepted; open until the session ends."""
    manager = SessionManager()
    token = manager.create_session("alice")
    app = members(manager)

    async def visit(address: str) -> None:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://{address}/talk", proxy=None)
        assert refused.value.response.status_code == 401
        assert "Bearer" in refused.value.response.headers["WWW-Authenticate"]
        bearer = {"Authorization": f"Bearer {token}"}
        address = f"ws://{address}/talk"
        async with connect(address, additional_headers=bearer, proxy=None) as open_:
            assert await asyncio.wait_for(open_.recv(), PATIENCE) == "alice"
            await manager.ainvalidate_session(str(token))
            with pytest.raises(ConnectionClosed) as closed:
                await asyncio.wait_for(open_.recv(), PATIENCE)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1008

    if server == "uvicorn":
        with serving_asgi(app) as address:
            asyncio.run(visit(address))
    else:
        asyncio.run(_on_hypercorn(app, visit))


async def _on_hypercorn(app: Quart, visit: Callable[[str], Any]) -> None:
    listens, done = asyncio.Event(), asyncio.Event()
    app.before_serving(_setting(listens))
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    config = Config()
    config.bind, config.loglevel = [f"fd://{listener.detach()}"], "ERROR"
    serving = asyncio.create_task(serve(app, config, shutdown_trigger=done.wait))
    try:
        await asyncio.wait_for(listens.wait(), PATIENCE)
        await visit(f"127.0.0.1:{port}")
    finally:
        done.set()
        await asyncio.wait_for(serving, PATIENCE)


def _setting(event: asyncio.Event) -> Callable[[], Any]:
    async def set_it() -> None:
        event.set()

    return set_it


def test_errors_name_the_remedy() -> None:
    app = Quart("bare")
    app.get("/")(login_required(name))
    app.register_error_handler(ConfigurationError, str)

    async def visit() -> None:
        with pytest.raises(ConfigurationError, match="this is no request"):
            await login_user("alice")
        assert "sessiongate.quart.install" in await text(app.test_client().get("/"))
        install(app, SessionManager())
        async with app.test_request_context("/"):
            assert not current_user.is_authenticated
            with pytest.raises(ConfigurationError, match="test_request_context"):
                await logout_user()

    asyncio.run(visit())
    with pytest.raises(ValueError, match="realm"):
        install(app, SessionManager(), realm='"')
