"""The clients of Quart and Litestar: logged in by cookie and bearer, through rotations, and out."""

# No `from __future__ import annotations`: Litestar reads the hints of handlers.
import asyncio
from typing import Any

import pytest
from litestar import Litestar, Request, get
from litestar.testing import AsyncTestClient, TestClient
from quart import Quart, websocket

from sessiongate import ConfigurationError, SessionManager
from sessiongate import litestar as for_litestar
from sessiongate import quart as for_quart
from sessiongate.testing import ManualClock, alogin_as, login_as

TRANSPORTS = pytest.mark.parametrize("transport", ["cookie", "bearer"])


def quart_app(manager: SessionManager) -> Quart:
    app = Quart("site")
    for_quart.install(app, manager)

    @app.get("/")
    @for_quart.login_required
    async def who() -> str:
        return str(for_quart.current_user.username)

    @app.websocket("/ws")
    @for_quart.login_required
    async def talk() -> None:
        await websocket.send(str(for_quart.current_user.username))

    return app


@get("/", guards=[for_litestar.login_required])
async def who_in_litestar(request: Request[Any, Any, Any]) -> str:
    return str(request.user.username)


def litestar_app(manager: SessionManager) -> Litestar:
    return Litestar([who_in_litestar], plugins=[for_litestar.SessionAuth(manager)])


@TRANSPORTS
def test_quart(manager: SessionManager, clock: ManualClock, transport: Any) -> None:
    async def visit() -> None:
        client = quart_app(manager).test_client()
        login = await alogin_as(client, "alice", transport=transport)
        first = login.token
        clock.advance(61)
        answer = await client.get("/")
        assert await answer.get_data(as_text=True) == "alice"
        assert login.token not in {None, first}
        async with client.websocket("/ws") as talk:
            assert await talk.receive() == "alice"
        clock.advance(31)  # a replay from here on, if the client still had the old one
        assert (await client.get("/")).status_code == 200
        other = {"Authorization": "Bearer dead"}
        assert (await client.get("/", headers=other)).status_code == 401
        await alogin_as(client, "bob")
        answer = await client.get("/")
        assert await answer.get_data(as_text=True) == "bob"
        await login.alogout()
        assert login.token is None
        assert (await client.get("/")).status_code == 401
        assert manager.user_sessions("alice") == []

    asyncio.run(visit())


def test_quarts_client_without_cookies_says_so(manager: SessionManager) -> None:
    client = quart_app(manager).test_client(use_cookies=False)
    with pytest.raises(ConfigurationError, match="use_cookies"):
        login_as(client, "alice")
    assert manager.n_active_sessions() == 0


@TRANSPORTS
def test_litestar(manager: SessionManager, clock: ManualClock, transport: Any) -> None:
    with TestClient(litestar_app(manager), base_url="https://testserver.local") as client:
        login = login_as(client, "alice", transport=transport)
        first = login.token
        clock.advance(61)
        assert client.get("/").text == "alice"
        assert login.token not in {None, first}
        login.logout()
        assert client.get("/").status_code == 401


def test_litestar_to_await(manager: SessionManager) -> None:
    async def visit() -> None:
        client = AsyncTestClient(litestar_app(manager), base_url="https://testserver.local")
        async with client:
            await alogin_as(client, "alice")
            assert (await client.get("/")).text == "alice"

    asyncio.run(visit())
