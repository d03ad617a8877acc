"""Requirement 20: who a request is, only the middleware says; what others say is overwritten."""

from __future__ import annotations

from typing import Any

import pytest
from tests.http.harness import (
    Call,
    Header,
    Reply,
    Site,
    attributes,
    bearer,
    cookie,
    enter,
    set_cookies,
)


def planted(site: Site, value: Any = "mallory") -> dict[str, Any]:
    """An identity that something before the middleware wrote down."""
    if site.stack == "wsgi":
        return {"REMOTE_USER": value, "sessiongate": value}
    return {"user": value, "auth": value, "sessiongate": value}


@pytest.mark.parametrize("value", ["mallory", ""])
def test_a_planted_identity_is_cleared(site: Site, value: str) -> None:
    for headers in ([], [cookie("forged")], [(b"authorization", b"Basic YTpi")]):
        response = site.ask(*headers, **planted(site, value))
        assert (response.status, response.who) == (200, None)


def test_a_planted_identity_is_overwritten(site: Site) -> None:
    token = site.open()
    for header in (cookie(token), bearer(token)):
        assert site.ask(header, **planted(site)).who == "alice"


@pytest.mark.parametrize(
    "name", [b"remote-user", b"x-remote-user", b"x-forwarded-user", b"sessiongate", b"user"]
)
def test_header_fields_name_nobody(site: Site, name: bytes) -> None:
    response = site.ask((name, b"mallory"))
    assert response.who is None

    async def look(call: Call) -> Reply:
        assert call.session.session is None
        assert "REMOTE_USER" not in call.places
        return Reply()

    assert site.ask((name, b"mallory"), view=look).status == 200


@pytest.mark.parametrize("host", [b"evil.example", b"admin.example.com", b"", b"a\xffb"])
def test_the_host_changes_nobody(site: Site, host: bytes) -> None:
    assert site.ask((b"host", host), cookie(site.open())).who == "alice"
    assert site.ask((b"host", host)).who is None


@pytest.mark.parametrize("username", ["Ägidius", "名前", "a b", "o'neil", "x@y.example", "🙂"])
@pytest.mark.parametrize("kind", ["opaque", "jwt"])
def test_names_of_all_scripts_are_the_same_on_both_stacks(site: Site, username: str) -> None:
    token = site.open(username)
    assert site.ask(cookie(token)).who == username
    assert site.ask(bearer(token)).who == username


def test_an_identity_ends_with_its_request(site: Site) -> None:
    assert site.ask(cookie(site.open())).who == "alice"
    assert site.ask().who is None


def test_each_way_of_saying_nobody(site: Site) -> None:
    async def look(call: Call) -> Reply:
        handle, user = call.session, call.session.user
        assert (handle.transport, handle.session, handle.age) == (None, None, None)
        assert (handle.expires_at, handle.rotates_at) == (None, None)
        assert (user.username, user.info, user.scopes) == (None, None, ())
        assert (user.identity, user.display_name, user.is_authenticated) == ("", "", False)
        assert (repr(user), repr(handle)) == (
            "<User: anonymous>",
            "<RequestSession: <User: anonymous> by None>",
        )
        if call.site.stack == "asgi":
            assert call.places["auth"].scopes == []
        else:
            assert "REMOTE_USER" not in call.places
        return Reply()

    for headers in ([], [cookie("forged")]):
        assert site.ask(*headers, view=look).status == 200


def test_no_repr_shows_a_token(site: Site) -> None:
    token = site.open()

    async def look(call: Call) -> Reply:
        shown = [repr(call.session), repr(call.session.user), repr(call.places.get("auth"))]
        assert token not in " ".join([*shown, str(call.session)])
        return Reply()

    assert site.ask(cookie(token), view=look).status == 200


FORWARDED = [
    (b"x-forwarded-for", b"127.0.0.1"),
    (b"x-forwarded-proto", b"http"),
    (b"x-forwarded-host", b"evil.example"),
    (b"x-forwarded-user", b"mallory"),
    (b"x-forwarded-prefix", b"/evil"),
    (b"x-original-url", b"/evil"),
    (b"x-real-ip", b"127.0.0.1"),
    (b"x-http-method-override", b"GET"),
    (b"forwarded", b"host=evil.example;proto=http"),
]
"""What a proxy may add, and anybody who reaches the server without it."""


@pytest.mark.parametrize("field", FORWARDED, ids=lambda field: field[0].decode())
def test_nothing_is_decided_by_what_a_proxy_may_have_added(site: Site, field: Header) -> None:
    assert site.ask(field).who is None
    response = site.ask(field, view=enter)
    (ours,) = set_cookies(response)
    assert attributes(ours)[1] == {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"}
    for origin, status in ((b"https://app.example.com", 200), (b"https://evil.example", 403)):
        brought = (cookie(response.token), (b"origin", origin), field)
        assert site.ask(*brought, method="POST").status == status


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_behind_the_end_of_tls_the_cookie_stays_secure(site: Site, scheme: str) -> None:
    """Nothing asks for the scheme that this server sees."""
    key = "wsgi.url_scheme" if site.stack == "wsgi" else "scheme"
    place: dict[str, Any] = {key: scheme}
    response = site.ask(view=enter, **place)
    assert "; Secure" in set_cookies(response)[0]
    origin = (b"origin", b"https://app.example.com")
    came = site.ask(cookie(response.token), origin, method="POST", **place)
    assert came.who == "alice"


def test_a_host_that_the_users_own_middleware_restored_counts(site: Site) -> None:
    """What it puts into the environ or the scope is what was asked for."""
    origin = (b"origin", b"https://public.example")
    token = site.open()
    inside = (b"host", b"internal:8000")
    assert site.ask(inside, cookie(token), origin, method="POST").status == 403
    restored = (b"host", b"public.example")  # as ProxyFix and its like write it
    assert site.ask(restored, cookie(token), origin, method="POST").who == "alice"


@pytest.mark.parametrize("path", ["/", "/login", "/x.css", "//evil", "/a%2e%2e/b", "/\u2028"])
def test_no_path_is_treated_otherwise(site: Site, path: str) -> None:
    place = "PATH_INFO" if site.stack == "wsgi" else "path"
    elsewhere = (b"sec-fetch-site", b"cross-site")
    where: dict[str, Any] = {
        place: path.encode().decode("latin-1") if site.stack == "wsgi" else path
    }
    assert site.ask(cookie(site.open()), **where).who == "alice"
    assert site.ask(cookie(site.open()), elsewhere, method="POST", **where).status == 403
    assert site.ask(bearer("forged"), **where).status == 401
