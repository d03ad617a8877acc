"""Apps that build on Django's sessions: its admin, allauth, and our own devices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.auth import user_logged_in
from django.contrib.auth.models import User
from django.test import override_settings
from django.urls import include, path, reverse
from tests.django import project
from tests.django.project import COOKIE, Browser, add_user

from sessiongate import APITokens, SessionManager
from sessiongate.devices.django import all_devices, my_devices
from sessiongate.django import signals
from sessiongate.django.apps import LABEL
from sessiongate.stores import MemoryStore

if TYPE_CHECKING:
    from django.http import HttpRequest

    from sessiongate.devices import DevicesPage

CROSSED = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}


def test_the_admin_logs_in_works_and_logs_out(stack: str, manager: SessionManager) -> None:
    add_user("root", is_staff=True, is_superuser=True)
    bob = add_user("bob")
    browser, other = Browser(stack), Browser(stack)
    other.login("bob")
    assert browser.get("/admin/").headers["Location"] == "/admin/login/?next=/admin/"
    assert browser.login("root", path="/admin/login/?next=/admin/").status_code == 302
    assert b"Site administration" in browser.get("/admin/").content
    fields = {"username": "eve", "usable_password": "true", "password1": "Xy-12345"}
    added = browser.post("/admin/auth/user/add/", fields | {"password2": "Xy-12345"})
    assert added.status_code == 302
    assert b"was added successfully" in browser.get("/admin/auth/user/").content
    chosen = {"action": "delete_selected", "_selected_action": bob.pk, "post": "yes"}
    assert browser.post("/admin/auth/user/", chosen).status_code == 302
    assert not User.objects.filter(username="bob").exists()
    assert manager.user_sessions("bob") == []
    assert other.who() == ""
    assert browser.post("/admin/logout/").status_code == 302
    assert browser.get("/admin/").status_code == 302
    assert manager.n_active_sessions() == 0


def test_the_admin_is_not_for_everybody(stack: str) -> None:
    add_user()
    browser = Browser(stack)
    browser.login()
    assert browser.get("/admin/").status_code == 302


def test_allauth_signs_up_logs_in_and_out_and_changes_the_password(
    stack: str, manager: SessionManager
) -> None:
    browser, other = Browser(stack), Browser(stack)
    fields = {"username": "alice", "password1": "Xy-12345", "password2": "Xy-12345"}
    assert browser.post("/accounts/signup/", fields).status_code == 302
    assert browser.who() == "alice"
    other.client.cookies[COOKIE] = manager.create_session("alice", existing="new")
    assert other.who() == "alice"
    words = {"oldpassword": "Xy-12345", "password1": "Zw-12345", "password2": "Zw-12345"}
    assert browser.post("/accounts/password/change/", words).status_code == 302
    assert browser.who() == "alice"
    assert other.who() == ""
    assert browser.post("/accounts/logout/").status_code == 302
    assert browser.who() == ""
    login = {"login": "alice", "password": "Zw-12345"}
    assert browser.post("/accounts/login/", login).status_code == 302
    assert browser.who() == "alice"
    assert len(manager.user_sessions("alice")) == 1


def test_my_devices_shows_them_and_ends_them(stack: str) -> None:
    add_user()
    here, there = Browser(stack), Browser(stack, enforce_csrf_checks=True)
    here.login()
    there.client.cookies[COOKIE] = here.token
    here.client.cookies.clear()
    here.login()
    page = reverse("my_devices:page")
    assert page == "/account/devices"
    assert here.get(page).content.count(b"Log out</button>") == 2
    handles = [one["handle"] for one in here.get(f"{page}/api").json()["devices"]]
    assert there.post(f"{page}/end/{handles[0]}", headers=CROSSED).status_code == 403
    assert there.post(f"{page}/end/{handles[0]}").status_code == 303
    assert here.who() == ""
    assert there.who() == "alice"
    assert there.delete(f"{page}/api/{handles[0]}").status_code == 404
    assert there.post(f"{page}/api/end-others").json() == {"ended": 0}
    assert there.get(f"{page}/api/{handles[0]}").status_code == 405
    assert there.get(f"{page}/style.css").status_code == 200
    assert Browser(stack).get(page).status_code == 401


def test_a_page_of_the_app_s_own_and_api_tokens(manager: SessionManager) -> None:
    tokens = APITokens(store=MemoryStore(), secret_key="k" * 64)

    def render(request: HttpRequest, page: DevicesPage) -> str:
        return f"{request.path} {len(page.devices)} {page.new_token is not None}"

    patterns = [
        *project.urlpatterns,
        path("mine/", include(my_devices("/d", render=render, api_tokens=tokens))),
        path("", include(all_devices(scopes=["admin"]))),
    ]
    setting = {"manager": manager, "api_tokens": tokens, "scopes": lambda _: ["admin"]}
    urls = type("urls", (), {"urlpatterns": patterns})
    with override_settings(ROOT_URLCONF=urls, SESSIONGATE=setting):
        add_user()
        browser = Browser("wsgi")
        browser.login()
        assert browser.get("/mine/d").content == b"/mine/d 1 False"
        made = browser.post("/mine/d", {"name": "ci"}, content_type="application/json")
        assert (made.status_code, made.content) == (201, b"/mine/d 1 True")
        assert len(tokens.tokens("alice")) == 1
        assert b"alice" in browser.get("/all-devices").content


DJANGO_S = "django.contrib.auth.middleware.AuthenticationMiddleware"


def as_before(stack: str) -> Browser:
    """A browser that has logged in while ours was no part of the project."""
    middleware = [DJANGO_S if "sessiongate" in one else one for one in settings.MIDDLEWARE]
    browser = Browser(stack)
    user_logged_in.disconnect(dispatch_uid=LABEL)
    try:
        with override_settings(MIDDLEWARE=middleware):
            browser.login()
            browser.get("/note?word=basket")
            assert browser.who() == "alice"
    finally:
        signals.connect()
    return browser


def with_cookies_of(other: Browser, stack: str) -> Browser:
    browser = Browser(stack)
    for name, morsel in other.client.cookies.items():
        browser.client.cookies[name] = morsel.value
    return browser


def test_those_who_are_logged_in_by_django_s_own_sessions_stay_so(
    stack: str, manager: SessionManager
) -> None:
    """The move: the middleware is exchanged, and nobody has to log in again."""
    add_user()
    with override_settings(SESSION_ENGINE="django.contrib.sessions.backends.db"):
        before = as_before(stack)
        assert before.token == ""
        assert with_cookies_of(before, stack).who() == ""  # not without being asked to
        with override_settings(SESSIONGATE={"manager": manager, "move_django_sessions": True}):
            browser, straggler = (with_cookies_of(before, stack) for _ in range(2))
            assert browser.get("/private").content == b"alice"
            assert browser.token.startswith("sg_")
            assert browser.get("/note").content == b"basket"
            assert straggler.who() == "alice"  # a request that was sent at the same time
            assert manager.n_active_sessions() == 2
            browser.post("/logout")
            straggler.post("/logout")
            assert manager.n_active_sessions() == 0
            assert with_cookies_of(before, stack).who() == ""


def test_a_move_does_not_undo_a_logout_of_another_app(stack: str, manager: SessionManager) -> None:
    add_user()
    setting = {"manager": manager, "move_django_sessions": True}
    engine = "django.contrib.sessions.backends.db"
    with override_settings(SESSION_ENGINE=engine, SESSIONGATE=setting):
        before = as_before(stack)
        browser = with_cookies_of(before, stack)
        assert browser.who() == "alice"
        manager.invalidate_user_sessions("alice")
        assert with_cookies_of(before, stack).who() == ""
        assert browser.who() == ""
        assert manager.n_active_sessions() == 0


def test_who_has_logged_in_elsewhere_since_is_not_taken_for_the_other(
    stack: str, manager: SessionManager
) -> None:
    add_user()
    add_user("bob")
    setting = {"manager": manager, "move_django_sessions": True}
    engine = "django.contrib.sessions.backends.db"
    with override_settings(SESSION_ENGINE=engine, SESSIONGATE=setting):
        browser = with_cookies_of(as_before(stack), stack)
        browser.client.cookies[COOKIE] = manager.create_session("bob")
        assert browser.who() == "bob"
        assert browser.get("/note").content == b""
