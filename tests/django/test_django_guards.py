"""Our ``login_required`` beside Django's, bearer tokens, API tokens and DRF."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.test import RequestFactory, override_settings
from django.urls import path
from tests.django import project
from tests.django.project import COOKIE, PASSWORD, Browser, add_user

from sessiongate import APITokens, ConfigurationError, SessionManager
from sessiongate.django import current_user, login_required, login_user
from sessiongate.stores import MemoryStore
from sessiongate.testing import ManualClock

if TYPE_CHECKING:
    from django.http import HttpRequest

BACKEND = "django.contrib.auth.backends.ModelBackend"
CROSSED = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}

HERE = {"Origin": "http://testserver"}


def forbidden(_request: HttpRequest, exception: Exception) -> HttpResponse:
    return HttpResponse(f"the app's own page: {exception}", status=403)


def test_nobody_is_refused_with_a_challenge(stack: str) -> None:
    browser = Browser(stack)
    for page in ("/guarded", "/scoped"):
        response = browser.get(page)
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"] == 'Bearer realm="sessiongate"'
    response = browser.get("/guarded", headers={"Authorization": "Bearer nonsense"})
    assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]
    response = browser.get("/guarded", headers={"Authorization": "Bearer a b"})
    assert response.status_code == 400
    assert 'error="invalid_request"' in response.headers["WWW-Authenticate"]


def test_a_missing_scope_is_told_by_the_app_s_own_page(stack: str, manager: SessionManager) -> None:
    add_user()
    browser = Browser(stack)
    browser.login()
    urls = {"handler403": forbidden, "urlpatterns": project.urlpatterns}
    with override_settings(ROOT_URLCONF=type("urls", (), urls)):
        response = browser.get("/scoped")
    assert response.status_code == 403
    assert response.content.startswith(b"the app's own page: ")
    assert 'scope="write"' in response.headers["WWW-Authenticate"]
    assert "no-store" in response.headers["Cache-Control"]
    manager.update_user_sessions("alice", scopes=["write"])
    assert browser.get("/scoped").content == b"alice"


def test_scopes_of_the_setting_are_those_of_a_new_session(stack: str) -> None:
    def scopes_of(user: Any) -> list[str]:
        return ["write"] if user.is_staff else []

    setting = {"manager": SessionManager(), "scopes": scopes_of}
    with override_settings(SESSIONGATE=setting):
        add_user(is_staff=True)
        add_user("bob")
        for name, status in (("alice", 200), ("bob", 403)):
            browser = Browser(stack)
            browser.login(name)
            assert browser.get("/scoped").status_code == status


def test_what_must_be_fresh_leads_to_the_login_and_back(stack: str) -> None:
    clock = ManualClock()
    with override_settings(SESSIONGATE={"manager": SessionManager(clock=clock)}):
        add_user()
        browser = Browser(stack)
        browser.login()
        assert browser.get("/fresh").status_code == 200
        clock.advance(301)
        response = browser.get("/fresh?page=2", headers={"Accept": "text/html"})
        assert response.status_code == 303
        assert response.headers["Location"] == "/login?next=/fresh%3Fpage%3D2"
        assert browser.get("/fresh", headers={"Accept": "*/*"}).status_code == 401
        browser.login()
        assert browser.get("/fresh").status_code == 200


def test_a_token_is_rotated_the_way_it_came(stack: str) -> None:
    clock = ManualClock()
    with override_settings(SESSIONGATE={"manager": SessionManager(clock=clock)}):
        add_user()
        browser, api = Browser(stack), Browser(stack)
        browser.login()
        bearer = api.login(path="/api-login").content.decode()
        assert COOKIE not in api.client.cookies
        before = browser.token
        clock.advance(1801)
        response = browser.get("/who")
        assert response.content == b"alice"
        assert browser.token != before
        assert {"no-store", "private"} <= {*response.headers["Cache-Control"].split(", ")}
        response = api.get("/who", headers={"Authorization": f"Bearer {bearer}"})
        newer = response.headers["X-Refreshed-Token"]
        assert newer != bearer
        assert "Authorization" in response.headers["Vary"]
        response = api.get("/who", headers={"Authorization": f"Bearer {newer}"})
        assert response.content == b"alice"
        assert "X-Refreshed-Token" not in response.headers


def test_api_tokens_are_for_views_that_say_so(stack: str, manager: SessionManager) -> None:
    tokens = APITokens(store=MemoryStore(), secret_key="k" * 64)
    with override_settings(SESSIONGATE={"manager": manager, "api_tokens": tokens}):
        add_user(is_staff=True, is_superuser=True)
        browser = Browser(stack)
        token = tokens.create("alice", name="ci", scopes=["write"])
        bearer = {"Authorization": f"Bearer {token}"}
        assert browser.get("/scoped", headers=bearer).content == b"alice"
        assert browser.get("/api/scoped", headers=bearer).json() == {"user": "alice"}
        assert browser.get("/guarded", headers=bearer).status_code == 403
        assert browser.get("/who", headers=bearer).content == b""
        assert browser.get("/private", headers=bearer).status_code == 302
        assert browser.get("/admin/", headers=bearer).status_code == 302
        assert browser.get("/api/who", headers=bearer).status_code == 401
        assert browser.post("/our-log-out", headers=bearer).status_code == 403
        User.objects.update(is_active=False)
        assert browser.get("/scoped", headers=bearer).status_code == 401
        assert browser.get("/api/scoped", headers=bearer).status_code == 401
        assert len(tokens.tokens("alice")) == 1


def test_drf_takes_cookies_without_a_form_token_and_bearer_tokens(
    stack: str, manager: SessionManager
) -> None:
    add_user()
    browser = Browser(stack, enforce_csrf_checks=True)
    response = browser.get("/api/who")
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="sessiongate"'
    browser.client.cookies[COOKIE] = manager.create_session("alice", scopes=["read"])
    expected = {"user": "alice", "scopes": ["authenticated", "read"]}
    assert browser.post("/api/who").json() == expected
    assert browser.post("/api/who", headers=HERE).json() == expected
    assert browser.post("/api/who", headers=CROSSED).status_code == 403
    assert browser.post("/api/public", headers=CROSSED).json() == {"user": ""}
    assert browser.get("/api/scoped").status_code == 403
    manager.update_user_sessions("alice", scopes=["write"])
    assert browser.get("/api/scoped").json() == {"user": "alice"}
    bearer = {"Authorization": f"Bearer {browser.token}"}
    assert Browser(stack).post("/api/who", headers=bearer).json()["user"] == "alice"
    browser.client.cookies[COOKIE] = "sg_nonsense"
    assert browser.post("/api/public").json() == {"user": ""}
    assert browser.get("/api/who").status_code == 401


@pytest.mark.parametrize("browsed", [True, False])
def test_a_function_may_say_where_the_login_is(browsed: bool) -> None:  # noqa: FBT001
    @login_required(login_url=lambda: "/elsewhere")
    def view(_request: HttpRequest) -> HttpResponse:
        return HttpResponse("in")

    with override_settings(ROOT_URLCONF=type("urls", (), {"urlpatterns": [path("x", view)]})):
        accept = "text/html" if browsed else "application/json"
        response = Browser("wsgi").get("/x", headers={"Accept": accept})
    assert response.status_code == (303 if browsed else 401)
    assert not browsed or response.headers["Location"] == "/elsewhere?next=/x"


def test_what_did_not_pass_the_middleware_is_told_so() -> None:
    request = RequestFactory().get("/")
    for use in (current_user, login_required(lambda _request: HttpResponse())):
        with pytest.raises(ConfigurationError, match="MIDDLEWARE"):
            use(request)
    with pytest.raises(ConfigurationError, match="MIDDLEWARE"):
        login_user(request, add_user())
    no_view: Any = project.empty_tables
    with pytest.raises(ConfigurationError, match="`request`"):
        login_required(no_view)()
    with pytest.raises(TypeError, match="method_decorator"):
        login_required(type("View", (), {}))


def test_a_remembered_login_and_its_keywords(manager: SessionManager) -> None:
    def view(request: Any) -> HttpResponse:
        user = User.objects.get()
        login_user(request, user, BACKEND, remember=True, scopes=["read"], claims={"plan": "free"})
        info = current_user(request).info
        assert info is not None
        return HttpResponse(f"{info['plan']} {request.sessiongate.remembered}")

    add_user()
    browser = Browser("wsgi")
    with override_settings(ROOT_URLCONF=type("urls", (), {"urlpatterns": [path("x", view)]})):
        response = browser.post("/x")
    assert response.content == b"free True"
    assert int(response.cookies[COOKIE].OutputString().partition("Max-Age=")[2].split(";")[0]) > 9e5
    assert manager.user_sessions("alice")[0]["scopes"] == ["read"]
    assert browser.who() == "alice"


def test_a_limit_refuses_the_login_and_leaves_nobody_half_logged_in(stack: str) -> None:
    manager = SessionManager(max_sessions_per_user=1)
    setting = {"manager": manager, "move_django_sessions": True}  # which looks for half a login
    with override_settings(SESSIONGATE=setting):
        add_user()
        first, second = Browser(stack), Browser(stack)
        first.login()
        assert second.login().status_code == 403
        assert second.who() == ""
        assert second.get("/note").status_code == 200
        assert first.who() == "alice"
        first.post("/logout")
        assert second.who() == ""
        assert second.login().status_code == 302
        assert second.who() == "alice"
        third = Browser(stack)
        with pytest.raises(PermissionDenied, match="too many sessions"):
            third.client.login(username="alice", password=PASSWORD)
