"""For FastAPI: the same names as for Flask and Starlette, as dependencies.

app.add_middleware(SessionAuthMiddleware, manager=manager)
"""
# FastAPI reads the annotations of the dependencies below, and closures only as objects: so
# there is no `from __future__ import annotations` here.

import functools
import inspect
from collections.abc import Callable, Coroutine, Iterable
from typing import Annotated, Any, Final, TypeVar, Unpack, cast, overload

from sessiongate.errors import ConfigurationError

try:
    from fastapi import APIRouter, Depends, FastAPI, HTTPException, Security
    from fastapi.openapi.models import APIKey
    from fastapi.openapi.models import SecurityBase as SecurityModel
    from fastapi.security import SecurityScopes
    from fastapi.security.base import SecurityBase
except ImportError as _missing:
    msg = "FastAPI is missing: pip install 'sessiongate[fastapi]'"
    raise ConfigurationError(msg) from _missing
from starlette.requests import HTTPConnection

from sessiongate.asgi import SessionAuthMiddleware
from sessiongate.core.arguments import check_scopes, check_text
from sessiongate.http.cookies import SessionCookie
from sessiongate.http.request_session import LoginOptions, RequestSession
from sessiongate.http.user import User
from sessiongate.kits import verbs
from sessiongate.kits.guard import Guard, GuardOptions
from sessiongate.kits.jwks import PATH, HasJWKS
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
from sessiongate.kits.page import safe_redirect
from sessiongate.starlette import guarding, jwks_route, page_of, refuse, refused, session_of

__all__ = [
    "CurrentSession",
    "CurrentUser",
    "OptionalUser",
    "SessionSecurity",
    "User",
    "complete",
    "current_session",
    "current_user",
    "jwks_router",
    "login_required",
    "login_user",
    "logout_user",
    "optional_user",
    "safe_redirect",
]

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])

_refused: Final = functools.partial(refused, exception=HTTPException)

_OPTIONAL: Final = "SessionCookieIfAny"
"""The cookie scheme where it is optional, until ``complete`` says so of the operation."""
_OPEN: Final = "SessionCookieOrOther"
_FRESH: Final = "SessionCookieFresh"
"""The cookie scheme where an API token will do, and where none will do even with scopes, until
``complete`` says so of the operation."""
_OURS: Final = (COOKIE, _OPTIONAL, _OPEN, _FRESH)
_BESIDE: Final = "x-sessiongate-bearer"
"""Where the cookie scheme carries the bearer scheme, until ``complete`` puts it beside it."""

_API_SCHEME: Final = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": API_FORMAT,
    "description": API_DESCRIPTION,
}

_NO_PARAMETERS: Final = (
    "an override of current_user or login_required that is to hold for other demands as well takes "
    "no parameters and returns the user: write lambda: sessiongate.testing.user('alice'), or log "
    "in with login_as"
)


def complete(document: dict[str, Any], *, api_tokens: bool = False) -> dict[str, Any]:
    """Complete an OpenAPI document: bearer tokens beside the cookie, and the answers 401 and 403.

    Done for every app by ``app.openapi()``. An app that replaces that function
    passes on ``complete(get_openapi(…))``. Changes and returns the document.

    Args:
        document: What FastAPI made.
        api_tokens: Whether the middleware has ``api_tokens=``; ``app.openapi()`` looks for itself
            at what ``add_middleware`` was given.
    """
    schemes = document.get("components", {}).get("securitySchemes", {})
    cookies: list[dict[str, Any]] = [schemes[name] for name in _OURS if name in schemes]
    bearer = cookies[0].pop(_BESIDE, None) if cookies else None
    if bearer is None:
        return document
    for name in _OURS:
        schemes.pop(name, None)
    schemes |= {COOKIE: cookies[0], BEARER: bearer}
    if api_tokens:
        schemes[API] = _API_SCHEME
    operation: dict[str, Any] | list[Any] | str
    for path in document.get("paths", {}).values():
        for operation in path.values():
            # A path may hold other things than operations, such as its summary.
            if isinstance(operation, dict) and "security" in operation:
                _complete_operation(operation, api_tokens=api_tokens)
    return document


def _complete_operation(operation: dict[str, Any], *, api_tokens: bool) -> None:
    ours = [one for one in operation["security"] if one.keys() & set(_OURS)]
    if not ours:
        return
    others = [one for one in operation["security"] if one not in ours]
    scopes = sorted({scope for one in ours for needed in one.values() for scope in needed})
    either = [{COOKIE: scopes}, {BEARER: scopes}]
    demands = [demand for one in ours for demand in one.items()]
    if api_tokens and all(name == _OPEN or (scopes and name != _FRESH) for name, scopes in demands):
        either.append({API: scopes})
    if any(_OPTIONAL not in one for one in ours):
        statuses = ["401", "403"]
    else:
        either.append({})  # neither will do as well (OpenAPI 3.1, section 4.8.10.1)
        statuses = ["403"] if scopes else []
    operation["security"] = others + either
    for status in statuses:
        operation["responses"].setdefault(status, {"description": REFUSALS[status]})


_make_document = FastAPI.openapi


@functools.wraps(_make_document)
def _make_complete_document(app: FastAPI) -> dict[str, Any]:
    ours: Any = SessionAuthMiddleware
    api_tokens = any(
        added.cls is ours and added.kwargs.get("api_tokens") is not None
        for added in app.user_middleware
    )
    return complete(_make_document(app), api_tokens=api_tokens)


# A dependency can add neither a response nor a second scheme to the document by itself.
FastAPI.openapi = _make_complete_document  # type: ignore[method-assign, assignment]


class _Dependency(SecurityBase):
    """Gives the user, and a line of the OpenAPI document.

    FastAPI charges much for each dependency of a dependency. So this one is its
    own security scheme and has no others.
    """

    scheme_name: str = COOKIE

    def __init__(self, security: "SessionSecurity", **demands: Any) -> None:
        self.model: SecurityModel = security.scheme
        self._security = security
        if demands.get("api_tokens"):
            self.scheme_name = _OPEN
        elif demands.get("fresh") is not None or demands.get("api_tokens") is False:
            self.scheme_name = _FRESH

        @functools.lru_cache
        def guard_for(scopes: tuple[str, ...]) -> Guard:
            return Guard(scopes=scopes, **demands)

        self._guard_for = guard_for

    def find(self, connection: HTTPConnection, security_scopes: SecurityScopes) -> Any:
        """The user, or a refusal; a coroutine of it where a test put another in its place."""
        guard = self._guard_for(tuple(security_scopes.scopes))
        overrides = getattr(connection.scope.get("app"), "dependency_overrides", None)
        if overrides:
            for original in (self._security.current_user, self._security.login_required):
                if original in overrides and original is not self:
                    return _override(overrides[original], guard, connection)
        session = session_of(connection)
        refusal = guard.check(session, functools.partial(page_of, connection))
        if refusal is not None:
            refuse(connection, refusal, _refused)
        return session.user


async def _settled(user: Any) -> User:
    """The user; what a test put in its place may be a coroutine."""
    return cast(User, await user if inspect.iscoroutine(user) else user)


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
    if refusal is not None:
        refuse(connection, refusal, _refused)
    return user


class _CurrentUser(_Dependency):
    async def __call__(self, connection: HTTPConnection, security_scopes: SecurityScopes) -> User:
        """The user of a request or websocket; nobody else gets past it: 401.

        For ``Depends``, or for ``Security`` with scopes: 403 to who lacks one.
        """
        return await _settled(self.find(connection, security_scopes))


class _OptionalUser(_Dependency):
    scheme_name: str = _OPTIONAL

    async def __call__(
        self, connection: HTTPConnection, security_scopes: SecurityScopes
    ) -> User | None:
        """The user of a request or websocket; ``None`` if not logged in.

        With the scopes of ``Security`` a user who lacks one is refused all the same.
        """
        if not session_of(connection).user.is_authenticated:
            return None
        return await _settled(self.find(connection, security_scopes))


class _Demand(_Dependency):
    """A dependency that gives the user, or refuses; as a decorator it is Starlette's."""

    def __init__(
        self, security: "SessionSecurity", scopes: Iterable[str] = (), **demands: Any
    ) -> None:
        super().__init__(security, **demands)
        scopes = check_scopes(scopes)
        self._decorate = guarding(_refused, Guard(scopes=scopes, **demands), None)
        within = _CurrentUser(security, **demands)

        # Only a dependency of its own shows scopes in the document.
        async def give_scoped(user: Annotated[User, Security(within, scopes=scopes)]) -> User:
            return user

        # Python looks for the call in the class, where it is a plain one. FastAPI looks here
        # whether to await it; should it ever not, the call below has refused before.
        vars(self)["__call__"] = given = give_scoped if scopes else within.__call__
        self.__signature__: inspect.Signature = inspect.signature(given)

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

        ``Depends(login_required)``, or ``Depends(login_required(fresh=300))``; for a parameter, or
        in the ``dependencies`` of an operation, a router or an app. A websocket is refused before
        it is accepted. As a decorator it is that of ``sessiongate.starlette``, and the document
        does not show it. Demands and errors are the same there. Refusals are FastAPI's
        ``HTTPException``: error handlers of the app see them. An entry of
        ``app.dependency_overrides`` for ``current_user`` or ``login_required`` holds for all
        demands; their scopes are looked for in what it returns.
        """
        if "connection" in demands or "user" in demands:
            return super().__call__(**demands)
        demand = _Demand(self._security, **demands)
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
        bearer = {
            "type": "http",
            "scheme": "bearer",
            "description": BEARER_DESCRIPTION,
        }
        if bearer_format is not None:
            bearer["bearerFormat"] = check_text(bearer_format, "bearer_format")
        self.scheme: APIKey = APIKey.model_validate(
            {
                "in": "cookie",
                "name": (cookie or SessionCookie()).name,
                "description": COOKIE_DESCRIPTION,
                _BESIDE: bearer,
            }
        )
        self.login_required: _LoginRequired = _LoginRequired(self)
        self.current_user: _CurrentUser = _CurrentUser(self)
        self.optional_user: _OptionalUser = _OptionalUser(self)


def login_user(
    connection: HTTPConnection, username: str, **options: Unpack[LoginOptions]
) -> Coroutine[Any, Any, str]:
    """``login_user`` of ``sessiongate.starlette``, whose refusals are FastAPI's ``HTTPException``.

    Sync endpoints call ``login`` of a ``CurrentSession`` instead, which gives ``None``
    at a limit and raises ``CrossSiteError``.
    """
    session = session_of(connection)
    return session.to_await("login_user()", verbs.login(session, _refused, username, **options))


def logout_user(connection: HTTPConnection) -> Coroutine[Any, Any, None]:
    """``logout_user`` of ``sessiongate.starlette``, whose refusals are FastAPI's."""
    session = session_of(connection)
    return session.to_await("logout_user()", verbs.logout(session, _refused))


def jwks_router(tokens: HasJWKS, path: str = PATH) -> APIRouter:
    """``jwks_route`` of ``sessiongate.starlette``, for ``app.include_router``.

    The OpenAPI document does not show it.
    """
    return APIRouter(routes=[jwks_route(tokens, path)])


async def current_session(connection: HTTPConnection) -> RequestSession:
    """The session of a request or websocket, of the anonymous too; see ``RequestSession``.

    For sync endpoints: ``login`` and ``logout`` are its methods.
    """
    return session_of(connection)


_security = SessionSecurity()
login_required: _LoginRequired = _security.login_required
current_user: _CurrentUser = _security.current_user
optional_user: _OptionalUser = _security.optional_user

CurrentUser = Annotated[User, Depends(current_user)]
OptionalUser = Annotated[User | None, Depends(optional_user)]
CurrentSession = Annotated[RequestSession, Depends(current_session)]
