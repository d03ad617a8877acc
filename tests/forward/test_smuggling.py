"""Two requests where a proxy sees one: nothing passes the gate, and nobody gets another's answer.

RFC 9112, sections 5.2, 6.1 and 11.2. A proxy may refuse the bytes, or read them in its own way.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest
from tests.forward.answers import exchange, parse
from tests.forward.gates import cookie

if TYPE_CHECKING:
    from tests.forward.conftest import Site

HEAD: Final = b"POST /public/ HTTP/1.1\r\nHost: app.example\r\nConnection: close\r\n"
HIDDEN: Final = (
    b"GET /admin/hidden HTTP/1.1\r\nHost: app.example\r\nRemote-User: root\r\n"
    b"X-Forwarded-Method: GET\r\n\r\n"
)
QUESTION: Final = (
    b"GET /verify?optional=1 HTTP/1.1\r\nHost: app.example\r\nX-Forwarded-Method: GET\r\n\r\n"
)
CHUNKED: Final = b"0\r\n\r\n"


def length(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n" % len(body)


def cases(hidden: bytes) -> dict[str, bytes]:
    """Ways to disagree on where a request ends."""
    chunked, after = b"Transfer-Encoding: chunked\r\n", CHUNKED + hidden
    whole = b"%x\r\n%b\r\n0\r\n\r\n" % (len(hidden), hidden)
    return {
        "CL.TE": HEAD + length(after) + chunked + b"\r\n" + after,
        "TE.CL": HEAD + chunked + b"Content-Length: 4\r\n\r\n" + whole,
        "TE, obscure": HEAD + length(after) + b"Transfer-Encoding: xchunked\r\n\r\n" + after,
        "TE, space": HEAD + length(after) + b"Transfer-Encoding : chunked\r\n\r\n" + after,
        "TE, tab": HEAD + length(after) + b"Transfer-Encoding:\tchunked\r\n\r\n" + after,
        "TE, twice": HEAD + chunked + b"Transfer-Encoding: identity\r\n\r\n" + after,
        "TE, folded": HEAD + length(after) + b"X: y\r\n Transfer-Encoding: chunked\r\n\r\n" + after,
        "CL, doubled": HEAD + length(hidden) + b"Content-Length: 0\r\n\r\n" + hidden,
        "CL, doubled, first 0": HEAD + b"Content-Length: 0\r\n" + length(hidden) + b"\r\n" + hidden,
        "CL, list": HEAD + b"Content-Length: 0, %d\r\n\r\n" % len(hidden) + hidden,
        "CL, plus": HEAD + b"Content-Length: +0\r\n\r\n" + hidden,
        "CL, negative": HEAD + b"Content-Length: -1\r\n\r\n" + hidden,
        "CL, underscore": HEAD + b"Content_Length: 0\r\n" + length(hidden) + b"\r\n" + hidden,
        "bare LF": HEAD.replace(b"\r\n", b"\n") + length(hidden) + b"\n" + hidden,
        "bare LF in a field": HEAD
        + b"X: y\nRemote-User: root\r\n"
        + length(hidden)
        + b"\r\n"
        + hidden,
        "bare CR in a field": HEAD
        + b"X: y\rRemote-User: root\r\n"
        + length(hidden)
        + b"\r\n"
        + hidden,
        "obs-fold": HEAD + b"X-Forwarded-Method:\r\n GET\r\n" + length(hidden) + b"\r\n" + hidden,
        "NUL": HEAD + b"X: \0\r\n" + length(hidden) + b"\r\n" + hidden,
        "chunk extension": HEAD + chunked + b"\r\n0;\n" + hidden + b"\r\n\r\n",
        "GET with a body": HEAD.replace(b"POST", b"GET") + length(hidden) + b"\r\n" + hidden,
        "HTTP/1.0, chunked": HEAD.replace(b"/1.1", b"/1.0") + chunked + b"\r\n" + whole,
    }


@pytest.mark.parametrize("hidden", [HIDDEN, QUESTION], ids=["for the backend", "for the gate"])
@pytest.mark.parametrize("name", cases(b""))
def test_a_hidden_request_gets_nowhere(site: Site, name: str, hidden: bytes) -> None:
    received = exchange(site.port, cases(hidden)[name])
    # The backend says where it was asked and as whom; the body of a request is told apart.
    assert b'"url": "/admin/' not in received
    assert not re.search(rb'"user": "[^"]', received)
    assert b"remote-user" not in received.lower().replace(b'"remote-user', b"").replace(
        b"\\nremote-user", b""
    )

    # The connections between the servers are as they were: everybody gets their own answer.
    alice, bob = (cookie(site.gate.open(user)) for user in ("alice", "bob"))
    for _ in range(2):
        assert site.ask("/page", alice).told.user == "alice"
        assert site.ask("/api/").status == 401
        assert site.ask("/page", bob).told.user == "bob"
        assert site.ask("/public/").told.user == ""


def test_the_body_of_a_request_reaches_the_backend_alone(site: Site) -> None:
    ours = cookie(site.gate.open())
    text = "x" * 100_000
    for body in ("a=1", text, HIDDEN.decode()):
        posted = site.ask("/page", ours, method="POST", body=body)
        assert (posted.told.user, posted.told.body) == ("alice", body)
        assert site.ask("/page", method="POST", body=body).status in {303, 401}
        assert site.ask("/page", ours).told.user == "alice"


@pytest.mark.parametrize(
    "target",
    ["/public/../admin/x", "/public/%2e%2e/admin/x", "//admin/x", "/./admin/x", "/%61dmin/x"],
)
def test_no_spelling_of_a_path_has_other_demands(site: Site, target: str) -> None:
    reader = site.gate.open(scopes=["read"])
    assert site.ask(target, cookie(reader)).status == 403
    admin = site.gate.open(scopes=["admin"])
    assert site.ask(target, cookie(admin)).told.user == "alice"


def test_a_whole_url_as_the_target_is_no_way_around(site: Site) -> None:
    head = b"GET http://evil.example/admin/x HTTP/1.1\r\nHost: app.example\r\nConnection: close"
    assert parse(exchange(site.port, head + b"\r\n\r\n")).status in {303, 400, 401}
