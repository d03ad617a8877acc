"""For Django: ``request.user``, ``login()``, the admin and all else, on sessions of ours.

    INSTALLED_APPS = [..., "sessiongate.django"]
    MIDDLEWARE = [..., "sessiongate.django.SessionAuthMiddleware", ...]
    SESSIONGATE = {"manager": "project.sessions.manager"}

The middleware takes the place of Django's ``AuthenticationMiddleware``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

try:
    import_module("django")  # most of it may only be loaded once its apps are ready
except ImportError as _missing:
    from sessiongate.errors import ConfigurationError

    msg = "Django is missing: pip install 'sessiongate[django]'"
    raise ConfigurationError(msg) from _missing

if TYPE_CHECKING:
    from sessiongate.django.middleware import SessionAuthMiddleware
    from sessiongate.django.refusals import CredentialsRefused, ScopeRequired, SessionRefused
    from sessiongate.django.views import (
        alogin_user,
        alogout_user,
        current_user,
        jwks_path,
        login_required,
        login_user,
        logout_user,
        safe_redirect,
    )

__all__ = [
    "CredentialsRefused",
    "ScopeRequired",
    "SessionAuthMiddleware",
    "SessionRefused",
    "alogin_user",
    "alogout_user",
    "current_user",
    "jwks_path",
    "login_required",
    "login_user",
    "logout_user",
    "safe_redirect",
]

_ELSEWHERE: Final = {
    "SessionAuthMiddleware": "middleware",
    **dict.fromkeys(("CredentialsRefused", "ScopeRequired", "SessionRefused"), "refusals"),
}


def __getattr__(name: str) -> Any:
    # Django imports this package, as an app, before it is ready for what these need.
    if name not in __all__:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"{__name__}.{_ELSEWHERE.get(name, 'views')}"), name)
