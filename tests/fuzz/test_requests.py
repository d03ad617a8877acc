"""Whatever a request brings: no exception, one verdict on both stacks, nobody who should not be.

Somebody is let in only with a genuine token, as a plain reading of the fields finds it.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from hypothesis import given
from hypothesis import strategies as st
from tests.fuzz.corpus import CREDENTIALS, ORIGINS, replay
from tests.http.harness import COOKIE, Response, Site, Stack, make_site

from sessiongate.http.origin import check_origins, find_cross_site

HOST = b"app.example.com"
TRUSTED = "https://partner.example"
NAME = COOKIE.encode()


@cache
def site(stack: Stack, kind: str) -> Site:
    """One for the whole run: requests of this kind leave nothing behind."""
    return make_site(
        stack, kind, options={"trusted_origins": [TRUSTED]}, rotate_after=None, clock=_noon
    )


def _noon() -> float:
    return 1_700_000_000


@cache
def token(stack: Stack, kind: str) -> bytes:
    return site(stack, kind).open("alice").encode()


PIECES = [NAME, b"TOKEN", b"Bearer", b"Basic", b"bearer", b"=", b";", b" ", b"\t", b",", b'"']
ODD = [
    b"\x00",
    b"\r",
    b"\n",
    b"\x0b",
    b"\x1c",
    b"\x85",
    b"\xa0",
    b"\xff",
    b"%5F",
    b"a=1",
    b"TOKE",
    b"N",
    b".",
]
FIELD = st.lists(
    st.sampled_from(PIECES) | st.sampled_from(ODD) | st.binary(max_size=3), max_size=10
).map(b"".join)


def nearly(*pieces: bytes) -> st.SearchStrategy[bytes]:
    """What is right, but perhaps for a byte or two in one place."""
    odd = st.sampled_from([*ODD, b" ", b"\t", b";", b",", b"=", b'"'])
    places = st.tuples(st.integers(0, len(pieces)), odd | st.just(b""))
    return places.map(lambda at: b"".join([*pieces[: at[0]], at[1], *pieces[at[0] :]]))


COOKIES = st.lists(nearly(NAME, b"=", b"TOKEN") | FIELD, max_size=3)
AUTHORIZATIONS = st.lists(nearly(b"Bearer", b" ", b"TOKEN") | FIELD, max_size=2)
METHODS = st.sampled_from(["GET", "HEAD", "OPTIONS", "TRACE", "POST", "PUT", "DELETE", "PATCH"])
HOSTS = st.sampled_from([HOST, b"APP.EXAMPLE.COM", HOST + b":443", HOST + b":8443", b"[::1]", b""])
SITES = st.sampled_from([b"same-origin", b"same-site", b"cross-site", b"none", b"NONE", b"", b"x"])
SCHEMES = st.sampled_from([b"https://", b"http://", b"HTTPS://", b"file://", b"https:", b""])
OWNERS = st.sampled_from([b"", b"user@", b"evil.example/", b"evil.example\\", b" "])
TAILS = st.sampled_from([b"", b":443", b":80", b":8443", b":", b"/", b"?", b".evil.example"])
ORIGIN = (
    st.tuples(SCHEMES, OWNERS, HOSTS, TAILS).map(b"".join)
    | st.sampled_from([b"null", b"", TRUSTED.encode(), b"https://partner.example.evil.example"])
    | st.binary(max_size=12)
)


def ask(
    stack: Stack, kind: str, cookies: list[bytes], authorizations: list[bytes], method: str
) -> Response:
    genuine = token(stack, kind)
    fields = [(b"cookie", one.replace(b"TOKEN", genuine)) for one in cookies]
    fields += [(b"authorization", one.replace(b"TOKEN", genuine)) for one in authorizations]
    return site(stack, kind).ask(*fields, method=method)


def verdict(response: Response) -> Response:
    """All of it but the body: the refusal of a HEAD has one on ASGI, where servers drop it."""
    return replace(response, body=b"")


def plainly(cookies: list[bytes], authorizations: list[bytes]) -> bool:
    """Whether a genuine token is there, by the most generous reading that is honest."""
    pairs = [pair.partition(b"=") for pair in b";".join(cookies).split(b";")]
    by_cookie = any(
        name.strip(b" \t") == NAME and value.strip(b" \t") == b"TOKEN" for name, _, value in pairs
    )
    words = b",".join(authorizations).strip(b" \t").split(b" ")
    return by_cookie or (words[0].lower() == b"bearer" and words[-1] == b"TOKEN")


@given(st.sampled_from(["opaque", "jwt"]), COOKIES, AUTHORIZATIONS, METHODS)
@replay((kind, *case, "GET") for kind in ("opaque", "jwt") for case in CREDENTIALS)
def test_both_stacks_let_in_the_same_and_nobody_else(
    kind: str, cookies: list[bytes], authorizations: list[bytes], method: str
) -> None:
    by_wsgi = ask("wsgi", kind, cookies, authorizations, method)
    by_asgi = ask("asgi", kind, cookies, authorizations, method)
    assert verdict(by_wsgi) == verdict(by_asgi)
    assert by_wsgi.status in {200, 400, 401}
    assert by_wsgi.reached == (by_wsgi.status == 200)
    assert by_wsgi.who in {None, "alice"}
    if by_wsgi.who is not None:
        assert plainly(cookies, authorizations)
    if not cookies and not authorizations:
        assert by_wsgi.reached
    assert by_wsgi.all("set-cookie") == []


def test_the_genuine_token_is_let_in() -> None:
    """Without this the property above could hold for a site that lets in nobody."""
    for stack in ("wsgi", "asgi"):
        for kind in ("opaque", "jwt"):
            assert ask(stack, kind, [NAME + b"=TOKEN"], [], "GET").who == "alice"
            assert ask(stack, kind, [], [b"Bearer TOKEN"], "GET").who == "alice"


@given(st.lists(SITES, max_size=2), st.lists(ORIGIN, max_size=2), st.lists(HOSTS, max_size=2))
@replay(ORIGINS)
def test_a_cross_site_request_is_none_of_ours(
    fetch_site: list[bytes], origins: list[bytes], hosts: list[bytes]
) -> None:
    """The decision, against one that takes origins apart with the standard library."""
    fields = {b"sec-fetch-site": fetch_site, b"origin": origins, b"host": hosts}
    refused = find_cross_site(fields.__getitem__, check_origins([TRUSTED])) is not None
    if not refused:
        assert from_here(fetch_site, origins, hosts)
    elif not origins:
        assert fetch_site, "without either header it was no browser"
    if not fetch_site and origins == [b"https://app.example.com"] and hosts == [HOST]:
        assert not refused


def from_here(fetch_site: list[bytes], origins: list[bytes], hosts: list[bytes]) -> bool:
    if len(origins) == 1 and parts(origins[0]) == parts(TRUSTED.encode()):
        return True
    if fetch_site:
        return len(fetch_site) == 1 and fetch_site[0].strip(b" \t").lower() in {
            b"same-origin",
            b"none",
        }
    if not origins:
        return True
    if len(origins) != 1 or len(hosts) != 1:
        return False
    scheme = origins[0].strip(b" \t").partition(b"://")[0]
    return parts(origins[0]) == parts(scheme + b"://" + hosts[0].strip(b" \t")) is not None


def parts(origin: bytes) -> tuple[Any, ...] | None:
    """Scheme, host and port; ``None`` if there is anything besides, or no host."""
    try:
        found = urlsplit(origin.decode("latin-1").strip(" \t"))
    except ValueError:
        return None
    _, _, port = found.netloc.rpartition("]")[2].partition(":")
    if found.path or found.query or found.fragment or "@" in found.netloc or not found.hostname:
        return None
    defaults = {"https": "443", "http": "80"}
    return found.scheme, found.hostname, port or defaults.get(found.scheme)


@given(METHODS, st.lists(SITES, max_size=2), st.lists(ORIGIN, max_size=2))
def test_both_stacks_refuse_the_same_as_cross_site(
    method: str, fetch_site: list[bytes], origins: list[bytes]
) -> None:
    fields = [(b"sec-fetch-site", one) for one in fetch_site]
    fields += [(b"origin", one) for one in origins]
    replies = [
        site(stack, "opaque").ask(
            (b"cookie", NAME + b"=" + token(stack, "opaque")), *fields, method=method
        )
        for stack in ("wsgi", "asgi")
    ]
    assert verdict(replies[0]) == verdict(replies[1])
    assert replies[0].status in {200, 403}
    if method in {"GET", "HEAD", "OPTIONS", "TRACE"}:
        assert replies[0].who == "alice"
    elif replies[0].status == 200:
        assert from_here(fetch_site, origins, [HOST])
