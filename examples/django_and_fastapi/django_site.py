"""The site: Django with its own login view, users and messages. One file, to be read at once.

Its websockets are Starlette's, in the same process: Django has none.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpResponse
from django.urls import include, path

if not settings.configured:
    settings.configure(
        SECRET_KEY=os.environ["DJANGO_KEY"],
        ALLOWED_HOSTS=["localhost", "127.0.0.1"],
        ROOT_URLCONF=__name__,
        DATABASES={
            "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["DJANGO_FILE"]}
        },
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.messages",
            "sessiongate.django",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "sessiongate.django.SessionAuthMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
        ],
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
        SESSIONGATE={
            "manager": "django_and_fastapi.common.manager",
            "cookie": "django_and_fastapi.common.COOKIE",
            "scopes": lambda user: ["notes:write"] if user.is_staff else [],
        },
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "DIRS": [os.path.join(os.path.dirname(__file__), "templates")],  # noqa: PTH118, PTH120
            }
        ],
        LOGIN_REDIRECT_URL="/",
        LOGOUT_REDIRECT_URL="/",
        USE_TZ=True,
    )

django_app: ASGIApp = get_asgi_application()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]

# What needs Django's models is imported when Django is ready.
from django.contrib.auth.views import LoginView, LogoutView  # noqa: E402
from starlette.applications import Starlette  # noqa: E402
from starlette.routing import WebSocketRoute  # noqa: E402

from django_and_fastapi.common import COOKIE, manager  # noqa: E402
from sessiongate.asgi import SessionAuthMiddleware  # noqa: E402
from sessiongate.devices.django import my_devices  # noqa: E402
from sessiongate.starlette import current_user, login_required  # noqa: E402

if TYPE_CHECKING:
    from django.http import HttpRequest
    from starlette.types import ASGIApp, Receive, Scope, Send
    from starlette.websockets import WebSocket

__all__ = ["app", "django_app", "urlpatterns"]


def home(request: HttpRequest) -> HttpResponse:
    """Say who it is."""
    return HttpResponse(f"Django knows {request.user.get_username() or 'nobody'}")


urlpatterns = [
    path("", home),
    path("login", LoginView.as_view(template_name="login.html")),
    path("logout", LogoutView.as_view()),
    path("", include(my_devices(login_url="/login"))),
]


@login_required
async def ticks(websocket: WebSocket) -> None:
    """Greet, then wait; a logout in whatever app closes it."""
    await websocket.accept()
    await websocket.send_text(f"Hello, {current_user(websocket).username}")
    async for _ in websocket.iter_text():
        pass


sockets = SessionAuthMiddleware(
    Starlette(routes=[WebSocketRoute("/ws", ticks)]), manager, cookie=COOKIE
)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Django, and Starlette for its websockets."""
    if scope["type"] == "http":
        await django_app(scope, receive, send)
    elif scope["type"] == "websocket":
        await sockets(scope, receive, send)
