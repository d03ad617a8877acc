"""The public keys over real servers, by each framework."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import FastAPI
from flask import Flask
from litestar import Litestar
from quart import Quart
from starlette.applications import Starlette
from tests.machines.issuing import KEYS, service_tokens
from tests.servers.running import serving_asgi, serving_wsgi
from tests.tokens.material import public_pem

from sessiongate import JWTSessionManager, SessionCookie, SessionManager
from sessiongate import litestar as for_litestar
from sessiongate import quart as for_quart
from sessiongate.asgi import SessionAuthMiddleware
from sessiongate.fastapi import jwks_router
from sessiongate.flask import install, jwks_blueprint
from sessiongate.starlette import jwks_route
from sessiongate.stores import MemoryStore
from sessiongate.testing import CountingStore, ManualClock

if TYPE_CHECKING:
    from collections.abc import Iterator

APPS = ["flask", "starlette", "fastapi", "fastapi, as a route", "quart", "litestar"]


def app_of(kind: str, manager: SessionManager, tokens: Any, *path: str) -> Any:
    """An app behind the middleware that publishes the keys."""
    cookie = SessionCookie.for_http()
    if kind == "flask":
        flask = Flask(__name__)
        install(flask, manager, cookie=cookie)
        flask.register_blueprint(jwks_blueprint(tokens, *path))
        return flask
    if kind == "quart":
        quart = Quart(__name__)
        for_quart.install(quart, manager, cookie=cookie)
        quart.register_blueprint(for_quart.jwks_blueprint(tokens, *path))
        return quart
    if kind == "litestar":
        plugin = for_litestar.SessionAuth(manager, cookie=cookie)
        return Litestar([for_litestar.jwks_handler(tokens, *path)], plugins=[plugin])
    app: Any = Starlette() if kind == "starlette" else FastAPI()
    if kind == "fastapi":
        app.include_router(jwks_router(tokens, *path))
    else:
        app.router.routes.append(jwks_route(tokens, *path))
    app.add_middleware(SessionAuthMiddleware, manager=manager, cookie=cookie)
    return app


@contextmanager
def serving(kind: str, manager: SessionManager, tokens: Any, *path: str) -> Iterator[httpx.Client]:
    serve = serving_wsgi if kind == "flask" else serving_asgi
    with (
        serve(app_of(kind, manager, tokens, *path)) as address,
        httpx.Client(base_url=f"http://{address}", trust_env=False) as client,
    ):
        yield client


@pytest.mark.parametrize("kind", APPS)
def test_all_public_keys_are_published_and_may_be_cached(kind: str) -> None:
    store = CountingStore(MemoryStore())
    tokens = service_tokens(KEYS["EdDSA"], public_pem(KEYS["ES256"]))
    with serving(kind, SessionManager(store=store, secret_key="k" * 64), tokens) as client:
        answer = client.get("/.well-known/jwks.json")
        assert answer.status_code == 200
        assert answer.json() == tokens.jwks()
        assert len(answer.json()["keys"]) == 2
        assert answer.headers["content-type"] == "application/jwk-set+json"
        assert answer.headers["cache-control"] == "public, max-age=300"
        assert "set-cookie" not in answer.headers
        if kind != "litestar":  # which answers only what it is told to
            head = client.head("/.well-known/jwks.json")
            assert (head.status_code, head.content) == (200, b"")
        assert client.post("/.well-known/jwks.json").status_code == 405
    assert store.calls == 0


@pytest.mark.parametrize("kind", APPS)
def test_a_renewed_cookie_is_in_no_cache(kind: str) -> None:
    clock = ManualClock()
    manager = SessionManager(clock=clock, rotate_after=60, secret_key="k" * 64)
    with serving(kind, manager, service_tokens(), "/keys") as client:
        token = manager.create_session("alice") or ""
        clock.advance(61)
        answer = client.get("/keys", headers={"Cookie": f"sessiongate={token}"})
        assert answer.headers["set-cookie"].startswith("sessiongate=sg_")
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("kind", APPS)
def test_the_key_pairs_of_a_jwt_manager_can_be_published_too(kind: str) -> None:
    manager = JWTSessionManager(secret_key=KEYS["ES256"], algorithm="ES256")
    with serving(kind, manager, manager) as client:
        assert client.get("/.well-known/jwks.json").json() == manager.jwks()


def test_the_openapi_document_does_not_show_it() -> None:
    app = app_of("fastapi", SessionManager(), service_tokens())
    assert app.openapi()["paths"] == {}
