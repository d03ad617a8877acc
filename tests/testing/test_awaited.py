"""In async tests a login is awaited; and what else the kit asks of those who use it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from starlette.testclient import TestClient
from tests.stores.passing import PassingStore
from tests.testing.clients import starlette_app

from sessiongate import SessionManager, StoreError
from sessiongate.stores import SQLiteStore
from sessiongate.testing import CountingStore, alogin_as, login_as

if TYPE_CHECKING:
    from pathlib import Path


def test_awaiting_is_the_same(manager: SessionManager) -> None:
    async def scenario() -> None:
        transport = httpx.ASGITransport(starlette_app(manager))
        async with httpx.AsyncClient(transport=transport, base_url="https://example.com") as client:
            login = await alogin_as(client, "alice", scopes=["read"])
            seen = (await client.get("/")).json()
            assert (seen["username"], seen["scopes"]) == ("alice", ["read"])
            await login.alogout()
            assert (await client.get("/")).json()["username"] is None
            with pytest.raises(TypeError, match="client must be"):
                await alogin_as("client", "alice", manager=manager)

    asyncio.run(scenario())


def test_a_login_costs_one_trip_and_none_that_blocks_where_it_is_awaited() -> None:
    class Awaited(PassingStore):
        def before(self, name: str, *_arguments: Any) -> None:
            assert name.startswith("a"), f"{name} was called in an event loop"

    store = CountingStore(Awaited())

    async def hear(_event: Any) -> None: ...

    manager = SessionManager(store=store, secret_key="k" * 64, on_event=hear)

    async def scenario() -> None:
        transport = httpx.ASGITransport(starlette_app(manager))
        async with httpx.AsyncClient(transport=transport, base_url="https://example.com") as client:
            login = await alogin_as(client, "alice")
            assert store.by_verb == {"commit": 1}
            await login.alogout()
            assert store.by_verb == {"commit": 1, "read": 1, "swap": 1}

    asyncio.run(scenario())


def test_a_store_that_is_down_is_no_login(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "sessions.db", timeout=60)
    manager = SessionManager(store=store, secret_key="k" * 64)
    client = TestClient(starlette_app(manager), base_url="https://testserver")
    login = login_as(client, "alice")
    store.close()
    with pytest.raises(StoreError):
        login.logout()
    assert login.token is not None
    with pytest.raises(StoreError):
        login_as(client, "bob")


@pytest.mark.parametrize("missing", [["pytest"], ["httpx", "httpx2", "starlette", "flask"]])
def test_what_a_test_does_not_use_need_not_be_installed(missing: list[str]) -> None:
    script = (
        f"import sys; sys.modules |= dict.fromkeys({missing!r})\n"
        "from werkzeug.test import Client\n"
        "from sessiongate import SessionManager\n"
        "from sessiongate.testing import CountingStore, ManualClock, alogin_as, login_as\n"
        "from sessiongate.wsgi import SessionAuthMiddleware\n"
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    return [environ.get('REMOTE_USER', 'nobody').encode()]\n"
        "client = Client(SessionAuthMiddleware(app, SessionManager(clock=ManualClock())))\n"
        "login_as(client, 'alice')\n"
        "print(client.get('/').text)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert (run.stdout, run.stderr) == ("alice\n", "")
