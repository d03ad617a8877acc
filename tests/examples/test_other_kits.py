"""The examples for Quart and Litestar, as a browser and a program meet them on a real server."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import httpx
import pytest
from tests.servers.running import serving_asgi
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from sessiongate.stores import MemoryStore
from shared import COOKIE, Accounts, Services, Site, make_manager

PATIENCE = 60
"""Seconds after which a test that hangs is one that fails."""


@pytest.mark.parametrize("name", ["quart_app", "litestar_app"])
def test_the_example_keeps_a_login_until_the_logout(name: str) -> None:
    manager = make_manager(MemoryStore(), 64 * "k")
    accounts = Accounts()
    accounts.add("alice", "open sesame", scopes=("notes:read",))
    app = import_module(name).create_app(Services(manager, accounts, Site("", "", "", "")))
    with (
        serving_asgi(app) as address,
        httpx.Client(base_url=f"http://{address}", trust_env=False) as browser,
    ):
        html: Any = {"headers": {"Accept": "text/html"}}
        form = browser.get("/", follow_redirects=True, **html)
        assert 'name="next" value="/"' in form.text
        fields = {"username": "alice", "password": "guess", "next": "/"}
        assert browser.post("/login", data=fields).status_code == 403
        fields["password"] = "open sesame"
        page = browser.post("/login", data=fields, follow_redirects=True, **html)
        assert "Hello, alice!" in page.text
        assert browser.get("/api/me").json()["username"] == "alice"

        headers = {"Cookie": f"{COOKIE.name}={browser.cookies[COOKIE.name]}"}
        with connect(f"ws://{address}/ws", additional_headers=headers, proxy=None) as talk:
            talk.send("milk")
            assert talk.recv(PATIENCE) == "alice: milk"
            assert browser.post("/logout").status_code == 303
            with pytest.raises(ConnectionClosed):
                talk.recv(PATIENCE)
        assert browser.get("/api/me").status_code == 401
