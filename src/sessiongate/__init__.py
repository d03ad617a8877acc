"""Sessions that just hold, for every Python web app."""

from sessiongate.errors import (
    APITokenError,
    ConfigurationError,
    CookieNameWarning,
    CrossSiteError,
    NoSessionError,
    ResponseStartedError,
    SessionGateError,
    StoreError,
    TokenLimitError,
    WeakKeyWarning,
)
from sessiongate.events import Event
from sessiongate.http.cookies import SessionCookie
from sessiongate.machines.api_tokens import APITokens
from sessiongate.machines.service_tokens import ServiceTokens
from sessiongate.managers import (
    Health,
    JWTSessionManager,
    SessionManager,
    SingleSessionManager,
)

__all__ = [
    "APITokenError",
    "APITokens",
    "ConfigurationError",
    "CookieNameWarning",
    "CrossSiteError",
    "Event",
    "Health",
    "JWTSessionManager",
    "NoSessionError",
    "ResponseStartedError",
    "ServiceTokens",
    "SessionCookie",
    "SessionGateError",
    "SessionManager",
    "SingleSessionManager",
    "StoreError",
    "TokenLimitError",
    "WeakKeyWarning",
]
