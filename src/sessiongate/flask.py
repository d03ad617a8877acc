"""For Flask: the same names as for Starlette and FastAPI.

install(app, manager), or app.wsgi_app = SessionAuthMiddleware(app.wsgi_app, manager)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar, Unpack, cast, overload

try:
    from flask import (
        Blueprint,
        current_app,
        has_app_context,
        has_request_context,
        request,
        url_for,
    )
except ImportError as _missing:
    from sessiongate.errors import ConfigurationError

    msg = "Flask is missing: pip install 'sessiongate[flask]'"
    raise ConfigurationError(msg) from _missing
from werkzeug.local import LocalProxy
from werkzeug.wrappers import Response

from sessiongate.errors import ConfigurationError, StoreError
from sessiongate.http.refusals import UNAVAILABLE
from sessiongate.http.user import User
from sessiongate.kits import verbs
from sessiongate.kits.guard import Guard, guarded
from sessiongate.kits.jwks import PATH, jwks_answer
from sessiongate.kits.page import safe_redirect
from sessiongate.kits.werkzeug import (
    CredentialsRefused,
    LoginRequired,
    ScopeRequired,
    SessionRefused,
    StoreUnavailable,
    page_of,
    refuse,
)
from sessiongate.wsgi import SessionAuthMiddleware

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

    from sessiongate.http.request_session import LoginOptions, RequestSession
    from sessiongate.http.settings import MiddlewareOptions
    from sessiongate.kits.guard import GuardOptions
    from sessiongate.kits.jwks import HasJWKS
    from sessiongate.kits.page import Page
    from sessiongate.managers import SessionManager

__all__ = [
    "CredentialsRefused",
    "LoginRequired",
    "ScopeRequired",
    "SessionRefused",
    "StoreUnavailable",
    "current_user",
    "install",
    "jwks_blueprint",
    "login_required",
    "login_user",
    "logout_user",
    "safe_redirect",
]

View = TypeVar("View", bound="Callable[..., Any]")

_ANONYMOUS: Final = User(lambda _: None)


def install(app: Flask, manager: SessionManager, **options: Unpack[MiddlewareOptions]) -> None:
    """Wrap the app, give its templates ``current_user``, and answer 503 while the store is down.

    The 503 is for a view whose ``StoreError`` is not caught, as ``login_user``
    raises it: Werkzeug's ``ServiceUnavailable``, so handlers of the app see it.
    A handler that the app has for ``StoreError`` itself stays.

    Args:
        app: The Flask app; its ``wsgi_app`` is replaced.
        manager: Any of the three managers.
        options: Those of ``SessionAuthMiddleware``.

    Raises:
        ValueError, TypeError: An argument is unfit; nothing was changed.
    """
    app.wsgi_app = SessionAuthMiddleware(app.wsgi_app, manager, **options)  # type: ignore[method-assign]
    app.context_processor(lambda: {"current_user": current_user})
    if StoreError not in app.error_handler_spec[None][None]:
        # Else Flask answers with its page of a 500, and logs a traceback for each request.
        app.register_error_handler(
            StoreError, lambda _: app.handle_http_exception(StoreUnavailable(UNAVAILABLE))
        )


def login_user(username: str, **options: Unpack[LoginOptions]) -> str:
    """Open a session for this client and return its token.

    See ``RequestSession.login`` for keywords and errors.

    Raises:
        SessionRefused: 403: a limit is reached, or the request came from
            another site. Nothing was opened.
        ConfigurationError: This is no request that passed the middleware.
        StoreError: The store is down; nothing was opened.
    """
    session = _session("login_user()")
    return session.run(verbs.login(session, SessionRefused, username, **options))


def logout_user() -> None:
    """End the session of this request; see ``RequestSession.logout``.

    Raises:
        SessionRefused: 403: the request came from another site; nothing was done.
        ConfigurationError: This is no request that passed the middleware.
        StoreError: The store is down; the session may live on.
    """
    session = _session("logout_user()")
    session.run(verbs.logout(session, SessionRefused))


@overload
def login_required(view: View, /) -> View: ...
@overload
def login_required(**demands: Unpack[GuardOptions]) -> Callable[[View], View]: ...
def login_required(
    view: Callable[..., Any] | None = None, /, **demands: Unpack[GuardOptions]
) -> Any:
    """Let only logged-in users see a view; below ``@app.route``.

    For sync and async views, methods of class-based views, and their
    ``decorators``. A decorator that answers CORS preflights goes above it.

    Args:
        view: The view, where the decorator is used without parentheses.
        demands: ``scopes``, ``fresh``, ``api_tokens`` and ``login_url``, as in
            ``sessiongate.starlette.login_required``; a function that gives the
            URL takes no argument here.

    Raises:
        TypeError, ValueError: What is decorated is no function, or an argument is unfit; at once.
        ConfigurationError: This is no request that passed the middleware; at the request.

    Refusals are ``LoginRequired`` (401), ``ScopeRequired`` and ``SessionRefused`` (403) and
    ``CredentialsRefused`` (400): error handlers of the app see them.
    """
    guard = Guard(**demands)

    def check(_args: Any, _kwargs: Any) -> None:
        refusal = guard.check(_session("login_required"), _page)
        if refusal is not None:
            refuse(refusal)

    return guarded(view, check, "put it into the `decorators` of the class")


def _page() -> Page:
    return page_of(request, url_for)


def jwks_blueprint(tokens: HasJWKS, path: str = PATH) -> Blueprint:
    """The public keys of ``ServiceTokens``, for services that verify its tokens.

    For ``app.register_blueprint``. Caches may keep the answer for five minutes. It names nobody
    and costs no store call.

    Args:
        tokens: The keys are read once, here.
        path: Where it is.
    """
    body, headers = jwks_answer(tokens)
    blueprint = Blueprint("jwks", __name__)
    blueprint.add_url_rule(path, "jwks", lambda: Response(body, headers=headers))
    return blueprint


def _session(needed_by: str) -> RequestSession:
    session = _session_or_none()
    if session is not None:
        return session
    if not has_request_context():
        where = "an app context" if has_app_context() else "no context of Flask"
        problem = (
            f"this is {where}, such as the command line's: use the verbs of the manager here, "
            "such as manager.create_session(…)"
        )
    elif hasattr(request, "namespace") and hasattr(request, "sid"):  # as Flask-SocketIO has it
        problem = "this is a SocketIO handler, whose answer carries no cookie: use a view"
    elif isinstance(current_app.wsgi_app, SessionAuthMiddleware):
        problem = "this is a test_request_context: use app.test_client()"
    else:
        problem = (
            "this one did not: call sessiongate.flask.install(app, manager), which is "
            "app.wsgi_app = SessionAuthMiddleware(app.wsgi_app, manager); "
            "in a test_request_context use app.test_client()"
        )
    msg = f"{needed_by} needs a request that passed the middleware, and {problem}"
    raise ConfigurationError(msg)


def _session_or_none() -> RequestSession | None:
    return request.environ.get("sessiongate") if has_request_context() else None


def _user() -> User:
    session = _session_or_none()
    return _ANONYMOUS if session is None else session.user


current_user: User = cast("User", LocalProxy(_user))
"""The user of the current request; anonymous if not logged in. Follows at once.

Anonymous as well where no request passed the middleware: in the command line, an app context, a
``test_request_context`` and a SocketIO handler.
"""
