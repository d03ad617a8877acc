"""Websockets of FastAPI with our dependencies: refused before they are accepted."""

# No `from __future__ import annotations`: it would hide from FastAPI what a test defines.
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Security, WebSocket
from fastapi.testclient import TestClient
from starlette.testclient import WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect
from tests.frameworks.cases import FRESH, LOGIN_URL, World
from tests.servers.running import serving_asgi
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from sessiongate import ConfigurationError
from sessiongate.asgi import SessionAuthMiddleware
from sessiongate.fastapi import CurrentUser, OptionalUser, User, login_required

PATHS = ["/parameter", "/router", "/decorated"]


def chat() -> FastAPI:
    app = FastAPI()
    router = APIRouter(dependencies=[Depends(login_required)])

    async def greet(websocket: WebSocket, user: User | None) -> None:
        await websocket.accept()
        await websocket.send_text(user.display_name if user else "stranger")
        await websocket.close()

    @app.websocket("/parameter")
    async def parameter(websocket: WebSocket, user: CurrentUser) -> None:
        await greet(websocket, user)

    @router.websocket("/router")
    async def in_router(websocket: WebSocket) -> None:
        await greet(websocket, websocket.user)

    @app.websocket("/decorated")
    @login_required
    async def decorated(websocket: WebSocket) -> None:
        await greet(websocket, websocket.user)

    @app.websocket("/optional")
    async def optional(websocket: WebSocket, user: OptionalUser) -> None:
        await greet(websocket, user)

    @app.websocket("/write")
    async def write(
        websocket: WebSocket, user: Annotated[User, Security(login_required, scopes=["write"])]
    ) -> None:
        await greet(websocket, user)

    @app.websocket("/fresh")
    async def fresh(
        websocket: WebSocket,
        user: Annotated[User, Depends(login_required(fresh=FRESH, login_url=LOGIN_URL))],
    ) -> None:
        await greet(websocket, user)

    app.include_router(router)
    return app


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def client(world: World) -> TestClient:
    app = chat()
    app.add_middleware(SessionAuthMiddleware, manager=world.manager)
    return TestClient(app, base_url="https://testserver")


@pytest.mark.parametrize("transport", ["cookie", "bearer"])
@pytest.mark.parametrize("path", [*PATHS, "/optional", "/write", "/fresh"])
def test_it_is_let_in(world: World, client: TestClient, path: str, transport: str) -> None:
    headers = world.headers("writer", transport)
    with client.websocket_connect(path, headers=headers) as websocket:
        assert websocket.receive_text() == "writer"


@pytest.mark.parametrize(
    ("path", "visitor", "status", "challenge"),
    [
        *((path, None, 401, 'Bearer realm="sessiongate"') for path in [*PATHS, "/write"]),
        ("/parameter", "forged", 401, 'Bearer realm="sessiongate"'),
        ("/write", "reader", 403, 'scope="write"'),
        ("/fresh", "old", 401, f'max_age="{FRESH}"'),
    ],
)
def test_it_is_refused_with_the_whole_answer(
    world: World, client: TestClient, path: str, visitor: str | None, status: int, challenge: str
) -> None:
    with (
        pytest.raises(WebSocketDenialResponse) as denied,
        client.websocket_connect(path, headers=world.headers(visitor)),
    ):
        pass
    assert denied.value.status_code == status
    assert challenge in denied.value.headers["WWW-Authenticate"]


@pytest.mark.parametrize("path", PATHS)
def test_a_server_without_denial_responses_closes(client: TestClient, path: str) -> None:
    app = client.app

    async def plain(scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
        if scope["type"] == "websocket":
            scope["extensions"] = {}
        await app(scope, receive, send)

    refused = TestClient(plain, base_url="https://testserver")
    with pytest.raises(WebSocketDisconnect) as closed, refused.websocket_connect(path):
        pass
    assert closed.value.code == 1008


def test_a_stranger_is_let_in_where_the_user_is_optional(client: TestClient) -> None:
    with client.websocket_connect("/optional") as websocket:
        assert websocket.receive_text() == "stranger"


@pytest.mark.parametrize("path", [*PATHS, "/optional"])
def test_without_the_middleware_the_remedy_is_named(path: str) -> None:
    with (
        pytest.raises(ConfigurationError, match=r"app\.add_middleware\(SessionAuthMiddleware"),
        TestClient(chat()).websocket_connect(path),
    ):
        pass


@pytest.mark.parametrize("transport", ["cookie", "bearer"])
def test_it_is_the_same_over_a_real_socket(world: World, transport: str) -> None:
    app = chat()
    app.add_middleware(SessionAuthMiddleware, manager=world.manager)
    with serving_asgi(app) as address:
        for path, visitor, status in (("parameter", None, 401), ("write", "reader", 403)):
            headers = world.headers(visitor, transport)
            with (
                pytest.raises(InvalidStatus) as refused,
                connect(f"ws://{address}/{path}", additional_headers=headers, proxy=None),
            ):
                pass
            assert refused.value.response.status_code == status
            assert "Bearer" in refused.value.response.headers["WWW-Authenticate"]
            assert b"detail" in (refused.value.response.body or b"")
        headers = world.headers("writer", transport)
        with connect(f"ws://{address}/write", additional_headers=headers, proxy=None) as websocket:
            assert websocket.recv() == "writer"
