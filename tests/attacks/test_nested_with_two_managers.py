"""Two middlewares around each other, two managers over one store: the login inside stands.

As a Flask app in a mount of a FastAPI app, each with a manager of its own.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.http.harness import (
    HOST,
    PLAIN,
    call_asgi,
    call_wsgi,
    cookie,
    environ_of,
    scope_of,
)

from sessiongate import SessionManager
from sessiongate.asgi import SessionAuthMiddleware as ASGIMiddleware
from sessiongate.stores import MemoryStore
from sessiongate.testing import ManualClock
from sessiongate.wsgi import SessionAuthMiddleware as WSGIMiddleware


@pytest.mark.parametrize("verb", ["login", "refresh", "logout"])
@pytest.mark.parametrize("stack", ["wsgi", "asgi"])
def test_the_response_brings_what_the_inner_app_decided(stack: str, verb: str) -> None:
    clock, store = ManualClock(), MemoryStore()
    outer, inner = (
        SessionManager(store=store, secret_key="k" * 64, clock=clock, rotate_after=60)
        for _ in range(2)
    )
    held = outer.create_session("alice")
    clock.advance(61)
    arguments = ["bob"] if verb == "login" else []

    def wsgi_app(environ: Any, start: Any) -> list[bytes]:
        getattr(environ["sessiongate"], verb)(*arguments)
        start("200 OK", [("Content-Type", "text/plain")])
        return [b""]

    async def asgi_app(scope: Any, _receive: Any, send: Any) -> None:
        await getattr(scope["sessiongate"], f"a{verb}")(*arguments)
        await send({"type": "http.response.start", "status": 200, "headers": [PLAIN]})
        await send({"type": "http.response.body"})

    brought = [HOST, cookie(held)]
    if stack == "wsgi":
        app: Any = WSGIMiddleware(WSGIMiddleware(wsgi_app, inner), outer)
        _, headers, _ = call_wsgi(app, environ_of("POST", brought))
    else:
        app = ASGIMiddleware(ASGIMiddleware(asgi_app, inner), outer)
        start, *_ = asyncio.run(call_asgi(app, scope_of("POST", brought)))
        headers = [(n.decode(), v.decode()) for n, v in start["headers"]]
    (set_cookie,) = [value for name, value in headers if name.lower() == "set-cookie"]
    token = set_cookie.partition(";")[0].partition("=")[2]
    if verb == "logout":
        assert token == ""
    else:
        found = inner.validate_session(token)
        assert found is not None
        assert found["username"] == ("bob" if verb == "login" else "alice")
