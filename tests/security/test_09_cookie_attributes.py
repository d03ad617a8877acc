"""The cookie that goes out: its attributes, its size, and one of a name."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.http.harness import PLAIN, Call, MakeSite, Reply, Site, bearer, cookie, set_cookies

from sessiongate import SessionCookie
from sessiongate.errors import ConfigurationError


def attributes(set_cookie: str) -> tuple[str, set[str]]:
    """The value and the attributes of a ``Set-Cookie``."""
    pair, *rest = set_cookie.split("; ")
    return pair.partition("=")[2], set(rest)


async def enter(call: Call) -> Reply:
    assert await call.login("alice") is not None
    return Reply()


async def leave(call: Call) -> Reply:
    await call.logout()
    return Reply()


@pytest.mark.parametrize("kind", ["opaque", "jwt"])
def test_the_strict_attributes_are_the_default(site: Site) -> None:
    (ours,) = set_cookies(site.ask(view=enter))
    token, rest = attributes(ours)
    assert rest == {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"}
    assert site.ask(cookie(token)).who == "alice"


def test_plain_http_is_a_choice(make: MakeSite) -> None:
    site = make(options={"cookie": SessionCookie.for_http()})
    (ours,) = set_cookies(site.ask(view=enter), "session")
    token, rest = attributes(ours)
    assert rest == {"HttpOnly", "Path=/", "SameSite=Lax"}
    assert site.ask(cookie(token, "session")).who == "alice"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"same_site": "Strict"}, {"SameSite=Strict"}),
        ({"same_site": "None"}, {"SameSite=None"}),
        ({"partitioned": True, "same_site": "None"}, {"Partitioned", "SameSite=None"}),
        ({"name": "id", "domain": "example.com"}, {"Domain=example.com"}),
        ({"name": "id", "path": "/app"}, {"Path=/app"}),
        ({"name": "__Secure-id", "path": "/app"}, {"Path=/app", "Secure"}),
    ],
)
def test_attributes_can_be_chosen_and_a_deletion_repeats_them(
    make: MakeSite, options: dict[str, Any], expected: set[str]
) -> None:
    chosen = SessionCookie(**options)
    site = make(options={"cookie": chosen})
    (ours,) = set_cookies(site.ask(view=enter), chosen.name)
    token, rest = attributes(ours)
    assert expected <= rest
    assert {"Secure", "HttpOnly"} <= rest
    (gone,) = set_cookies(site.ask(cookie(token, chosen.name), view=leave), chosen.name)
    value, deleted = attributes(gone)
    assert value == ""
    assert deleted - rest == {"Max-Age=0", "Expires=Thu, 01 Jan 1970 00:00:00 GMT"}
    assert rest <= deleted


@pytest.mark.parametrize(
    ("timeout", "max_age"),
    [(3600, 3600), (90.5, 91), (timedelta(days=800), 400 * 86400)],
)
def test_a_persistent_cookie_lives_as_long_as_the_session(
    make: MakeSite, timeout: Any, max_age: int
) -> None:
    site = make(session_timeout=timeout, options={"cookie": SessionCookie(persistent=True)})
    (ours,) = set_cookies(site.ask(view=enter))
    assert f"Max-Age={max_age}" in attributes(ours)[1]


def test_a_persistent_cookie_ends_with_the_absolute_lifetime(make: MakeSite) -> None:
    site = make(
        session_timeout=100, max_lifetime=120, options={"cookie": SessionCookie(persistent=True)}
    )
    token = site.open()
    site.clock.advance(60)
    (ours,) = set_cookies(site.ask(cookie(token)))
    assert "Max-Age=60" in attributes(ours)[1]


@pytest.mark.parametrize(
    "options",
    [
        {"name": "__Host-id", "domain": "example.com"},
        {"name": "__Host-id", "path": "/app"},
        {"name": "__Host-id", "secure": False},
        {"name": "__host-id", "secure": False},
        {"name": "__Secure-id", "secure": False},
        {"name": "id", "same_site": "None", "secure": False},
        {"name": "id", "partitioned": True, "secure": False},
        {"same_site": "lax"},
        {"same_site": None},
        {"name": ""},
        {"name": "a b"},
        {"name": "a=b"},
        {"name": "a;b"},
        {"name": "ä"},
        {"name": "a\n"},
        {"name": b"id"},
        {"name": "id", "path": ""},
        {"name": "id", "path": "app"},
        {"name": "id", "path": "/a;b"},
        {"name": "id", "path": "/a\r\nb"},
        {"name": "id", "path": "/ä"},
        {"name": "id", "domain": ""},
        {"name": "id", "domain": ".example.com"},
        {"name": "id", "domain": "example.com; Path=/"},
        {"name": "id", "domain": "example.com\n"},
        {"name": "id", "domain": "a" * 300},
    ],
)
def test_contradictions_are_refused_at_construction(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        SessionCookie(**options)


@pytest.mark.parametrize("name", [b"set-cookie", b"Set-Cookie", b"SET-COOKIE"])
@pytest.mark.parametrize("equal", [b"=", b" ="])
def test_one_of_a_name_goes_out(site: Site, name: bytes, equal: bytes) -> None:
    async def also(call: Call) -> Reply:
        assert await call.login("alice") is not None
        theirs = (name, b"__Host-session" + equal + b"theirs; Path=/")
        return Reply(200, [PLAIN, theirs, (name, b"other=1"), theirs])

    response = site.ask(view=also)
    assert len(response.all("set-cookie")) == 2
    assert response.token not in {None, "theirs"}
    assert "other=1" in response.all("set-cookie")


def test_of_several_logins_the_last_one_counts(site: Site) -> None:
    tokens: list[str | None] = []

    async def twice(call: Call) -> Reply:
        tokens.extend([await call.login("alice"), await call.login("bob")])
        return Reply()

    response = site.ask(view=twice)
    assert response.token == tokens[1]
    assert site.ask(cookie(tokens[0])).who is None
    assert site.ask(cookie(tokens[1])).who == "bob"


@pytest.mark.parametrize("kind", ["jwt"])
def test_a_token_too_large_for_a_cookie_opens_nothing(site: Site) -> None:
    old = site.open()

    async def too_large(call: Call) -> Reply:
        with pytest.raises(ValueError, match="token of"):
            await call.login("bob", claims={"a": "x" * 4000})
        assert call.handle.user.username == "alice"
        return Reply()

    response = site.ask(cookie(old), view=too_large)
    assert response.token is None
    assert site.manager.n_active_sessions() == 1
    assert site.ask(cookie(old)).who == "alice"


@pytest.mark.parametrize("kind", ["jwt"])
def test_the_largest_cookie_is_legal_and_read_again(site: Site) -> None:
    async def large(call: Call) -> Reply:
        for size in range(3000, 2000, -1):
            try:
                await call.login("alice", claims={"a": "x" * size})
            except ValueError:
                continue
            return Reply()
        raise AssertionError

    (ours,) = set_cookies(site.ask(view=large))
    assert 4000 < len(ours.partition(";")[0].replace("=", "", 1)) <= 4096
    token = attributes(ours)[0]
    site.clock.advance(1800)
    successor = site.ask(cookie(token)).token
    assert successor is not None
    assert site.ask(cookie(successor)).who == "alice"


@pytest.mark.parametrize("kind", ["jwt"])
def test_a_bearer_token_may_be_larger(site: Site) -> None:
    async def large(call: Call) -> Reply:
        await call.login("alice", transport="bearer", claims={"a": "x" * 4000})
        return Reply()

    response = site.ask(view=large)
    assert set_cookies(response) == []
    assert site.ask(bearer(response.token)).who == "alice"


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
