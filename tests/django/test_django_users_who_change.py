"""Sessions end with their user: deleted, deactivated, renamed, or with a new password."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.db import transaction
from django.test import override_settings
from tests.django.project import COOKIE, PASSWORD, Browser, add_user

if TYPE_CHECKING:
    from collections.abc import Callable

    from sessiongate import SessionManager


def saved(user: Any, **fields: Any) -> None:
    vars(user).update(fields)
    user.save()


CHANGES: dict[str, Callable[[Any], Any]] = {
    "deleted": lambda user: user.delete(),
    "deleted-by-query": lambda user: User.objects.filter(pk=user.pk).delete(),
    "deactivated": lambda user: saved(user, is_active=False),
    "renamed": lambda user: saved(user, username="eve"),
    "password": lambda user: saved(user, password=make_password("another")),
}


@pytest.mark.parametrize("change", CHANGES)
def test_all_sessions_of_the_user_end_in_the_store(change: str, manager: SessionManager) -> None:
    """So that the apps beside Django know it as well, which do not ask for users."""
    alice = add_user()
    add_user("bob")
    browser, other = Browser("wsgi"), Browser("wsgi")
    browser.login()
    other.login("bob")
    manager.create_session("alice", existing="new")
    CHANGES[change](alice)
    assert manager.user_sessions("alice") == []
    assert browser.who() == ""
    assert other.who() == "bob"


def test_what_changes_nothing_ends_nothing(manager: SessionManager) -> None:
    alice = add_user()
    browser = Browser("wsgi")
    browser.login()
    alice.first_name = "Alice"
    alice.save()
    alice.save(update_fields=["last_login"])
    assert browser.who() == "alice"
    assert manager.n_active_sessions() == 1


def test_a_change_that_is_rolled_back_ends_nothing() -> None:
    alice = add_user()
    browser = Browser("wsgi")
    browser.login()
    with transaction.atomic():
        alice.delete()
        transaction.set_rollback(True)
    assert browser.who() == "alice"


@pytest.mark.parametrize(
    "fields", [{"is_active": False}, {"password": "another"}, {"username": "eve"}], ids=str
)
def test_what_no_signal_tells_is_seen_at_the_next_request(
    stack: str, fields: dict[str, Any], manager: SessionManager
) -> None:
    add_user()
    browser = Browser(stack)
    browser.login()
    User.objects.update(**fields)
    assert browser.get("/guarded").status_code == 401
    assert browser.who() == ""
    assert manager.n_active_sessions() == 0


def test_a_name_that_is_taken_again_opens_nothing_of_the_old_session(stack: str) -> None:
    add_user()
    browser = Browser(stack)
    browser.login()
    User.objects.all()._raw_delete(using="default")  # without a signal
    User.objects.create_user("alice", password="another")
    assert browser.who() == ""


def test_by_primary_key_not_even_where_another_app_has_opened_the_session(
    stack: str, manager: SessionManager
) -> None:
    with override_settings(SESSIONGATE={"manager": manager, "user_field": "pk"}):
        alice = add_user()
        browser = Browser(stack)
        browser.client.cookies[COOKIE] = manager.create_session(str(alice.pk))
        assert browser.who() == "alice"
        alice.username = "alicia"
        alice.save()
        assert browser.who() == "alicia"
        User.objects.all()._raw_delete(using="default")
        User.objects.create_user("alicia", password=PASSWORD, pk=alice.pk + 1)
        assert browser.who() == ""
        browser.client.cookies[COOKIE] = manager.create_session("alicia")
        assert browser.who() == ""  # a name is no key


def test_a_new_password_logs_the_others_out_and_renews_this_one(
    stack: str, manager: SessionManager
) -> None:
    add_user()
    here, there = Browser(stack), Browser(stack)
    here.login()
    there.login()
    manager.create_session("alice", existing="new")  # of another app
    before = here.token
    words = {"old_password": PASSWORD, "new_password1": "Xy-12345", "new_password2": "Xy-12345"}
    assert here.post("/password", words).status_code == 302
    assert here.token != before
    assert here.who() == "alice"
    assert there.who() == ""
    assert len(manager.user_sessions("alice")) == 1
    here.client.cookies[COOKIE] = before
    assert here.who() == ""


def test_a_new_secret_key_logs_nobody_out_while_the_old_one_is_a_fallback(stack: str) -> None:
    add_user()
    browser = Browser(stack)
    engine = "django.contrib.sessions.backends.db"
    old, new = "old " * 20, "new " * 20
    with override_settings(SECRET_KEY=old, SESSION_ENGINE=engine):
        browser.login()
    with override_settings(SECRET_KEY=new, SECRET_KEY_FALLBACKS=[old], SESSION_ENGINE=engine):
        assert browser.who() == "alice"
    with override_settings(SECRET_KEY=new, SESSION_ENGINE=engine):
        assert browser.who() == "alice"
    with override_settings(SECRET_KEY=old, SESSION_ENGINE=engine):
        assert browser.who() == ""


def test_a_backend_that_is_no_more_lets_nobody_in(stack: str) -> None:
    add_user()
    browser = Browser(stack)
    browser.login()
    with override_settings(
        AUTHENTICATION_BACKENDS=["django.contrib.auth.backends.RemoteUserBackend"]
    ):
        assert browser.who() == ""
