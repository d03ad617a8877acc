"""For Flask: the same names as for Starlette and FastAPI.

app.wsgi_app = SessionAuthMiddleware(app.wsgi_app, manager)
"""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast, overload

try:
    from flask import abort, request
except ImportError as missing:
    from sessiongate.errors import ConfigurationError

    msg = "Flask is missing: pip install 'sessiongate[flask]'"
    raise ConfigurationError(msg) from missing
from werkzeug.exceptions import Forbidden, HTTPException, Unauthorized
from werkzeug.local import LocalProxy
from werkzeug.wrappers import Response

from sessiongate.errors import ConfigurationError
from sessiongate.http.guard import Guard, Page, check_view, safe_redirect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sessiongate.core.arguments import Seconds
    from sessiongate.http.refusals import Refusal
    from sessiongate.http.request_session import RequestSession
    from sessiongate.http.user import User

__all__ = [
    "LoginRequired",
    "ScopeRequired",
    "current_user",
    "login_required",
    "login_user",
    "logout_user",
    "safe_redirect",
]

View = TypeVar("View", bound="Callable[..., Any]")


def login_user(username: str, **options: Any) -> str | None:
    """Open a session for this client; see ``RequestSession.login`` for keywords and errors.

    Returns:
        The token, or ``None`` at a limit.

    Raises:
        ConfigurationError: There is no middleware.
        StoreError: The store is down; nothing was opened.
    """
    return _session().login(username, **options)


def logout_user() -> None:
    """End the session of this request; see ``RequestSession.logout``.

    Raises:
        ConfigurationError: There is no middleware.
        StoreError: The store is down; the session may live on.
    """
    _session().logout()


@overload
def login_required(view: View, /) -> View: ...
@overload
def login_required(
    *, scopes: Iterable[str] = ..., fresh: Seconds | None = ..., login_url: str | None = ...
) -> Callable[[View], View]: ...
def login_required(
    view: Callable[..., Any] | None = None,
    /,
    *,
    scopes: Iterable[str] = (),
    fresh: Seconds | None = None,
    login_url: str | None = None,
) -> Any:
    """Let only logged-in users see a view; below ``@app.route``.

    For sync and async views, methods of class-based views, and their
    ``decorators``.

    Args:
        view: The view, where the decorator is used without parentheses.
        scopes: The session needs all of them; else 403.
        fresh: Seconds since the user last proved who they are; else 401.
        login_url: Where a browser is sent (303) instead of a 401; the way back
            is in ``next``, to be read with ``safe_redirect``.

    Raises:
        TypeError: What is decorated is no function, or an argument has the
            wrong type; at once.
        ValueError: ``scopes`` or ``fresh`` is unfit; at once.
        ConfigurationError: There is no middleware; at the request.

    Refusals are ``LoginRequired`` (401) and ``ScopeRequired`` (403): error
    handlers of the app see them.
    """
    guard = Guard(scopes=scopes, fresh=fresh, login_url=login_url)

    def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
        check_view(view, "put it into the `decorators` of the class")
        if inspect.iscoroutinefunction(view):

            @functools.wraps(view)
            async def asynchronous(*args: Any, **kwargs: Any) -> Any:
                _demand(guard)
                return await view(*args, **kwargs)

            return asynchronous

        @functools.wraps(view)
        def synchronous(*args: Any, **kwargs: Any) -> Any:
            _demand(guard)
            return view(*args, **kwargs)

        return synchronous

    return decorate if view is None else decorate(view)


class _Refused(HTTPException):
    """An HTTP exception with the header fields of a refusal."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.text.strip())
        self._extra = refusal.headers

    def get_headers(self, *args: Any, **kwargs: Any) -> list[tuple[str, str]]:
        return [*super().get_headers(*args, **kwargs), *self._extra]


class LoginRequired(_Refused, Unauthorized):
    """401: not logged in, or too long ago."""


class ScopeRequired(_Refused, Forbidden):
    """403: the session lacks a scope."""


def _demand(guard: Guard) -> None:
    """Let the request pass, or raise."""
    refusal = guard.check(_session(), _page)
    if refusal is not None:
        _refuse(refusal)


def _page() -> Page:
    return Page(
        request.method,
        request.script_root + request.path,
        request.query_string.decode("latin-1"),
        request.headers.get("Accept", ""),
        request.headers.get("Sec-Fetch-Mode", ""),
    )


def _refuse(refusal: Refusal) -> NoReturn:
    for refused in (LoginRequired, ScopeRequired):
        if refused.code == refusal.status:
            raise refused(refusal)
    abort(Response(status=refusal.status, headers=refusal.headers))


def _session() -> RequestSession:
    session: RequestSession | None = request.environ.get("sessiongate")
    if session is None:
        msg = (
            "no session on this request: wrap the app with "
            "app.wsgi_app = SessionAuthMiddleware(app.wsgi_app, manager)"
        )
        raise ConfigurationError(msg)
    return session


current_user: User = cast("User", LocalProxy(lambda: _session().user))
"""The user of the current request; anonymous if not logged in. Follows at once.

Without the middleware its attributes raise ``ConfigurationError``.
"""
