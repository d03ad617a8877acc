"""``scope["headers"]`` is any iterable (ASGI, HTTP connection scope), so it may be read once only.

Starlette makes a list of it for that reason.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.http.harness import HOST, PLAIN, call_asgi, cookie, make_site, scope_of

from sessiongate.asgi import SessionAuthMiddleware


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_a_request_of_another_site_is_nobodys(kind: str) -> None:
    site = make_site("asgi", "opaque")
    seen: list[tuple[str | None, str | None, int]] = []

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        session = scope["sessiongate"]
        seen.append((session.user.username, session.problem, len(list(scope["headers"]))))
        if kind == "http":
            await send({"type": "http.response.start", "status": 200, "headers": [PLAIN]})
            await send({"type": "http.response.body"})
        else:
            await send({"type": "websocket.accept"})

    brought = [HOST, cookie(site.open()), (b"origin", b"https://elsewhere.example")]
    scope = scope_of("POST", brought, kind)
    scope["headers"] = iter(scope["headers"])
    asyncio.run(call_asgi(SessionAuthMiddleware(app, site.manager), scope))
    assert seen == [(None, "cross_site", 3)]
