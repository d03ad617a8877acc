"""The answers to requests that are not let through (RFC 6750, section 3; RFC 9470).

One text for every kind of bad token, and nothing of the input in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sessiongate.http.refusals import Refusal, refuse

if TYPE_CHECKING:
    from collections.abc import Sequence


def login_required(realm: str, *, invalid_token: bool) -> Refusal:
    """401: no credential came, or it is not valid."""
    if not invalid_token:
        return _challenge(401, "Authentication is required", realm)
    reason = "The token is not valid"
    return _challenge(401, reason, realm, error="invalid_token", error_description=reason)


def invalid_request(realm: str, *, two_sessions: bool) -> Refusal:
    """400: the ``Authorization`` header is malformed, or two live sessions came."""
    reason = "The Authorization header is malformed"
    if two_sessions:
        reason = "The request came with two sessions, log in again"
    return _challenge(400, reason, realm, error="invalid_request", error_description=reason)


def insufficient_scope(realm: str, scopes: Sequence[str]) -> Refusal:
    """403: the session may not do this."""
    needed = " ".join(scopes)
    text = "The session lacks a scope"
    return _challenge(403, text, realm, error="insufficient_scope", scope=needed)


def stale_login(realm: str, seconds: int) -> Refusal:
    """401: the user proved who they are too long ago (RFC 9470, section 3)."""
    text, error = "A fresh login is required", "insufficient_user_authentication"
    return _challenge(401, text, realm, error=error, max_age=str(seconds))


def redirect(location: str) -> Refusal:
    """303: to the login page."""
    return refuse(303, "", ("Location", location))


def _challenge(status: int, text: str, realm: str, **parameters: str) -> Refusal:
    named = [f'{name}="{value}"' for name, value in {"realm": realm, **parameters}.items()]
    return refuse(status, f"{text}.\n", ("WWW-Authenticate", f"Bearer {', '.join(named)}"))


CROSS_SITE: Final = refuse(
    403,
    "This request came from another site, so your login was not used. "
    "Open this site itself and try again.\n",
)
TOO_MANY_SESSIONS: Final = refuse(
    403, "There are too many sessions: log out on another device, then try again.\n"
)
