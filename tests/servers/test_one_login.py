"""One login for a Flask and a Starlette app, on real sockets, from login to logout."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests.servers.running import serving_asgi, serving_wsgi
from tests.servers.sites import flask_site, starlette_site
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from sessiongate import Event, JWTSessionManager, SessionCookie, SessionManager
from sessiongate.testing import ManualClock

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMEOUT = 3600
DUE = TIMEOUT / 2 + 1


class Both:
    """Two servers, one manager, one clock."""

    def __init__(self, kind: type[SessionManager], stack: ExitStack) -> None:
        self.clock = ManualClock()
        self.events: list[Event] = []
        self.manager = kind(
            TIMEOUT, secret_key="k" * 64, clock=self.clock, on_event=self.events.append
        )
        cookie = SessionCookie.for_http()
        self.flask = stack.enter_context(serving_wsgi(flask_site(self.manager, cookie=cookie)))
        self.starlette = stack.enter_context(
            serving_asgi(starlette_site(self.manager, cookie=cookie))
        )
        self.here, self.there = f"http://{self.flask}", f"http://{self.starlette}"

    def websocket(self, **headers: str) -> Any:
        return connect(f"ws://{self.starlette}/ws", additional_headers=headers, proxy=None)


@pytest.fixture(params=[SessionManager, JWTSessionManager])
def both(request: pytest.FixtureRequest) -> Iterator[Both]:
    with ExitStack() as stack:
        yield Both(request.param, stack)


def test_a_browser_logs_in_on_flask_and_out_on_starlette(both: Both) -> None:
    with httpx.Client() as browser:
        assert browser.get(f"{both.here}/me").status_code == 401
        assert browser.get(f"{both.there}/me").status_code == 401
        first = browser.post(f"{both.here}/login?username=alice").json()["token"]
        assert browser.cookies["sessiongate"] == first

        assert browser.get(f"{both.here}/me").json()["username"] == "alice"
        known = browser.get(f"{both.there}/me")
        assert known.json()["username"] == "alice"
        assert "set-cookie" not in known.headers, "a plain read sets no cookie"

        both.clock.advance(DUE)
        rotated = browser.get(f"{both.there}/me")
        second = browser.cookies["sessiongate"]
        assert rotated.json()["username"] == "alice"
        assert second != first
        assert rotated.headers["cache-control"] == "no-store"
        assert browser.get(f"{both.here}/me").json()["username"] == "alice"

        with both.websocket(Cookie=f"sessiongate={second}") as websocket:
            assert websocket.recv() == "alice"

        assert browser.post(f"{both.there}/logout").status_code == 200
        assert "sessiongate" not in browser.cookies
    for token in (first, second):
        for site in (both.here, both.there):
            answer = httpx.get(f"{site}/me", headers={"Cookie": f"sessiongate={token}"})
            assert answer.status_code == 401
        with pytest.raises(InvalidStatus), both.websocket(Cookie=f"sessiongate={token}"):
            pass
    assert [event.kind for event in both.events] == ["login", "rotated", "logout"]


def test_an_api_client_logs_in_on_flask_and_out_on_starlette(both: Both) -> None:
    answer = httpx.post(f"{both.here}/login?username=bob&transport=bearer")
    first = answer.json()["token"]
    assert "set-cookie" not in answer.headers

    def ask(site: str, token: str, path: str = "/me", method: str = "GET") -> httpx.Response:
        return httpx.request(method, f"{site}{path}", headers={"Authorization": f"Bearer {token}"})

    assert ask(both.there, first).json()["username"] == "bob"
    assert "x-refreshed-token" not in ask(both.here, first).headers

    both.clock.advance(DUE)
    rotated = ask(both.here, first)
    second = rotated.headers["x-refreshed-token"]
    assert second != first
    assert "set-cookie" not in rotated.headers
    assert "x-refreshed-token" in rotated.headers["access-control-expose-headers"].lower()
    assert ask(both.there, first).headers["x-refreshed-token"] == second, "until it is seen"
    assert ask(both.there, second).json()["username"] == "bob"

    with both.websocket(Authorization=f"Bearer {second}") as websocket:
        assert websocket.recv() == "bob"

    assert ask(both.there, second, "/logout", "POST").status_code == 200
    for token in (first, second):
        for site in (both.here, both.there):
            refused = ask(site, token)
            assert refused.status_code == 401
            assert 'error="invalid_token"' in refused.headers["www-authenticate"]
        with pytest.raises(InvalidStatus), both.websocket(Authorization=f"Bearer {token}"):
            pass


def test_a_stolen_token_ends_the_session_for_thief_and_owner(both: Both) -> None:
    stolen = both.manager.create_session("alice")
    both.clock.advance(DUE)
    owner = {"Authorization": f"Bearer {stolen}"}
    fresh = httpx.get(f"{both.here}/me", headers=owner).headers["x-refreshed-token"]
    owner = {"Authorization": f"Bearer {fresh}"}
    assert httpx.get(f"{both.there}/me", headers=owner).status_code == 200
    both.clock.advance(31)
    thief = httpx.get(f"{both.there}/me", headers={"Cookie": f"sessiongate={stolen}"})
    assert thief.status_code == 401
    assert httpx.get(f"{both.here}/me", headers=owner).status_code == 401
    assert [event.kind for event in both.events].count("replayed") == 1


def test_a_handshake_carries_the_rotated_token(both: Both) -> None:
    token = both.manager.create_session("alice", existing="new")
    both.clock.advance(DUE)
    with both.websocket(Cookie=f"sessiongate={token}") as websocket:
        assert websocket.recv() == "alice"
        answer = websocket.response.headers
    assert answer["Cache-Control"] == "no-store"
    successor = answer["Set-Cookie"].partition(";")[0].partition("=")[2]
    assert successor != token
    for site in (both.here, both.there):
        seen = httpx.get(f"{site}/me", headers={"Cookie": f"sessiongate={successor}"})
        assert seen.json()["username"] == "alice"
