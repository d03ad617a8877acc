"""What an OpenAPI document says of sessions: the security schemes, and the refusals."""

from __future__ import annotations

from typing import Final

COOKIE: Final = "SessionCookie"
BEARER: Final = "BearerToken"
API: Final = "APIToken"
"""The names of the security schemes."""

COOKIE_DESCRIPTION: Final = "The login sets it; a browser sends it by itself."
BEARER_DESCRIPTION: Final = "What the login gave; a response may bring its successor."
API_DESCRIPTION: Final = "A long-lived token, for scripts."
API_FORMAT: Final = "sgp_…"

REFUSALS: Final = {
    "401": "Not logged in, or the session has ended",
    "403": "The session lacks a scope, or the request came from another site",
}
"""What each status of a refusal means."""
