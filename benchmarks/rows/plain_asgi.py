"""Bare ASGI: no router, no framework. What a middleware costs alone."""

from __future__ import annotations

import asyncio
from itertools import cycle
from typing import TYPE_CHECKING, Any, Final

import jwt
from redis.asyncio import Redis
from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starsessions import InMemoryStore, SessionAutoloadMiddleware
from starsessions import SessionMiddleware as Starsessions
from starsessions.stores.redis import RedisStore as StarsessionsRedis

from by_hand import by_hand
from measure import Case
from requesting import SECRET, ASGIApp, asgi_case, asgi_cookie, bearer, cookie
from sessiongate import APITokens, JWTSessionManager, SessionManager
from sessiongate.asgi import SessionAuthMiddleware
from sessiongate.forward import ForwardAuth
from sessiongate.stores import RedisStore

if TYPE_CHECKING:
    from sessiongate.stores import Store

__all__ = ["PyJWTBackend", "cases", "over_stores"]

_AUDIENCE: Final = "plantdb-client"


async def bare(_scope: Any, _receive: Any, send: Any) -> None:
    """Answer, and look at nothing. A new message each time: middlewares may write into it."""
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})


async def nobody(scope: Any, receive: Any, send: Any) -> None:
    """Answer, and see that there is no user."""
    assert not scope["user"].is_authenticated  # noqa: S101
    await bare(scope, receive, send)


async def somebody(scope: Any, receive: Any, send: Any) -> None:
    """Answer, and look at the user."""
    assert scope["user"].is_authenticated  # noqa: S101
    await bare(scope, receive, send)


async def named(scope: Any, receive: Any, send: Any) -> None:
    """Answer, and look at who it is, where that is a plain text."""
    assert scope["user"] == "alice"  # noqa: S101
    await bare(scope, receive, send)


async def in_session(scope: Any, receive: Any, send: Any) -> None:
    """Answer, and look into the session; at the login page, write to it."""
    if scope["path"] == "/login":
        scope["session"]["user"] = "alice"
    assert scope["session"]["user"] == "alice"  # noqa: S101
    await bare(scope, receive, send)


class PyJWTBackend(AuthenticationBackend):
    """Starlette's documented way to authenticate, with PyJWT's documented call."""

    async def authenticate(self, conn: Any) -> tuple[AuthCredentials, SimpleUser] | None:
        """Read the bearer token of a request."""
        scheme, _, token = conn.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        claims = jwt.decode(token, SECRET, ["HS512"], audience=_AUDIENCE)
        return AuthCredentials(["authenticated"]), SimpleUser(claims["sub"])


def cold(manager: JWTSessionManager) -> ASGIApp:
    """Our middleware, and each request from another user: more than it remembers."""
    app = SessionAuthMiddleware(somebody, manager)
    tokens = cycle([bearer(manager.create_session(f"user {name}")) for name in range(6000)])

    async def crowded(scope: Any, receive: Any, send: Any) -> None:
        scope["headers"].append(next(tokens))
        await app(scope, receive, send)

    return crowded


def asked(gate: ForwardAuth) -> ASGIApp:
    """What a proxy asks, for the same request."""
    described = [
        (b"x-forwarded-method", b"GET"),
        (b"x-forwarded-proto", b"https"),
        (b"x-forwarded-host", b"localhost"),
        (b"x-forwarded-uri", b"/"),
    ]

    async def ask(scope: Any, receive: Any, send: Any) -> None:
        scope["headers"] += described
        scope["query_string"] = b"login=/login"
        await gate(scope, receive, send)

    return ask


async def cases() -> list[Case]:
    """The rows without a store outside this process."""
    floor, floor_cookie = by_hand(named)
    opaque = SessionManager(secret_key=SECRET)
    signed = JWTSessionManager(secret_key=SECRET, max_concurrent_sessions=None)
    token = signed.create_session("alice") or ""
    api_tokens = APITokens(secret_key=SECRET)
    accepting = SessionAuthMiddleware(somebody, opaque, api_tokens=api_tokens)
    api_token = api_tokens.create("alice", name="ci")
    mistyped = SessionAuthMiddleware(nobody, opaque, api_tokens=api_tokens)
    by_starlette = SessionMiddleware(in_session, SECRET, https_only=True)
    backend = PyJWTBackend()
    ours = cookie(opaque.create_session("alice"))

    def decode() -> Any:
        return jwt.decode(token, SECRET, ["HS512"], audience=_AUDIENCE)

    return [
        asgi_case("bare ASGI app", bare, kind="bare"),
        asgi_case("floor: scan, HMAC, dict, clock by hand", floor, floor_cookie, kind="floor"),
        asgi_case("sessiongate: anonymous", SessionAuthMiddleware(nobody, opaque), kind="ours"),
        asgi_case(
            "sessiongate: cookie", SessionAuthMiddleware(somebody, opaque), ours, kind="ours"
        ),
        asgi_case(
            "sessiongate: bearer", accepting, bearer(opaque.create_session("alice")), kind="ours"
        ),
        asgi_case("sessiongate: API token", accepting, bearer(api_token), kind="ours"),
        asgi_case(
            "sessiongate: API token, mistyped", mistyped, bearer(f"{api_token[:-1]}_"), kind="ours"
        ),
        asgi_case(
            "sessiongate: a skipped path",
            SessionAuthMiddleware(nobody, opaque, skip=["/"]),
            ours,
            kind="ours",
        ),
        asgi_case(
            "sessiongate: forward auth",
            asked(ForwardAuth(opaque)),
            ours,
            kind="ours",
        ),
        asgi_case(
            "sessiongate: JWT, seen before",
            SessionAuthMiddleware(somebody, signed),
            bearer(token),
            kind="ours",
        ),
        asgi_case("sessiongate: JWT, first seen", cold(signed), kind="ours"),
        asgi_case("Starlette SessionMiddleware", by_starlette, await asgi_cookie(by_starlette)),
        asgi_case(
            "AuthenticationMiddleware + PyJWT",
            AuthenticationMiddleware(somebody, backend),
            bearer(token),
        ),
        Case("PyJWT's decode alone", decode, "floor"),
        await _starsessions("memory", InMemoryStore()),
    ]


async def _starsessions(name: str, store: Any) -> Case:
    """As in its README; with autoload, because the view is to see the session."""
    app: ASGIApp = Starsessions(SessionAutoloadMiddleware(in_session), store=store, lifetime=3600)
    return asgi_case(f"starsessions: {name}", app, await asgi_cookie(app))


async def over_stores(stores: dict[str, Store], redis_url: str | None) -> list[Case]:
    """Our cookie on each of the stores that are not in memory, by awaiting; the first is bare."""
    rows = [asgi_case("bare ASGI app", bare, kind="bare")]
    for name, store in stores.items():
        manager = SessionManager(store=store, secret_key=SECRET, max_concurrent_sessions=None)
        app = SessionAuthMiddleware(somebody, manager)
        token = await manager.acreate_session("alice")
        rows.append(asgi_case(f"sessiongate: cookie, {name}", app, cookie(token), kind="ours"))
    redis = stores.get("Redis")
    if isinstance(redis, RedisStore):
        loop = asyncio.get_running_loop()
        client = (await redis._clients.of(loop)).client  # noqa: SLF001 - the same, to compare
        await client.set("sessiongate-benchmark", "x" * 150)

        async def get() -> Any:
            return await client.get("sessiongate-benchmark")

        rows.append(Case("one bare GET, awaited", get, "floor"))
    if redis_url is not None:
        theirs = StarsessionsRedis(connection=Redis.from_url(redis_url))
        rows.append(await _starsessions("Redis", theirs))
    return rows
