"""``login()``, ``logout()`` and ``request.user`` as Django's users know them, on both stacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.apps import apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Permission
from django.test import override_settings
from tests.django.project import COOKIE, PASSWORD, Browser, add_user

if TYPE_CHECKING:
    from sessiongate import SessionManager


@pytest.mark.usefixtures("_engine")
def test_django_s_own_views_log_in_and_out(stack: str, manager: SessionManager) -> None:
    add_user()
    browser = Browser(stack)
    assert browser.who() == ""
    assert browser.get("/private").status_code == 302
    assert browser.login().status_code == 302
    assert browser.token.startswith("sg_")
    assert [*manager.user_sessions("alice")]
    assert browser.who() == browser.get("/awho").content.decode() == "alice"
    assert browser.get("/private").status_code == 200
    copied = browser.token
    assert browser.post("/logout").status_code == 302
    assert browser.who() == ""
    assert manager.user_sessions("alice") == []
    browser.client.cookies[COOKIE] = copied
    assert browser.who() == ""


@pytest.mark.usefixtures("_engine")
def test_async_views_log_in_and_out(stack: str, manager: SessionManager) -> None:
    add_user()
    browser = Browser(stack)
    assert browser.login(path="/alogin").content == b"alice"
    assert browser.who() == "alice"
    assert browser.get("/alogout").content == b""
    assert browser.who() == ""
    assert manager.n_active_sessions() == 0


@pytest.mark.usefixtures("_engine")
def test_the_test_client_logs_in_without_a_request(stack: str, manager: SessionManager) -> None:
    alice, bob = add_user(), add_user("bob")
    browser = Browser(stack)
    browser.client.force_login(alice)
    assert browser.who() == "alice"
    browser.client.force_login(bob)
    assert browser.who() == "bob"
    assert manager.user_sessions("alice") == []
    assert len(manager.user_sessions("bob")) == 1
    browser.client.logout()
    assert browser.who() == ""
    assert manager.n_active_sessions() == 0
    assert browser.client.login(username="alice", password=PASSWORD)
    assert browser.get("/private").content == b"alice"


def test_a_login_without_a_request_that_is_never_used_ends_with_the_clients_logout(
    manager: SessionManager,
) -> None:
    browser = Browser("wsgi")
    browser.client.force_login(add_user())
    assert manager.n_active_sessions() == 1
    browser.client.logout()
    assert manager.n_active_sessions() == 0


def test_another_app_s_login_and_logout_count_at_once(stack: str, manager: SessionManager) -> None:
    add_user()
    browser = Browser(stack)
    browser.client.cookies[COOKIE] = manager.create_session("alice")
    assert browser.who() == "alice"
    manager.invalidate_user_sessions("alice")
    assert browser.who() == ""


def test_a_bearer_token_needs_no_form_token(stack: str) -> None:
    add_user()
    client = Browser(stack, enforce_csrf_checks=True)
    refused = client.login(path="/api-login")
    assert refused.status_code == 403
    token = Browser(stack).login(path="/api-login").content.decode()
    bearer = {"Authorization": f"Bearer {token}"}
    assert client.post("/who", headers=bearer).content == b"alice"
    assert client.post("/who", headers={"Authorization": "Bearer nonsense"}).content == b""
    assert client.post("/our-log-out", headers=bearer).content == b"Bye!"
    assert client.post("/who", headers=bearer).content == b""


def test_no_data_of_one_login_are_shown_to_the_next(stack: str, manager: SessionManager) -> None:
    add_user()
    add_user("bob")
    browser = Browser(stack)
    browser.get("/note?word=before")
    browser.login()
    assert browser.get("/note?word=secret").content == b"before"  # as Django keeps a basket
    browser.client.cookies[COOKIE] = manager.create_session("bob")
    assert browser.who() == "bob"
    assert browser.get("/note").content == b""
    browser.client.cookies[COOKIE] = ""
    assert browser.get("/note").content == b""


def test_data_survive_what_says_nothing_of_their_login(stack: str, manager: SessionManager) -> None:
    add_user()
    browser = Browser(stack)
    browser.login()
    browser.get("/note?word=secret")
    other = {"Authorization": f"Bearer {manager.create_session('bob', existing='new')}"}
    assert browser.get("/note", headers=other).content == b""
    crossed = {"Sec-Fetch-Site": "cross-site"}
    assert browser.post("/note", headers=crossed).content == b""
    assert browser.get("/note").content == b"secret"


def test_a_signal_that_is_not_of_a_login_opens_nothing(stack: str, manager: SessionManager) -> None:
    """As knox sends it, for tokens of its own."""
    add_user()
    browser = Browser(stack)
    assert browser.get("/signal").status_code == 200
    assert browser.who() == ""
    assert manager.n_active_sessions() == 0


def test_a_logout_by_our_own_verb_is_not_undone_by_what_django_kept(
    stack: str, manager: SessionManager
) -> None:
    add_user()
    browser = Browser(stack)
    with override_settings(SESSIONGATE={"manager": manager, "move_django_sessions": True}):
        browser.login()
        browser.get("/note?word=secret")
        assert browser.get("/our-verb").content == b""
        assert browser.who() == ""
        assert browser.get("/note").content == b""


def test_messages_pass_from_one_request_to_the_next(stack: str) -> None:
    add_user()
    browser = Browser(stack)
    browser.login()
    browser.get("/greet")
    assert browser.get("/greetings").content == b"Hello again"
    assert browser.get("/greetings").content == b""


def test_permissions_are_those_of_the_user(stack: str) -> None:
    alice = add_user()
    browser = Browser(stack)
    for page in ("/permitted", "/permitted-class"):
        assert browser.get(page).status_code == 403
    browser.login()
    for page in ("/permitted", "/permitted-class"):
        assert browser.get(page).status_code == 403
    create_permissions(apps.get_app_config("auth"), verbosity=0)
    alice.user_permissions.add(Permission.objects.get(codename="view_user"))
    for page in ("/permitted", "/permitted-class"):
        assert browser.get(page).content == b"alice"
