"""The answers to requests that are not let through (RFC 6750, section 3; RFC 9470).

One text for every kind of bad token, and nothing of the input in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, final

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "CROSS_SITE",
    "RETRY_AFTER",
    "UNAVAILABLE",
    "Refusal",
    "insufficient_scope",
    "invalid_request",
    "login_required",
    "redirect",
    "stale_login",
]

RETRY_AFTER: Final = ("Retry-After", "5")
"""Seconds; long enough for a failover, short enough for a person."""


@final
class Refusal(NamedTuple):
    """A whole response, for the edge to send."""

    status: int
    text: str
    headers: tuple[tuple[str, str], ...]


def login_required(realm: str, *, invalid_token: bool) -> Refusal:
    """401: no credential came, or it is not valid."""
    if invalid_token:
        parameters = 'error="invalid_token", error_description="The token is not valid"'
        return _refuse(401, "The token is not valid.\n", _challenge(realm, parameters))
    return _refuse(401, "Authentication is required.\n", _challenge(realm))


def invalid_request(realm: str) -> Refusal:
    """400: what came is malformed, or contradicts itself."""
    parameters = 'error="invalid_request", error_description="The credentials are malformed"'
    return _refuse(400, "The credentials are malformed.\n", _challenge(realm, parameters))


def insufficient_scope(realm: str, scopes: Sequence[str]) -> Refusal:
    """403: the session may not do this."""
    parameters = f'error="insufficient_scope", scope="{" ".join(scopes)}"'
    return _refuse(403, "The session lacks a scope.\n", _challenge(realm, parameters))


def stale_login(realm: str, seconds: int) -> Refusal:
    """401: the user proved who they are too long ago (RFC 9470, section 3)."""
    parameters = f'error="insufficient_user_authentication", max_age="{seconds}"'
    return _refuse(401, "A fresh login is required.\n", _challenge(realm, parameters))


def redirect(location: str) -> Refusal:
    """303: to the login page."""
    return _refuse(303, "", ("Location", location))


def _challenge(realm: str, parameters: str = "") -> tuple[str, str]:
    return "WWW-Authenticate", f'Bearer realm="{realm}"' + (parameters and f", {parameters}")


def _refuse(status: int, text: str, *headers: tuple[str, str]) -> Refusal:
    return Refusal(status, text, (*headers, ("Cache-Control", "no-store")))


CROSS_SITE: Final = _refuse(403, "The request came from another site.\n")
UNAVAILABLE: Final = _refuse(503, "Sessions are unavailable for the moment.\n", RETRY_AFTER)
