"""What counts as a credential: bytes in, the same verdict on both stacks."""

from __future__ import annotations

from typing import Any

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
    assert site.ask(ours, cookie("other")).status == 400


@pytest.mark.parametrize("joined", [True, False])
@pytest.mark.parametrize("other", ["x", "unquoted", "{token}x", "{bob}"])
def test_two_values_under_our_name_are_refused(site: Site, other: str, *, joined: bool) -> None:
    token = site.open()
    other = other.format(token=token, bob=site.open("bob"))
    pair = f"{COOKIE}={token}".encode(), f"{COOKIE}={other}".encode()
    site.store.reset()
    for first, second in (pair, pair[::-1]):
        fields = [raw(first, b"; ", second)] if joined else [raw(first), raw(second)]
        response = site.ask(*fields)
        assert (response.status, response.reached) == (400, False)
    assert site.store.calls == 0


@pytest.mark.parametrize("value", ["", " ", "\t", '""', "null", "undefined"])
def test_an_empty_value_is_no_credential(site: Site, value: str) -> None:
    site.store.reset()
    response = site.ask(cookie(value))
    assert (response.status, response.reached, response.who) == (200, True, None)
    assert site.store.calls == 0


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
        assert (response.status, response.reached) == (400, False)
    assert site.store.calls == 0


@pytest.mark.parametrize("other", [b"Bearer {token}", b"Basic YTpi", b"", b"Bearer x"])
def test_two_fields_are_refused(site: Site, other: bytes) -> None:
    token = site.open()
    fields = [bearer(token), (b"authorization", other.replace(b"{token}", token.encode()))]
    for headers in (fields, fields[::-1]):
        assert site.ask(*headers).status == 400
        assert site.ask(*headers, cookie(token)).status == 400


@pytest.mark.parametrize(
    "field", [b"Basic YTpi", b'Digest a="b", c="d"', b"Negotiate", b"Bearerx y"]
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
def test_two_identities_are_refused(site: Site, username: str) -> None:
    """Two sessions are two identities, whoever they belong to."""
    one, other = site.open(), site.open(username)
    site.store.reset()
    response = site.ask(cookie(one), bearer(other))
    assert (response.status, response.reached) == (400, False)
    assert site.store.calls == 0


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


@pytest.mark.parametrize(
    "value",
    [
        b"x" * 1_000_000,
        b"." * 1_000_000,
        b"=" * 1_000_000,
        b"sg_" + b"a." * 500_000,
        b"eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9." + b"[" * 1_000_000,
        b"\xff" * 1_000_000,
    ],
    ids=["letters", "dots", "equal signs", "opaque", "jwt", "bytes"],
)
@pytest.mark.parametrize("kind", ["opaque", "jwt"])
def test_a_megabyte_costs_no_store_call(site: Site, value: bytes) -> None:
    assert site.ask(raw(NAME, b"=", value)).who is None
    assert site.ask((b"authorization", b"Bearer " + value)).status == 401
    assert site.store.calls == 0


@pytest.mark.parametrize(
    "field",
    [
        b";" * 1_000_000,
        b" " * 1_000_000 + NAME,
        b"; ".join(b"c%d=v" % i for i in range(1000)),
        b";".join([NAME] * 70_000),
        b" ".join([NAME + b"="] * 70_000),
        NAME * 70_000,
    ],
    ids=["semicolons", "blanks", "cookies", "names", "broken pairs", "one name"],
)
def test_a_flood_of_neighbours_costs_no_store_call(site: Site, field: bytes) -> None:
    assert site.ask(raw(field)).who is None
    assert site.store.calls == 0


def test_ours_is_found_among_a_thousand(site: Site) -> None:
    others = [b"c%d=v" % i for i in range(1000)]
    others.insert(500, NAME + b"=" + site.open().encode())
    assert site.ask(raw(b"; ".join(others))).who == "alice"


@pytest.mark.parametrize("kind", ["jwt"])
def test_a_genuine_token_too_large_for_a_cookie_is_a_bearers_only(site: Site) -> None:
    """Else a rotation would answer it with a cookie that no browser keeps."""
    token = site.open(claims={"a": "x" * 4000})
    assert len(token) > 4096
    site.store.reset()
    assert site.ask(cookie(token)).who is None
    assert site.store.calls == 0
    assert site.ask(bearer(token)).who == "alice"


def test_a_cookie_of_another_name_can_be_chosen(make: MakeSite) -> None:
    site = make(options={"cookie": SessionCookie(name="id")})
    token = site.open()
    assert site.ask(cookie(token, "id")).who == "alice"
    assert site.ask(cookie(token)).who is None
