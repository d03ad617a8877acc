"""For FastAPI: the same names as for Flask and Starlette, as dependencies.

app.add_middleware(SessionAuthMiddleware, manager=manager)
"""
# FastAPI reads the annotations of the dependencies below, and closures only as objects: so
# there is no `from __future__ import annotations` here.

import functools
import inspect
from collections.abc import Awaitable, Callable, Iterable
from typing import Annotated, Any, NamedTuple, NoReturn, TypeAlias, TypeVar, overload

try:
    from fastapi import Depends, HTTPException, Security
    from fastapi.openapi.models import APIKey, APIKeyIn, HTTPBearer
    from fastapi.openapi.models import SecurityBase as SecurityModel
    from fastapi.security import SecurityScopes
    from fastapi.security.base import SecurityBase
except ImportError as missing:
    from sessiongate.errors import ConfigurationError

    msg = "FastAPI is missing: pip install 'sessiongate[fastapi]'"
    raise ConfigurationError(msg) from missing
from starlette.exceptions import WebSocketException
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocket

from sessiongate.core.arguments import Seconds, check_scopes, check_text
from sessiongate.http.cookies import SessionCookie
from sessiongate.http.guard import Guard, safe_redirect
from sessiongate.http.refusals import Refusal
from sessiongate.http.request_session import RequestSession
from sessiongate.http.user import User
from sessiongate.http.websockets import POLICY_VIOLATION, can_deny
from sessiongate.starlette import check_connection, login_user, logout_user, session_of
from sessiongate.starlette import login_required as starlette_login_required

__all__ = [
    "CurrentSession",
    "CurrentUser",
    "OptionalUser",
    "SessionSecurity",
    "User",
    "current_session",
    "current_user",
    "login_required",
    "login_user",
    "logout_user",
    "optional_user",
    "safe_redirect",
]

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
GivesUser: TypeAlias = Callable[..., Awaitable[User]]


class _Scheme(SecurityBase):
    """A line of the OpenAPI document. The middleware has read the credential already."""

    def __init__(self, scheme_name: str, model: SecurityModel) -> None:
        self.scheme_name = scheme_name
        self.model = model

    async def __call__(self) -> None:
        """What FastAPI calls for each request."""


class _Schemes(NamedTuple):
    """How a session may come; either will do."""

    cookie: _Scheme
    bearer: _Scheme


def _required(schemes: _Schemes, fresh: Seconds | None, login_url: str | None) -> GivesUser:
    @functools.lru_cache
    def guard_for(scopes: tuple[str, ...]) -> Guard:
        return Guard(scopes=scopes, fresh=fresh, login_url=login_url)

    async def current_user(
        connection: HTTPConnection,
        security_scopes: SecurityScopes,
        _cookie: Annotated[None, Depends(schemes.cookie)],
        _bearer: Annotated[None, Depends(schemes.bearer)],
    ) -> User:
        """The user of a request or websocket; nobody else gets past it: 401.

        For ``Depends``, or for ``Security`` with scopes: 403 to who lacks one.
        """
        refusal = check_connection(guard_for(tuple(security_scopes.scopes)), connection)
        if refusal is not None:
            _refuse(connection, refusal)
        return session_of(connection).user

    return current_user


def _optional(schemes: _Schemes, required: GivesUser) -> Callable[..., Awaitable[User | None]]:
    async def optional_user(
        connection: HTTPConnection,
        security_scopes: SecurityScopes,
        _cookie: Annotated[None, Depends(schemes.cookie)],
        _bearer: Annotated[None, Depends(schemes.bearer)],
    ) -> User | None:
        """The user of a request or websocket; ``None`` if not logged in.

        With the scopes of ``Security`` a user who lacks one is refused all the same.
        """
        if not session_of(connection).user.is_authenticated:
            return None
        return await required(connection, security_scopes, None, None)

    return optional_user


def _refuse(connection: HTTPConnection, refusal: Refusal) -> NoReturn:
    if isinstance(connection, WebSocket) and not can_deny(connection.scope):
        raise WebSocketException(POLICY_VIOLATION)
    raise HTTPException(refusal.status, refusal.text.strip() or None, dict(refusal.headers))


class _Demand:
    """A dependency that gives the user, or refuses; as a decorator it is Starlette's."""

    def __init__(
        self,
        schemes: _Schemes,
        scopes: Iterable[str] = (),
        fresh: Seconds | None = None,
        login_url: str | None = None,
    ) -> None:
        scopes = check_scopes(scopes)
        self._decorate: Callable[..., Any] = starlette_login_required(
            scopes=scopes, fresh=fresh, login_url=login_url
        )
        self.current_user = _required(schemes, fresh, login_url)

        async def give(user: Annotated[User, Security(self.current_user, scopes=scopes)]) -> User:
            return user

        # Python looks for the call in the class, where it is a plain one. FastAPI looks here
        # whether to await it; should it ever not, `current_user` has been asked all the same.
        vars(self)["__call__"] = self._give = give
        self.__signature__ = inspect.signature(give)

    def __call__(self, *endpoint: Any, **solved: Any) -> Any:
        """Decorate an endpoint; with keywords the call is FastAPI's."""
        return self._give(**solved) if solved else self._decorate(*endpoint)


class _LoginRequired(_Demand):
    """``login_required``: the plain one, which makes the others."""

    def __init__(self, schemes: _Schemes) -> None:
        super().__init__(schemes)
        self._schemes = schemes

    @overload
    def __call__(self, endpoint: Endpoint, /) -> Endpoint: ...
    @overload
    def __call__(
        self,
        *,
        scopes: Iterable[str] = ...,
        fresh: Seconds | None = ...,
        login_url: str | None = ...,
    ) -> _Demand: ...
    def __call__(self, *endpoint: Any, **demands: Any) -> Any:
        """Let only logged-in users in: as a dependency, which gives the ``User``.

        ``Depends(login_required)``, or ``Depends(login_required(fresh=300))``;
        for a parameter, or in the ``dependencies`` of an operation, a router or
        an app. A websocket is refused before it is accepted. As a decorator it
        is that of ``sessiongate.starlette``, and the document does not show it.
        Refusals are ``HTTPException``: error handlers of the app see them.

        Demands:
            scopes: The session needs all of them, and those of ``Security``; else 403.
            fresh: Seconds since the user last proved who they are; else 401.
            login_url: Where a browser is sent (303) instead of a 401; the way
                back is in ``next``, to be read with ``safe_redirect``.
        """
        if "user" in demands:
            return super().__call__(**demands)
        demand = _Demand(self._schemes, **demands)
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
        schemes = _Schemes(
            _Scheme(
                "SessionCookie",
                APIKey.model_validate(
                    {
                        "in": APIKeyIn.cookie,
                        "name": (cookie or SessionCookie()).name,
                        "description": "The login sets it; a browser sends it by itself.",
                    }
                ),
            ),
            _Scheme(
                "BearerToken",
                HTTPBearer(
                    bearerFormat=bearer_format,
                    description="What the login gave; a response may bring its successor.",
                ),
            ),
        )
        self.login_required = _LoginRequired(schemes)
        self.current_user = self.login_required.current_user
        self.optional_user = _optional(schemes, self.current_user)


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
