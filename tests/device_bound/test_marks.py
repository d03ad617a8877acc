"""Where people and administrators see that a session is bound, and what a gate makes of it."""

from __future__ import annotations

import json
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient
from tests.cli.calling import Caller
from tests.device_bound.playing import OVER, Browser
from tests.http.harness import KEY, cookie, make_site

from sessiongate import ConfigurationError, SessionManager
from sessiongate.asgi import SessionAuthMiddleware
from sessiongate.devices.starlette import my_devices
from sessiongate.forward import ForwardAuth, WSGIForwardAuth
from sessiongate.stores import SQLiteStore

if TYPE_CHECKING:
    from pathlib import Path


def test_my_devices_marks_it() -> None:
    site = make_site("asgi", "opaque", options={"device_bound": True})
    bound = Browser(site).logged_in()
    ordinary = site.open("alice", device={"name": "Laptop"})
    app = Starlette(routes=my_devices())
    client = TestClient(SessionAuthMiddleware(app, site.manager), base_url="https://app.test")
    client.cookies.set("__Host-session", bound.token or "")
    page = client.get("/devices", headers={"Accept": "text/html"}).text
    assert page.count("Bound to its device") == 1
    listed = client.get("/devices/api").json()["devices"]
    assert sorted(device["is_device_bound"] for device in listed) == [False, True]
    assert ordinary
    assert bound.device.public not in page + json.dumps(listed)


def test_the_command_line_marks_it(tmp_path: Path) -> None:
    file = tmp_path / "sessions.db"
    with closing(SQLiteStore(file, timeout=30)) as store:
        site = make_site("asgi", "opaque", options={"device_bound": True}, store=store)
        site.clock.advance(time.time() - site.clock())
        browser = Browser(site).logged_in()
        held = browser.token or ""
        browser.refresh()
        gone = browser.token or ""
        cli = Caller(f"sqlite:///{file}")
        cli.secrets |= {browser.device.public, held, gone}
        (handle,) = (row["handle"] for row in site.manager.list_sessions())
        assert cli("sessions", "list").out.splitlines()[1].endswith("(bound)")
        told = json.loads(cli("sessions", "show", handle, "--json").out)
        assert told["device_bound"] is True
        assert told["proved_until"] > told["created_at"]

        def inspected(token: str, code: int) -> dict[str, Any]:
            key = tmp_path / "key"
            key.write_text(KEY, encoding="utf-8")
            done = cli("inspect", "--secret-key-file", str(key), "--json", stdin=token, code=code)
            found: dict[str, Any] = json.loads(done.out)
            return found

        assert inspected(gone, 0)["verdict"] == "valid"
        before = inspected(held, 0)
        assert before["standing"] == "previous"
        assert "prove itself" in before["reason"]
        assert before["honoured_until"] is not None

        site.clock.advance(-OVER)
        late = Browser(site).logged_in()
        assert late.token
        cli.secrets.add(late.token)
        refused = inspected(late.token, 1)
        assert (refused["standing"], refused["verdict"]) == ("unproved", "invalid")


def test_a_gate_knows_the_age_and_binds_nothing() -> None:
    site = make_site("asgi", "opaque", options={"device_bound": True})
    browser = Browser(site).logged_in()
    gate = TestClient(ForwardAuth(site.manager))

    def status() -> int:
        asked = {"X-Forwarded-Method": "GET", "X-Forwarded-Proto": "https"}
        asked |= {"X-Forwarded-Host": "app.example.com", "X-Forwarded-Uri": "/"}
        name, value = cookie(browser.token)
        return gate.get("/", headers={**asked, name.decode(): value.decode()}).status_code

    assert status() == 200
    site.clock.advance(OVER)
    assert status() == 401


@pytest.mark.parametrize("gate", [ForwardAuth, WSGIForwardAuth])
def test_a_gate_cannot_bind(gate: Any) -> None:
    with pytest.raises(ConfigurationError, match="where people log in"):
        gate(SessionManager(), device_bound=True)
