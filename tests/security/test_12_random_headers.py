"""Invariant: whatever bytes come, a request is exactly our token's, or refused, or nobody's.

Alike on WSGI and ASGI, and nothing is ever raised. By hand: ``test_11_cookies_in.py`` and
``test_12_bearer.py``; by real servers: ``tests/servers/test_odd_bytes.py``.
"""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.http.harness import COOKIE, HOST, drive, environ_of, make_site, scope_of

from sessiongate.asgi import SessionAuthMiddleware as ASGIMiddleware
from sessiongate.http.credentials import AMBIGUOUS, NOTHING, read_credentials
from sessiongate.wsgi import SessionAuthMiddleware as WSGIMiddleware

if TYPE_CHECKING:
    from tests.http.harness import Header

QUICK = 20_000
"""Requests to each stack in the quick part; with the slow ones they are 200,000."""

OURS = COOKIE.encode()
PARTS = [
    *(
        OURS,
        OURS + b"=",
        b"; " + OURS + b"=",
        b"<alice>",
        b"<bob>",
        b"<alice>",
        b"Bearer ",
        b"Bearer",
    ),
    *(b"bearer ", b"Basic ", b"Digest ", b"=", b";", b"; ", b" ", b"\t", b",", b", ", b'"', b"\\"),
    *(b"\x00", b"\r\n", b"\n", b"\x0b", b"\x0c", b"\x1c", b"\x1d", b"\x1e", b"\x1f", b"\x7f"),
    *(b"\x85", b"\xa0", b"\xc2\xa0", b"\xe2\x80\xa8", b"\xff", b"%3D", b"%5F", b"__host-session="),
    *(b"a", b"a=1", b"a=1; ", b"=", b"id=", b"$Version=1", b"{}", b"A" * 300, b"; a" * 20),
]
SCHEME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+(?: |\Z)")

BEARER = re.compile(rb"(?i:bearer)(?: |\Z)")

Verdict: TypeAlias = "tuple[int, str | None]"


class World:
    """One manager behind both middlewares, and the tokens of two people."""

    def __init__(self, kind: str) -> None:
        self._site = make_site("wsgi", kind)
        self.tokens = {
            f"<{name}>".encode(): self._site.open(name).encode() for name in ("alice", "bob")
        }
        self.people = {token: name[1:-1].decode() for name, token in self.tokens.items()}
        self._seen: list[str | None] = []
        self._wsgi = WSGIMiddleware(self._wsgi_app, self._site.manager)
        self._asgi = ASGIMiddleware(self._asgi_app, self._site.manager)

    def _wsgi_app(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        self._seen.append(environ["sessiongate"].user.username)
        start_response("200 OK", [])
        return []

    async def _asgi_app(self, scope: Any, _receive: Any, send: Any) -> None:
        self._seen.append(scope["user"].username)
        await send({"type": "http.response.start", "status": 200, "headers": []})

    def by_wsgi(self, headers: list[Header]) -> Verdict:
        statuses: list[int] = []
        environ = environ_of("GET", headers)
        self._wsgi(environ, lambda status, *_: statuses.append(int(status[:3])))  # type: ignore[arg-type]
        return statuses[0], self._who()

    def by_asgi(self, headers: list[Header]) -> Verdict:
        statuses: list[int] = []

        async def send(message: Any) -> None:
            statuses.append(message.get("status", 0))

        drive(self._asgi(scope_of("GET", headers), send, send))  # type: ignore[arg-type]
        return statuses[0], self._who()

    def _who(self) -> str | None:
        return self._seen.pop() if self._seen else None

    def random_headers(self, source: random.Random) -> list[Header]:
        headers: list[Header] = [HOST]
        for _ in range(source.choice((1, 1, 1, 2, 2, 3))):
            name = source.choice((b"cookie", b"authorization"))
            value = b"".join(source.choices(PARTS, k=source.choice((1, 2, 3, 4, 6, 9))))
            if source.random() < 0.1:
                at = source.randrange(len(value) + 1)
                value = value[:at] + source.randbytes(source.randrange(4)) + value[at:]
            if source.random() < 0.5:
                value = (b"Bearer " if name == b"authorization" else OURS + b"=") + value
            for place, token in self.tokens.items():
                value = value.replace(place, token)
            headers.append((name, value))
        return headers

    def allowed(self, headers: list[Header]) -> set[Verdict]:
        """By the plainest reading there is of the fields."""
        cookies = b";".join(value for name, value in headers if name == b"cookie")
        values = set()
        for pair in cookies.split(b";"):
            name, equal, value = pair.strip(b" \t").partition(b"=")
            if equal and name == OURS and value.strip(b" \t"):
                values.add(value.strip(b" \t"))
        fields = [value for name, value in headers if name == b"authorization"]
        malformed: set[Verdict] = {(400, None)}
        bearer = None
        if fields:
            field = b",".join(fields).strip(b" \t")
            found = re.fullmatch(rb"(?i:bearer) +([^ \t,]+)", field, re.DOTALL)
            if found:
                bearer = found[1]
            elif not SCHEME.match(field) or BEARER.match(field):
                return malformed
            elif b"," in field:  # other credentials, or more than one: judged below
                return malformed | self._by_cookie(values)
        if len(values) > 1:
            return malformed
        if bearer is None:
            return self._by_cookie(values)
        who = self.people.get(bearer)
        other = {self.people.get(value) for value in values} - {None, who}
        if who is None:
            return {(401, None)}
        return malformed if other else {(200, who)}

    def _by_cookie(self, values: set[bytes]) -> set[Verdict]:
        if len(values) > 1:
            return {(400, None)}
        return {(200, self.people.get(value)) for value in values} or {(200, None)}


@pytest.mark.parametrize("kind", ["opaque", "jwt"])
@pytest.mark.parametrize(
    "part", [pytest.param(part, marks=pytest.mark.slow if part else ()) for part in range(5)]
)
def test_a_request_is_our_tokens_or_refused_or_nobodys(kind: str, part: int) -> None:
    world, source = World(kind), random.Random(f"{kind} {part}")
    outcomes: set[Verdict] = set()
    for _ in range(QUICK):
        headers = world.random_headers(source)
        by_wsgi, by_asgi = world.by_wsgi(headers), world.by_asgi(headers)
        assert by_wsgi == by_asgi, headers
        assert by_wsgi in world.allowed(headers), headers
        outcomes.add(by_wsgi)
    assert outcomes == {(200, None), (200, "alice"), (200, "bob"), (400, None), (401, None)}


# The reader alone, on fields that a machine shrinks when it finds something.

NAME = b"id"

PIECES = [
    b"id",
    b"=",
    b";",
    b" ",
    b"\t",
    b",",
    b'"',
    b"a",
    b"token",
    b"Bearer",
    b"bearer",
    b"Basic",
]
ODD = [
    b"\x00",
    b"\r\n",
    b"\x1c",
    b"\x1f",
    b"\x85",
    b"\xa0",
    b"\xff",
    b"%69d",
    b"ID",
    b"xid",
    b"id=",
]

fields = st.lists(
    st.lists(st.sampled_from(PIECES + ODD) | st.binary(max_size=3), max_size=12).map(b"".join),
    max_size=4,
)


def pairs(cookies: list[bytes]) -> set[bytes]:
    """All values that stand under our name, by the plainest reading there is."""
    found = set()
    for pair in b";".join(cookies).split(b";"):
        name, equal, value = pair.partition(b"=")
        if equal and name.lstrip(b" \t") == NAME:
            found.add(value.strip(b" \t"))
    return found - {b""}


@given(fields, fields)
@example([b"xid=a; id=b"], [])
@example([b"id=a", b"id=a; id=b"], [])
@example([b"id id=a"], [])
@example([], [b"Bearer a", b"Bearer a"])
@example([b"id=a"], [b""])
def test_only_ours_is_found(cookies: list[bytes], authorizations: list[bytes]) -> None:
    read = read_credentials(NAME, cookies, authorizations)
    values = pairs(cookies)
    if read is AMBIGUOUS:
        assert authorizations or len(values) > 1
        return
    assert len(values) <= 1
    cookie, bearer = read
    assert {cookie} - {None} == {value.decode("latin-1") for value in values}
    if bearer is not None:
        scheme, _, token = b",".join(authorizations).strip(b" \t").partition(b" ")
        assert scheme.lower() == b"bearer"
        assert token.lstrip(b" ") == bearer.encode("latin-1")
        assert bearer
        assert not {" ", "\t", ","} & set(bearer)
    if read == (None, None):
        assert read is NOTHING


@given(fields, fields)
def test_joined_fields_are_judged_alike(cookies: list[bytes], authorizations: list[bytes]) -> None:
    joined = read_credentials(
        NAME,
        [b"; ".join(cookies)] if cookies else [],
        [b",".join(authorizations)] if authorizations else [],
    )
    assert read_credentials(NAME, cookies, authorizations) == joined


@given(fields, fields, st.sampled_from([b"a=1", b'b="', b"=", b"", b"xid=z", b"id=", b"\xff"]))
def test_a_neighbour_changes_nothing(
    cookies: list[bytes], authorizations: list[bytes], neighbour: bytes
) -> None:
    alone = read_credentials(NAME, cookies, authorizations)
    for among in ([neighbour, *cookies], [*cookies, neighbour]):
        assert read_credentials(NAME, among, authorizations) == alone
