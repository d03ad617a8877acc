"""Websockets through nginx and Caddy to a backend, by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from tests.forward.answers import Answer, Told, exchange, parse, told_in
from tests.forward.gates import DUE, bearer, cookie

if TYPE_CHECKING:
    from tests.forward.answers import Field
    from tests.forward.conftest import Site

SWITCHING: Final = 101
OWN: Final = ("Origin", "http://app.example")
EVIL: Final = ("Origin", "https://evil.example")
HANDSHAKE: Final = (
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
)


def connect(site: Site, path: str, *fields: Field) -> tuple[Answer, Told | None]:
    """The answer to a handshake, and what the backend then says in a frame."""
    lines = [f"GET {path} HTTP/1.1", "Host: app.example"]
    lines += [f"{name}: {value}" for name, value in (*HANDSHAKE, *fields)]
    request = "\r\n".join([*lines, "", ""]).encode()
    # A refusal leaves the connection open; the backend's frame ends with the end of its JSON.
    received = exchange(site.port, request, until=_is_whole)
    head, _, frames = received.partition(b"\r\n\r\n")
    answer = parse(head + b"\r\n\r\n", "HEAD")
    return answer, told_in(frames[4:]) if answer.status == SWITCHING else None


def _is_whole(received: bytes) -> bool:
    head, end, frames = received.partition(b"\r\n\r\n")
    return end != b"" and (b" 101 " not in head[:16] or frames.endswith(b"\n}\n"))


def test_a_websocket_reaches_the_backend_and_brings_the_renewed_cookie(site: Site) -> None:
    token = site.gate.open()
    site.gate.clock.advance(DUE)
    answer, told = connect(site, "/ws", cookie(token), OWN)
    assert told is not None
    assert (told.user, told.url) == ("alice", "/ws")
    assert told.all("Remote-User") == ["alice"]
    assert not any(token in value for _, value in told.headers)
    assert answer.one("Sec-WebSocket-Accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert answer.session not in {None, "", token}


@pytest.mark.parametrize("path", ["/ws", "/api/ws", "/admin/ws"])
def test_it_is_refused_before_it_is_accepted(site: Site, path: str) -> None:
    ours = cookie(site.gate.open())
    assert connect(site, path)[0].status == 401
    assert connect(site, path, ("Accept", "text/html"))[0].status == 401
    assert connect(site, path, cookie("sg_nonsense"), OWN)[0].status == 401
    for elsewhere in (EVIL, ("Sec-Fetch-Site", "cross-site"), ("Origin", "null")):
        assert connect(site, path, ours, elsewhere)[0].status == 403


def test_what_hides_a_handshake_does_not_help(site: Site) -> None:
    ours = cookie(site.gate.open())
    for hiding in (("Sec-Fetch-Mode", "navigate"), ("X-Forwarded-Method", "GET")):
        assert connect(site, "/ws", ours, EVIL, hiding)[0].status == 403


def test_a_public_websocket_of_another_site_is_nobodys(site: Site) -> None:
    answer, told = connect(site, "/public/ws", cookie(site.gate.open()), EVIL)
    assert answer.status == 101
    assert told is not None
    assert told.user == ""
    assert "".join(told.all("Remote-User")) == ""


@pytest.mark.parametrize("offered", ["sessiongate.bearer, {}, chat", "chat, sessiongate.bearer,{}"])
def test_a_token_as_a_subprotocol_stops_at_the_proxy(site: Site, offered: str) -> None:
    token = site.gate.open()
    field = "Sec-WebSocket-Protocol", offered.format(token)
    _, told = connect(site, "/ws", field, EVIL)
    assert told is not None
    assert told.user == "alice"
    assert [value.strip() for value in told.all("Sec-WebSocket-Protocol")] == ["chat"]
    assert (
        connect(site, "/ws", ("Sec-WebSocket-Protocol", "sessiongate.bearer, x"))[0].status == 401
    )
    _, told = connect(site, "/ws", bearer(token))
    assert told is not None
    assert told.all("Authorization") in ([], [""])
