"""Django: its sessions as it comes with them, and ours around the same app, and in it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import django
from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model, login
from django.core.handlers.wsgi import WSGIHandler
from django.core.management import call_command
from django.http import HttpResponse
from django.urls import path

from requesting import SECRET, cookie, wsgi_case, wsgi_cookie
from sessiongate import SessionManager
from sessiongate.wsgi import SessionAuthMiddleware

if TYPE_CHECKING:
    from pathlib import Path

    from measure import Case
    from sessiongate.stores import Store

__all__ = ["cases", "urlpatterns"]

_SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"
_USERS = "django.contrib.auth.middleware.AuthenticationMiddleware"
_OURS = "sessiongate.django.SessionAuthMiddleware"


def _bare(_request: Any) -> HttpResponse:
    return HttpResponse(b"ok")


def _ours(request: Any) -> HttpResponse:
    assert request.environ["sessiongate"].user.username == "alice"  # noqa: S101
    return HttpResponse(b"ok")


def _in_session(request: Any) -> HttpResponse:
    assert request.session["user"] == "alice"  # noqa: S101
    return HttpResponse(b"ok")


def _log_in(request: Any) -> HttpResponse:
    request.session["user"] = "alice"
    return HttpResponse(b"ok")


def _user(request: Any) -> HttpResponse:
    assert request.user.get_username() == "alice"  # noqa: S101
    return HttpResponse(b"ok")


def _log_in_user(request: Any) -> HttpResponse:
    login(request, get_user_model()._default_manager.get())  # noqa: SLF001
    return HttpResponse(b"ok")


_VIEWS = {"bare": _bare, "ours": _ours, "session": _in_session, "user": _user}

urlpatterns = [
    path("login", _log_in),
    path("login-user", _log_in_user),
    *(path(name, view) for name, view in _VIEWS.items()),
]


def cases(folder: Path, stores: dict[str, Store]) -> list[Case]:
    """A Django app with one view each; sessions in a database, which is Django's default."""
    manager = SessionManager(
        store=stores["SQLite"], secret_key=SECRET, max_concurrent_sessions=None
    )
    # The benchmark has an event loop around its calls, where Django would refuse to do SQL.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    settings.configure(
        ALLOWED_HOSTS=["localhost"],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": folder / "django.db",
                "CONN_MAX_AGE": None,  # or each request would open the file anew
            }
        },
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "sessiongate.django",
        ],
        ROOT_URLCONF=__name__,
        SECRET_KEY=SECRET,
        SESSION_COOKIE_SECURE=True,
        SESSIONGATE={"manager": manager},
        USE_TZ=True,
    )
    django.setup()
    call_command("migrate", verbosity=0)
    users_of: Any = get_user_model()
    users_of.objects.create_user("alice")
    bare, ours = _app("bare"), _app("ours")
    rows = [
        wsgi_case("bare Django app", bare, kind="bare"),
        wsgi_case(
            "sessiongate: around Django, SQLite",
            SessionAuthMiddleware(ours, manager),
            cookie(manager.create_session("alice")),
            kind="ours",
        ),
    ]
    for name, engine in (("SQLite", "db"), ("signed cookie", "signed_cookies")):
        settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
        app = _app("session", _SESSIONS)
        rows.append(wsgi_case(f"Django: session, {name}", app, wsgi_cookie(app)))
        users = _app("user", _SESSIONS, _USERS)
        cookies = wsgi_cookie(users, "/login-user")
        rows.append(wsgi_case(f"Django: request.user, {name}", users, cookies))
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.cache"
    users = _app("user", _SESSIONS, _USERS)
    cookies = wsgi_cookie(users, "/login-user")
    rows.append(wsgi_case("Django: request.user, cache in memory", users, cookies))
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    # The logins above went past our middleware, as those of a test client do.
    vars(apps.get_app_config("sessiongate"))["hands_over"] = False
    in_it = _app("user", _SESSIONS, _OURS)
    cookies = wsgi_cookie(in_it, "/login-user")
    rows.append(wsgi_case("sessiongate: Django, request.user, SQLite", in_it, cookies, kind="ours"))
    return rows


def _app(view: str, *middleware: str) -> Any:
    """Django with these middlewares, and one of the views as its front page."""
    settings.MIDDLEWARE = list(middleware)
    handler = WSGIHandler()

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/":
            environ["PATH_INFO"] = f"/{view}"
        return handler(environ, start_response)

    return app
