"""A login by cookie in an unsafe request of another site is refused, whatever stands beside it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.http.conftest import kind, make, site, stack
from tests.http.harness import Call, Header, Reply, Site, bearer, connect, make_site, set_cookies

from sessiongate.errors import CrossSiteError

__all__ = ["kind", "make", "site", "stack"]

ELSEWHERE: Header = (b"origin", b"https://elsewhere.example")


@pytest.mark.parametrize("shown", ["forged", "", "two words", "live"])
def test_it_is_refused(site: Site, shown: str) -> None:
    """The contract, section 2: a login by cookie in such a request raises."""

    async def view(call: Call) -> Reply:
        with pytest.raises(CrossSiteError):
            await call.login("mallory", transport="cookie")
        return Reply(403)

    token = site.open() if shown == "live" else shown
    response = site.ask(bearer(token), ELSEWHERE, view=view, method="POST")
    assert set_cookies(response) == []


def test_a_websocket_with_a_forged_subprotocol_sets_no_cookie() -> None:
    """A page of any site may offer subprotocols; no preflight asks."""
    site = make_site("asgi", "opaque")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        with pytest.raises(CrossSiteError):
            await scope["sessiongate"].alogin("mallory")
        await send({"type": "websocket.accept"})

    (accepted,) = asyncio.run(
        connect(site, ELSEWHERE, app=app, subprotocols=["sessiongate.bearer", "forged"])
    )
    assert b"set-cookie" not in dict(accepted["headers"])
