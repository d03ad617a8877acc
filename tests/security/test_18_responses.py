"""Requirement 18: what every response says to caches and to scripts of other origins."""

from __future__ import annotations

import pytest
from tests.http.harness import (
    PLAIN,
    Call,
    Header,
    MakeSite,
    Reply,
    Site,
    View,
    bearer,
    cookie,
    enter,
    leave,
)

VARY = "Cookie, Authorization"


def answering(*headers: Header, status: int = 200, login: bool = False) -> View:
    async def view(call: Call) -> Reply:
        if login:
            await call.login("alice")
        bodiless = status in {204, 304}
        fields = headers if bodiless else (PLAIN, *headers)
        return Reply(status, fields, () if bodiless else (b"a", b"b"))

    return view


@pytest.mark.parametrize("status", [200, 204, 206, 301, 304, 401, 403, 404, 500, 503])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_every_response_varies(site: Site, status: int, method: str) -> None:
    token = site.open()
    for headers in ([], [cookie(token)], [bearer(token)], [cookie("forged")]):
        response = site.ask(*headers, view=answering(status=status), method=method)
        assert (response.status, response.one("vary")) == (status, VARY)


def test_refusals_vary_as_well(site: Site) -> None:
    two = [cookie(site.open()), cookie(site.open())]
    for headers in ([bearer("x")], [(b"authorization", b"Bearer")], two):
        assert site.ask(*headers).one("vary") == VARY


@pytest.mark.parametrize("login", [True, False])
@pytest.mark.parametrize(
    ("theirs", "expected"),
    [
        (["Accept-Encoding"], {"accept-encoding", "cookie", "authorization"}),
        (["Cookie"], {"cookie", "authorization"}),
        (["COOKIE , accept"], {"cookie", "authorization", "accept"}),
        (["authorization", "Accept"], {"cookie", "authorization", "accept"}),
        (["", "Origin"], {"cookie", "authorization", "origin"}),
        (["X-Cookie"], {"x-cookie", "cookie", "authorization"}),
        (["*"], {"*"}),
        (["Accept, *"], {"accept", "*"}),
    ],
)
def test_vary_is_merged(site: Site, theirs: list[str], expected: set[str], *, login: bool) -> None:
    fields = [(b"Vary", one.encode()) for one in theirs]
    response = site.ask(view=answering(*fields, login=login))
    members = [m.strip().lower() for value in response.all("vary") for m in value.split(",")]
    assert sorted(m for m in members if m) == sorted(expected)


@pytest.mark.parametrize("status", [200, 204, 302, 304, 404, 500])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_a_token_that_goes_out_is_not_stored(site: Site, status: int, method: str) -> None:
    theirs = [(b"Cache-Control", b"public, max-age=60"), (b"cache-control", b"immutable")]
    response = site.ask(view=answering(*theirs, status=status, login=True), method=method)
    assert response.token
    assert response.status == status
    assert response.all("cache-control") == ["no-store"]
    assert response.one("vary") == VARY


def test_a_deleted_cookie_is_not_stored(site: Site) -> None:
    async def leave(call: Call) -> Reply:
        await call.logout()
        return Reply(302, [PLAIN, (b"location", b"/"), (b"cache-control", b"public")])

    response = site.ask(cookie(site.open()), view=leave)
    assert response.token == ""
    assert response.all("cache-control") == ["no-store"]
    assert response.one("location") == "/"


def test_a_rotation_is_not_stored(site: Site) -> None:
    token = site.open()
    site.clock.advance(1800)
    theirs = (b"cache-control", b"public")
    for header in (cookie(token), bearer(token)):
        response = site.ask(header, view=answering(theirs))
        assert response.token
        assert response.all("cache-control") == ["no-store"]


def test_the_apps_own_fields_are_kept(site: Site) -> None:
    theirs = [
        (b"X-One", b"1"),
        (b"x-one", b"2"),
        (b"etag", b'"e"'),
        (b"cache-control", b"private"),
        (b"set-cookie", b"theme=dark"),
        (b"set-cookie", b"__Host-session2=x"),
        (b"x-bytes", b"\xe9\xff"),
    ]
    plain = site.ask(cookie(site.open()), view=answering(*theirs))
    kept = [(name.lower().decode(), value.decode("latin-1")) for name, value in theirs]
    assert plain.headers == [("content-type", "text/plain"), *kept, ("vary", VARY)]
    entered = site.ask(view=answering(*theirs, login=True))
    assert [field for field in kept if field[0] != "cache-control"] == entered.headers[1:7]


def test_scripts_of_other_origins_may_read_the_token(site: Site) -> None:
    token = site.open()
    site.clock.advance(1800)
    response = site.ask(bearer(token))
    assert response.one("x-refreshed-token")
    assert response.one("access-control-expose-headers") == "X-Refreshed-Token"
    assert response.all("set-cookie") == []


@pytest.mark.parametrize(
    ("theirs", "expected"),
    [
        (["ETag"], ["ETag", "X-Refreshed-Token"]),
        (["ETag, X-B", "X-C"], ["ETag", "X-B", "X-C", "X-Refreshed-Token"]),
        (["x-refreshed-token"], ["x-refreshed-token"]),
    ],
)
def test_what_the_app_exposes_is_kept(site: Site, theirs: list[str], expected: list[str]) -> None:
    token = site.open()
    fields = [(b"Access-Control-Expose-Headers", one.encode()) for one in theirs]
    plain = site.ask(bearer(token), view=answering(*fields))
    assert plain.all("access-control-expose-headers") == theirs
    site.clock.advance(1800)
    response = site.ask(bearer(token), view=answering(*fields))
    assert response.one("access-control-expose-headers") == ", ".join(expected)


def test_a_wildcard_that_exposes_all_is_made_exact(site: Site) -> None:
    """With credentials browsers take ``*`` for a name, so ours stands beside it."""
    token = site.open()
    site.clock.advance(1800)
    fields = (b"access-control-expose-headers", b"*")
    response = site.ask(bearer(token), view=answering(fields))
    assert response.one("access-control-expose-headers") == "*, X-Refreshed-Token"


def test_the_header_can_be_chosen_and_is_ours_alone(make: MakeSite) -> None:
    site = make(options={"refreshed_token_header": "X-New"})
    token = site.open()
    site.clock.advance(1800)
    response = site.ask(bearer(token), view=answering((b"x-new", b"theirs")))
    assert response.one("x-refreshed-token") is None
    assert site.ask(bearer(response.one("x-new"))).who == "alice"
    for name in ("", "a b", "a:b", "a\r\nb", "é"):
        with pytest.raises(ValueError, match="refreshed_token_header"):
            make(options={"refreshed_token_header": name}).ask()


def test_a_plain_read_sets_no_cookie(site: Site) -> None:
    token = site.open()
    for response in (site.ask(), site.ask(cookie(token)), site.ask(bearer(token))):
        assert response.token is None
        assert response.one("cache-control") is None


def test_a_bad_cookie_is_left_alone(site: Site) -> None:
    """Deleting it could delete the successor that another response has just set."""
    token = site.open()
    site.manager.refresh_session(token)
    for bad in (token, "forged"):
        assert site.ask(cookie(bad)).token is None


@pytest.mark.parametrize("view", [enter, leave])
@pytest.mark.parametrize(
    "name", [b"CDN-Cache-Control", b"cloudflare-cdn-cache-control", b"Surrogate-Control"]
)
def test_no_cache_is_told_otherwise_by_a_field_of_its_own(
    site: Site, view: View, name: bytes
) -> None:
    """RFC 9213, section 2.2: such a field overrules ``Cache-Control``."""
    theirs = (name, b"max-age=600")
    token = site.open()

    async def also(call: Call) -> Reply:
        await view(call)
        return Reply(200, [PLAIN, theirs])

    response = site.ask(cookie(token), view=also)
    assert response.token is not None
    assert response.all(name.decode().lower()) == []
    assert response.all("cache-control") == ["no-store"]
    plain = site.ask(cookie(site.open()), view=answering(theirs))
    assert plain.one(name.decode().lower()) == "max-age=600"


def test_an_error_page_that_takes_the_place_of_another_is_not_stored(make: MakeSite) -> None:
    """A view that logs in and then fails: its frame answers, the token goes out with it."""

    async def failing(call: Call) -> Reply:
        await call.login("alice")
        return Reply(500, [PLAIN, (b"cache-control", b"public")])

    response = make().ask(view=failing)
    assert response.status == 500
    assert response.token
    assert (response.one("cache-control"), response.one("vary")) == ("no-store", VARY)
