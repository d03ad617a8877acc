"""Requirement 12: bearer tokens, and what happens when both ways are used at once.

RFC 6750, section 2.1; RFC 9110, section 11.6.2.
"""

from __future__ import annotations

from typing import Any

import pytest
from tests.http.harness import Site, bare, bearer, cookie, set_cookies
from tests.security.test_11_cookies_in import ODD_BLANKS


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
@pytest.mark.parametrize("gap", [" ", "   "])
def test_the_scheme_has_no_case(site: Site, scheme: str, gap: str) -> None:
    field = f"{scheme}{gap}{site.open()}"
    assert site.ask((b"authorization", field.encode())).who == "alice"
    assert site.ask((b"authorization", f" \t{field}\t ".encode())).who == "alice"


@pytest.mark.parametrize(
    "field",
    [
        b"",
        b" ",
        b",",
        b"Bearer",
        b"Bearer ",
        b"Bearer\t{token}",
        b"Bearer \t{token}",
        b"Bearer,{token}",
        b"Bearer {token} x",
        b"Bearer {token}\tx",
        b"Bearer {token},",
        b"Bearer ,{token}",
        b"Bearer {token}, Bearer {token}",
        b"Bearer {token},Bearer {token}",
        b"Bearer {token}, Basic YTpi",
        b"Basic YTpi, Bearer {token}",
        b"Basic YTpi,bearer {token}",
        b"Basic YTpi,\tBEARER\t{token}",
        b"Basic YTpi, Bearer",
        b'Digest a="x,Bearer {token}',
        b'Digest a="x, Bearer {token}", b="y"',
        b"Basic YTpi, Basic YTpi",
        b'Basic YTpi,Digest a="b"',
        b"Digest a=b, c=d,Negotiate",
        b"Basic YTpi,",
        b"Basic YTpi,,a=b",
        b"Negotiate, Basic YTpi",
        b"Bearer Bearer {token}",
        b"Bearer realm=x, token={token}",
        b"Bearer:{token}",
        b"Bearer={token}",
        b'Bearer"{token}"',
        b"Bearer/{token}",
        *(b"Bearer" + blank + b"{token}" for blank in ODD_BLANKS),
        b"\xa0Bearer {token}",
        b"\x00Bearer {token}",
    ],
)
def test_a_malformed_field_is_refused_and_the_cookie_not_asked(site: Site, field: bytes) -> None:
    token = site.open()
    field = field.replace(b"{token}", token.encode())
    site.store.reset()
    for headers in ([(b"authorization", field)], [(b"authorization", field), cookie(token)]):
        response = site.ask(*headers)
        assert (response.status, response.problem) == (400, "invalid_request")
        assert site.ask(*headers, view=bare).who is None
    assert site.store.calls == 0


@pytest.mark.parametrize("other", [b"Bearer {token}", b"Basic YTpi", b"", b"Bearer x"])
def test_two_fields_are_refused(site: Site, other: bytes) -> None:
    token = site.open()
    fields = [bearer(token), (b"authorization", other.replace(b"{token}", token.encode()))]
    for headers in (fields, fields[::-1]):
        assert site.ask(*headers).status == 400
        assert site.ask(*headers, cookie(token)).status == 400


@pytest.mark.parametrize(
    "other", [(b"Basic YTpi", b"Basic YTpi"), (b"Negotiate x", b'Digest a="b"'), (b"Basic x", b"")]
)
def test_two_fields_of_other_schemes_are_refused_as_well(
    site: Site, other: tuple[bytes, bytes]
) -> None:
    fields = [(b"authorization", value) for value in other]
    assert site.ask(*fields).status == 400
    assert site.ask(*fields[::-1], cookie(site.open())).status == 400


@pytest.mark.parametrize(
    "field",
    [
        *(b"Basic YTpi", b'Digest a="b", c="d"', b"Negotiate", b"Bearerx y"),
        *(b'Digest a="b, c d", e = "f",\tg=h', b'Digest a="\\", b c"', b'Digest a="b'),
        b"AWS4-HMAC-SHA256 Credential=A/s3/aws4_request, SignedHeaders=host;range, Signature=f",
    ],
)
def test_another_scheme_is_not_ours(site: Site, field: bytes) -> None:
    other = (b"authorization", field)
    assert site.ask(other).who is None
    assert site.ask(other, cookie(site.open())).who == "alice"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'"', b'"'),
        (b"", b"="),
        (b"", b"%00"),
        (b"", b"\xff"),
        (b"", b"\xc3\xa9"),
        (b"", b"\r\nX: y"[:2]),
        (b"", b";"),
        (b"token=", b""),
        *((b"", blank) for blank in ODD_BLANKS),
        *((blank, b"") for blank in ODD_BLANKS),
    ],
)
@pytest.mark.parametrize("kind", ["opaque", "jwt"])
def test_a_mangled_bearer_token_is_a_401(site: Site, before: bytes, after: bytes) -> None:
    token = site.open()
    mangled = (b"authorization", b"Bearer " + before + token.encode() + after)
    site.store.reset()
    for headers in ([mangled], [mangled, cookie(token)]):
        response = site.ask(*headers)
        assert (response.status, response.reached) == (401, False)
    assert site.store.calls == 0


@pytest.mark.parametrize("kind", ["opaque", "jwt"])
@pytest.mark.parametrize("username", ["alice", "bob"])
@pytest.mark.parametrize("ended", [True, False])
def test_the_cookie_of_another_session_counts_for_nothing(
    site: Site, username: str, *, ended: bool
) -> None:
    """Live or dead, and whoever it belongs to: identities never mix."""
    held, shown = site.open("carol"), site.open(username)
    if ended:
        site.manager.invalidate_session(held)
    site.clock.advance(1800)
    site.store.reset()
    site.kinds()
    response = site.ask(cookie(held), bearer(shown))
    assert (response.who, response.transport, response.problem) == (username, "bearer", None)
    assert (set_cookies(response), bool(response.token)) == ([], True)
    assert site.store.by_verb == {"read": 1, "swap": 1}, "only the bearer token is asked about"
    assert site.kinds() == ["rotated"]


@pytest.mark.parametrize("kind", ["opaque", "jwt"])
@pytest.mark.parametrize("bad", ["forged", "ended", "expired", "stale"])
def test_a_bad_bearer_token_never_falls_back_to_the_cookie(site: Site, bad: str) -> None:
    expired = site.open("bob")
    site.clock.advance(3600)
    ended, stale, held = site.open("bob"), site.open("bob"), site.open()
    site.manager.invalidate_session(ended)
    site.manager.refresh_session(stale)
    shown = {"forged": "forged", "ended": ended, "expired": expired, "stale": stale}[bad]
    response = site.ask(cookie(held), bearer(shown), view=bare)
    assert (response.status, response.who, response.transport) == (200, None, None)
    assert (response.problem, response.token) == ("invalid_token", None)
    assert site.ask(cookie(held), bearer(shown)).status == 401
    assert site.ask(cookie(held)).who == "alice"


def test_one_session_by_both_ways_is_the_bearers(site: Site) -> None:
    token = site.open()
    response = site.ask(cookie(token), bearer(token))
    assert (response.who, response.transport) == ("alice", "bearer")


def test_a_forged_cookie_does_not_disturb_a_bearer_token(site: Site) -> None:
    assert site.ask(cookie("forged"), bearer(site.open())).who == "alice"


def test_a_query_is_not_read(site: Site) -> None:
    query = f"access_token={site.open()}"
    places: dict[str, Any] = (
        {"QUERY_STRING": query} if site.stack == "wsgi" else {"query_string": query.encode()}
    )
    site.store.reset()
    assert site.ask(**places).who is None
    assert site.store.calls == 0
