"""``request.user`` and ``request.auser`` follow whatever a view does with its session, at once."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth import alogin, alogout, login, logout
from django.contrib.auth.models import User
from django.http import HttpResponse, JsonResponse
from django.test import override_settings
from django.urls import include, path
from tests.django.project import Browser, add_user

BACKEND = "django.contrib.auth.backends.ModelBackend"
AFTER = {
    "login": "bob",
    "logout": "",
    "login-and-logout": "",
    "logout-and-login": "bob",
    "of-nobody-known": "",
    "django-login": "bob",
    "django-logout": "",
    "refresh": "alice",
    "update": "alice",
}


def name_of(request: Any) -> Any:
    return request.user.get_username()


def verbs(request: Any, what: str) -> None:
    session = request.sessiongate
    if what.startswith("django"):
        bob = User.objects.get(username="bob")
        login(request, bob, BACKEND) if what == "django-login" else logout(request)
    elif what == "of-nobody-known":
        session.login("carol")
    elif what in {"refresh", "update"}:
        found = request.user
        session.refresh() if what == "refresh" else session.update(scopes=["more"])
        assert request.user is found, "nobody is looked up again"
    else:
        for verb in what.split("-and-"):
            session.login("bob") if verb == "login" else session.logout()


async def averbs(request: Any, what: str) -> None:
    session = request.sessiongate
    if what.startswith("django"):
        bob = await User.objects.aget(username="bob")
        await (alogin(request, bob, BACKEND) if what == "django-login" else alogout(request))
    elif what == "of-nobody-known":
        await session.alogin("carol")
    elif what in {"refresh", "update"}:
        found = request.user
        await (session.arefresh() if what == "refresh" else session.aupdate(scopes=["more"]))
        assert request.user is found, "nobody is looked up again"
    else:
        for verb in what.split("-and-"):
            await (session.alogin("bob") if verb == "login" else session.alogout())


def change(request: Any, what: str) -> HttpResponse:
    seen = [name_of(request), async_to_sync(request.auser)().get_username()]
    verbs(request, what)
    seen += [name_of(request), async_to_sync(request.auser)().get_username()]
    return JsonResponse(seen, safe=False)


async def achange(request: Any, what: str) -> HttpResponse:
    seen = [(await request.auser()).get_username()]
    seen += [await sync_to_async(name_of)(request)]
    await averbs(request, what)
    seen += [(await request.auser()).get_username()]
    seen += [await sync_to_async(name_of)(request)]
    return JsonResponse(seen, safe=False)


urlpatterns = [
    path("change/<what>", change),
    path("achange/<what>", achange),
    path("", include("tests.django.project")),
]


@pytest.mark.parametrize("what", AFTER)
@pytest.mark.parametrize("view", ["change", "achange"])
def test_the_user_who_was_looked_up_is_not_kept(stack: str, view: str, what: str) -> None:
    add_user("alice")
    add_user("bob")
    with override_settings(ROOT_URLCONF=__name__):
        browser = Browser(stack)
        browser.login()
        assert browser.get(f"/{view}/{what}").json() == ["alice", "alice", *[AFTER[what]] * 2]
        assert browser.who() == AFTER[what]


@pytest.mark.parametrize("view", ["change", "achange"])
def test_nobody_becomes_somebody_at_once(stack: str, view: str) -> None:
    add_user("bob")
    with override_settings(ROOT_URLCONF=__name__):
        browser = Browser(stack)
        assert browser.get(f"/{view}/login").json() == ["", "", "bob", "bob"]
        assert browser.who() == "bob"
