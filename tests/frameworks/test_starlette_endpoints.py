"""Starlette endpoints, sync and async, of functions and classes, and websockets; FastAPI."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.authentication import requires
from starlette.endpoints import HTTPEndpoint, WebSocketEndpoint
from starlette.exceptions import HTTPException
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request  # noqa: TC002 - FastAPI resolves the hints
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocket  # noqa: TC002 - likewise
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

from sessiongate import ConfigurationError
from sessiongate.asgi import SessionAuthMiddleware
from sessiongate.starlette import (
    current_user,
    login_required,
    login_user,
    logout_user,
    safe_redirect,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def who(request: Request) -> Response:
    return PlainTextResponse(current_user(request).display_name)


def who_sync(request: Request) -> Response:
    return PlainTextResponse(current_user(request).display_name)


class ByMethod(HTTPEndpoint):
    @login_required
    async def get(self, request: Request) -> Response:
        return await who(request)


async def log_in(request: Request) -> Response:
    before = current_user(request).display_name
    username = request.path_params["username"]
    token = await login_user(request, username, scopes=["read", "write"])
    after = current_user(request).display_name
    return JSONResponse({"before": before, "after": after, "token": token})


async def log_out(request: Request) -> Response:
    before = current_user(request).display_name
    await logout_user(request)
    return JSONResponse({"before": before, "after": request.user.display_name})


async def greet(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(current_user(websocket).display_name)
    await websocket.close()


class Greeter(WebSocketEndpoint):
    @login_required(scopes=["write"])
    async def on_connect(self, websocket: WebSocket) -> None:
        await greet(websocket)


def starlette_app() -> Starlette:
    page = login_required(login_url=LOGIN_URL)
    fresh_page = login_required(fresh=FRESH, login_url=LOGIN_URL)
    write_page = login_required(scopes=SCOPES, login_url=LOGIN_URL_WITH_QUERY)
    return Starlette(
        routes=[
            Route("/sync", login_required(who_sync)),
            Route("/async", login_required(who)),
            Route("/class", ByMethod),
            Route("/write", login_required(scopes=SCOPES)(who)),
            Route("/fresh", login_required(fresh=FRESH)(who_sync)),
            Route("/page", page(who), methods=["GET", "POST"]),
            Route("/fresh-page", fresh_page(who)),
            Route("/write-page", write_page(who)),
            Route("/deep/{rest:path}", page(who)),
            Route("/requires", requires("authenticated")(who)),
            Route("/requires-write", requires(["authenticated", "write"])(who)),
            Route("/login/{username}", log_in, methods=["POST"]),
            Route("/logout", log_out, methods=["POST"]),
            Mount(
                "/mounted",
                routes=[Route("/inside", login_required(who)), Route("/page", page(who))],
            ),
            WebSocketRoute("/ws", login_required(greet)),
            WebSocketRoute("/ws-class", Greeter),
        ]
    )


def fastapi_app() -> FastAPI:
    app = FastAPI()
    page = login_required(login_url=LOGIN_URL)
    app.get("/sync")(login_required(who_sync))
    for path, endpoint in {
        "/async": login_required(who),
        "/class": login_required(who),
        "/mounted/inside": login_required(who),
        "/write": login_required(scopes=SCOPES)(who),
        "/fresh": login_required(fresh=FRESH)(who),
        "/fresh-page": login_required(fresh=FRESH, login_url=LOGIN_URL)(who),
        "/write-page": login_required(scopes=SCOPES, login_url=LOGIN_URL_WITH_QUERY)(who),
        "/deep/{rest:path}": page(who),
        "/mounted/page": page(who),
    }.items():
        app.get(path)(endpoint)
    app.api_route("/page", methods=["GET", "HEAD", "POST"])(page(who))
    return app


def client_of(app: Starlette, world: World) -> TestClient:
    app.add_middleware(SessionAuthMiddleware, manager=world.manager)
    client = TestClient(app, base_url="https://testserver", follow_redirects=False)
    del client.headers["Accept"]  # of its own it says */*
    return client


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def client(world: World) -> TestClient:
    return client_of(starlette_app(), world)


@pytest.mark.parametrize("make", [starlette_app, fastapi_app])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_endpoint_answers_as_it_should(
    world: World, make: Callable[[], Starlette], case: Case
) -> None:
    headers = world.headers(case.visitor, case.transport) | case.headers
    client = client_of(make(), world)
    response = client.request(case.method, case.path, headers=headers)
    check(case, response.status_code, response.headers)
    if case.status == 200:
        assert response.text == case.visitor
    elif "next=" in response.headers.get("Location", ""):
        target = safe_redirect(way_back(response.headers["Location"]), "/elsewhere")
        assert client.get(target, headers=world.headers("writer")).text == "writer"


def test_starlettes_own_requires_works_unchanged(world: World, client: TestClient) -> None:
    assert client.get("/requires").status_code == 403
    assert client.get("/requires", headers=world.headers("reader")).text == "reader"
    assert client.get("/requires-write", headers=world.headers("reader")).status_code == 403
    assert client.get("/requires-write", headers=world.headers("writer")).text == "writer"


def test_login_and_logout_are_seen_at_once(client: TestClient) -> None:
    answer = client.post("/login/carol")
    assert (answer.json()["before"], answer.json()["after"]) == ("", "carol")
    client.cookies.clear()
    headers = {"Cookie": f"__Host-session={answer.json()['token']}"}
    assert client.get("/write", headers=headers).text == "carol"
    answer = client.post("/logout", headers=headers)
    assert answer.json() == {"before": "carol", "after": ""}
    assert client.get("/sync", headers=headers).status_code == 401


def test_a_login_is_fresh_and_a_rotation_is_not(world: World, client: TestClient) -> None:
    token = client.post("/login/carol").json()["token"]
    client.cookies.clear()
    world.clock.advance(1801)
    rotated = client.get("/sync", headers={"Authorization": f"Bearer {token}"})
    headers = {"Authorization": f"Bearer {rotated.headers['X-Refreshed-Token']}"}
    assert client.get("/fresh", headers=headers).status_code == 401
    again = client.post("/login/carol", headers=headers).headers["X-Refreshed-Token"]
    assert client.get("/fresh", headers={"Authorization": f"Bearer {again}"}).text == "carol"


def test_the_error_handlers_of_the_app_see_refusals(world: World) -> None:
    async def handler(_request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return PlainTextResponse(f"please log in: {error.status_code}", error.status_code)

    app = starlette_app()
    app.add_exception_handler(401, handler)
    client = client_of(app, world)
    assert client.get("/sync").text == "please log in: 401"
    assert client.get("/page", headers=HTML).status_code == 303


@pytest.mark.parametrize("path", ["/ws", "/ws-class"])
def test_a_websocket_is_let_in(world: World, client: TestClient, path: str) -> None:
    with client.websocket_connect(path, headers=world.headers("writer")) as websocket:
        assert websocket.receive_text() == "writer"


@pytest.mark.parametrize(
    ("path", "visitor", "status"), [("/ws", None, 401), ("/ws-class", "reader", 403)]
)
def test_a_websocket_is_refused_before_it_is_accepted(
    world: World, client: TestClient, path: str, visitor: str | None, status: int
) -> None:
    with (
        pytest.raises(WebSocketDenialResponse) as denied,
        client.websocket_connect(path, headers=world.headers(visitor)),
    ):
        pass
    assert denied.value.status_code == status
    assert "Bearer" in denied.value.headers["www-authenticate"]


@pytest.mark.parametrize("path", ["/ws", "/ws-class"])
def test_a_server_without_denial_responses_closes(
    world: World, client: TestClient, path: str
) -> None:
    app = client.app

    async def plain(scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
        if scope["type"] == "websocket":
            scope["extensions"] = {}
        await app(scope, receive, send)

    refused = TestClient(plain, base_url="https://testserver")
    with (
        pytest.raises(Exception) as closed,  # noqa: PT011 - a WebSocketDisconnect of the client
        refused.websocket_connect(path, headers=world.headers(None)),
    ):
        pass
    assert getattr(closed.value, "code", None) == 1008


def test_without_the_middleware_the_remedy_is_named() -> None:
    client = TestClient(starlette_app())
    with pytest.raises(ConfigurationError, match=r"app\.add_middleware\(SessionAuthMiddleware"):
        client.get("/async")


def test_an_endpoint_without_a_request_is_told_so() -> None:
    @login_required
    def careless() -> None:
        raise AssertionError

    with pytest.raises(ConfigurationError, match="must take a `request`"):
        careless()


def test_a_class_is_not_decorated_itself() -> None:
    with pytest.raises(TypeError, match="methods of the class"):
        login_required(ByMethod)


@pytest.mark.parametrize("given", ["/login", ["write"], 5])
def test_positional_arguments_are_refused(given: Any) -> None:
    with pytest.raises(TypeError, match="takes keywords"):
        login_required(given)


def test_starlettes_own_attributes_are_filled(world: World) -> None:
    async def show(request: Request) -> Response:
        user, auth = request.user, request.auth
        return JSONResponse(
            [user.is_authenticated, user.display_name, user.identity, list(auth.scopes)]
        )

    client = client_of(Starlette(routes=[Route("/", show)]), world)
    assert client.get("/").json() == [False, "", "", []]
    told = client.get("/", headers=world.headers("reader", "bearer")).json()
    assert told == [True, "reader", "reader", ["authenticated", "read"]]


def test_requires_redirects_by_itself(world: World) -> None:
    page = requires("authenticated", redirect="entrance")(who)
    app = Starlette(routes=[Route("/", page), Route("/in", who_sync, name="entrance")])
    answer = client_of(app, world).get("/")
    assert (answer.status_code, answer.headers["Location"].partition("?")[0]) == (
        303,
        "https://testserver/in",
    )


def test_sync_methods_and_partials_are_protected(world: World) -> None:
    class Sync(HTTPEndpoint):
        @login_required(scopes=["write"])
        def get(self, request: Request) -> Response:
            return who_sync(request)

    async def greet(greeting: str, request: Request) -> Response:
        return PlainTextResponse(f"{greeting}, {current_user(request).display_name}")

    greeting = login_required(partial(greet, "hello"))
    client = client_of(Starlette(routes=[Route("/sync", Sync), Route("/hello", greeting)]), world)
    assert client.get("/sync").status_code == 401
    assert client.get("/sync", headers=world.headers("reader")).status_code == 403
    assert client.get("/sync", headers=world.headers("writer")).text == "writer"
    assert client.get("/hello").status_code == 401
    assert client.get("/hello", headers=world.headers("reader")).text == "hello, reader"


def test_sync_endpoints_log_in_through_the_handle(world: World) -> None:
    def enter(request: Request) -> Response:
        request.scope["sessiongate"].login("carol")
        return who_sync(request)

    client = client_of(
        Starlette(routes=[Route("/in", enter), Route("/", login_required(who))]), world
    )
    assert client.get("/in").text == "carol"
    assert client.get("/").text == "carol", "the client kept the cookie"


def test_a_mounted_app_may_be_another_one(world: World) -> None:
    inner = Starlette(
        routes=[
            Route("/page", login_required(login_url=LOGIN_URL)(who)),
            WebSocketRoute("/ws", login_required(greet)),
        ]
    )
    client = client_of(Starlette(routes=[Mount("/shop", app=inner)]), world)
    answer = client.get("/shop/page?q=1", headers=HTML)
    assert way_back(answer.headers["Location"]) == "/shop/page?q=1"
    assert client.get("/shop/page", headers=world.headers("reader")).text == "reader"
    with client.websocket_connect("/shop/ws", headers=world.headers("reader")) as websocket:
        assert websocket.receive_text() == "reader"


def test_middleware_below_ours_knows_the_user(world: World) -> None:
    class Stamp(BaseHTTPMiddleware):
        async def dispatch(self, request: Request, call_next: Any) -> Response:
            response: Response = await call_next(request)
            response.headers["X-User"] = request.user.display_name
            return response

    app = starlette_app()
    app.add_middleware(Stamp)
    client = client_of(app, world)
    headers = world.headers("reader")
    assert client.get("/async", headers=headers).headers["X-User"] == "reader"
    assert client.post("/login/carol", headers=headers).headers["X-User"] == "carol"


@pytest.mark.parametrize("transport", ["cookie", "bearer"])
def test_fastapi_websockets_and_dependencies(world: World, transport: str) -> None:
    app = FastAPI()

    @app.websocket("/ws/{room}")
    @login_required
    async def talk(room: str, websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(f"{current_user(websocket).username} in {room}")
        await websocket.close()

    @app.get("/items/{number}")
    @login_required(scopes=["read"])
    async def item(request: Request, number: int, limit: int = 3) -> dict[str, Any]:
        return {"who": request.user.username, "number": number, "limit": limit}

    client = client_of(app, world)
    headers = world.headers("reader", transport)
    with client.websocket_connect("/ws/hall", headers=headers) as websocket:
        assert websocket.receive_text() == "reader in hall"
    with pytest.raises(WebSocketDenialResponse), client.websocket_connect("/ws/hall"):
        pass
    assert client.get("/items/7?limit=1").status_code == 401
    told = client.get("/items/7?limit=1", headers=headers).json()
    assert told == {"who": "reader", "number": 7, "limit": 1}
    assert client.get("/items/seven", headers=headers).status_code == 422


def test_a_scope_handler_of_the_app_sees_the_refusal(world: World) -> None:
    async def handler(_request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return PlainTextResponse("not yours", error.status_code, error.headers)

    app = starlette_app()
    app.add_exception_handler(403, handler)
    answer = client_of(app, world).get("/write", headers=world.headers("reader"))
    assert (answer.status_code, answer.text) == (403, "not yours")
    assert "insufficient_scope" in answer.headers["WWW-Authenticate"]
