"""Django: its sessions as it comes with them, and ours around the same app."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import django
from django.conf import settings
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


_VIEWS = {"bare": _bare, "ours": _ours, "session": _in_session}

urlpatterns = [path("login", _log_in), *(path(name, view) for name, view in _VIEWS.items())]


def cases(folder: Path, stores: dict[str, Store]) -> list[Case]:
    """A Django app with one view each; sessions in a database, which is Django's default."""
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
        INSTALLED_APPS=["django.contrib.sessions"],
        ROOT_URLCONF=__name__,
        SECRET_KEY=SECRET,
        SESSION_COOKIE_SECURE=True,
        USE_TZ=True,
    )
    django.setup()
    call_command("migrate", verbosity=0)
    manager = SessionManager(
        store=stores["SQLite"], secret_key=SECRET, max_concurrent_sessions=None
    )
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
