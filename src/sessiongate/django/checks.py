"""What ``manage.py check`` says of the setting and of the order of the middleware."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.core import checks
from django.core.checks import CheckMessage, Error
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from sessiongate import asgi, wsgi
from sessiongate.django.configuration import configured
from sessiongate.django.middleware import SessionAuthMiddleware
from sessiongate.http.settings import MiddlewareSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

_OURS: Final = "'sessiongate.django.SessionAuthMiddleware'"
_SESSIONS: Final = "'django.contrib.sessions.middleware.SessionMiddleware'"
_SERVED: Final = {
    "WSGI_APPLICATION": wsgi.SessionAuthMiddleware,
    "ASGI_APPLICATION": asgi.SessionAuthMiddleware,
}


def check_all(**_: Any) -> list[CheckMessage]:
    """All checks; those of the setting come first."""
    return [*_of_setting(), *_of_order(), *_of_servers()]


def _of_setting() -> Iterator[CheckMessage]:
    try:
        configuration = configured()
        read = MiddlewareSettings(configuration.manager, **configuration.options)
    except (ImproperlyConfigured, ValueError, TypeError) as error:
        yield Error(str(error), id="sessiongate.E001")
        return
    if read.cookie.name == settings.SESSION_COOKIE_NAME:
        yield Error(
            f"SESSION_COOKIE_NAME is {read.cookie.name!r}, which is the name of our cookie.",
            hint="Give one of them another name, or each overwrites the other.",
            id="sessiongate.E002",
        )


def _of_order() -> Iterator[CheckMessage]:
    kinds = [_imported(path) for path in settings.MIDDLEWARE]
    ours = [at for at, kind in enumerate(kinds) if _is(kind, SessionAuthMiddleware)]
    sessions = [at for at, kind in enumerate(kinds) if _is(kind, SessionMiddleware)]
    if not ours:
        yield Error(
            f"{_OURS} is missing in MIDDLEWARE.",
            hint="Put it in the place of Django's AuthenticationMiddleware.",
            id="sessiongate.E003",
        )
    elif not sessions or min(sessions) > ours[0]:
        where = "comes after it" if sessions else "is missing"
        yield Error(
            f"{_OURS} must stand below {_SESSIONS} in MIDDLEWARE, which {where}.",
            hint="login() needs it. With SESSION_ENGINE signed_cookies it needs no table.",
            id="sessiongate.E004",
        )
    if len(ours) > 1:
        yield Error(f"{_OURS} stands in MIDDLEWARE twice.", id="sessiongate.E005")
    others = [path for path, kind in zip(settings.MIDDLEWARE, kinds, strict=True) if _else(kind)]
    if ours and others:
        yield Error(
            f"{others[0]!r} stands in MIDDLEWARE beside {_OURS}: the lower one decides.",
            hint="Remove it: ours takes its place.",
            id="sessiongate.E006",
        )


def _of_servers() -> Iterator[CheckMessage]:
    """Whether ours is around the whole app as well, so that each request is read twice."""
    for name, around in _SERVED.items():
        if isinstance(_imported(getattr(settings, name, None)), around):
            yield checks.Warning(
                f"{name} is wrapped into {around.__module__}.SessionAuthMiddleware, and {_OURS} "
                "stands in MIDDLEWARE: each request is checked twice.",
                hint="Remove the one around the app.",
                id="sessiongate.W001",
            )


def _imported(path: Any) -> Any:
    # Django itself complains of what cannot be imported.
    with suppress(Exception):
        return import_string(path)
    return None


def _is(kind: Any, wanted: type) -> bool:
    return isinstance(kind, type) and issubclass(kind, wanted)


def _else(kind: Any) -> bool:
    return _is(kind, AuthenticationMiddleware) and not _is(kind, SessionAuthMiddleware)
