"""For Litestar: a plugin, guards, and the same names as for the other frameworks.

app = Litestar([...], plugins=[SessionAuth(manager)])
"""

from __future__ import annotations

from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NoReturn, Unpack, overload

from sessiongate.errors import ConfigurationError, StoreError

try:
    from litestar import Request, Response, WebSocket, get
    from litestar.exceptions import (
        ClientException,
        HTTPException,
        LitestarException,
        NotAuthorizedException,
        PermissionDeniedException,
        ServiceUnavailableException,
        WebSocketException,
    )
    from litestar.exceptions.responses import (
        create_exception_response,  # pyright: ignore[reportUnknownVariableType]
    )
    from litestar.openapi.spec import Components, SecurityScheme
    from litestar.plugins import InitPlugin, ReceiveRoutePlugin
except ImportError as _missing:
    msg = "Litestar is missing: pip install 'sessiongate[litestar]'"
    raise ConfigurationError(msg) from _missing

from sessiongate.asgi import SessionAuthMiddleware
from sessiongate.core.arguments import check_scopes
from sessiongate.http.cookies import SessionCookie
from sessiongate.http.refusals import UNAVAILABLE
from sessiongate.http.user import User
from sessiongate.http.websockets import POLICY_VIOLATION
from sessiongate.kits import verbs
from sessiongate.kits.guard import CROSS_SITE, SEE_OTHER, Guard
from sessiongate.kits.jwks import PATH, jwks_answer
from sessiongate.kits.openapi import (
    API,
    API_DESCRIPTION,
    API_FORMAT,
    BEARER,
    BEARER_DESCRIPTION,
    COOKIE,
    COOKIE_DESCRIPTION,
    REFUSALS,
)
from sessiongate.kits.page import Page, safe_redirect

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from litestar.config.app import AppConfig
    from litestar.connection import ASGIConnection
    from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
    from litestar.routes import BaseRoute
    from litestar.types import ASGIApp

    from sessiongate.http.refusals import Refusal
    from sessiongate.http.request_session import LoginOptions, RequestSession
    from sessiongate.http.settings import MiddlewareOptions
    from sessiongate.kits.guard import GuardOptions
    from sessiongate.kits.jwks import HasJWKS
    from sessiongate.kits.page import LoginURL
    from sessiongate.managers import SessionManager

    Connection = ASGIConnection[Any, Any, Any, Any]

__all__ = [
    "CredentialsRefused",
    "LoginRequired",
    "ScopeRequired",
    "SessionAuth",
    "SessionRefused",
    "StoreUnavailable",
    "User",
    "current_session",
    "current_user",
    "jwks_handler",
    "login_required",
    "login_user",
    "logout_user",
    "safe_redirect",
]


class CredentialsRefused(ClientException):
    """400: what came is malformed, or two live sessions came."""


class LoginRequired(NotAuthorizedException):
    """401: not logged in, or too long ago."""

    detail: str = REFUSALS["401"]  # in the OpenAPI document; a refusal says more


class ScopeRequired(PermissionDeniedException):
    """403: the session lacks a scope."""

    detail: str = REFUSALS["403"]


class SessionRefused(PermissionDeniedException):
    """403: the request came from another site, or there are too many sessions."""


class StoreUnavailable(ServiceUnavailableException):
    """503: the store of the sessions does not answer."""


_BY_STATUS: Final[dict[int, type[HTTPException]]] = {
    400: CredentialsRefused,
    401: LoginRequired,
    403: ScopeRequired,
}


class _Redirect(LitestarException):
    """The way to the login page, from a guard, which can give no response itself."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__()
        self.refusal = refusal


def _redirect(_request: Request[Any, Any, Any], redirect: _Redirect) -> Response[None]:
    return Response(None, status_code=SEE_OTHER, headers=dict(redirect.refusal.headers))


def _made(refusal: Refusal, kind: type[HTTPException]) -> HTTPException:
    return kind(detail=refusal.text.strip(), headers=dict(refusal.headers))


def _unavailable(request: Request[Any, Any, Any], _error: StoreError) -> Response[Any]:
    """The 503 of a handler whose store is down, by the handler that the app has for such."""
    error = _made(UNAVAILABLE, StoreUnavailable)
    route_handler: Any = request.route_handler
    handlers = route_handler.resolve_exception_handlers()
    kinds = (error.status_code, *type(error).__mro__)
    found = next((handlers[one] for one in kinds if one in handlers), None)
    handle: Any = found or create_exception_response  # pyright: ignore[reportUnknownVariableType]
    response: Response[Any] = handle(request, error)
    return response


class SessionAuth(InitPlugin, ReceiveRoutePlugin):
    """Attaches the user to each request of the app, and describes guards in OpenAPI.

    For ``plugins``. ``request.user`` is a ``User``, also in templates; ``request.auth`` is the
    ``RequestSession``. A ``StoreError`` that a handler does not catch is answered with a 503,
    ``StoreUnavailable``; handlers of the app see it, and one for ``StoreError`` itself stays.

    As all middleware of Litestar it runs once the route is found: before other middleware of the
    app, and not for a 404. Below an ASGI app that is mounted, ``skip`` and ``passive`` see the
    path inside of it.

    Args:
        manager: Any of the three managers.
        options: Those of ``SessionAuthMiddleware``.

    Raises:
        ValueError, TypeError: An argument is unfit; at once.
    """

    def __init__(self, manager: SessionManager, **options: Unpack[MiddlewareOptions]) -> None:
        self._middleware = SessionAuthMiddleware(_nowhere, manager, **options)
        self._schemes = _schemes(options)

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Add the middleware, two exception handlers and the security schemes."""
        app_config.middleware.insert(0, self.wrap)
        config: Any = app_config  # its types are open
        ours = {_Redirect: _redirect, StoreError: _unavailable}
        config.exception_handlers = {**ours, **config.exception_handlers}
        document = app_config.openapi_config
        if document is not None:
            document = app_config.openapi_config = copy(document)  # another app may have it too
            others = document.components
            schemes = Components(security_schemes={**self._schemes})
            document.components = [*(others if isinstance(others, list) else [others]), schemes]
        return app_config

    def wrap(self, app: ASGIApp) -> ASGIApp:
        """The middleware around one route; all routes share its rules and what it remembers."""
        middleware: Any = copy(self._middleware)
        middleware.app = app
        wrapped: ASGIApp = middleware
        return wrapped

    def receive_route(self, route: BaseRoute) -> None:
        """Describe the guards of its handlers in the OpenAPI document."""
        for handler in getattr(route, "route_handlers", ()):
            demands = [one for one in handler.resolve_guards() if isinstance(one, _Demand)]
            if demands:
                self._describe(handler, demands)

    def _describe(self, handler: HTTPRouteHandler, demands: list[_Demand]) -> None:
        scopes = sorted({scope for one in demands for scope in one.scopes})
        names = [COOKIE, BEARER]
        if API in self._schemes and all(one.accepts_api_tokens for one in demands):
            names.append(API)
        ours = [{name: scopes} for name in names]
        others = list(handler.security or ())
        handler.security = others + [one for one in ours if one not in others]
        raised = list(handler.raises or ())
        refusals: list[type[HTTPException]] = [LoginRequired, ScopeRequired]
        handler.raises = raised + [one for one in refusals if one not in raised]


async def _nowhere(_scope: Any, _receive: Any, _send: Any) -> None:
    """An app in whose place each route stands."""


def _schemes(options: MiddlewareOptions) -> dict[str, SecurityScheme]:
    cookie = options.get("cookie") or SessionCookie()
    schemes = {
        COOKIE: SecurityScheme(
            type="apiKey",
            name=cookie.name,
            security_scheme_in="cookie",
            description=COOKIE_DESCRIPTION,
        ),
        BEARER: SecurityScheme(type="http", scheme="bearer", description=BEARER_DESCRIPTION),
    }
    if options.get("api_tokens") is not None:
        schemes[API] = SecurityScheme(
            type="http", scheme="bearer", bearer_format=API_FORMAT, description=API_DESCRIPTION
        )
    return schemes


class _Demand:
    """A guard with demands of its own."""

    def __init__(self, **demands: Unpack[GuardOptions]) -> None:
        self.scopes: tuple[str, ...] = check_scopes(demands.get("scopes", ()))
        self._guard = Guard(**demands)
        # Litestar runs a guard in a thread unless it finds a coroutine function here.
        vars(self)["__call__"] = self._check

    @property
    def accepts_api_tokens(self) -> bool:
        return self._guard.accepts_api_tokens

    def __call__(
        self, connection: Connection, handler: BaseRouteHandler, /
    ) -> Coroutine[Any, Any, None]:
        """Refuse who is not let in; Litestar calls it."""
        return self._check(connection, handler)

    async def _check(self, connection: Connection, _handler: BaseRouteHandler) -> None:
        refusal = self._guard.check(current_session(connection), partial(_page, connection))
        if refusal is not None:
            _refuse(connection, refusal)


class _LoginRequired(_Demand):
    """``login_required``: the plain guard, which makes the others."""

    @overload
    def __call__(
        self, connection: Connection, handler: BaseRouteHandler, /
    ) -> Coroutine[Any, Any, None]: ...
    @overload
    def __call__(self, **demands: Unpack[GuardOptions]) -> _Demand: ...
    def __call__(self, *called: Any, **demands: Any) -> Any:
        """Let only logged-in users reach a handler: a guard, or with keywords what makes one.

        For ``guards`` of a handler, a controller, a router or an app: ``[login_required]``, or
        ``[login_required(scopes=["read"])]``. Those of all layers must be met. A websocket is
        refused before it is accepted. The OpenAPI document shows it, if the app has the plugin.

        Args:
            called: A connection and a handler, by Litestar.
            demands: ``scopes``, ``fresh``, ``api_tokens`` and ``login_url``, as in
                ``sessiongate.starlette.login_required``; a function that gives the
                URL takes the connection.

        Raises:
            TypeError, ValueError: An argument is unfit, or a function was decorated; at once.
            ConfigurationError: The app has no plugin; at the request.

        Refusals are ``LoginRequired`` (401), ``ScopeRequired`` and ``SessionRefused`` (403) and
        ``CredentialsRefused`` (400): exception handlers of the app see them. On a websocket it is
        a ``WebSocketException``, and the server answers 403.
        """
        if not called:
            return _Demand(**demands)
        if len(called) == 1:
            message = "login_required is a guard of Litestar: @get(…, guards=[login_required])"
            raise TypeError(message)
        return super().__call__(*called)


login_required: _LoginRequired = _LoginRequired()


def current_session(connection: Connection) -> RequestSession:
    """The session of a request or websocket, of the anonymous too; see ``RequestSession``.

    Raises:
        ConfigurationError: The app has no plugin.
    """
    session: RequestSession | None = connection.scope.get("sessiongate")  # type: ignore[assignment]
    if session is None:
        message = (
            "no session on this request: add the plugin with "
            "Litestar(…, plugins=[SessionAuth(manager)])"
        )
        raise ConfigurationError(message)
    return session


def current_user(connection: Connection) -> User:
    """The user of a request or websocket; anonymous if not logged in. Follows at once.

    The same as ``connection.user``.

    Raises:
        ConfigurationError: The app has no plugin.
    """
    return current_session(connection).user


def login_user(
    connection: Connection, username: str, **options: Unpack[LoginOptions]
) -> Coroutine[Any, Any, str]:
    """Open a session for this client and return its token; to be awaited.

    See ``RequestSession.login`` for keywords and errors. Sync handlers call
    ``current_session(request).login(...)`` instead, which gives ``None`` at a limit.

    Raises:
        SessionRefused: 403: a limit is reached, or the request came from
            another site. Nothing was opened.
        ConfigurationError: The app has no plugin.
        StoreError: The store is down; nothing was opened.
    """
    session = current_session(connection)
    return session.to_await("login_user()", verbs.login(session, _refused, username, **options))


def logout_user(connection: Connection) -> Coroutine[Any, Any, None]:
    """End the session of this request; see ``RequestSession.logout``. To be awaited.

    Raises:
        SessionRefused: 403: the request came from another site; nothing was done.
        ConfigurationError: The app has no plugin.
        StoreError: The store is down; the session may live on.
    """
    session = current_session(connection)
    return session.to_await("logout_user()", verbs.logout(session, _refused))


def jwks_handler(tokens: HasJWKS, path: str = PATH) -> HTTPRouteHandler:
    """The public keys of ``ServiceTokens``, for services that verify its tokens.

    For ``route_handlers``. Caches may keep the answer for five minutes. It names nobody and costs
    no store call. The OpenAPI document does not show it.

    Args:
        tokens: The keys are read once, here.
        path: Where it is.
    """
    body, headers = jwks_answer(tokens)
    media_type = headers.pop("Content-Type")

    @get(path, include_in_schema=False, media_type=media_type)
    async def jwks() -> Response[bytes]:
        return Response(body, headers=headers)

    return jwks


def _refused(refusal: Refusal) -> HTTPException:
    return _made(refusal, SessionRefused)


def _refuse(connection: Connection, refusal: Refusal) -> NoReturn:
    if isinstance(connection, WebSocket):
        raise WebSocketException(detail=refusal.text.strip(), code=POLICY_VIOLATION)
    if refusal.status == SEE_OTHER:
        raise _Redirect(refusal)
    kind = SessionRefused if refusal is CROSS_SITE else _BY_STATUS[refusal.status]
    raise _made(refusal, kind)


def _page(connection: Connection) -> Page | None:
    """The page that a guard asks about; ``None`` for a websocket."""
    if not isinstance(connection, Request):
        return None
    scope: Any = connection.scope
    prefix: str = scope.get("root_path", "").rstrip("/")
    query = scope["query_string"].decode("latin-1")

    def locate(login_url: LoginURL) -> str:
        if callable(login_url):
            return login_url(connection)
        return connection.app.route_reverse(login_url)

    header = connection.headers.get
    return Page(scope["method"], scope["path"], query, header, prefix, locate)
