"""The FastAPI example as a user starts it: uvicorn in a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import httpx
import pytest
from tests.examples.quickly import quick_environment
from tests.frameworks.openapi import check_openapi

from shared import COOKIE

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES: Final = Path(__file__).parents[2] / "examples"
COMMAND: Final = ("--app-dir", str(EXAMPLES), "--factory", "fastapi_app:demo", "--port", "0")


class Running(NamedTuple):
    url: str
    password: str

    def credentials(self, password: str = "") -> dict[str, str]:
        return {"username": "alice", "password": password or self.password}


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with subprocess.Popen(
        [sys.executable, "-m", "uvicorn", *COMMAND],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=quick_environment(),
    ) as process:
        assert process.stdout is not None
        printed = ""
        try:
            for line in process.stdout:
                printed += line
                if "running on" in line:
                    break
            password = re.search(r"as alice, password (\S+)", printed)
            url = re.search(r"running on (http://\S+)", printed)
            assert password is not None, printed
            assert url is not None, printed
            yield Running(url[1], password[1])
        finally:
            process.terminate()
            rest, _ = process.communicate()
    assert "Traceback" not in rest, rest


@pytest.fixture
def client(running: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=running.url, trust_env=False) as client:
        yield client


def test_a_browser_logs_in_by_cookie_and_out(running: Running, client: httpx.Client) -> None:
    assert client.get("/").json() == "Hello, stranger!"
    assert client.get("/me").status_code == 401
    assert client.post("/login", json=running.credentials()).status_code == 204

    assert client.get("/").json() == "Hello, alice!"
    me = client.get("/me").json()
    assert (me["username"], me["transport"]) == ("alice", "cookie")
    stolen = client.cookies[COOKIE.name]
    assert client.post("/logout").status_code == 204
    assert not client.cookies
    assert client.get("/me", headers={"Cookie": f"{COOKIE.name}={stolen}"}).status_code == 401


def test_what_authorize_on_the_docs_page_needs(running: Running, client: httpx.Client) -> None:
    document: Any = client.get("/openapi.json").json()
    check_openapi(document)
    assert document["components"]["securitySchemes"]["SessionCookie"]["name"] == COOKIE.name
    assert client.get("/docs").status_code == 200

    token = client.post("/token", json=running.credentials()).json()["token"]
    assert not client.cookies
    client.headers["Authorization"] = f"Bearer {token}"
    assert client.get("/me").json()["transport"] == "bearer"
    assert client.post("/notes", params={"text": "milk"}).status_code == 201
    assert client.get("/notes").json() == ["alice: milk"]
    assert [session["device"]["ip"] for session in client.get("/devices").json()] == ["127.0.0.1"]
    assert client.delete("/notes").status_code == 204
    assert client.get("/notes").json() == []
    assert client.post("/logout").status_code == 204
    assert client.get("/notes").status_code == 401


@pytest.mark.parametrize("path", ["/login", "/token"])
def test_a_wrong_password_opens_nothing(running: Running, client: httpx.Client, path: str) -> None:
    refused = client.post(path, json=running.credentials("guess"))
    assert refused.status_code == 403
    assert "token" not in refused.text
    assert not client.cookies
