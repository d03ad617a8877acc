"""What goes wrong: other sites, two sessions, a store that is down, a setting that is unfit."""

from __future__ import annotations

import asyncio
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.core.wsgi import get_wsgi_application
from django.test import override_settings
from tests.django.project import COOKIE, Browser, add_user
from tests.http.brittle import BrittleStore

from sessiongate import SessionCookie, SessionManager
from sessiongate.stores import SQLiteStore
from sessiongate.wsgi import SessionAuthMiddleware

if TYPE_CHECKING:
    from pathlib import Path

CROSSED = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
OURS = "sessiongate.django.SessionAuthMiddleware"
SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"
DJANGO_S = "django.contrib.auth.middleware.AuthenticationMiddleware"

around = SessionAuthMiddleware(get_wsgi_application(), SessionManager())


def test_another_site_neither_logs_in_nor_out_nor_acts(stack: str) -> None:
    add_user()
    browser = Browser(stack)
    browser.login()
    assert browser.post("/log-out", headers=CROSSED).status_code == 403
    assert browser.post("/our-log-out", headers=CROSSED).status_code == 403
    assert browser.post("/who", headers=CROSSED).content == b""
    assert browser.who() == "alice"
    other = Browser(stack)
    fields = {"username": "alice", "password": "open sesame"}
    assert other.post("/login", fields, headers=CROSSED).status_code == 403
    assert other.who() == ""
    trusted = {**CROSSED, "Origin": "https://sister.example"}
    origins = ["https://sister.example", "https://*.example.org"]
    with override_settings(CSRF_TRUSTED_ORIGINS=origins):
        assert Browser(stack).post("/login", fields, headers=trusted).status_code == 302


def test_a_form_without_its_token_is_django_s_to_refuse(stack: str) -> None:
    add_user()
    browser = Browser(stack, enforce_csrf_checks=True)
    refused = browser.login()
    assert refused.status_code == 403
    assert b"CSRF" in refused.content
    browser.get("/login")
    fields = {"username": "alice", "password": "open sesame"}
    fields["csrfmiddlewaretoken"] = browser.client.cookies["csrftoken"].value
    assert browser.post("/login", fields).status_code == 302
    assert browser.who() == "alice"


def test_form_tokens_may_be_in_the_data_of_the_session(stack: str) -> None:
    add_user()
    with override_settings(CSRF_USE_SESSIONS=True):
        browser = Browser(stack, enforce_csrf_checks=True)
        page = browser.get("/login").content.decode()
        token = page.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
        fields = {"username": "alice", "password": "open sesame", "csrfmiddlewaretoken": token}
        assert browser.post("/login", fields).status_code == 302
        assert browser.who() == "alice"


def test_two_live_sessions_make_nobody_until_a_login(stack: str, manager: SessionManager) -> None:
    add_user()
    browser = Browser(stack)
    tokens = [manager.create_session(name, existing="new") for name in ("alice", "bob")]
    both = {"Cookie": "; ".join(f"{COOKIE}={token}" for token in tokens)}
    assert browser.get("/who", headers=both).content == b""
    assert browser.get("/guarded", headers=both).status_code == 400
    fields = {"username": "alice", "password": "open sesame"}
    assert browser.post("/login", fields, headers=both).status_code == 302
    assert manager.user_sessions("bob") == []
    assert browser.who() == "alice"


@pytest.mark.parametrize("path", ["/who", "/admin/", "/api/who", "/login"])
def test_the_store_down_is_a_503_for_those_who_bring_a_credential(stack: str, path: str) -> None:
    store = BrittleStore()
    setting = {"manager": SessionManager(store=store, secret_key="k" * 64)}
    with override_settings(SESSIONGATE=setting):
        add_user(is_staff=True)
        browser = Browser(stack)
        browser.login()
        store.down = True
        response = browser.get(path)
        assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
        assert Browser(stack).who() == ""
        store.down = False
        assert browser.who() == "alice"


def test_a_login_while_the_store_is_down_is_a_503_and_logs_nobody_in(stack: str) -> None:
    store = BrittleStore()
    setting = {"manager": SessionManager(store=store, secret_key="k" * 64)}
    with override_settings(SESSIONGATE=setting):
        add_user()
        browser = Browser(stack)
        store.down = True
        response = browser.login()
        assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
        store.down = False
        assert browser.who() == ""
        browser.login()
        store.down = True
        assert browser.post("/logout").status_code == 503
        store.down = False
        assert browser.who() == "alice"


def test_skipped_and_passive_paths(manager: SessionManager, stack: str) -> None:
    setting = {"manager": manager, "skip": ["/greetings"], "passive": ["/who"]}
    with override_settings(SESSIONGATE=setting):
        add_user()
        browser = Browser(stack)
        browser.login()
        browser.get("/note?word=kept")
        assert browser.get("/greetings").status_code == 200
        assert browser.who() == "alice"
        assert browser.get("/note").content == b"kept"


def test_ours_around_the_whole_app_as_well_changes_nothing(manager: SessionManager) -> None:
    """It costs a second check; ``manage.py check`` says so."""
    from django.core.handlers.wsgi import WSGIHandler  # noqa: PLC0415
    from werkzeug.test import Client  # noqa: PLC0415

    add_user()
    client = Client(SessionAuthMiddleware(WSGIHandler(), manager))
    at = {"base_url": "https://localhost"}
    page = client.get("/login", **at).text
    token = page.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
    fields = {"username": "alice", "password": "open sesame", "csrfmiddlewaretoken": token}
    response = client.post("/login", data=fields, headers={"Referer": "https://localhost/"}, **at)
    assert response.status_code == 302
    set_here = [
        one for one in response.headers.getlist("Set-Cookie") if one.strip().startswith(COOKIE)
    ]
    assert len(set_here) == 1
    assert client.get("/who", **at).text == "alice"
    assert client.get("/log-out", **at).text == "Bye!"
    assert client.get("/who", **at).text == ""
    assert manager.n_active_sessions() == 0


def found(*, deploy: bool = False, **changes: Any) -> dict[str, str]:
    """What ``manage.py check`` says of us with these settings."""
    with override_settings(**changes):
        said = run_checks(include_deployment_checks=deploy)
        return {str(one.id): str(one.msg) for one in said if "sessiongate" in str(one.id)}


def test_a_project_as_it_should_be_has_nothing_to_be_told() -> None:
    assert found() == {}


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        (None, "SESSIONGATE must be a dict"),
        ({}, "manager"),
        ({"manager": "nowhere.manager"}, "'nowhere.manager', which cannot be imported"),
        ({"manager": "tests.django.project.nothing"}, "cannot be imported"),
        ({"manager": "tests.django.project.PASSWORD"}, "must be a SessionManager"),
        ({"manager": SessionManager(), "coookie": 1}, "unknown key 'coookie'"),
        ({"manager": SessionManager(), "device_bound": True}, "not there yet for Django"),
        ({"manager": SessionManager(), "scopes": ["read"]}, "must be a function"),
        ({"manager": SessionManager(), "scopes": "nowhere.scopes"}, "cannot be imported"),
        ({"manager": SessionManager(), "user_field": "first_name"}, "no unique field"),
        ({"manager": SessionManager(), "user_field": "nick"}, "no unique field"),
        ({"manager": SessionManager(), "cookie": 1}, "cookie must be a SessionCookie"),
        ({"manager": SessionManager(), "skip": "static"}, "cannot be imported"),
    ],
)
def test_an_unfit_setting_is_named_by_the_check_and_at_the_start(setting: Any, named: str) -> None:
    assert named in found(SESSIONGATE=setting)["sessiongate.E001"]
    with override_settings(SESSIONGATE=setting), pytest.raises(ImproperlyConfigured, match="SESS"):
        Browser("wsgi").get("/who")


@pytest.mark.parametrize(
    ("middleware", "number"),
    [
        ([SESSIONS, DJANGO_S], "E003"),
        ([OURS, SESSIONS], "E004"),
        ([OURS], "E004"),
        ([SESSIONS, OURS, OURS], "E005"),
        ([SESSIONS, DJANGO_S, OURS], "E006"),
        ([SESSIONS, OURS, DJANGO_S], "E006"),
    ],
)
def test_a_misplaced_middleware_is_named(middleware: list[str], number: str) -> None:
    others = [one for one in settings.MIDDLEWARE if one not in {SESSIONS, OURS}]
    assert [*found(MIDDLEWARE=[*middleware, *others])] == [f"sessiongate.{number}"]


def test_ours_above_django_s_sessions_is_refused_at_the_first_request() -> None:
    browser = Browser("wsgi")
    browser.client.raise_request_exception = True
    with (
        override_settings(MIDDLEWARE=[OURS, SESSIONS]),
        pytest.raises(ImproperlyConfigured, match="below"),
    ):
        browser.get("/who")


def test_other_mistakes_are_named() -> None:
    around_all = f"{__name__}.around"
    assert "twice" in found(WSGI_APPLICATION=around_all, deploy=True)["sessiongate.W001"]
    assert found(WSGI_APPLICATION=around_all) == {}  # each command would import it
    taken = {"manager": SessionManager(), "cookie": SessionCookie(name="sessionid")}
    assert "sessionid" in found(SESSIONGATE=taken)["sessiongate.E002"]
    installed = [one for one in settings.INSTALLED_APPS if one != "sessiongate.django"]
    with (
        override_settings(INSTALLED_APPS=installed),
        pytest.raises(ImproperlyConfigured, match="INSTALLED_APPS"),
    ):
        Browser("wsgi").get("/who")

    async def listener(_event: Any) -> None: ...

    with (
        override_settings(SESSIONGATE={"manager": SessionManager(on_event=listener)}),
        pytest.raises(ImproperlyConfigured, match="on_event"),
    ):
        Browser("asgi").get("/who")


def command(*arguments: str) -> list[str]:
    out = StringIO()
    call_command("sessiongate_sessions", *arguments, stdout=out)
    return out.getvalue().splitlines()


def test_the_command_lists_and_ends_sessions(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "sessions.db")
    manager = SessionManager(store=store, secret_key="k" * 64, max_concurrent_sessions=None)
    with override_settings(SESSIONGATE={"manager": manager}):
        for name in ("alice", "alice", "bob"):
            manager.create_session(name, existing="new")
        assert len(command()) == 3
        assert [line.split()[1] for line in command("bob")] == ["bob"]
        handle = command("alice")[0].split()[0]
        assert command("alice", f"--end={handle}") == [f"ended {handle} of alice"]
        with pytest.raises(CommandError, match="no session"):
            command("bob", f"--end={command('alice')[0].split()[0]}")
        assert command("alice", "--end-all") == ["ended 1 session of alice"]
        assert len(command()) == 1
        with pytest.raises(CommandError, match="name the user"):
            command("--end-all")
    store.close()
    with pytest.raises(CommandError, match="memory"):
        command()


def test_event_streams_end_with_their_session(stack: str, manager: SessionManager) -> None:
    add_user()
    browser = Browser(stack)
    browser.login()
    if stack == "wsgi":
        chunks = browser.get("/events").streaming_content
        assert next(chunks).startswith(b"data")
        manager.invalidate_user_sessions("alice")
        assert list(chunks) == []
        return

    async def listen() -> list[bytes]:
        response = await browser.client.get("/aevents")
        chunks = aiter(response.streaming_content)
        first = await anext(chunks)
        await manager.ainvalidate_user_sessions("alice")
        rest = [chunk async for chunk in chunks]
        return [first, *rest]

    assert asyncio.run(asyncio.wait_for(listen(), 30)) == [b"data: tick\n\n"]
