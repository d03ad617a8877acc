"""Whatever a view answers, whatever the cookie's options: what goes out is legal and once."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fuzz.corpus import FIELDS, replay
from tests.http.harness import (
    COOKIE,
    Call,
    Header,
    Reply,
    Response,
    Site,
    Stack,
    bearer,
    cookie,
    make_site,
)

from sessiongate import ConfigurationError, SessionCookie

NAMES = st.sampled_from(
    [
        *("Vary", "vary", "VARY", "Set-Cookie", "set-cookie", "Cache-Control", "ETag"),
        *("X-Refreshed-Token", "x-refreshed-token", "Access-Control-Expose-Headers"),
        *("X-One", "x-one", "Location", "WWW-Authenticate", "Expires"),
    ]
)
WORDS = st.sampled_from(
    [
        *(
            "*",
            "Cookie",
            "authorization",
            "Accept",
            ",",
            " , ",
            "",
            "no-store",
            "X-Refreshed-Token",
        ),
        *(f"{COOKIE}=theirs", f"{COOKIE}=theirs; Path=/", f" {COOKIE} =x", COOKIE, f"{COOKIE}2=x"),
        *("a=1", "=1", "__host-session=x"),
    ]
)
# Printable: a server refuses the rest, whoever wrote it.
LINES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_categories=["Cc"]))
VALUES = WORDS | st.lists(WORDS, max_size=3).map("".join) | LINES
HEADERS = st.lists(
    st.tuples(NAMES.map(str.encode), VALUES.map(lambda text: text.encode("latin-1"))), max_size=5
)
DOINGS = st.sampled_from(["nothing", "login", "logout", "rotation", "bearer rotation"])
STATUS = st.sampled_from([200, 204, 303, 304, 401, 403, 404, 500])
TOKEN = re.compile(r"sg_[\w-]+\.\d+\.[0-9a-f]+")


@cache
def site(stack: Stack) -> Site:
    return make_site(stack, "opaque", max_concurrent_sessions=None)


def answer(stack: Stack, headers: list[Header], status: int, doing: str) -> Response:
    here = site(stack)

    async def view(call: Call) -> Reply:
        if doing == "login":
            await call.login("alice")
        elif doing == "logout":
            await call.logout()
        bodiless = status in {204, 304}
        return Reply(
            status, headers if bodiless else [*headers, (b"content-type", b"text/plain")], ()
        )

    token = here.open()
    if "rotation" in doing:
        here.clock.advance(1800)
    shown = bearer(token) if doing.startswith("bearer") else cookie(token)
    response = here.ask(shown, view=view, method="GET")
    here.manager.invalidate_user_sessions("alice")
    return response


@given(HEADERS, STATUS, DOINGS)
@replay(
    (headers, 200, doing)
    for headers in FIELDS
    for doing in ("nothing", "login", "logout", "rotation", "bearer rotation")
)
def test_fields_are_merged_alike_and_none_is_lost(
    headers: list[Header], status: int, doing: str
) -> None:
    response = answer("wsgi", headers, status, doing)
    assert masked(response) == masked(answer("asgi", headers, status, doing))
    assert response.status == status

    # Vary: ours and theirs, in a form that a cache understands.
    members = listed(response, "vary")
    assert "*" in members or {"cookie", "authorization"} <= members
    theirs = [(n.decode().lower(), v.decode("latin-1")) for n, v in headers]
    assert {m for n, v in theirs if n == "vary" for m in split(v)} <= members

    ours = any(is_ours(value) for _, value in response.headers)
    refused = status in {401, 403}
    assert ours == (doing != "nothing" and not ("rotation" in doing and refused))
    if ours:
        assert response.all("cache-control") == ["no-store"]
    rewritten = {"vary"} | ({"cache-control"} if ours else set())
    if ours and doing.startswith("bearer"):
        rewritten |= {"x-refreshed-token", "access-control-expose-headers"}
        assert "x-refreshed-token" in listed(response, "access-control-expose-headers")
    if ours and not doing.startswith("bearer"):
        mine = [v for v in response.all("set-cookie") if name_of(v) == COOKIE]
        assert len(mine) == 1, "one of a name (RFC 6265bis, section 4.1.1)"
        theirs = [(n, v) for n, v in theirs if n != "set-cookie" or name_of(v) != COOKIE]

    # Of a view that writes our cookie by itself, twice in one scope, the last one goes out.
    own = [i for i, (n, v) in enumerate(theirs) if n == "set-cookie" and name_of(v) == COOKIE]
    last = {scope_of(theirs[i][1]): i for i in own}.values()
    theirs = [field for i, field in enumerate(theirs) if i not in own or i in last]

    # Everything else is there, as often, as it was, and in its order.
    kept = [(n, v) for n, v in theirs if n not in rewritten]
    got = [(n, v) for n, v in response.headers if n not in rewritten]
    got = [(n, v) for n, v in got if n != "content-type" and not is_ours(v)]
    assert got == kept


def is_ours(value: str) -> bool:
    """A token, or the end of one."""
    return TOKEN.search(value) is not None or value.startswith(f"{COOKIE}=; Expires=Thu, 01 Jan")


def masked(response: Response) -> list[tuple[str, str]]:
    return [(name, TOKEN.sub("TOKEN", value)) for name, value in response.headers]


def split(value: str) -> list[str]:
    return [m.strip().lower() for m in value.split(",") if m.strip()]


def listed(response: Response, name: str) -> set[str]:
    return {member for value in response.all(name) for member in split(value)}


def scope_of(set_cookie: str) -> tuple[str, str]:
    """By what else than its name a browser tells a cookie apart (RFC 6265bis, section 5.7)."""
    found = {"domain": "", "path": ""}
    for attribute in set_cookie.split(";")[1:]:
        name, _, value = attribute.partition("=")
        found[name.strip(" \t").lower()] = value.strip(" \t")
    return found["domain"].lower().removeprefix("."), found["path"]


def name_of(set_cookie: str) -> str:
    return set_cookie.partition(";")[0].partition("=")[0].strip(" \t")


# What may stand in a Set-Cookie (RFC 6265bis, section 4.1.1), each attribute once.

PAIR = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+=[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*")
DATE = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [JFMASOND][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT"
LABEL = r"[0-9A-Za-z](?:[0-9A-Za-z-]{0,61}[0-9A-Za-z])?"
ATTRIBUTES = {
    "Expires": re.compile(DATE),
    "Max-Age": re.compile(r"\d+"),
    "Domain": re.compile(rf"{LABEL}(?:\.{LABEL})*"),
    "Path": re.compile(r"/[\x20-\x3a\x3c-\x7e]*"),
    "Secure": None,
    "HttpOnly": None,
    "SameSite": re.compile("Strict|Lax|None"),
    "Partitioned": None,
}
ANY = st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.lists(st.none())
COOKIE_NAMES = st.sampled_from(
    [COOKIE, "sid", "__Secure-id", "__HOST-x", "a b", "a=b", "a;b", "é", "a\r\nb", "a\x00", ""]
)
DOMAINS = st.sampled_from(
    [
        *("example.com", "EXAMPLE.com", ".example.com", "example.com.", "-", "a-.b", "a..b"),
        *("é.de", "\u017f.de", "xn--caf-dma.de", "a;b", "a b", "a\r\nb", "127.0.0.1", "[::1]"),
        *("x" * 64, "a." * 130 + "a"),
    ]
)
PATHS = st.text(st.sampled_from('/ab%;, "\\\r\n\x00é~\x7f?#'), max_size=6).map("/".__add__)
FIT: dict[str, st.SearchStrategy[Any]] = {
    "name": st.sampled_from(["id", "__Secure-id", COOKIE]),
    "secure": st.just(value=True) | st.booleans(),
    "same_site": st.sampled_from(["Strict", "Lax", "None"]),
    "path": st.sampled_from(["/", "/", "/a/b"]),
    "domain": st.sampled_from([None, None, "a.example"]),
    "partitioned": st.booleans(),
    "persistent": st.booleans(),
}
ODD: dict[str, st.SearchStrategy[Any]] = {
    "name": COOKIE_NAMES | st.text(max_size=8) | ANY,
    "same_site": st.sampled_from(["lax", "", "NONE"]) | ANY,
    "path": PATHS | st.text(max_size=5) | ANY,
    "domain": DOMAINS | st.text(max_size=8) | ANY,
}


@st.composite
def cookies(draw: st.DrawFn) -> dict[str, Any]:
    """Options that fit, but for one or two."""
    options = {name: draw(values) for name, values in FIT.items()}
    for name in draw(st.sets(st.sampled_from([*ODD]), max_size=2)):
        options[name] = draw(ODD[name])
    return options


@given(cookies(), st.text("abcXYZ019-_.", max_size=40), st.integers(-10, 10**12))
def test_a_cookie_is_legal_whatever_the_options(
    options: dict[str, Any], token: str, seconds_left: int
) -> None:
    try:
        made = SessionCookie(**options)
    except (ConfigurationError, TypeError):
        return
    for line, value in ((made.issue(token, max(1, seconds_left)), token), (made.expire(), "")):
        pair, *rest = line.split("; ")
        assert PAIR.fullmatch(pair)
        assert pair == f"{made.name}={value}"
        names = [attribute.partition("=")[0] for attribute in rest]
        assert len(set(names)) == len(names)
        for attribute in rest:
            name, equal, inside = attribute.partition("=")
            rule = ATTRIBUTES[name]
            assert rule is None or rule.fullmatch(inside), attribute
            assert bool(equal) == (rule is not None)
        assert "HttpOnly" in names
        assert ("Secure" in names) == made.secure
        if made.name.lower().startswith("__host-"):
            assert "Secure" in names
            assert "Path=/" in rest
            assert "Domain" not in names
        age = next((int(one[8:]) for one in rest if one.startswith("Max-Age=")), None)
        assert age is None or 0 <= age <= 400 * 24 * 3600
        assert made.persistent or not value or age is None


def test_the_strict_default_is_legal() -> None:
    """Without this the property above could hold because nothing is ever made."""
    strict = "__Host-session=t; Secure; HttpOnly; Path=/; SameSite=Lax"
    assert SessionCookie().issue("t", 1) == strict
    with pytest.raises(ConfigurationError):
        SessionCookie(name="__Host-x", secure=False)
