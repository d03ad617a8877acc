"""A project as many are: views of Django's, some of ours, the admin, DRF, allauth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asgiref.sync import async_to_sync
from django.apps import apps
from django.contrib import admin, messages
from django.contrib.auth import alogin, alogout, authenticate, logout, user_logged_in, views
from django.contrib.auth.decorators import login_required, permission_required
from django.contrib.auth.mixins import PermissionRequiredMixin
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db import connection, transaction
from django.http import HttpResponse, StreamingHttpResponse
from django.test import AsyncClient, Client
from django.urls import include, path
from django.views import View
from rest_framework.decorators import api_view, permission_classes
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from sessiongate import SessionManager
from sessiongate.devices.django import my_devices
from sessiongate.django import login_required as ours_required
from sessiongate.django import login_user, logout_user
from sessiongate.drf import HasScopes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from django.http import HttpRequest

manager = SessionManager(max_concurrent_sessions=None)
COOKIE = "__Host-session"
PASSWORD = "open sesame"


def empty_tables() -> None:
    ContentType.objects.clear_cache()
    with transaction.atomic(), connection.cursor() as cursor:
        for model in apps.get_models(include_auto_created=True):
            cursor.execute(f'DELETE FROM "{model._meta.db_table}"')


def add_user(name: str = "alice", **fields: Any) -> Any:
    return User.objects.create_user(name, password=PASSWORD, **fields)


class Browser:
    """One client, over WSGI or ASGI; it keeps cookies as browsers do."""

    def __init__(self, stack: str, **options: Any) -> None:
        if stack == "asgi":
            self.client: Any = AsyncClient(raise_request_exception=False, **options)
        else:
            options["headers"] = {"Host": "testserver"}  # as AsyncClient does, and all browsers
            self.client = Client(raise_request_exception=False, **options)

    def __getattr__(self, verb: str) -> Any:
        called = getattr(self.client, verb)
        if isinstance(self.client, AsyncClient) and verb in {"get", "post", "delete"}:
            return async_to_sync(called)
        return called

    def login(self, name: str = "alice", password: str = PASSWORD, path: str = "/login") -> Any:
        return self.post(path, {"username": name, "password": password})

    def who(self) -> str:
        """The user, as a view sees it; ``""`` for nobody."""
        response = self.get("/who")
        assert response.status_code == 200
        return str(response.content.decode())

    @property
    def token(self) -> str:
        cookie = self.client.cookies.get(COOKIE)
        return cookie.value if cookie else ""


def who(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.user.get_username())


async def awho(request: Any) -> HttpResponse:
    user = await request.auser()
    return HttpResponse(user.get_username())


async def log_in_async(request: Any) -> HttpResponse:
    from asgiref.sync import sync_to_async  # noqa: PLC0415

    user = await sync_to_async(authenticate)(
        request, username=request.POST["username"], password=request.POST["password"]
    )
    if user is None:
        return HttpResponse(status=403)
    await alogin(request, user)
    return HttpResponse((await request.auser()).get_username())


async def log_out_async(request: Any) -> HttpResponse:
    await alogout(request)
    return HttpResponse((await request.auser()).get_username())


def api_log_in(request: HttpRequest) -> HttpResponse:
    user = authenticate(request, username=request.POST["username"], password=PASSWORD)
    assert user is not None
    token = login_user(request, user, transport="bearer", scopes=["read"])
    return HttpResponse(token)


def log_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    return HttpResponse("Bye!")


def our_log_out(request: HttpRequest) -> HttpResponse:
    logout_user(request)
    return HttpResponse("Bye!")


def send_signal(request: HttpRequest) -> HttpResponse:
    user_logged_in.send(sender=User, request=request, user=User.objects.get())
    return HttpResponse("")


def our_verb(request: Any) -> HttpResponse:
    request.session.get("noted")
    request.sessiongate.logout()
    return HttpResponse(request.user.get_username())


@login_required
def private(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.user.get_username())


@permission_required("auth.view_user", raise_exception=True)
def permitted(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.user.get_username())


class Permitted(PermissionRequiredMixin, View):
    permission_required = "auth.view_user"
    raise_exception = True

    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse(request.user.get_username())


@ours_required
def guarded(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.user.get_username())


@ours_required(scopes=["write"])
async def scoped(request: Any) -> HttpResponse:
    return HttpResponse((await request.auser()).get_username())


@ours_required(fresh=300, login_url="login")
def fresh(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.user.get_username())


def note(request: HttpRequest) -> HttpResponse:
    """Keep something in the data of Django's session, and show what was there."""
    before = request.session.get("noted", "")
    if "word" in request.GET:
        request.session["noted"] = request.GET["word"]
    return HttpResponse(before)


def greet(request: HttpRequest) -> HttpResponse:
    messages.info(request, "Hello again")
    return HttpResponse("")


def greetings(request: HttpRequest) -> HttpResponse:
    return HttpResponse(",".join(str(one) for one in messages.get_messages(request)))


def events(request: Any) -> StreamingHttpResponse:
    chunks = request.environ_chunks if hasattr(request, "environ_chunks") else _endless()
    return StreamingHttpResponse(chunks, content_type="text/event-stream")


def _endless() -> Iterator[bytes]:
    while True:
        yield b"data: tick\n\n"


async def aevents(_request: Any) -> StreamingHttpResponse:
    return StreamingHttpResponse(_one_then_none(), content_type="text/event-stream")


async def _one_then_none() -> AsyncIterator[bytes]:
    import asyncio  # noqa: PLC0415

    yield b"data: tick\n\n"
    await asyncio.Event().wait()


@api_view(["GET", "POST"])
@permission_classes([IsAuthenticated])
def api_who(request: Any) -> Response:
    return Response({"user": request.user.get_username(), "scopes": request.auth.scopes})


@api_view(["POST"])
@permission_classes([AllowAny])
def api_public(request: Any) -> Response:
    return Response({"user": request.user.get_username()})


class APIScoped(APIView):
    permission_classes = [HasScopes]  # noqa: RUF012 - as DRF's documentation has it
    required_scopes = ("write",)

    def get(self, request: Any) -> Response:
        return Response({"user": request.user.get_username()})


urlpatterns = [
    path("", who),
    path("who", who),
    path("awho", awho),
    path("login", views.LoginView.as_view(template_name="login.html"), name="login"),
    path("logout", views.LogoutView.as_view()),
    path("password", views.PasswordChangeView.as_view(success_url="/")),
    path("alogin", log_in_async),
    path("alogout", log_out_async),
    path("api-login", api_log_in),
    path("log-out", log_out),
    path("our-log-out", our_log_out),
    path("signal", send_signal),
    path("our-verb", our_verb),
    path("private", private),
    path("permitted", permitted),
    path("permitted-class", Permitted.as_view()),
    path("guarded", guarded),
    path("scoped", scoped),
    path("fresh", fresh),
    path("note", note),
    path("greet", greet),
    path("greetings", greetings),
    path("events", events),
    path("aevents", aevents),
    path("api/who", api_who),
    path("api/public", api_public),
    path("api/scoped", APIScoped.as_view()),
    path("account/", include(my_devices())),
    path("admin/", admin.site.urls),
    path("accounts/", include("allauth.urls")),
]
