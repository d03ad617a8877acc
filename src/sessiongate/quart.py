"""For Quart: the names of ``sessiongate.flask``, to await.

install(app, manager), or app.asgi_app = SessionAuthMiddleware(app.asgi_app, manager)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar, Unpack, cast, overload

try:
    from quart import (
        Blueprint,
        Response,
        current_app,
        has_request_context,
        has_websocket_context,
        request,
        url_for,
        websocket,
    )
except ImportError as _missing:
    from sessiongate.errors import ConfigurationError

    msg = "Quart is missing: pip install 'sessiongate[quart]'"
    raise ConfigurationError(msg) from _missing
from werkzeug.local import LocalProxy

from sessiongate.asgi import SessionAuthMiddleware
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

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from quart import Quart

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
    "current_session",
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


def install(app: Quart, manager: SessionManager, **options: Unpack[MiddlewareOptions]) -> None:
    """Wrap the app, give its templates ``current_user``, and answer 503 while the store is down.

    The 503 is for a view whose ``StoreError`` is not caught, as ``login_user``
    raises it: Werkzeug's ``ServiceUnavailable``, so handlers of the app see it.
    A handler that the app has for ``StoreError`` itself stays.

    Args:
        app: The Quart app; its ``asgi_app`` is replaced.
        manager: Any of the three managers.
        options: Those of ``SessionAuthMiddleware``.

    Raises:
        ValueError, TypeError: An argument is unfit; nothing was changed.
    """
    middleware: Any = SessionAuthMiddleware(cast(Any, app.asgi_app), manager, **options)
    app.asgi_app = middleware  # type: ignore[method-assign]

    # Both are coroutines: Quart would start a thread for a function.
    async def give_user() -> dict[str, Any]:
        return {"current_user": current_user}

    async def answer_unavailable(_error: Exception) -> Any:
        return await app.handle_http_exception(StoreUnavailable(UNAVAILABLE))

    app.context_processor(give_user)
    if StoreError not in app.error_handler_spec[None][None]:
        app.register_error_handler(StoreError, answer_unavailable)


def login_user(username: str, **options: Unpack[LoginOptions]) -> Coroutine[Any, Any, str]:
    """Open a session for this client and return its token; to be awaited.

    See ``RequestSession.login`` for keywords and errors. Sync views call
    ``current_session().login(...)`` instead, which gives ``None`` at a limit.

    Raises:
        SessionRefused: 403: a limit is reached, or the request came from
            another site. Nothing was opened.
        ConfigurationError: This is no request that passed the middleware.
        StoreError: The store is down; nothing was opened.
    """
    session = _session("login_user()")
    return session.to_await(
        "login_user()", verbs.login(session, SessionRefused, username, **options)
    )


def logout_user() -> Coroutine[Any, Any, None]:
    """End the session of this request; see ``RequestSession.logout``. To be awaited.

    Raises:
        SessionRefused: 403: the request came from another site; nothing was done.
        ConfigurationError: This is no request that passed the middleware.
        StoreError: The store is down; the session may live on.
    """
    session = _session("logout_user()")
    return session.to_await("logout_user()", verbs.logout(session, SessionRefused))


def current_session() -> RequestSession:
    """The session of the current request or websocket, of the anonymous too.

    For what the other names do not do, such as ``login`` in a sync view; see ``RequestSession``.

    Raises:
        ConfigurationError: This is no request that passed the middleware.
    """
    return _session("current_session()")


@overload
def login_required(view: View, /) -> View: ...
@overload
def login_required(**demands: Unpack[GuardOptions]) -> Callable[[View], View]: ...
def login_required(
    view: Callable[..., Any] | None = None, /, **demands: Unpack[GuardOptions]
) -> Any:
    """Let only logged-in users see a view; below ``@app.route`` and ``@app.websocket``.

    For sync and async views, methods of class-based views, and their ``decorators``. A websocket
    is refused before it is accepted. A decorator that answers CORS preflights goes above it.

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

    async def jwks() -> Response:
        return Response(body, headers=headers)

    blueprint.add_url_rule(path, "jwks", jwks)
    return blueprint


def _page() -> Page | None:
    return None if has_websocket_context() else page_of(request, url_for)


def _session(needed_by: str) -> RequestSession:
    session = _session_or_none()
    if session is not None:
        return session
    if not (has_request_context() or has_websocket_context()):
        problem = (
            "this is no request: use the verbs of the manager here, "
            "such as await manager.acreate_session(…)"
        )
    elif isinstance(current_app.asgi_app, SessionAuthMiddleware):
        problem = "this is a test_request_context: use app.test_client()"
    else:
        problem = (
            "this one did not: call sessiongate.quart.install(app, manager), which is "
            "app.asgi_app = SessionAuthMiddleware(app.asgi_app, manager); "
            "in a test_request_context use app.test_client()"
        )
    msg = f"{needed_by} needs a request that passed the middleware, and {problem}"
    raise ConfigurationError(msg)


def _session_or_none() -> RequestSession | None:
    scope: Any = {}
    if has_websocket_context():
        scope = websocket.scope
    elif has_request_context():
        scope = request.scope
    session: RequestSession | None = scope.get("sessiongate")
    return session


def _user() -> User:
    session = _session_or_none()
    return _ANONYMOUS if session is None else session.user


current_user: User = cast(User, LocalProxy(_user))
"""The user of the current request or websocket; anonymous if not logged in. Follows at once.

Anonymous as well where no request passed the middleware: in the command line, an app context and
a ``test_request_context``.
"""
