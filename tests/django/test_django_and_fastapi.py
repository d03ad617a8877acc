"""One login over Django and FastAPI: the example as it is started, two servers and one store."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.examples.documents import ROOT
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

_LONG = 60


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[str, str]]:
    """The addresses of Django and of FastAPI."""
    script = ROOT / "examples/django_and_fastapi/run.py"
    command = [sys.executable, str(script), "0", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = [re.findall(r"http://\S+", process.stdout.readline())[0] for _ in range(2)]
        try:
            yield found[0], found[1]
        finally:
            process.terminate()


@pytest.fixture
def browser() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=_LONG, trust_env=False, follow_redirects=True) as client:
        yield client


def log_in(browser: httpx.Client, site: str) -> httpx.Response:
    page = browser.get(f"{site}/login").text
    fields = {
        "csrfmiddlewaretoken": page.partition('name="csrfmiddlewaretoken" value="')[2].split('"')[
            0
        ],
        "username": "alice",
        "password": "open sesame",
    }
    return browser.post(f"{site}/login", data=fields, headers={"Origin": site})


def log_out(browser: httpx.Client, site: str) -> None:
    token = browser.cookies["csrftoken"]
    response = browser.post(f"{site}/logout", headers={"Origin": site, "X-CSRFToken": token})
    assert response.status_code == 200


def open_socket(browser: httpx.Client, server: str) -> ClientConnection:
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    headers = {"Cookie": cookies, "Origin": server}
    address = f"{server.replace('http', 'ws')}/ws"
    return connect(address, additional_headers=headers, open_timeout=_LONG, proxy=None)


def assert_closed(*sockets: ClientConnection) -> None:
    for one in sockets:
        with pytest.raises(ConnectionClosed) as closed:
            one.recv(timeout=_LONG)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "session ended")


def test_a_login_at_django_counts_at_fastapi_and_so_does_the_logout(
    servers: tuple[str, str], browser: httpx.Client
) -> None:
    django, fastapi = servers
    assert browser.get(django).text == "Django knows nobody"
    assert browser.get(f"{fastapi}/me").status_code == 401
    assert log_in(browser, django).text == "Django knows alice"
    assert browser.get(f"{fastapi}/me").json() == "FastAPI knows alice"
    assert browser.post(f"{fastapi}/notes").json() == "alice may write"
    with open_socket(browser, django) as first, open_socket(browser, fastapi) as second:
        assert [one.recv(timeout=_LONG) for one in (first, second)] == ["Hello, alice"] * 2
        log_out(browser, django)
        assert_closed(first, second)
    assert browser.get(f"{fastapi}/me").status_code == 401


def test_a_login_at_fastapi_counts_at_django_and_so_does_the_logout(
    servers: tuple[str, str], browser: httpx.Client
) -> None:
    django, fastapi = servers
    browser.post(f"{fastapi}/login")
    assert browser.get(django).text == "Django knows alice"
    assert "This device" in browser.get(f"{django}/devices").text
    with open_socket(browser, django) as first, open_socket(browser, fastapi) as second:
        assert [one.recv(timeout=_LONG) for one in (first, second)] == ["Hello, alice"] * 2
        browser.post(f"{fastapi}/logout")
        assert_closed(first, second)
    assert browser.get(django).text == "Django knows nobody"


def test_nobody_opens_no_websocket(servers: tuple[str, str], browser: httpx.Client) -> None:
    for server in servers:
        with pytest.raises(InvalidStatus) as refused:
            open_socket(browser, server)
        assert refused.value.response.status_code == 401
