"""What can go wrong, as one small tree.

Absence is a value (``None``), failure is an exception. Every error carries a
stable machine-readable ``code`` and the HTTP ``status`` an edge should answer
with, and its traceback ends with the page that explains the code. No message
ever holds a token, a key or any other part of a credential.
"""

from __future__ import annotations

__all__ = [
    "APITokenError",
    "ConfigurationError",
    "CookieNameWarning",
    "CrossSiteError",
    "NoSessionError",
    "ResponseStartedError",
    "SessionGateError",
    "StoreError",
    "TokenLimitError",
    "WeakKeyWarning",
]


class SessionGateError(Exception):
    """The root of the tree; never raised itself."""

    code = "error"
    status = 500

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        # A note, so that the message stays what was passed.
        self.add_note(f"Documentation: docs/api/errors.md#{self.code}")


class ConfigurationError(SessionGateError, ValueError):
    """An argument contradicts another, or something required is missing."""

    code = "configuration"


class StoreError(SessionGateError):
    """The store did not answer in time, or answered with a failure.

    Nobody is authenticated and nothing is claimed to be done: the middleware
    answers 503 with ``Retry-After``.
    """

    code = "store_failed"
    status = 503


class CrossSiteError(SessionGateError):
    """A login by cookie came from another site (login CSRF); nothing was done.

    The kits for frameworks answer 403. ``trusted_origins`` of the middleware
    names sites that may, ``login(…, cross_site=True)`` a view that may.
    """

    code = "cross_site"
    status = 403


class NoSessionError(SessionGateError, ValueError):
    """A token was asked for that speaks for a live session, and the request has none.

    It is anonymous, or its session has ended or will within a second.
    """

    code = "no_session"
    status = 401


class ResponseStartedError(SessionGateError, RuntimeError):
    """``login()`` or ``refresh()`` was called after the headers had gone out.

    Nothing was changed in the store: the new token could not have reached the client.
    """

    code = "response_started"


class APITokenError(SessionGateError):
    """A request that came with an API token asked for what only a session may do.

    ``login()``, ``logout()``, ``refresh()`` and ``update()``: nothing was done. The kits for
    frameworks answer 403.
    """

    code = "api_token"
    status = 403


class TokenLimitError(SessionGateError):
    """A user has as many API tokens as ``max_per_user`` lets be; none was made."""

    code = "token_limit"
    status = 403


class WeakKeyWarning(UserWarning):
    """A key is shorter than its algorithm asks for (RFC 7518, section 3.2)."""


class CookieNameWarning(UserWarning):
    """The session cookie has the name of another one, so that each overwrites the other."""
