"""Requests that are nobody's end nothing, whatever they bring."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from starlette.testclient import TestClient
from tests.devices.site import COOKIE, HTML

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.devices.site import Site

ENDS = pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/devices/end/{own}"),
        ("POST", "/devices/end/{other}"),
        ("POST", "/devices/end-others"),
        ("DELETE", "/devices/api/{own}"),
        ("DELETE", "/devices/api/{other}"),
        ("POST", "/devices/api/end-others"),
    ],
)


def opened(site: Site, path: str) -> tuple[str, str, str]:
    """Two devices of alice, and a path that names one of them."""
    here, there = site.open(), site.open()
    own, other = site.handles()
    return here, there, path.format(own=own, other=other)


@ENDS
@pytest.mark.parametrize("login_url", [None, "/login"])
def test_another_site_ends_nothing(
    make: Callable[..., Site], method: str, path: str, login_url: str | None
) -> None:
    site = make(login_url=login_url)
    here, there, path = opened(site, path)
    answer = site.ask(method, path, here, Sec_Fetch_Site="cross-site", **HTML)
    assert answer.status == 403, "and the browser is sent nowhere"
    assert "came from another site" in answer.text
    assert "Set-Cookie" not in answer.headers
    assert site.manager.validate_session(here)
    assert site.manager.validate_session(there)


@ENDS
def test_another_site_costs_no_store_call(site: Site, method: str, path: str) -> None:
    here, _, path = opened(site, path)
    assert site.cost(method, path, here, Origin="https://evil.example") == {}


@ENDS
def test_two_live_sessions_end_nothing(site: Site, method: str, path: str) -> None:
    here, there, path = opened(site, path)
    answer = site.ask(method, path, Cookie=f"{COOKIE}={here}; {COOKIE}={there}")
    assert answer.status == 400
    assert "two sessions" in answer.text
    assert site.manager.validate_session(here)
    assert site.manager.validate_session(there)


@ENDS
def test_a_broken_token_ends_nothing(site: Site, method: str, path: str) -> None:
    """And the cookie beside it counts for nothing."""
    here, there, path = opened(site, path)
    cookie = f"{COOKIE}={here}"
    assert site.ask(method, path, Cookie=cookie, Authorization="Bearer").status == 400
    assert site.ask(method, path, Cookie=cookie, Authorization="Bearer dead").status == 401
    assert site.manager.validate_session(here)
    assert site.manager.validate_session(there)


def test_a_browser_with_two_sessions_is_sent_to_the_login_page(make: Callable[..., Site]) -> None:
    site = make(login_url="/login")
    both = f"{COOKIE}={site.open()}; {COOKIE}={site.open('bob')}"
    sent = site.ask("GET", "/devices", Cookie=both, **HTML)
    assert (sent.status, sent.headers["Location"]) == (303, "/login?next=/devices")
    assert site.ask("GET", "/devices/api", Cookie=both, **HTML).status == 400


def test_the_forms_are_below_a_prefix_that_the_server_leaves_out_of_the_path(site: Site) -> None:
    """As a proxy that strips it does; for Flask it is never in the path."""
    here, there = site.open(), site.open()
    headers = {"Cookie": f"{COOKIE}={here}"}
    if site.stack == "flask":
        client = site.app.test_client(use_cookies=False)
        base = {"base_url": "https://app.example.com/shop"}
        page = client.get("/devices", headers=headers, **base)
        answer = client.post("/devices/end-others", headers=headers, **base)
    else:
        options: Any = {"root_path": "/shop", "follow_redirects": False}
        client = TestClient(site.app, "https://app.example.com", **options)
        page = client.get("/devices", headers=headers)
        answer = client.post("/devices/end-others", headers=headers)
    assert 'action="/shop/devices/end-others"' in page.text
    assert 'href="/shop/devices/style.css' in page.text
    assert answer.headers["Location"] == "/shop/devices"
    assert site.manager.validate_session(there) is None
