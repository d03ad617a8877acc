"""A websocket is an endpoint like any other: the middleware says who it is, a guard says no."""

# No `from __future__ import annotations`: it would hide from FastAPI what a test defines.
from typing import Any

import pytest
from fastapi import Depends, FastAPI
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocket, WebSocketDisconnect
from tests.frameworks.cases import World

from sessiongate.asgi import SessionAuthMiddleware
from sessiongate.fastapi import login_required as fastapi_login_required
from sessiongate.starlette import login_required

ELSEWHERE = {"Origin": "https://elsewhere.example"}


async def talk(websocket: WebSocket) -> None:
    session = websocket.scope["sessiongate"]
    subprotocols = websocket.scope["subprotocols"]
    await websocket.accept(subprotocols[0] if subprotocols else None)
    await websocket.send_json([session.user.username, session.transport, session.problem])
    await websocket.close()


async def careful(websocket: WebSocket) -> None:
    """As the guide to deployment has it, for an app without guards."""
    if not websocket.user.is_authenticated:
        await websocket.close(1008)
        return
    await talk(websocket)


def starlette_chat() -> Starlette:
    return Starlette(
        routes=[
            WebSocketRoute("/open", talk),
            WebSocketRoute("/guarded", login_required(talk)),
            WebSocketRoute("/careful", careful),
        ]
    )


def fastapi_chat() -> FastAPI:
    app = FastAPI()
    app.websocket("/open")(talk)
    app.websocket("/guarded", dependencies=[Depends(fastapi_login_required)])(talk)
    app.websocket("/careful")(careful)
    return app


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture(params=[starlette_chat, fastapi_chat])
def client(request: pytest.FixtureRequest, world: World) -> TestClient:
    app: Starlette = request.param()
    app.add_middleware(SessionAuthMiddleware, manager=world.manager)
    return TestClient(app, base_url="https://testserver")


def heard(client: TestClient, path: str, **options: Any) -> Any:
    with client.websocket_connect(path, **options) as websocket:
        return websocket.receive_json()


def credentials(world: World, kind: str) -> dict[str, str]:
    reader, writer = world.headers("reader"), world.headers("writer")
    return {
        "nobody": {},
        "elsewhere": reader | ELSEWHERE,
        "dead": {"Authorization": "Bearer dead"},
        "malformed": {"Authorization": "Bearer"},
        "two": {"Cookie": f"{reader['Cookie']}; {writer['Cookie']}"},
    }[kind]


REFUSED = pytest.mark.parametrize(
    ("kind", "problem", "status"),
    [
        ("nobody", None, 401),
        ("elsewhere", "cross_site", 403),
        ("dead", "invalid_token", 401),
        ("malformed", "invalid_request", 400),
        ("two", "invalid_request", 400),
    ],
)


@REFUSED
def test_one_without_a_guard_is_let_in_as_nobody(
    world: World, client: TestClient, kind: str, problem: str | None, status: int
) -> None:
    del status
    assert heard(client, "/open", headers=credentials(world, kind)) == [None, None, problem]


@REFUSED
def test_a_guard_refuses_it_before_it_is_accepted(
    world: World, client: TestClient, kind: str, problem: str | None, status: int
) -> None:
    del problem
    with pytest.raises(WebSocketDenialResponse) as denied:
        heard(client, "/guarded", headers=credentials(world, kind))
    assert denied.value.status_code == status
    assert ("WWW-Authenticate" in denied.value.headers) == (status != 403)


@REFUSED
def test_an_app_may_refuse_it_itself(
    world: World, client: TestClient, kind: str, problem: str | None, status: int
) -> None:
    del problem, status
    with pytest.raises(WebSocketDisconnect) as closed:
        heard(client, "/careful", headers=credentials(world, kind))
    assert closed.value.code == 1008


@pytest.mark.parametrize("path", ["/open", "/guarded", "/careful"])
def test_the_session_lets_it_in(world: World, client: TestClient, path: str) -> None:
    by_cookie = world.headers("reader") | {"Origin": "https://testserver"}
    assert heard(client, path, headers=by_cookie) == ["reader", "cookie", None]
    by_bearer = world.headers("reader", "bearer") | ELSEWHERE
    assert heard(client, path, headers=by_bearer) == ["reader", "bearer", None]


@pytest.mark.parametrize("path", ["/open", "/guarded", "/careful"])
@pytest.mark.parametrize(
    ("others", "chosen"), [([], "sessiongate.bearer"), (["chat"], "chat"), (["chat", "v2"], "chat")]
)
def test_a_browser_brings_its_bearer_token_as_a_subprotocol(
    world: World, client: TestClient, path: str, others: list[str], chosen: str
) -> None:
    offered = ["sessiongate.bearer", str(world.tokens["reader"]), *others]
    with client.websocket_connect(path, offered, headers=dict(ELSEWHERE)) as websocket:
        assert websocket.accepted_subprotocol == chosen
        assert websocket.receive_json() == ["reader", "bearer", None]


def test_a_bad_token_as_a_subprotocol_is_refused(client: TestClient) -> None:
    with (
        pytest.raises(WebSocketDenialResponse) as denied,
        client.websocket_connect("/guarded", ["sessiongate.bearer", "dead"]),
    ):
        pass
    assert denied.value.status_code == 401
    assert "dead" not in denied.value.text
