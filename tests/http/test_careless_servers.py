"""What no specification allows, and test clients and odd servers do all the same."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.http.harness import (
    COOKIE,
    call_asgi,
    call_wsgi,
    cookie,
    environ_of,
    make_site,
    scope_of,
)

from sessiongate.asgi import SessionAuthMiddleware as ASGIMiddleware
from sessiongate.wsgi import SessionAuthMiddleware as WSGIMiddleware


@pytest.mark.parametrize(
    ("field", "text", "problem"),
    [
        ("HTTP_AUTHORIZATION", "Bearer {token}名", "invalid_token"),
        ("HTTP_AUTHORIZATION", "Bearer 名前", "invalid_token"),
        ("HTTP_AUTHORIZATION", "名前 {token}", "invalid_request"),
        ("HTTP_COOKIE", COOKIE + "={token}€", None),
        ("HTTP_COOKIE", "€" + COOKIE + "={token}", None),
        ("HTTP_COOKIE", "a=\ud800; b=1", None),
    ],
)
def test_text_that_is_no_latin_1_is_no_credential(
    field: str, text: str, problem: str | None
) -> None:
    """PEP 3333 has none in an environ; the test clients of frameworks put it there."""
    site = make_site("wsgi", "opaque")
    environ = environ_of("GET", []) | {field: text.format(token=site.open())}
    site.store.reset()
    seen: list[Any] = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        seen.append((environ.get("REMOTE_USER"), environ["sessiongate"].problem))
        start_response("200 OK", [])
        return []

    got, *_ = call_wsgi(WSGIMiddleware(app, site.manager), environ)
    assert (got, seen) == (200, [(None, problem)])
    assert site.store.calls == 0


@pytest.mark.parametrize("field", ["HTTP_ORIGIN", "HTTP_SEC_FETCH_SITE", "HTTP_HOST"])
def test_an_origin_that_is_no_latin_1_is_another_site(field: str) -> None:
    site = make_site("wsgi", "opaque")
    origin = (b"origin", b"https://app.example.com")
    environ = environ_of("POST", [(b"host", b"app.example.com"), origin, cookie(site.open())])

    seen: list[str | None] = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        seen.append(environ["sessiongate"].problem)
        start_response("200 OK", [])
        return []

    call_wsgi(WSGIMiddleware(app, site.manager), environ | {field: "https://€"})
    assert seen == ["cross_site"]


@pytest.mark.parametrize("method", ["GET", "OPTIONS", "CONNECT"])
def test_a_websocket_is_one_whatever_method_its_scope_names(method: str) -> None:
    """Its origin is checked; a scope of the specification has no method."""
    site = make_site("asgi", "opaque")
    elsewhere = (b"origin", b"https://elsewhere.example")
    scope = scope_of("", [cookie(site.open()), elsewhere], "websocket") | {"method": method}

    seen: list[str | None] = []

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        seen.append(scope["sessiongate"].problem)

    guarded = ASGIMiddleware(app, site.manager)
    asyncio.run(call_asgi(guarded, scope, {"type": "websocket.connect"}))
    assert seen == ["cross_site"]
