"""Litestar: the verdicts of all kits, its handlers and templates, OpenAPI, and a real server."""

# No `from __future__ import annotations`: Litestar reads the hints of handlers.
import asyncio
from typing import Any

import pytest
from litestar import (
    Controller,
    Litestar,
    MediaType,
    Request,
    Response,
    Router,
    WebSocket,
    get,
    post,
)
from litestar import websocket as websocket_route
from litestar.exceptions import HTTPException, WebSocketDisconnect
from litestar.response import Template
from litestar.template import TemplateConfig
from litestar.testing import TestClient
from tests.frameworks.cases import (
    CASES,
    FRESH,
    LOGIN_URL,
    LOGIN_URL_WITH_QUERY,
    SCOPES,
    World,
    check,
)
from tests.frameworks.openapi import check_openapi
from tests.http.brittle import BrittleStore
from tests.servers.running import serving_asgi
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from sessiongate import APITokens, SessionManager, StoreError
from sessiongate.litestar import (
    SessionAuth,
    current_session,
    current_user,
    login_required,
    login_user,
    logout_user,
)
from sessiongate.stores import MemoryStore

try:
    from litestar.plugins.jinja import JinjaTemplateEngine
except ImportError:  # before 2.22
    from litestar.contrib.jinja import JinjaTemplateEngine

PATIENCE = 60
"""Seconds after which a test that hangs is one that fails."""
ELSEWHERE = {"Sec-Fetch-Site": "cross-site", "Origin": "https://elsewhere.example"}
AnyRequest = Request[Any, Any, Any]


def page(path: str, *guards: Any, make: Any = get, name: str | None = None) -> Any:
    """A handler that says who it is."""

    async def handler(request: AnyRequest) -> str:
        return str(request.user.username)

    options: dict[str, Any] = {"media_type": MediaType.TEXT, "name": name, "status_code": 200}
    return make(path, guards=list(guards), **options)(handler)


@get("/sync", guards=[login_required], media_type=MediaType.TEXT, sync_to_thread=True)
def sync(request: AnyRequest) -> str:
    return str(current_user(request).username)


class Members(Controller):
    path = "/class"
    guards = [login_required]  # noqa: RUF012 - as Litestar's documentation writes it

    @get(media_type=MediaType.TEXT)
    async def show(self, request: AnyRequest) -> str:
        return str(request.user.username)


def protected(world: World) -> Litestar:
    to_login = login_required(login_url="entrance")
    mounted = Router(
        "/mounted",
        guards=[login_required(login_url=LOGIN_URL)],
        route_handlers=[page("/page"), page("/inside", login_required)],
    )
    handlers = [
        *(sync, Members, mounted),
        page("/async", login_required),
        page("/write", login_required(scopes=SCOPES)),
        page("/fresh", login_required(fresh=FRESH)),
        page("/page", to_login),
        page("/page", to_login, make=post),
        page("/fresh-page", login_required(fresh=FRESH, login_url=lambda _: LOGIN_URL)),
        page("/write-page", login_required(scopes=SCOPES, login_url=LOGIN_URL_WITH_QUERY)),
        page("/deep/{rest:path}", to_login),
        page(LOGIN_URL, name="entrance"),
    ]
    return Litestar(handlers, plugins=[SessionAuth(world.manager)], openapi_config=None)


def test_a_protected_handler_answers_as_in_every_kit() -> None:
    world = World()
    with TestClient(protected(world), base_url="https://testserver.local") as client:
        for case in CASES:
            if case.method == "HEAD" or (case.path == "/mounted/inside" and not case.visitor):
                continue  # Litestar has no HEAD for a GET; the outer guard of two speaks first
            headers = {"Accept": ""} | world.headers(case.visitor, case.transport) | case.headers
            answer = client.request(case.method, case.path, headers=headers, follow_redirects=False)
            check(case, answer.status_code, answer.headers)


@post("/login/{username:str}", media_type=MediaType.TEXT)
async def log_in(request: AnyRequest) -> str:
    await login_user(request, request.path_params["username"])
    return str(current_user(request).username)


@post("/quiet/{username:str}", sync_to_thread=True)
def quiet(request: AnyRequest) -> bool:
    return current_session(request).login(request.path_params["username"]) is not None


@get("/")
async def home() -> Template:
    return Template(template_str="{{ request.user.display_name }}")


@post("/logout")
async def log_out(request: AnyRequest) -> Template:
    await logout_user(request)
    return Template(template_str="{{ request.user.is_authenticated }}")


@get("/notes", guards=[login_required(scopes=["read"])])
async def notes() -> list[str]:
    return ["milk"]


@websocket_route("/talk", guards=[login_required])
async def talk(socket: WebSocket[Any, Any, Any]) -> None:
    await socket.accept()
    await socket.send_text(str(socket.user.username))
    await socket.receive_text()


def site(plugin: SessionAuth, **options: Any) -> Litestar:
    return Litestar(
        [log_in, quiet, home, log_out, notes, talk],
        plugins=[plugin],
        template_config=TemplateConfig(engine=JinjaTemplateEngine, directory="."),
        **options,
    )


def test_who_logs_in_is_known_to_handlers_and_templates_until_the_logout() -> None:
    manager = SessionManager()
    with TestClient(site(SessionAuth(manager)), base_url="https://testserver.local") as client:
        assert client.get("/").text == ""
        assert client.post("/login/alice").text == "alice"
        assert client.get("/").text == "alice"
        refused = client.post("/logout", headers=ELSEWHERE)
        assert (refused.status_code, client.get("/").text) == (403, "alice")
        assert "another site" in refused.json()["detail"]
        assert client.post("/logout").text == "False"
        assert client.get("/").text == ""
        assert client.post("/quiet/bob").json() is True
        assert client.get("/").text == "bob"
    assert manager.user_sessions("alice") == []


def in_json(_request: AnyRequest, error: HTTPException) -> Response[Any]:
    return Response({"error": error.detail}, status_code=error.status_code, headers=error.headers)


def test_the_app_formats_refusals_limits_and_outages() -> None:
    store = BrittleStore()
    manager = SessionManager(60, 1, store=store, secret_key="k" * 64, existing="new")
    app = site(SessionAuth(manager), exception_handlers={HTTPException: in_json})
    with TestClient(app) as client:
        anonymous = client.get("/notes")
        assert (anonymous.status_code, "Bearer" in anonymous.headers["WWW-Authenticate"]) == (
            401,
            True,
        )
        assert anonymous.json() == {"error": "Authentication is required."}
        assert manager.create_session("bob")
        full = client.post("/login/alice")
        assert full.status_code == 403
        assert "too many sessions" in full.json()["error"]
        store.down = True
        down = client.post("/login/alice")
        assert (down.status_code, down.headers["Retry-After"]) == (503, "5")
        assert "unavailable" in down.json()["error"]


def gone_fishing(_request: AnyRequest, _error: StoreError) -> Response[str]:
    return Response("gone fishing", status_code=503)


def test_an_outage_is_a_503_and_a_handler_that_the_app_has_for_it_stays() -> None:
    store = BrittleStore()
    plugin = SessionAuth(SessionManager(store=store, secret_key="k" * 64))
    plain, own = site(plugin), site(plugin, exception_handlers={StoreError: gone_fishing})
    store.down = True
    with TestClient(plain) as client:
        down = client.post("/login/alice")
        assert (down.status_code, down.headers["Retry-After"]) == (503, "5")
    with TestClient(own) as client:
        assert client.post("/login/alice").text == "gone fishing"


def test_guards_stand_in_the_openapi_document() -> None:
    tokens = APITokens(store=MemoryStore(), secret_key="k" * 64)

    @get(
        *(["/members", "/also"],),
        guards=[login_required],
        security=[{"ApiKey": []}],
        raises=[HTTPException],
    )
    async def members() -> None:
        """Shows that what the app says of a handler stays."""

    sessions = SessionAuth(SessionManager(), api_tokens=tokens)
    app = Litestar([log_in, notes, members], plugins=[sessions])
    document: Any = app.openapi_schema.to_schema()
    document["components"]["securitySchemes"]["ApiKey"] = {"type": "http", "scheme": "basic"}
    check_openapi(document)
    schemes = document["components"]["securitySchemes"]
    assert schemes["SessionCookie"]["name"] == "__Host-session"
    assert schemes["SessionCookie"]["in"] == "cookie"
    assert schemes["BearerToken"]["scheme"] == schemes["APIToken"]["scheme"] == "bearer"
    shown = document["paths"]["/notes"]["get"]
    assert shown["security"] == [
        {"SessionCookie": ["read"]},
        {"BearerToken": ["read"]},
        {"APIToken": ["read"]},
    ]
    assert {"401", "403"} <= shown["responses"].keys()
    for path in ("/members", "/also"):
        shown = document["paths"][path]["get"]
        assert shown["security"] == [{"ApiKey": []}, {"SessionCookie": []}, {"BearerToken": []}]
        assert {"401", "403", "500"} <= shown["responses"].keys()
    assert "security" not in document["paths"]["/login/{username}"]["post"]
    without: Any = Litestar([notes], plugins=[SessionAuth(SessionManager())]).openapi_schema
    shown = without.to_schema()["paths"]["/notes"]["get"]
    assert shown["security"] == [{"SessionCookie": ["read"]}, {"BearerToken": ["read"]}]


def test_a_websocket_on_a_real_server() -> None:
    """Refused before it is accepted; open until the session ends."""
    manager = SessionManager()
    token = manager.create_session("alice")

    async def visit(address: str) -> None:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://{address}/talk", proxy=None)
        assert refused.value.response.status_code == 403
        bearer = {"Authorization": f"Bearer {token}"}
        address = f"ws://{address}/talk"
        async with connect(address, additional_headers=bearer, proxy=None) as open_:
            assert await asyncio.wait_for(open_.recv(), PATIENCE) == "alice"
            await manager.ainvalidate_session(str(token))
            with pytest.raises(ConnectionClosed) as closed:
                await asyncio.wait_for(open_.recv(), PATIENCE)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1008

    with serving_asgi(site(SessionAuth(manager))) as address:
        asyncio.run(visit(address))


def test_a_refused_websocket_says_why() -> None:
    with TestClient(site(SessionAuth(SessionManager()))) as client:
        with pytest.raises(WebSocketDisconnect) as closed, client.websocket_connect("/talk"):
            pass
        assert (closed.value.code, closed.value.detail) == (1008, "Authentication is required.")


def test_errors_name_the_remedy() -> None:
    with pytest.raises(ValueError, match="realm"):
        SessionAuth(SessionManager(), realm='"')
    with pytest.raises(ValueError, match="scopes"):
        login_required(scopes=["two words"])
    decorate: Any = login_required
    with pytest.raises(TypeError, match=r"guards=\[login_required\]"):
        decorate(home)
    with TestClient(Litestar([notes], debug=True, openapi_config=None)) as client:
        assert "plugins=[SessionAuth(manager)]" in client.get("/notes").text
