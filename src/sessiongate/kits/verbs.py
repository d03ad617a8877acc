"""``login_user`` and ``logout_user``, as flows for ``RequestSession.run`` and its twin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Unpack

from sessiongate.errors import APITokenError, CrossSiteError
from sessiongate.http.refusals import Refusal, refuse
from sessiongate.kits.guard import CROSS_SITE

if TYPE_CHECKING:
    from collections.abc import Callable

    from sessiongate.core.steps import Flow
    from sessiongate.http.request_session import LoginOptions, RequestSession

_NEEDS_SESSION: Final = refuse(
    403, "An API token is not accepted here. Log in with a browser or an app.\n"
)
TOO_MANY_SESSIONS: Final = refuse(
    403, "There are too many sessions: log out on another device, then try again.\n"
)


def login(
    session: RequestSession,
    refused: Callable[[Refusal], Exception],
    username: str,
    **options: Unpack[LoginOptions],
) -> Flow[str]:
    """Open a session for this client: its token. ``refused`` makes the framework's exception."""
    try:
        token = yield from session.opening(username, options)
    except CrossSiteError as error:
        raise refused(CROSS_SITE) from error
    except APITokenError as error:
        raise refused(_NEEDS_SESSION) from error
    if token is None:
        raise refused(TOO_MANY_SESSIONS)
    return token


def logout(session: RequestSession, refused: Callable[[Refusal], Exception]) -> Flow[None]:
    """End the session of this request. ``refused`` makes the framework's exception."""
    try:
        done = yield from session.closing()
    except APITokenError as error:
        raise refused(_NEEDS_SESSION) from error
    if not done:
        raise refused(CROSS_SITE)
