"""``login_as`` with Django's test clients."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from django.test import AsyncClient, Client
from tests.django.project import add_user

from sessiongate.testing import alogin_as, login_as

if TYPE_CHECKING:
    from sessiongate import SessionManager
    from sessiongate.http.credentials import Transport


@pytest.mark.parametrize("transport", ["cookie", "bearer"])
def test_the_client_is_a_user_with_scopes_until_the_logout(
    manager: SessionManager, transport: Transport
) -> None:
    add_user("alice")
    client = Client()
    login = login_as(client, "alice", scopes=["read"], transport=transport)
    assert client.get("/who").content == b"alice"
    assert [row["scopes"] for row in manager.user_sessions("alice")] == [["read"]]
    assert client.get("/who", headers={"Authorization": "Bearer dead"}).content == b""
    login.logout()
    assert login.token is None
    assert client.get("/who").content == b""


@pytest.mark.parametrize("transport", ["cookie", "bearer"])
def test_the_async_client_too(transport: Any) -> None:
    add_user("alice")

    async def visit() -> None:
        client = AsyncClient()
        login = await alogin_as(client, "alice", transport=transport)
        assert (await client.get("/who")).content == b"alice"
        await login.alogout()
        assert (await client.get("/who")).content == b""

    asyncio.run(visit())
