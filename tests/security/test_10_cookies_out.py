"""Requirement 10: what goes out is legal, fits into a browser, and stands once."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.http.harness import PLAIN, Call, Reply, Site, attributes, bearer, cookie, set_cookies

from sessiongate import SessionCookie
from sessiongate.errors import ConfigurationError


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
        assert call.session.user.username == "alice"
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


@pytest.mark.parametrize("kind", ["jwt"])
def test_a_genuine_token_too_large_for_a_cookie_is_a_bearers_only(site: Site) -> None:
    """Else a rotation would answer it with a cookie that no browser keeps."""
    token = site.open(claims={"a": "x" * 4000})
    assert len(token) > 4096
    site.store.reset()
    assert site.ask(cookie(token)).who is None
    assert site.store.calls == 0
    assert site.ask(bearer(token)).who == "alice"


@pytest.mark.parametrize("entering", [True, False])
def test_a_view_that_writes_our_cookie_by_itself_writes_one(site: Site, *, entering: bool) -> None:
    """RFC 6265bis, section 4.1.1. Where the session sets it, the session's own counts."""
    theirs = [(b"set-cookie", b"__Host-session=%d; Path=/" % i) for i in range(3)]
    others = [(b"set-cookie", b"theme=dark"), (b"Set-Cookie", b"__Host-session2=x")]

    async def view(call: Call) -> Reply:
        if entering:
            await call.login("alice")
        return Reply(200, [PLAIN, theirs[0], others[0], theirs[1], others[1], theirs[2]])

    response = site.ask(view=view)
    (ours,) = set_cookies(response)
    assert (ours == "__Host-session=2; Path=/") is not entering
    assert response.all("set-cookie") == ["theme=dark", "__Host-session2=x", ours]


TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
AV = (
    r"Secure|HttpOnly|Partitioned|SameSite=(?:Strict|Lax|None)|Max-Age=(?:0|[1-9][0-9]*)"
    r"|Domain=[A-Za-z0-9.-]+|Path=/[\x20-\x3a\x3c-\x7e]*"
    r"|Expires=[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT"
)
LEGAL = re.compile(rf"{TOKEN}=[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*(?:; (?:{AV}))*")
"""RFC 6265bis, section 4.1.1."""

OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.from_regex(TOKEN, fullmatch=True) | st.text(max_size=5),
        "secure": st.booleans(),
        "same_site": st.sampled_from(["Strict", "Lax", "None"]),
        "path": st.text().map(lambda rest: f"/{rest}"),
        "domain": st.none() | st.from_regex(r"[a-zA-Z0-9.-]{1,70}", fullmatch=True),
        "partitioned": st.booleans(),
        "persistent": st.booleans(),
    },
)


@given(OPTIONS, st.integers(1, 10**9))
def test_whatever_the_options_the_output_is_legal(options: dict[str, Any], seconds: int) -> None:
    try:
        chosen = SessionCookie(**{"name": "id", **options})
    except ConfigurationError:
        return
    for line in (chosen.issue("sg_AA.0.ff", seconds), chosen.expire()):
        assert LEGAL.fullmatch(line)
        names = [attribute.partition("=")[0] for attribute in line.split("; ")[1:]]
        assert len(set(names)) == len(names)
        assert line.isascii()
