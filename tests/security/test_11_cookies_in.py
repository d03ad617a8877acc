"""Requirement 11: of the cookies that come, exactly ours is read, byte for byte.

RFC 6265bis, section 5.8. Random bytes: ``test_12_random_headers.py``; real servers:
``tests/servers/test_odd_bytes.py``.
"""

from __future__ import annotations

import pytest
from tests.http.harness import COOKIE, MakeSite, Site, bearer, cookie

from sessiongate import SessionCookie

NAME = COOKIE.encode()

ODD_BLANKS = [b"\x1c", b"\x1d", b"\x1e", b"\x1f", b"\x85", b"\xa0", b"\x0b", b"\x0c", b"\x00"]


def raw(*parts: bytes) -> tuple[bytes, bytes]:
    return b"cookie", b"".join(parts)


@pytest.mark.parametrize("kind", ["opaque", "jwt"])
def test_a_cookie_and_a_bearer_token_are_read(site: Site) -> None:
    token = site.open()
    by_cookie, by_bearer = site.ask(cookie(token)), site.ask(bearer(token))
    assert (by_cookie.status, by_cookie.who, by_cookie.transport) == (200, "alice", "cookie")
    assert (by_bearer.status, by_bearer.who, by_bearer.transport) == (200, "alice", "bearer")


@pytest.mark.parametrize(
    "name",
    [
        b"__host-session",
        b"__HOST-SESSION",
        b"__Host-sessio",
        b"__Host-session2",
        b"x__Host-session",
        b"__Host%2Dsession",
        b"session",
        b'"__Host-session"',
        b"$__Host-session",
        b"a __Host-session",
        b"__Host-session x",
        b"=__Host-session",
        *(blank + NAME for blank in ODD_BLANKS),
        *(NAME + blank for blank in ODD_BLANKS),
    ],
)
def test_another_name_is_not_ours(site: Site, name: bytes) -> None:
    token = site.open().encode()
    site.store.reset()
    response = site.ask(raw(name, b"=", token))
    assert (response.status, response.reached, response.who) == (200, True, None)
    assert site.store.calls == 0


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'"', b'"'),
        (b"", b"%00"),
        (b"%20", b""),
        (b"", b"="),
        (b"", b"\\"),
        (b"", b"\xff"),
        (b"", b"\xc3\xa9"),
        (b"", b"\r\n"),
        (b"", b","),
        (b"=", b""),
        (b"", b" x"),
        *((blank, b"") for blank in ODD_BLANKS),
        *((b"", blank) for blank in ODD_BLANKS),
    ],
)
@pytest.mark.parametrize("kind", ["opaque", "jwt"])
def test_a_value_is_taken_as_it_stands(site: Site, before: bytes, after: bytes) -> None:
    token = site.open().encode()
    site.store.reset()
    response = site.ask(raw(NAME, b"=", before, token, after))
    assert (response.status, response.reached, response.who) == (200, True, None)
    assert site.store.calls == 0


def test_percent_escapes_are_not_decoded(site: Site) -> None:
    escaped = "".join(f"%{ord(c):02X}" for c in site.open())
    assert site.ask(cookie(escaped)).who is None


@pytest.mark.parametrize(
    "field",
    [
        b"{ours}",
        b"a=1; {ours}",
        b"{ours}; a=1",
        b"a=1;{ours};b=2",
        b"a=1 ;\t {ours} \t; b=2",
        b";;;{ours}",
        b"{ours};",
        b"=; {ours}",
        b"nameless; {ours}",
        b'a="broken; {ours}',
        b'a="x\\"; {ours}; b="',
        b"a={{}}[]; {ours}",
        b"a=\xff\xfe\x80; {ours}",
        b"a=\x00; {ours}",
        b"a b c=d e f; {ours}",
        b"__Host-session; {ours}",
        b"x__Host-session=y; {ours}",
        b"a=__Host-session=y; {ours}",
        b"__Host-session=; {ours}",
        b"{ours}; __Host-session=",
        b"{ours}; {ours}",
        b"$Version=1; {ours}; $Path=/",
    ],
)
def test_a_neighbour_never_hides_ours(site: Site, field: bytes) -> None:
    ours = NAME + b"=" + site.open().encode()
    response = site.ask(raw(field.replace(b"{ours}", ours)))
    assert (response.status, response.who, response.transport) == (200, "alice", "cookie")


def test_a_neighbour_may_name_ours_as_often_as_it_likes(site: Site) -> None:
    neighbour = b"state=" + b"/".join([NAME] * 200)
    assert site.ask(raw(neighbour)).status == 200
    ours = NAME + b"=" + site.open().encode()
    assert site.ask(raw(neighbour, b"; ", ours)).who == "alice"
    assert site.ask(raw(b"; ".join([ours] * 200))).who == "alice"


def test_many_fields_are_one_joined(site: Site) -> None:
    ours = cookie(site.open())
    others = [(b"cookie", b"a=1"), (b"cookie", b"b=2")]
    assert site.ask(*others, ours, *others).who == "alice"
    assert site.ask(*[ours] * 40).who == "alice"
    assert site.ask(ours, cookie("other")).who == "alice"
    assert site.ask(ours, cookie(site.open("bob"))).problem == "invalid_request"


@pytest.mark.parametrize("value", ["", " ", "\t", '""', "null", "undefined"])
def test_an_empty_value_is_no_credential(site: Site, value: str) -> None:
    site.store.reset()
    response = site.ask(cookie(value))
    assert (response.status, response.reached, response.who) == (200, True, None)
    assert site.store.calls == 0


def test_a_cookie_of_another_name_can_be_chosen(make: MakeSite) -> None:
    site = make(options={"cookie": SessionCookie(name="id")})
    token = site.open()
    assert site.ask(cookie(token, "id")).who == "alice"
    assert site.ask(cookie(token)).who is None
