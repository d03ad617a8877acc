"""Requirement 19: what brings a cookie comes from this site (OWASP CSRF Prevention Cheat Sheet)."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from tests.http.harness import (
    Header,
    MakeSite,
    Site,
    Stack,
    bare,
    bearer,
    connect,
    cookie,
    make_site,
    set_cookies,
)

UNSAFE = ["POST", "PUT", "PATCH", "DELETE"]
SAFE = ["GET", "HEAD", "OPTIONS", "TRACE"]

HERE = b"https://app.example.com"


def fields(site: bytes | None = None, origin: bytes | None = None) -> list[Header]:
    both = ((b"sec-fetch-site", site), (b"origin", origin))
    return [(name, value) for name, value in both if value is not None]


FROM_HERE = [
    fields(),
    fields(b"same-origin"),
    fields(b"none"),
    fields(b"SAME-ORIGIN"),
    fields(b"same-origin", HERE),
    fields(b"same-origin", b"https://elsewhere.example"),
    fields(b"none", b"null"),
    fields(None, HERE),
    fields(None, b"HTTPS://APP.example.COM"),
    fields(None, HERE + b":443"),
    fields(None, b"http://app.example.com"),
    # Blanks around a value are HTTP's (RFC 9110, section 5.5); not all servers take them away.
    fields(b" \t same-origin\t "),
    fields(b"\tnone"),
    fields(None, b"\t" + HERE + b" "),
]
FROM_ELSEWHERE = [
    fields(b"cross-site"),
    fields(b"same-site"),
    fields(b""),
    fields(b"anything"),
    fields(b"same-origin, none"),
    fields(b"same-originx"),
    fields(b"cross-site", HERE),
    fields(b"same-site", HERE),
    fields(None, b"null"),
    fields(None, b""),
    fields(None, b"https://elsewhere.example"),
    fields(None, b"https://example.com"),
    fields(None, b"https://x.app.example.com"),
    fields(None, b"https://app.example.com.evil.example"),
    fields(None, b"https://app.example.com@evil.example"),
    fields(None, HERE + b":8443"),
    fields(None, HERE + b"/"),
    fields(None, HERE + b" https://evil.example"),
    fields(None, b"app.example.com"),
    fields(None, b"\xff"),
    fields(b" cross-site "),
    fields(b" \t"),
    fields(b"same-origin\xa0"),
    fields(b"\x0bnone"),
    fields(b"same-origin\n"),
    fields(None, b" "),
    fields(None, HERE + b"\xa0"),
    fields(None, b"\x0c" + HERE),
    [(b"origin", HERE), (b"origin", HERE)],
    [(b"sec-fetch-site", b"same-origin"), (b"sec-fetch-site", b"same-origin")],
]


@pytest.mark.parametrize("headers", FROM_HERE)
def test_requests_from_here_pass(site: Site, headers: list[Header]) -> None:
    for method in UNSAFE:
        response = site.ask(cookie(site.open()), *headers, method=method)
        assert (response.status, response.who) == (200, "alice")


@pytest.mark.parametrize("method", UNSAFE)
@pytest.mark.parametrize("headers", FROM_ELSEWHERE)
def test_requests_from_elsewhere_are_nobodys(
    site: Site, method: str, headers: list[Header]
) -> None:
    token = site.open()
    site.clock.advance(1800)
    site.store.reset()
    response = site.ask(cookie(token), *headers, method=method, view=bare)
    assert (response.status, response.who, response.token) == (200, None, None)
    assert response.problem == "cross_site"
    response = site.ask(cookie(token), *headers, method=method)
    assert (response.status, response.reached, response.token) == (403, False, None)
    assert response.one("vary") == "Cookie, Authorization"
    assert response.one("cache-control") == "no-store"
    assert site.store.calls == 0


@pytest.mark.parametrize("headers", FROM_ELSEWHERE)
def test_safe_methods_pass(site: Site, headers: list[Header]) -> None:
    for method in SAFE:
        assert site.ask(cookie(site.open()), *headers, method=method).who == "alice"


@pytest.mark.parametrize("headers", FROM_ELSEWHERE)
def test_bearer_requests_are_exempt(site: Site, headers: list[Header]) -> None:
    token = site.open()
    assert site.ask(bearer(token), *headers, method="POST").who == "alice"
    assert site.ask(bearer(token), cookie(token), *headers, method="POST").who == "alice"


@pytest.mark.parametrize("headers", FROM_ELSEWHERE)
def test_requests_without_a_session_are_let_through(site: Site, headers: list[Header]) -> None:
    """There is nothing to be abused; a public form may be posted from anywhere."""
    for brought in ([], [cookie("forged")], [cookie("")]):
        response = site.ask(*brought, *headers, method="POST")
        assert (response.status, response.who) == (200, None)


@pytest.mark.parametrize(
    ("host", "origin", "passes"),
    [
        (b"app.example.com:8443", b"https://app.example.com:8443", True),
        (b"app.example.com:443", b"https://app.example.com", True),
        (b"app.example.com:80", b"http://app.example.com", True),
        (b"app.example.com:80", b"https://app.example.com", False),
        (b"APP.example.com", b"https://app.example.com", True),
        (b"app.example.com:8443", b"https://app.example.com", False),
        (b"app.example.com", b"https://app.example.com:8443", False),
        (b"localhost:8000", b"http://localhost:8000", True),
        (b"localhost:8000", b"http://localhost:3000", False),
        (b"[::1]:8000", b"http://[::1]:8000", True),
        (b"127.0.0.1", b"http://127.0.0.1", True),
        (b" app.example.com\t", b"https://app.example.com", True),
        (b"app.example.com\xa0", b"https://app.example.com", False),
        (b"", b"https://", False),
        (b"a/b", b"https://a/b", False),
        (b"", b"", False),
    ],
)
def test_the_origin_must_name_the_host(
    site: Site, host: bytes, origin: bytes, *, passes: bool
) -> None:
    headers = [(b"host", host), (b"origin", origin)]
    response = site.ask(cookie(site.open()), *headers, method="POST")
    assert response.status == (200 if passes else 403)


@pytest.mark.parametrize(
    ("trusted", "headers", "passes"),
    [
        ("https://shop.example", fields(b"cross-site", b"https://shop.example"), True),
        ("https://shop.example", fields(None, b"https://shop.example"), True),
        ("HTTPS://Shop.Example:443", fields(b"cross-site", b"https://shop.example"), True),
        ("https://shop.example", fields(b"cross-site", b"https://shop.example:8443"), False),
        ("https://shop.example", fields(b"cross-site", b"http://shop.example"), False),
        ("https://shop.example", fields(b"cross-site", b"https://x.shop.example"), False),
        ("https://shop.example", fields(b"cross-site"), False),
        ("https://shop.example", fields(b"cross-site", b"null"), False),
        ("https://shop.example", fields(b"same-origin"), True),
    ],
)
def test_other_origins_can_be_trusted(
    make: MakeSite, trusted: str, headers: list[Header], *, passes: bool
) -> None:
    site = make(options={"trusted_origins": ["https://one.example", trusted]})
    response = site.ask(cookie(site.open()), *headers, method="POST")
    assert response.status == (200 if passes else 403)


@pytest.mark.parametrize(
    "origins",
    ["https://shop.example", ["shop.example"], ["https://shop.example/"], ["*"], ["null"], [""]],
)
def test_what_is_no_origin_is_refused_at_construction(make: MakeSite, origins: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="trusted_origins"):
        make(options={"trusted_origins": origins}).ask()


@pytest.mark.parametrize("stack", ["asgi"])
class TestWebsockets:
    """They bring cookies across sites whatever SameSite says, and CORS does not guard them."""

    @pytest.mark.parametrize("headers", FROM_HERE)
    def test_from_here_are_accepted(self, stack: Stack, headers: list[Header]) -> None:
        site = make_site(stack, "opaque")
        seen: list[Any] = []
        sent = asyncio.run(connect(site, cookie(site.open()), *headers, seen=seen))
        assert [message["type"] for message in sent] == ["websocket.accept"]
        assert seen[0].user.username == "alice"

    @pytest.mark.parametrize("headers", FROM_ELSEWHERE)
    def test_from_elsewhere_are_nobodys(self, stack: Stack, headers: list[Header]) -> None:
        site = make_site(stack, "opaque")
        token = site.open()
        site.store.reset()
        seen: list[Any] = []
        sent = asyncio.run(connect(site, cookie(token), *headers, seen=seen))
        assert [message["type"] for message in sent] == ["websocket.close"]
        assert (seen[0].user.username, seen[0].problem) == (None, "cross_site")
        assert site.store.calls == 0

    @pytest.mark.parametrize("headers", FROM_ELSEWHERE)
    def test_bearers_and_nobody_are_exempt(self, stack: Stack, headers: list[Header]) -> None:
        site = make_site(stack, "opaque")
        for brought in ([], [bearer(site.open())], [cookie("forged")]):
            sent = asyncio.run(connect(site, *brought, *headers))
            assert [message["type"] for message in sent] == ["websocket.accept"]

    def test_trusted_origins_are_accepted(self, stack: Stack) -> None:
        site = make_site(stack, "opaque", options={"trusted_origins": ["https://shop.example"]})
        origin = (b"origin", b"https://shop.example")
        sent = asyncio.run(connect(site, cookie(site.open()), origin))
        assert [message["type"] for message in sent] == ["websocket.accept"]


def test_what_counts_for_nothing_neither_touches_nor_ends_the_session(site: Site) -> None:
    token = site.open()
    refused = site.ask(cookie(token), *fields(b"cross-site"), method="POST")
    assert set_cookies(refused) == []
    assert site.ask(cookie(token), method="POST").who == "alice"


@pytest.mark.parametrize("stack", ["wsgi"])
@pytest.mark.parametrize("upgrade", [b"websocket", b"WebSocket", b"h2c, websocket"])
class TestWebsocketsOnWSGI:
    """There a handshake is a GET, which the app answers on the socket itself."""

    @pytest.mark.parametrize("headers", FROM_HERE)
    def test_from_here_are_accepted(
        self, site: Site, upgrade: bytes, headers: list[Header]
    ) -> None:
        response = site.ask(cookie(site.open()), (b"upgrade", upgrade), *headers)
        assert (response.status, response.who) == (200, "alice")

    @pytest.mark.parametrize("headers", FROM_ELSEWHERE)
    def test_from_elsewhere_are_nobodys(
        self, site: Site, upgrade: bytes, headers: list[Header]
    ) -> None:
        token = site.open()
        site.store.reset()
        response = site.ask(cookie(token), (b"upgrade", upgrade), *headers)
        assert (response.status, response.problem) == (403, "cross_site")
        assert site.ask(cookie(token), (b"upgrade", upgrade), *headers, view=bare).who is None
        assert site.store.calls == 0

    @pytest.mark.parametrize("headers", FROM_ELSEWHERE)
    def test_bearers_and_nobody_are_exempt(
        self, site: Site, upgrade: bytes, headers: list[Header]
    ) -> None:
        for brought in ([], [bearer(site.open())], [cookie("forged")]):
            assert site.ask(*brought, (b"upgrade", upgrade), *headers).status == 200


def test_another_upgrade_is_no_websocket(site: Site) -> None:
    for upgrade in (b"h2c", b"", b"TLS/1.2"):
        fields = [(b"upgrade", upgrade), (b"sec-fetch-site", b"cross-site")]
        assert site.ask(cookie(site.open()), *fields).who == "alice"


@pytest.mark.filterwarnings("ignore:Unknown REQUEST_METHOD")
@pytest.mark.parametrize("method", ["post", "get", "FOO", "CONNECT", "QUERY", ""])
def test_a_method_that_is_not_known_as_safe_is_unsafe(site: Site, method: str) -> None:
    key = "REQUEST_METHOD" if site.stack == "wsgi" else "method"
    elsewhere, place = (b"sec-fetch-site", b"cross-site"), cast(Any, {key: method})
    guarded = site.ask(cookie(site.open()), elsewhere, **place)
    assert (guarded.status, guarded.reached) == (403, False)
