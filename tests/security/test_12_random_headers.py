"""Invariant: whatever bytes come, a request is exactly our token's, or nobody's for a reason.

Alike on WSGI and ASGI, and nothing is ever raised. By hand: ``test_11_cookies_in.py`` and
``test_12_bearer.py``; by real servers: ``tests/servers/test_odd_bytes.py``.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.http.harness import COOKIE, HOST, drive, environ_of, make_site, scope_of
from tests.http.reading import plainly, values_of

from sessiongate.asgi import SessionAuthMiddleware as ASGIMiddleware
from sessiongate.http.credentials import MALFORMED, read_bearer, read_cookies
from sessiongate.wsgi import SessionAuthMiddleware as WSGIMiddleware

if TYPE_CHECKING:
    from tests.http.harness import Header
    from tests.http.reading import Verdict

    from sessiongate.http.request_session import RequestSession

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


class World:
    """One manager behind both middlewares, and the tokens of two people."""

    def __init__(self, kind: str) -> None:
        self._site = make_site("wsgi", kind)
        self.tokens = {
            f"<{name}>".encode(): self._site.open(name).encode() for name in ("alice", "bob")
        }
        self.people = {token: name[1:-1].decode() for name, token in self.tokens.items()}
        self._seen: list[Verdict] = []
        self._wsgi = WSGIMiddleware(self._wsgi_app, self._site.manager)
        self._asgi = ASGIMiddleware(self._asgi_app, self._site.manager)

    def _wsgi_app(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        self._look(environ["sessiongate"])
        start_response("200 OK", [])
        return []

    async def _asgi_app(self, scope: Any, _receive: Any, send: Any) -> None:
        self._look(scope["sessiongate"])
        await send({"type": "http.response.start", "status": 200, "headers": []})

    def _look(self, session: RequestSession) -> None:
        self._seen.append((session.problem, session.user.username))

    def by_wsgi(self, headers: list[Header]) -> Verdict:
        statuses: list[str] = []
        environ = environ_of("GET", headers)
        self._wsgi(environ, lambda status, *_: statuses.append(status))  # type: ignore[arg-type]
        assert statuses == ["200 OK"]
        return self._seen.pop()

    def by_asgi(self, headers: list[Header]) -> Verdict:
        statuses: list[int] = []

        async def send(message: Any) -> None:
            statuses.append(message["status"])

        drive(self._asgi(scope_of("GET", headers), send, send))  # type: ignore[arg-type]
        assert statuses == [200]
        return self._seen.pop()

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


@pytest.mark.parametrize("kind", ["opaque", "jwt"])
@pytest.mark.parametrize(
    "part", [pytest.param(part, marks=pytest.mark.slow if part else ()) for part in range(5)]
)
def test_a_request_is_our_tokens_or_nobodys(kind: str, part: int) -> None:
    world, source = World(kind), random.Random(f"{kind} {part}")
    outcomes: set[Verdict] = set()
    for _ in range(QUICK):
        headers = world.random_headers(source)
        by_wsgi, by_asgi = world.by_wsgi(headers), world.by_asgi(headers)
        assert by_wsgi == by_asgi, headers
        assert by_wsgi in plainly(headers, world.people), headers
        outcomes.add(by_wsgi)
    nobody = {(problem, None) for problem in (None, "invalid_token", "invalid_request")}
    assert outcomes == {(None, "alice"), (None, "bob"), *nobody}


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


@given(fields)
@example([b"xid=a; id=b"])
@example([b"id=a", b"id=a; id=b"])
@example([b"id=a; id=b; id=a"])
@example([b"id id=a"])
@example([b"id=id=id=a"])
def test_only_ours_is_found(cookies: list[bytes]) -> None:
    plainly_there = [value.decode("latin-1") for value in values_of(NAME, cookies)]
    assert (read_cookies(NAME, cookies) if cookies else []) == plainly_there


@given(fields)
@example([b"Bearer a", b"Bearer a"])
@example([b""])
def test_a_bearer_token_is_one_word_after_its_scheme(authorizations: list[bytes]) -> None:
    bearer = read_bearer(authorizations)
    if bearer is None or bearer == MALFORMED:
        assert authorizations or bearer is None
        return
    scheme, _, token = b",".join(authorizations).strip(b" \t").partition(b" ")
    assert scheme.lower() == b"bearer"
    assert token.lstrip(b" ") == bearer.encode("latin-1")
    assert not {" ", "\t", ","} & set(bearer)


@given(fields.filter(bool))
def test_joined_fields_are_judged_alike(several: list[bytes]) -> None:
    assert read_cookies(NAME, [b"; ".join(several)]) == read_cookies(NAME, several)
    assert read_bearer([b",".join(several)]) == read_bearer(several)


@given(fields.filter(bool), st.sampled_from([b"a=1", b'b="', b"=", b"", b"xid=z", b"id=", b"\xff"]))
def test_a_neighbour_changes_nothing(cookies: list[bytes], neighbour: bytes) -> None:
    alone = read_cookies(NAME, cookies)
    for among in ([neighbour, *cookies], [*cookies, neighbour]):
        assert read_cookies(NAME, among) == alone
