"""For FastAPI: the same names as for Flask and Starlette, as dependencies.

app.add_middleware(SessionAuthMiddleware, manager=manager)
"""
# FastAPI reads the annotations of the dependencies below, and closures only as objects: so
# there is no `from __future__ import annotations` here.

import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Final, NoReturn, TypeVar, Unpack, cast, overload

from sessiongate.errors import ConfigurationError

try:
    from fastapi import Depends, FastAPI, HTTPException, Security
    from fastapi.openapi.models import APIKey, APIKeyIn, HTTPBearer
    from fastapi.security import SecurityScopes
    from fastapi.security.base import SecurityBase
except ImportError as missing:
    msg = "FastAPI is missing: pip install 'sessiongate[fastapi]'"
    raise ConfigurationError(msg) from missing
from starlette.exceptions import WebSocketException
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocket

from sessiongate.core.arguments import check_scopes, check_text
from sessiongate.http.cookies import SessionCookie
from sessiongate.http.guard import Guard, GuardOptions, safe_redirect
from sessiongate.http.refusals import Refusal
from sessiongate.http.request_session import LoginOptions, RequestSession
from sessiongate.http.user import User
from sessiongate.http.websockets import POLICY_VIOLATION, can_deny
from sessiongate.starlette import (
    check_connection,
    guard_raising,
    login_raising,
    logout_raising,
    session_of,
)

__all__ = [
    "CurrentSession",
    "CurrentUser",
    "OptionalUser",
    "SessionSecurity",
    "User",
    "complete",
    "current_session",
    "current_user",
    "login_required",
    "login_user",
    "logout_user",
    "optional_user",
    "safe_redirect",
]

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


_COOKIE: Final = "SessionCookie"
_OPTIONAL: Final = "SessionCookieIfAny"
"""The cookie scheme where it is optional, until ``complete`` says so of the operation."""
_BEARER: Final = "BearerToken"
_BESIDE: Final = "x-sessiongate-bearer"
"""Where the cookie scheme carries the bearer scheme, until ``complete`` puts it beside it."""

_REFUSALS: Final = {
    "401": "Not logged in, or the session has ended",
    "403": "The session lacks a scope, or the request came from another site",
}


_NO_PARAMETERS: Final = (
    "an override of current_user or login_required that is to hold for other demands as well takes "
    "no parameters and returns the user: write lambda: sessiongate.testing.user('alice'), or log "
    "in with login_as"
)


def complete(document: dict[str, Any]) -> dict[str, Any]:
    """Complete an OpenAPI document: bearer tokens beside the cookie, and the answers 401 and 403.

    Done for every app by ``app.openapi()``. An app that replaces that function
    passes on ``complete(get_openapi(…))``. Changes and returns the document.
    """
    schemes = document.get("components", {}).get("securitySchemes", {})
    optional = schemes.pop(_OPTIONAL, None)
    cookie = schemes.get(_COOKIE, optional)
    bearer = None if cookie is None else cookie.pop(_BESIDE, None)
    if bearer is None:
        return document
    schemes |= {_COOKIE: cookie, _BEARER: bearer}
    for path in document.get("paths", {}).values():
        for operation in path.values():
            # A path may hold other things than operations, such as its summary.
            if isinstance(operation, dict) and "security" in operation:
                _complete_operation(operation)
    return document


def _complete_operation(operation: dict[str, Any]) -> None:
    scopes: set[str] = set()
    found: set[str] = set()
    others = []
    for alternative in operation["security"]:
        ours = set(alternative) & {_COOKIE, _OPTIONAL}
        if ours:
            found |= ours
            scopes.update(*alternative.values())
        else:
            others.append(alternative)
    if not found:
        return
    either = [{_COOKIE: sorted(scopes)}, {_BEARER: sorted(scopes)}]
    if _COOKIE in found:
        statuses = ["401", "403"]
    else:
        either.append({})  # neither will do as well (OpenAPI 3.1, section 4.8.10.1)
        statuses = ["403"] if scopes else []
    operation["security"] = others + either
    for status in statuses:
        operation["responses"].setdefault(status, {"description": _REFUSALS[status]})


def _completing(openapi: Callable[[FastAPI], dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    @functools.wraps(openapi)
    def completed(app: FastAPI) -> dict[str, Any]:
        return complete(openapi(app))

    return completed


# A dependency can add neither a response nor a second scheme to the document by itself.
FastAPI.openapi = _completing(FastAPI.openapi)  # type: ignore[method-assign]


class _Dependency(SecurityBase):
    """A dependency that gives the user, and a line of the OpenAPI document.

    FastAPI charges much for each dependency of a dependency. So this one is its
    own security scheme and has no others.
    """

    def __init__(self, security: "SessionSecurity", demands: GuardOptions) -> None:
        self.scheme_name = _COOKIE
        self.model = security.scheme
        self._security = security
        own = check_scopes(demands.get("scopes", ()))
        fresh, login_url = demands.get("fresh"), demands.get("login_url")

        @functools.lru_cache
        def guard_for(scopes: tuple[str, ...]) -> Guard:
            return Guard(scopes=(*own, *scopes), fresh=fresh, login_url=login_url)

        self._guard_for = guard_for

    def find(self, connection: HTTPConnection, security_scopes: SecurityScopes) -> Any:
        """The user, or a refusal; a coroutine of it where a test put another in its place."""
        guard = self._guard_for(tuple(security_scopes.scopes))
        overrides = getattr(connection.scope.get("app"), "dependency_overrides", None)
        if overrides:
            for original in (self._security.current_user, self._security.login_required):
                if original in overrides and original is not self:
                    return _override(overrides[original], guard, connection)
        refusal = check_connection(guard, connection)
        return session_of(connection).user if refusal is None else _refuse(connection, refusal)


async def _override(give: Callable[..., Any], guard: Guard, connection: HTTPConnection) -> Any:
    """What a test put in the place of the user, if its scopes suffice."""
    try:
        inspect.signature(give).bind()
    except TypeError as error:
        raise ConfigurationError(_NO_PARAMETERS) from error
    user = give()
    if inspect.isawaitable(user):
        user = await user
    if inspect.isgenerator(user) or inspect.isasyncgen(user):
        raise ConfigurationError(_NO_PARAMETERS)
    refusal = guard.check_scopes(getattr(user, "scopes", ()), "sessiongate")
    return user if refusal is None else _refuse(connection, refusal)


class _CurrentUser(_Dependency):
    async def __call__(self, connection: HTTPConnection, security_scopes: SecurityScopes) -> User:
        """The user of a request or websocket; nobody else gets past it: 401.

        For ``Depends``, or for ``Security`` with scopes: 403 to who lacks one.
        """
        return cast(User, await _settled(self.find(connection, security_scopes)))


class _OptionalUser(_Dependency):
    def __init__(self, security: "SessionSecurity", demands: GuardOptions) -> None:
        super().__init__(security, demands)
        self.scheme_name = _OPTIONAL

    async def __call__(
        self, connection: HTTPConnection, security_scopes: SecurityScopes
    ) -> User | None:
        """The user of a request or websocket; ``None`` if not logged in.

        With the scopes of ``Security`` a user who lacks one is refused all the same.
        """
        if not session_of(connection).user.is_authenticated:
            return None
        return cast(User, await _settled(self.find(connection, security_scopes)))


async def _settled(user: Any) -> Any:
    """The user; what a test put in its place may be a coroutine."""
    return user if type(user) is User or not inspect.isawaitable(user) else await user


def _refuse(connection: HTTPConnection, refusal: Refusal) -> NoReturn:
    if isinstance(connection, WebSocket) and not can_deny(connection.scope):
        raise WebSocketException(POLICY_VIOLATION)
    raise HTTPException(refusal.status, refusal.text.strip() or None, dict(refusal.headers))


class _Demand(_Dependency):
    """A dependency that gives the user, or refuses; as a decorator it is Starlette's."""

    def __init__(self, security: "SessionSecurity", demands: GuardOptions) -> None:
        super().__init__(security, demands)
        self._decorate = guard_raising(HTTPException, Guard(**demands))
        scopes = check_scopes(demands.get("scopes", ()))
        rest = GuardOptions(fresh=demands.get("fresh"), login_url=demands.get("login_url"))
        within = _CurrentUser(security, rest)

        async def give(connection: HTTPConnection, security_scopes: SecurityScopes) -> User:
            return cast(User, await _settled(self.find(connection, security_scopes)))

        # Only a dependency of its own shows scopes in the document.
        async def give_scoped(user: Annotated[User, Security(within, scopes=scopes)]) -> User:
            return user

        # Python looks for the call in the class, where it is a plain one. FastAPI looks here
        # whether to await it; should it ever not, the call below has refused before.
        vars(self)["__call__"] = given = give_scoped if scopes else give
        self.__signature__ = inspect.signature(given)

    def __call__(self, *endpoint: Any, **solved: Any) -> Any:
        """Decorate an endpoint; with keywords the call is FastAPI's."""
        if not solved:
            return self._decorate(*endpoint)
        return _settled(solved["user"] if "user" in solved else self.find(**solved))


class _LoginRequired(_Demand):
    """``login_required``: the plain one, which makes the others."""

    @overload
    def __call__(self, endpoint: Endpoint, /) -> Endpoint: ...
    @overload
    def __call__(self, **demands: Unpack[GuardOptions]) -> _Demand: ...
    def __call__(self, *endpoint: Any, **demands: Any) -> Any:
        """Let only logged-in users in: as a dependency, which gives the ``User``.

        ``Depends(login_required)``, or ``Depends(login_required(fresh=300))``;
        for a parameter, or in the ``dependencies`` of an operation, a router or
        an app. A websocket is refused before it is accepted. As a decorator it
        is that of ``sessiongate.starlette``, and the document does not show it.
        Refusals are ``HTTPException``: error handlers of the app see them. An
        entry of ``app.dependency_overrides`` for ``current_user`` or for
        ``login_required`` holds for all demands; scopes of ``login_required`` are
        looked for in what it returns.

        Demands:
            scopes: The session needs all of them, and those of ``Security``; else 403.
            fresh: Seconds since the user last proved who they are; else 401.
            login_url: Where a browser is sent (303) instead of a 401: a path, a
                route's name or a function of the request; the way back is in
                ``next``, to be read with ``safe_redirect``.
        """
        if "connection" in demands or "user" in demands:
            return super().__call__(**demands)
        demand = _Demand(self._security, cast(GuardOptions, demands))
        return demand(*endpoint) if endpoint else demand


class SessionSecurity:
    """The dependencies of an app, and what its OpenAPI document says of them.

    Those of this module are the ones of ``SessionSecurity()``; make one of your
    own where the middleware has another ``cookie``. Safe for threads and tasks.

    Args:
        cookie: The one that the middleware was given; its name is shown.
        bearer_format: What a bearer token is, such as ``"JWT"``: a hint for readers.

    Raises:
        ValueError, TypeError: An argument is unfit; the message says how.

    Attributes:
        login_required: A dependency that refuses, with demands of its own.
        current_user: A dependency that gives the ``User``, or refuses with 401.
        optional_user: A dependency that gives the ``User``, or ``None``.
    """

    def __init__(
        self, *, cookie: SessionCookie | None = None, bearer_format: str | None = None
    ) -> None:
        if cookie is not None and not isinstance(cookie, SessionCookie):
            msg = "cookie must be a SessionCookie: the one that the middleware was given"
            raise TypeError(msg)
        if bearer_format is not None:
            check_text(bearer_format, "bearer_format")
        bearer = HTTPBearer(
            bearerFormat=bearer_format,
            description="What the login gave; a response may bring its successor.",
        )
        self.scheme = APIKey.model_validate(
            {
                "in": APIKeyIn.cookie,
                "name": (cookie or SessionCookie()).name,
                "description": "The login sets it; a browser sends it by itself.",
                _BESIDE: bearer.model_dump(mode="json", by_alias=True, exclude_none=True),
            }
        )
        self.login_required = _LoginRequired(self, GuardOptions())
        self.current_user = _CurrentUser(self, GuardOptions())
        self.optional_user = _OptionalUser(self, GuardOptions())


def login_user(
    connection: HTTPConnection, username: str, **options: Unpack[LoginOptions]
) -> Coroutine[Any, Any, str]:
    """Open a session for this client and return its token; to be awaited.

    See ``RequestSession.login`` for keywords and errors. Sync endpoints call
    ``login`` of a ``CurrentSession`` instead, which gives ``None`` at a limit
    and raises ``CrossSiteError``.

    Raises:
        HTTPException: FastAPI's, 403: a limit is reached, or the request came
            from another site. Nothing was opened.
        ConfigurationError: There is no middleware.
        StoreError: The store is down; nothing was opened.
    """
    return login_raising(HTTPException, connection, username, **options)


def logout_user(connection: HTTPConnection) -> Coroutine[Any, Any, None]:
    """End the session of this request; see ``RequestSession.logout``. To be awaited.

    Raises:
        HTTPException: FastAPI's, 403: the request came from another site;
            nothing was done.
        ConfigurationError: There is no middleware.
        StoreError: The store is down; the session may live on.
    """
    return logout_raising(HTTPException, connection)


async def current_session(connection: HTTPConnection) -> RequestSession:
    """The session of a request or websocket, of the anonymous too; see ``RequestSession``.

    For sync endpoints: ``login`` and ``logout`` are its methods.
    """
    return session_of(connection)


_security = SessionSecurity()
login_required = _security.login_required
current_user = _security.current_user
optional_user = _security.optional_user

CurrentUser = Annotated[User, Depends(current_user)]
OptionalUser = Annotated[User | None, Depends(optional_user)]
CurrentSession = Annotated[RequestSession, Depends(current_session)]
