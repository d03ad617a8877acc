"""The page on other frameworks: each of its apps keeps a login until the logout."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from tests.examples.documents import ROOT, blocks, run
from tests.servers.running import serving_asgi, serving_wsgi

PAGE = "docs/other-frameworks.md"
PASSWORD = {"username": "alice", "password": "open sesame"}
APPS = {
    **dict.fromkeys(("falcon", "bottle", "pyramid", "asgi-in-wsgi"), "wsgi"),
    **dict.fromkeys(("sanic", "wsgi-in-asgi", "flask-in-starlette"), "asgi"),
}
ELSEWHERE = {"Sec-Fetch-Site": "cross-site", "Origin": "https://elsewhere.example"}
COOKIE = "__Host-session"


def app_of(name: str) -> Any:
    return run.__wrapped__(PAGE, "common", name)["app"]


@pytest.mark.filterwarnings(  # of Pyramid's dependencies
    "ignore:'cgi' is deprecated:DeprecationWarning",
    "ignore:pkg_resources is deprecated:UserWarning",
    "ignore:Deprecated call to `pkg_resources:DeprecationWarning",
)
@pytest.mark.parametrize(("name", "kind"), APPS.items())
def test_the_app_keeps_a_login_until_the_logout(name: str, kind: str) -> None:
    home = "/old/" if name == "flask-in-starlette" else "/"
    app = app_of(name)
    with (
        # Sanic does not answer before it was told to start.
        serving_wsgi(app)
        if kind == "wsgi"
        else serving_asgi(app, lifespan="on" if name == "sanic" else "off") as address,
        httpx.Client(base_url=f"http://{address}", trust_env=False) as client,
    ):

        def ask(method: str, path: str, headers: Any = None, **data: str) -> tuple[int, str]:
            answer = client.request(method, path, headers=headers, data=data or None)
            for cookie in answer.headers.get_list("Set-Cookie"):  # no https here
                client.headers["Cookie"] = cookie.partition(";")[0]
            client.cookies.clear()
            return answer.status_code, answer.text.strip('"')

        assert ask("GET", home)[0] == 401
        assert ask("POST", "/login", **PASSWORD | {"password": "?"})[0] == 403
        assert ask("POST", "/login", ELSEWHERE, **PASSWORD)[0] == 403
        assert ask("POST", "/login", **PASSWORD) == (200, "Welcome!")
        assert ask("GET", home) == (200, "Hello, alice!")
        assert ask("POST", "/logout", ELSEWHERE)[0] == 403
        assert ask("GET", home) == (200, "Hello, alice!")
        assert ask("POST", "/logout") == (200, "Bye!")
        assert ask("GET", home)[0] == 401


def test_socketio_lets_in_who_is_logged_in_until_the_session_ends() -> None:
    names = run.__wrapped__(PAGE, "common", "socketio")
    manager = names["manager"]
    with (
        serving_asgi(names["app"]) as address,
        httpx.Client(base_url=f"http://{address}", trust_env=False, timeout=60) as client,
    ):
        path = "/socket.io/?EIO=4&transport=polling"

        def connect(headers: dict[str, str]) -> tuple[str, str]:
            opened = client.get(path, headers=headers).text
            mine = f"{path}&sid={json.loads(opened[1:])['sid']}"
            assert client.post(mine, content="40", headers=headers).text == "OK"
            return mine, client.get(mine).text

        _, answer = connect({})
        assert answer.startswith("44")
        assert "log in first" in answer
        token = manager.create_session("alice")
        mine, answer = connect({"Cookie": f"{COOKIE}={token}"})
        assert answer.startswith("40")
        assert client.post(mine, content='420["who"]').text == "OK"
        assert client.get(mine).text == '430["alice"]'
        manager.invalidate_session(token)
        assert client.get(mine).text.startswith("41")


def test_every_app_of_the_page_is_tried() -> None:
    apps = {block.name for block in blocks(ROOT / PAGE)} - {None, "common"}
    assert apps == {*APPS, "socketio", "starlette-in-django"}
