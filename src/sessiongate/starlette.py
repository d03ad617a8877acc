"""For Starlette: the same names as for Flask and FastAPI.

app.add_middleware(SessionAuthMiddleware, manager=manager)
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, Unpack, overload

from starlette.exceptions import HTTPException, WebSocketException
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.routing import Route
from starlette.websockets import WebSocket

from sessiongate.errors import ConfigurationError
from sessiongate.http.websockets import POLICY_VIOLATION, can_deny
from sessiongate.kits import verbs
from sessiongate.kits.guard import SEE_OTHER, Guard, guarded
from sessiongate.kits.jwks import PATH, jwks_answer
from sessiongate.kits.page import Page, quote_path, safe_redirect

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from starlette.requests import Request

    from sessiongate.http.refusals import Refusal
    from sessiongate.http.request_session import LoginOptions, RequestSession
    from sessiongate.http.user import User
    from sessiongate.kits.guard import GuardOptions
    from sessiongate.kits.jwks import HasJWKS
    from sessiongate.kits.page import LoginURL

__all__ = [
    "current_user",
    "jwks_route",
    "login_required",
    "login_user",
    "logout_user",
    "safe_redirect",
    "user_context",
]

Endpoint = TypeVar("Endpoint", bound="Callable[..., Any]")


def current_user(connection: HTTPConnection) -> User:
    """The user of a request or websocket; anonymous if not logged in. Follows at once.

    Raises:
        ConfigurationError: There is no middleware.
    """
    return session_of(connection).user


def login_user(
    connection: HTTPConnection, username: str, **options: Unpack[LoginOptions]
) -> Coroutine[Any, Any, str]:
    """Open a session for this client and return its token; to be awaited.

    See ``RequestSession.login`` for keywords and errors. Sync endpoints call
    ``request.scope["sessiongate"].login(...)`` instead, which gives ``None`` at a limit.

    Raises:
        HTTPException: 403: a limit is reached, or the request came from
            another site. Nothing was opened.
        ConfigurationError: There is no middleware.
        StoreError: The store is down; nothing was opened.
    """
    session = session_of(connection)
    return session.to_await("login_user()", verbs.login(session, refused, username, **options))


def logout_user(connection: HTTPConnection) -> Coroutine[Any, Any, None]:
    """End the session of this request; see ``RequestSession.logout``. To be awaited.

    Raises:
        HTTPException: 403: the request came from another site; nothing was done.
        ConfigurationError: There is no middleware.
        StoreError: The store is down; the session may live on.
    """
    session = session_of(connection)
    return session.to_await("logout_user()", verbs.logout(session, refused))


def user_context(request: HTTPConnection) -> dict[str, Any]:
    """``current_user`` for templates.

    For ``Jinja2Templates(…, context_processors=[user_context])``.
    """
    return {"current_user": current_user(request)}


@overload
def login_required(endpoint: Endpoint, /) -> Endpoint: ...
@overload
def login_required(**demands: Unpack[GuardOptions]) -> Callable[[Endpoint], Endpoint]: ...
def login_required(
    endpoint: Callable[..., Any] | None = None, /, **demands: Unpack[GuardOptions]
) -> Any:
    """Let only logged-in users reach an endpoint.

    For sync and async endpoints, methods of ``HTTPEndpoint``, websockets, and FastAPI's path
    operations that take a ``request``. A websocket is refused before it is accepted.

    Args:
        endpoint: The endpoint, where the decorator is used without parentheses.
        demands: ``scopes``: the session needs all of them, else 403. ``fresh``: seconds since the
            user last proved who they are, else 401. ``api_tokens``: whether an API token will do as
            well; by default, where ``scopes`` are named. ``login_url``: where a browser is sent
            (303) instead of a 401: a path, a route's name or a function of the request; the way
            back is in ``next``, to be read with ``safe_redirect``.

    Raises:
        TypeError, ValueError: What is decorated is no function, or an argument is unfit; at once.
        ConfigurationError: There is no middleware, or the endpoint takes
            neither a ``request`` nor a ``websocket``; at the request.
    """
    return guarding(refused, Guard(**demands), endpoint)


# What FastAPI's kit builds on as well; its exception is its own, and handlers tell them apart.


def refused(refusal: Refusal, exception: type[HTTPException] = HTTPException) -> HTTPException:
    """The exception of a refusal."""
    return exception(refusal.status, refusal.text.strip() or None, dict(refusal.headers))


def refuse(
    connection: HTTPConnection, refusal: Refusal, refused: Callable[[Refusal], Exception]
) -> NoReturn:
    """Raise the exception of a refusal; a websocket may only be able to be closed."""
    if isinstance(connection, WebSocket) and not can_deny(connection.scope):
        raise WebSocketException(POLICY_VIOLATION)
    raise refused(refusal)


def guarding(
    refused: Callable[[Refusal], Exception], guard: Guard, endpoint: Callable[..., Any] | None
) -> Any:
    """The endpoint behind the guard; for ``None`` the decorator."""

    def check(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Response | None:
        connection = _connection_of(args, kwargs)
        refusal = guard.check(session_of(connection), partial(page_of, connection))
        if refusal is None:
            return None
        if refusal.status == SEE_OTHER:  # no error: no handler of the app is to see it
            return Response(None, SEE_OTHER, dict(refusal.headers))
        refuse(connection, refusal, refused)

    return guarded(endpoint, check, "put it on the methods of the class")


def jwks_route(tokens: HasJWKS, path: str = PATH) -> Route:
    """A route with the public keys of ``ServiceTokens``, for services that verify its tokens.

    For ``routes`` of a Starlette app, or ``app.routes.append``. Caches may keep the answer for
    five minutes. It names nobody and costs no store call.

    Args:
        tokens: The keys are read once, here.
        path: Where the route is.
    """
    body, headers = jwks_answer(tokens)

    async def jwks(_request: Request) -> Response:
        return Response(body, headers=headers)

    return Route(path, jwks, methods=["GET"])


def session_of(connection: HTTPConnection) -> RequestSession:
    """The session of a request or websocket.

    Raises:
        ConfigurationError: There is no middleware.
    """
    session: RequestSession | None = connection.scope.get("sessiongate")
    if session is None:
        msg = (
            "no session on this request: add the middleware with "
            "app.add_middleware(SessionAuthMiddleware, manager=manager)"
        )
        raise ConfigurationError(msg)
    return session


def page_of(connection: HTTPConnection) -> Page | None:
    """The page that a guard asks about; ``None`` for a websocket."""
    scope = connection.scope
    if scope["type"] == "websocket":
        return None
    prefix, query = prefix_of(connection), scope["query_string"].decode("latin-1")
    header, locate = connection.headers.get, partial(_locate, connection)
    return Page(scope["method"], scope["path"], query, header, prefix, locate)


def prefix_of(connection: HTTPConnection) -> str:
    """What the whole app is mounted under; Starlette keeps it while it looks into its mounts."""
    scope = connection.scope
    prefix: str = scope.get("app_root_path", scope.get("root_path", ""))
    return prefix.rstrip("/")


def _locate(connection: HTTPConnection, login_url: LoginURL) -> str:
    if callable(login_url):
        return login_url(connection)
    # Not url_for: it begins with the host that the client names.
    path = connection.scope["router"].url_path_for(login_url)
    return quote_path(prefix_of(connection) + path)


def _connection_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> HTTPConnection:
    connection: HTTPConnection
    for connection in (*args, *kwargs.values()):
        if _is_connection(type(connection)):
            return connection
    msg = "a login_required endpoint must take a `request` or a `websocket`"
    raise ConfigurationError(msg)


# Remembered, because it is an abstract class, which is slow to tell what belongs to it.
@lru_cache
def _is_connection(kind: type) -> bool:
    return issubclass(kind, HTTPConnection)
