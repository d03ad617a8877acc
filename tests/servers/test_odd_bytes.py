"""The same odd bytes to six real servers: never a 500, and never another identity."""

from __future__ import annotations

import json
import socket
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest
from tests.servers.fleet import Fleet, serving

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SERVERS: Final[tuple[str, ...]] = (
    *("uvicorn", "httptools"),
    *("werkzeug", "wsgiref", "gunicorn", "waitress"),
)
_LONG: Final = 60
"""Seconds, after which a test that hangs is a test that fails."""

NOBODY: Final = "nobody"
INVALID: Final = "invalid_token"
MALFORMED: Final = "invalid_request"
NOT_OURS: Final = "refused by the server"
"""Before our code saw it; always allowed."""

ON_WSGI: Final[tuple[str, ...]] = ("werkzeug", "wsgiref", "gunicorn", "waitress")
COMMA: Final[dict[str, str]] = dict.fromkeys(ON_WSGI, NOBODY)
"""WSGI servers join repeated fields with a comma, ``Cookie`` fields as well; and a comma ends no
cookie (RFC 6265, section 4.2.1). Clients send one field (section 5.4), and whoever translates
HTTP/2 joins them with a semicolon (RFC 9113, section 8.2.3)."""
BOB_ON_WSGI: Final[dict[str, str]] = dict.fromkeys(ON_WSGI, "bob")
STRIPPED: Final = {"wsgiref": "alice"}
"""The standard library takes all that Unicode calls a space from both ends of a value."""


class Case(NamedTuple):
    """Header fields with tokens to fill in, and the verdict on them."""

    fields: bytes
    verdict: str
    elsewhere: Mapping[str, str] = {}
    """Where a server passes on other bytes than it got: the verdict that is allowed as well."""


OURS: Final = b"__Host-session="
COOKIE: Final = b"Cookie: " + OURS
BEARER: Final = b"Authorization: Bearer "
A: Final = b"<alice>"
B: Final = b"<bob>"
BASIC: Final = b"Authorization: Basic eDp5"


def lines(*fields: bytes) -> bytes:
    return b"\r\n".join(fields)


CASES: Final = {
    "cookie": Case(COOKIE + A, "alice"),
    "bearer": Case(BEARER + A, "alice"),
    "both, the same": Case(lines(COOKIE + A, BEARER + A), "alice"),
    "both, two people": Case(lines(COOKIE + A, BEARER + B), "bob"),
    "both, a bad bearer": Case(lines(COOKIE + A, BEARER + b"x"), INVALID),
    "cookie and another scheme": Case(lines(COOKIE + A, BASIC), "alice"),
    "cookie and half a bearer": Case(lines(COOKIE + A, b"Authorization: Bearer"), MALFORMED),
    # Authorization more than once.
    "bearer twice": Case(lines(BEARER + A, BEARER + A), MALFORMED),
    "two bearers": Case(lines(BEARER + A, BEARER + B), MALFORMED),
    "basic, then bearer": Case(lines(BASIC, BEARER + A), MALFORMED),
    "bearer, then basic": Case(lines(BEARER + A, BASIC), MALFORMED),
    "basic twice, beside a cookie": Case(lines(BASIC, BASIC, COOKIE + A), MALFORMED),
    "basic, then digest": Case(lines(BASIC, b'Authorization: Digest a="b"'), MALFORMED),
    "digest of many parts": Case(
        lines(b'Authorization: Digest a="b, c d", e="f", g=h', COOKIE + A), "alice"
    ),
    "empty, then bearer": Case(lines(b"Authorization:", BEARER + A), MALFORMED),
    "bearer, then empty": Case(lines(BEARER + A, b"Authorization:"), MALFORMED),
    # Cookie more than once.
    "split, ours last": Case(lines(b"Cookie: a=1", COOKIE + A), "alice", COMMA),
    "split, ours first": Case(lines(COOKIE + A, b"Cookie: a=1"), "alice", COMMA),
    "split, ours twice": Case(lines(COOKIE + A, COOKIE + A), "alice", COMMA),
    "split, two people": Case(lines(COOKIE + A, COOKIE + B), MALFORMED, COMMA),
    "split among neighbours": Case(
        lines(b"Cookie: x=1; " + OURS + A + b"; y=2", b"Cookie: x=1; " + OURS + B + b"; y=2"),
        MALFORMED,
    ),
    "split, one of two people hidden": Case(
        lines(b"Cookie: y=1", COOKIE + A + b"; z=1", b"Cookie: z=1; " + OURS + B),
        MALFORMED,
        BOB_ON_WSGI,
    ),
    "split, one empty": Case(lines(COOKIE, COOKIE + A), "alice", COMMA),
    "sixty fields": Case(lines(*[b"Cookie: a=1"] * 60, COOKIE + A), "alice", COMMA),
    "two people in one field": Case(COOKIE + A + b"; " + OURS + B, MALFORMED),
    "one of several is ours": Case(COOKIE + b"x; " + OURS + A + b"; " + OURS + b"y", "alice"),
    "a comma": Case(COOKIE + A + b", a=1", NOBODY),
    # Names and values that only look like ours.
    "empty cookie": Case(b"Cookie:", NOBODY),
    "first empty": Case(COOKIE + b"; " + OURS + A, "alice"),
    "quoted": Case(b"Cookie: " + OURS + b'"' + A + b'"', NOBODY),
    "percent-encoded name": Case(b"Cookie: __Host%2Dsession=" + A, NOBODY),
    "other case": Case(b"Cookie: __host-session=" + A, NOBODY),
    "nameless": Case(b"Cookie: =" + OURS + A, NOBODY),
    "names of the environ": Case(
        lines(b"HTTP_AUTHORIZATION: Bearer " + A, b"Remote_User: alice", b"Remote-User: alice"),
        NOBODY,
    ),
    "underscore": Case(b"Authorization_: Bearer " + A, NOBODY),
    # Beyond ASCII.
    "neighbour beyond ASCII": Case(b"Cookie: n\xc3\xa9=\xff; " + OURS + A, "alice"),
    "cookie beyond ASCII": Case(COOKIE + A + b"\xff", NOBODY),
    "bearer beyond ASCII": Case(BEARER + A + b"\xff", INVALID),
    "bearer of UTF-8": Case(BEARER + b"\xe2\x82\xac", INVALID),
    "scheme beyond ASCII": Case(b"Authorization: B\xe9arer " + A, MALFORMED),
    # Control characters.
    "NUL after the cookie": Case(COOKIE + A + b"\0", NOBODY),
    "NUL in a neighbour": Case(b"Cookie: a=\0; " + OURS + A, "alice"),
    "NUL after the bearer": Case(BEARER + A + b"\0", INVALID),
    "NUL before the bearer": Case(BEARER + b"\0" + A, INVALID),
    "unit separator": Case(b"Cookie: a=1;\x1f" + OURS + A, NOBODY),
    "a bare CR": Case(b"Cookie: a=1\r" + OURS + A, NOBODY),
    # Hostile sizes.
    "neighbour of 60 kB": Case(b"Cookie: a=" + b"x" * 60_000 + b"; " + OURS + A, "alice"),
    "five hundred neighbours": Case(b"Cookie: " + b"a=1; " * 500 + OURS + A, "alice"),
    "cookie of 9 kB": Case(COOKIE + b"x" * 9_000, NOBODY),
    "bearer of 9 kB": Case(BEARER + b"x" * 9_000, INVALID),
    "bearer of 60 kB": Case(BEARER + b"." * 60_000, INVALID),
    "bearer of 1 MB": Case(BEARER + b"." * 1_000_000, INVALID),
    # White space.
    "any case, many spaces": Case(b"aUTHORIZATION:bEARER    " + A, "alice"),
    "blanks around": Case(b"Authorization: \t Bearer " + A + b" \t ", "alice"),
    "blanks among cookies": Case(b"Cookie:  a=1 ;\t" + OURS + A + b"\t; b", "alice"),
    "space before the equals sign": Case(b"Cookie: __Host-session =" + A, NOBODY),
    "space within": Case(BEARER + A + b" x", MALFORMED),
    "tab for a space": Case(b"Authorization: Bearer\t" + A, MALFORMED),
    "no-break space for a space": Case(b"Authorization: Bearer\xa0" + A, MALFORMED),
    "no-break space before": Case(b"Authorization: \xa0Bearer " + A, MALFORMED, STRIPPED),
    "no-break space after": Case(BEARER + A + b"\xa0", INVALID, STRIPPED),
    "next line after": Case(BEARER + A + b"\x85", INVALID, STRIPPED),
    "vertical tab before": Case(b"Authorization: \x0bBearer " + A, MALFORMED, STRIPPED),
    "vertical tab after": Case(BEARER + A + b"\x0b", INVALID, STRIPPED),
    "no-break space before a cookie": Case(b"Cookie: \xa0" + OURS + A, NOBODY, STRIPPED),
    "no-break space after a cookie": Case(COOKIE + A + b"\xa0", NOBODY, STRIPPED),
    "form feed after a cookie": Case(COOKIE + A + b"\x0c", NOBODY, STRIPPED),
    "space before the colon": Case(b"Authorization : Bearer " + A, NOBODY),
    "folded bearer": Case(  # obs-fold, which RFC 9112, section 5.2, lets a server read as a space
        b"Authorization: Bearer\r\n " + A, "alice", {"wsgiref": MALFORMED}
    ),
    "folded cookies": Case(b"Cookie: a=1;\r\n " + OURS + A, "alice", {"wsgiref": NOBODY}),
}


class Sockets:
    """The servers, and the tokens of two users whom they all know."""

    def __init__(self, fleet: Fleet) -> None:
        self._ports: dict[str, int] = dict(zip(SERVERS, fleet.ports, strict=True))
        self._tokens = {
            f"<{name}>".encode(): fleet.log_in(0, name).encode() for name in ("alice", "bob")
        }

    def verdict(self, server: str, fields: bytes) -> str:
        """Who a request with these fields is, or why it is nobody's."""
        for name, token in self._tokens.items():
            fields = fields.replace(name, token)
        request = lines(b"GET /who HTTP/1.1", b"Host: x", b"Connection: close", fields, b"", b"")
        head, _, body = _exchange(self._ports[server], request).partition(b"\r\n\r\n")
        if not head:
            return NOT_OURS
        status = int(head.split()[1])
        assert status < HTTPStatus.INTERNAL_SERVER_ERROR, head
        if status != HTTPStatus.OK:
            return NOT_OURS
        said: dict[str, str | None] = json.loads(body)
        return said["username"] or said["problem"] or NOBODY


def _exchange(port: int, request: bytes) -> bytes:
    """The answer to some bytes; nothing where the server hangs up on them."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), _LONG) as connection:
        try:
            connection.sendall(request)
            while chunk := connection.recv(65536):
                answer += chunk
        except (BrokenPipeError, ConnectionResetError):
            pass  # a server that has seen enough does not read the rest
    return answer


@pytest.fixture(scope="module")
def sockets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sockets]:
    directory = tmp_path_factory.mktemp("odd")
    with serving(SERVERS, "opaque", f"sqlite://{directory / 'sessions.db'}", directory) as fleet:
        yield Sockets(fleet)


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_odd_bytes_get_the_same_verdict_everywhere(sockets: Sockets, case: Case) -> None:
    verdicts = {server: sockets.verdict(server, case.fields) for server in SERVERS}
    for server, verdict in verdicts.items():
        allowed = {case.verdict, case.elsewhere.get(server, case.verdict), NOT_OURS}
        assert verdict in allowed, server
    assert len({"alice", "bob"}.intersection(verdicts.values())) <= 1


@pytest.mark.parametrize("server", SERVERS)
def test_what_is_sent_often_reaches_us(sockets: Sockets, server: str) -> None:
    for name in ("cookie", "bearer", "both, the same", "two bearers", "bearer beyond ASCII"):
        assert sockets.verdict(server, CASES[name].fields) == CASES[name].verdict
