"""What a protected view demands of a request, and the decorator that demands it.

Refusals are those of RFC 6750, section 3, and RFC 9470. There is one text for
every kind of bad token, and nothing of the input in it.
"""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, Final, TypedDict

from sessiongate.core.arguments import Seconds, check_flag, check_scopes, microseconds
from sessiongate.core.row import SECOND
from sessiongate.http.refusals import Refusal, refuse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sessiongate.http.request_session import RequestSession
    from sessiongate.kits.page import LoginURL, Page

SEE_OTHER: Final = 303
"""The status of a refusal that is a redirect, so no error."""

_INSUFFICIENT: Final = "insufficient_scope"

CROSS_SITE: Final = refuse(
    403,
    "This request came from another site, so your login was not used. "
    "Open this site itself and try again.\n",
)


class SessionDemands(TypedDict, total=False):
    """What a view may demand of a session."""

    scopes: Iterable[str]
    """All of them are needed; missing ones are a 403."""
    fresh: Seconds | None
    """Seconds since the user last logged in, at most; rotation does not renew it."""
    login_url: LoginURL | None
    """Where a person in a browser is sent instead of a 401, with the way back in ``next``."""


class GuardOptions(SessionDemands, total=False):
    """The keywords of ``login_required``."""

    api_tokens: bool | None
    """Whether an API token will do as well; ``None``: where ``scopes`` are named. Never where
    ``fresh`` is."""


class Guard:
    """The demands of one ``login_required``; unfit ones are refused at once."""

    def __init__(
        self,
        *,
        scopes: Iterable[str] = (),
        fresh: Seconds | None = None,
        api_tokens: bool | None = None,
        login_url: LoginURL | None = None,
    ) -> None:
        self._scopes = check_scopes(scopes)
        self._fresh = None if fresh is None else microseconds(fresh, "fresh") / SECOND
        if api_tokens is None:
            api_tokens = bool(self._scopes) and fresh is None
        if check_flag(api_tokens, "api_tokens") and fresh is not None:
            msg = "api_tokens=True contradicts fresh=: an API token cannot log in again"
            raise ValueError(msg)
        self.accepts_api_tokens: bool = api_tokens
        self._login_url = login_url
        if inspect.iscoroutinefunction(login_url):
            msg = "login_url must not be an async function: it is called, not awaited"
            raise TypeError(msg)
        is_address = isinstance(login_url, str) and login_url != ""
        if not (login_url is None or is_address or callable(login_url)):
            msg = (
                "login_url must be the address of the login page, such as '/login', the name of "
                "its route, or a function that gives one of them"
            )
            raise TypeError(msg)

    def check(self, session: RequestSession, describe: Callable[[], Page | None]) -> Refusal | None:
        """Why the request is refused, or ``None``.

        ``describe`` gives the page, where it matters; ``None`` for a websocket.
        """
        user, realm = session.user, session.settings.realm
        if not user.is_authenticated:
            if session.skipped is not None:
                page = describe()
                path = "a websocket" if page is None else page.path
                session.settings.report_skipped(session.skipped, path)
            if session.problem == "cross_site":
                return CROSS_SITE  # the login page would come from that site as well
            refusal = _refuse_anonymous(session, realm)
        elif session.api_token is not None and not self.accepts_api_tokens:
            return _challenge(403, "An API token is not accepted here", realm, error=_INSUFFICIENT)
        elif (lacking := self.check_scopes(user.scopes, realm)) is not None:
            return lacking
        elif self._fresh is not None and (session.age or 0) > self._fresh:
            text, error = "A fresh login is required", "insufficient_user_authentication"
            refusal = _challenge(401, text, realm, error=error, max_age=str(int(self._fresh)))
        else:
            return None
        if self._login_url is None or session.credentials.by_authorization:
            return refusal
        page = describe()
        if page is None or not page.is_browsed:
            return refusal
        return refuse(SEE_OTHER, "", ("Location", page.login_page(self._login_url)))

    def check_scopes(self, scopes: Iterable[str], realm: str) -> Refusal | None:
        """Why a user with these scopes is refused, or ``None``."""
        if not self._scopes or set(self._scopes) <= set(scopes):
            return None
        text, scope = "The session lacks a scope", " ".join(self._scopes)
        return _challenge(403, text, realm, error=_INSUFFICIENT, scope=scope)


def _refuse_anonymous(session: RequestSession, realm: str) -> Refusal:
    if session.problem is None:
        return _challenge(401, "Authentication is required", realm)
    status, reason = 401, "The token is not valid"
    if session.problem == "invalid_request":
        status, reason = 400, "The Authorization header is malformed"
        if session.credentials.problem is None:  # the fields are well-formed
            reason = "The request came with two sessions, log in again"
    return _challenge(status, reason, realm, error=session.problem, error_description=reason)


def _challenge(status: int, text: str, realm: str, **parameters: str) -> Refusal:
    named = [f'{name}="{value}"' for name, value in {"realm": realm, **parameters}.items()]
    return refuse(status, f"{text}.\n", ("WWW-Authenticate", f"Bearer {', '.join(named)}"))


def guarded(
    endpoint: Callable[..., Any] | None,
    check: Callable[[tuple[Any, ...], dict[str, Any]], Any],
    for_classes: str,
) -> Any:
    """The endpoint behind a check, sync or async as it is itself; for ``None`` the decorator.

    Args:
        endpoint: What ``login_required`` was given without parentheses, if anything.
        check: Is called with the arguments of the endpoint. It raises, gives an
            answer in the endpoint's place, or ``None``.
        for_classes: What is to be done with a class, for the message.
    """
    if endpoint is None:
        return functools.partial(guarded, check=check, for_classes=for_classes)
    if isinstance(endpoint, type):
        msg = f"login_required is for functions: {for_classes}"
        raise TypeError(msg)
    if not callable(endpoint):
        msg = "login_required takes keywords, such as scopes=['read'] or login_url='/login'"
        raise TypeError(msg)
    if inspect.iscoroutinefunction(endpoint):

        @functools.wraps(endpoint)
        async def asynchronous(*args: Any, **kwargs: Any) -> Any:
            answer = check(args, kwargs)
            return await endpoint(*args, **kwargs) if answer is None else answer

        return asynchronous

    @functools.wraps(endpoint)
    def synchronous(*args: Any, **kwargs: Any) -> Any:
        answer = check(args, kwargs)
        return endpoint(*args, **kwargs) if answer is None else answer

    return synchronous
