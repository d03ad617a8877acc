"""Starlette, FastAPI and Litestar: routing included, in the bare app as well."""

from typing import Annotated, Any

import jwt
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from litestar import Litestar, get
from litestar import Request as LitestarRequest
from litestar.connection import ASGIConnection
from litestar.middleware.session.server_side import ServerSideSessionConfig
from litestar.security.jwt import JWTAuth
from litestar.security.jwt import Token as LitestarToken
from starlette.applications import Starlette
from starlette.authentication import requires
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from measure import Case
from requesting import SECRET, asgi_case, asgi_cookie, bearer, cookie
from rows.plain_asgi import PyJWTBackend
from sessiongate import JWTSessionManager, SessionManager
from sessiongate.asgi import SessionAuthMiddleware
from sessiongate.fastapi import User
from sessiongate.fastapi import current_user as fastapi_current_user
from sessiongate.starlette import current_user, login_required

__all__ = ["fastapi_cases", "litestar_cases", "starlette_cases"]


def _token() -> str | None:
    return JWTSessionManager(secret_key=SECRET).create_session("alice")


async def _user(credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> str:
    """As FastAPI's tutorial on JWTs has it, without its database of users."""
    try:
        claims = jwt.decode(credentials.credentials, SECRET, ["HS512"], audience="plantdb-client")
    except jwt.InvalidTokenError as error:
        raise HTTPException(401) from error
    return str(claims["sub"])


def starlette_cases() -> list[Case]:
    """A Starlette app with one route."""
    manager = SessionManager(secret_key=SECRET)

    async def plain(_request: Any) -> PlainTextResponse:
        return PlainTextResponse("ok")

    @login_required
    async def ours(request: Any) -> PlainTextResponse:
        assert current_user(request).username == "alice"  # noqa: S101
        return PlainTextResponse("ok")

    @requires("authenticated")
    async def theirs(request: Any) -> PlainTextResponse:
        assert request.user.display_name == "alice"  # noqa: S101
        return PlainTextResponse("ok")

    def app(view: Any, *middleware: Middleware) -> Starlette:
        return Starlette(routes=[Route("/", view)], middleware=middleware)

    return [
        asgi_case("bare Starlette app", app(plain), kind="bare"),
        asgi_case(
            "sessiongate: Starlette, login_required",
            app(ours, Middleware(SessionAuthMiddleware, manager=manager)),
            cookie(manager.create_session("alice")),
            kind="ours",
        ),
        asgi_case(
            "Starlette: requires + PyJWT",
            app(theirs, Middleware(AuthenticationMiddleware, backend=PyJWTBackend())),
            bearer(_token()),
        ),
    ]


def fastapi_cases() -> list[Case]:
    """A FastAPI app with one path operation."""
    manager = SessionManager(secret_key=SECRET)
    apps = {name: FastAPI() for name in ("bare", "middleware", "plain", "ours", "theirs")}

    async def plain_user(request: Request) -> Any:
        return request.scope["user"]

    @apps["bare"].get("/")
    async def bare() -> str:
        return "ok"

    @apps["middleware"].get("/")
    async def middleware() -> str:
        return "ok"

    @apps["plain"].get("/")
    async def plain(user: Annotated[User, Depends(plain_user)]) -> str:
        assert user.username == "alice"  # noqa: S101
        return "ok"

    @apps["ours"].get("/")
    async def ours(user: Annotated[User, Depends(fastapi_current_user)]) -> str:
        assert user.username == "alice"  # noqa: S101
        return "ok"

    @apps["theirs"].get("/")
    async def theirs(name: Annotated[str, Depends(_user)]) -> str:
        assert name == "alice"  # noqa: S101
        return "ok"

    for name in ("middleware", "plain", "ours"):
        apps[name].add_middleware(SessionAuthMiddleware, manager=manager)
    alice = cookie(manager.create_session("alice"))
    return [
        asgi_case("bare FastAPI app", apps["bare"], kind="bare"),
        asgi_case("sessiongate: FastAPI, no dependency", apps["middleware"], alice, kind="ours"),
        asgi_case(
            'sessiongate: FastAPI, Depends(returns scope["user"])',
            apps["plain"],
            alice,
            kind="ours",
        ),
        asgi_case("sessiongate: FastAPI, Depends(current_user)", apps["ours"], alice, kind="ours"),
        asgi_case("FastAPI: HTTPBearer + PyJWT", apps["theirs"], bearer(_token())),
    ]


async def litestar_cases() -> list[Case]:
    """A Litestar app with one handler; ours wraps it like any ASGI app."""
    manager = SessionManager(secret_key=SECRET)

    async def find(token: LitestarToken, _connection: ASGIConnection[Any, Any, Any, Any]) -> str:
        return token.sub

    @get("/")
    async def plain() -> str:
        return "ok"

    @get("/")
    async def ours(scope: Any) -> str:
        assert scope["sessiongate"].user.username == "alice"  # noqa: S101
        return "ok"

    @get("/")
    async def by_token(request: LitestarRequest[str, LitestarToken, Any]) -> str:
        assert request.user == "alice"  # noqa: S101
        return "ok"

    @get("/")
    async def by_session(request: LitestarRequest[Any, Any, Any]) -> str:
        assert request.session["user"] == "alice"  # noqa: S101
        return "ok"

    @get("/login")
    async def log_in(request: LitestarRequest[Any, Any, Any]) -> str:
        request.session["user"] = "alice"
        return "ok"

    jwt_auth = JWTAuth[str](retrieve_user_handler=find, token_secret=SECRET, algorithm="HS256")
    sessions = Litestar([by_session, log_in], middleware=[ServerSideSessionConfig().middleware])
    return [
        asgi_case("bare Litestar app", Litestar([plain]), kind="bare"),
        asgi_case(
            "sessiongate: around Litestar",
            SessionAuthMiddleware(Litestar([ours]), manager),  # type: ignore[arg-type]
            cookie(manager.create_session("alice")),
            kind="ours",
        ),
        asgi_case(
            "Litestar: JWTAuth",
            Litestar([by_token], on_app_init=[jwt_auth.on_app_init]),
            bearer(jwt_auth.create_token("alice")),
        ),
        asgi_case("Litestar: server-side session", sessions, await asgi_cookie(sessions)),
    ]
