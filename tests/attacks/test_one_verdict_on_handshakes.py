"""WSGI and ASGI do not disagree about a handshake that arrives as an HTTP request."""

from __future__ import annotations

import pytest
from tests.http.conftest import kind, make, site, stack
from tests.http.harness import Header, Site, bare, cookie

__all__ = ["kind", "make", "site", "stack"]

HANDSHAKE: tuple[Header, ...] = ((b"upgrade", b"websocket"), (b"connection", b"Upgrade"))


@pytest.mark.parametrize("beside", ["nothing", "a cookie of another user"])
def test_the_subprotocol_brings_the_bearer_token_on_both_stacks(site: Site, beside: str) -> None:
    held = [] if beside == "nothing" else [cookie(site.open("bob"))]
    pair = b"sessiongate.bearer, " + site.open("alice").encode()
    response = site.ask(
        *HANDSHAKE,
        *held,
        (b"sec-websocket-protocol", pair),
        (b"origin", b"https://app.example.com"),
        view=bare,
    )
    assert (response.who, response.transport) == ("alice", "bearer")
