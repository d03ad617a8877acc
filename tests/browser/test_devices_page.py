"""The default page of my devices, on the screen of a phone and on that of a desk."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import expect
from tests.browser.pages import sticking_out
from tests.servers.running import serving_wsgi

from sessiongate import APITokens, SessionCookie, SessionManager
from sessiongate.devices.flask import my_devices
from sessiongate.flask import current_user, install, login_required

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import BrowserContext, Page

pytestmark = pytest.mark.slow

DEVICES = [
    {"name": "Firefox on Linux", "ip": "2001:db8:1234:5678:9abc:def0:1234:5678"},
    {"name": "W" * 120},
    {"name": "The telephone of the waiting room on the second floor", "ip": "192.0.2.7"},
]


SCOPES = ("read", "write", "a-scope-with-a-long-name:" + "w" * 80)


def me() -> str:
    return current_user.identity


@contextmanager
def shown_to(visitor: BrowserContext, api_tokens: APITokens | None = None) -> Iterator[Page]:
    """A tab of somebody who has three devices, at the page."""
    manager = SessionManager(existing="new", max_concurrent_sessions=None)
    token, *_ = [manager.create_session("alice", device=d, scopes=SCOPES) for d in DEVICES]
    app = Flask(__name__)
    app.register_blueprint(my_devices(api_tokens=api_tokens))
    app.add_url_rule("/me", view_func=login_required(scopes=["read"])(me))
    install(app, manager, cookie=SessionCookie(name="id", secure=False), api_tokens=api_tokens)
    with serving_wsgi(app) as address:
        visitor.add_cookies([{"name": "id", "value": token or "", "url": f"http://{address}"}])
        tab = visitor.new_page()
        tab.goto(f"http://{address}/devices")
        yield tab


@pytest.mark.parametrize("width", [320, 1280])
def test_it_fits_the_screen(visitor: BrowserContext, width: int) -> None:
    with shown_to(visitor) as tab:
        tab.set_viewport_size({"width": width, "height": 700})
        expect(tab.get_by_role("listitem")).to_have_count(len(DEVICES))
        assert sticking_out(tab) == []


def make_token(tab: Page, name: str) -> str:
    """Fill in the form and copy what it brings, with the keyboard: it has the focus."""
    tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    tab.get_by_role("textbox", name="Name").fill(name)
    tab.get_by_role("checkbox", name="read").check()
    tab.get_by_role("button", name="Make the token").click()
    expect(tab.get_by_label("Your new API token")).to_be_focused()
    tab.keyboard.press("ControlOrMeta+A")
    tab.keyboard.press("ControlOrMeta+C")
    copied: str = tab.evaluate("navigator.clipboard.readText()")
    return copied


def ask_me(tab: Page, token: str) -> tuple[int, str]:
    """What a program gets that has the token."""
    me = tab.url.replace("/devices", "/me")
    answer = httpx.get(me, headers={"Authorization": f"Bearer {token}"}, trust_env=False)
    return answer.status_code, answer.text


def test_an_api_token_is_made_copied_used_and_revoked(visitor: BrowserContext) -> None:
    with shown_to(visitor, APITokens()) as tab:
        token = make_token(tab, "ci")
        assert ask_me(tab, token) == (200, "alice")

        tab.goto(tab.url)
        expect(tab.get_by_text("Never", exact=True)).to_have_count(0)
        expect(tab.get_by_label("Your new API token")).to_have_count(0)
        assert token not in tab.content()
        tab.get_by_role("button", name="Revoke ci").click()
        expect(tab.get_by_text("You have no API tokens.")).to_be_visible()
        assert ask_me(tab, token)[0] == 401


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 360, 1280])
def test_api_tokens_fit_the_screen_and_axe_finds_no_fault(
    visitor: BrowserContext, width: int, scheme: Any
) -> None:
    api_tokens = APITokens(max_per_user=3)
    api_tokens.create("alice", name="The backup of my notes", scopes=["read"], expires_in=86400)
    api_tokens.create("alice", name="W" * 256, scopes=SCOPES)
    with shown_to(visitor, api_tokens) as tab:
        tab.emulate_media(color_scheme=scheme)
        tab.set_viewport_size({"width": width, "height": 700})
        make_token(tab, "ci")
        for limit_is_reached in (False, True):
            if limit_is_reached:
                tab.get_by_role("textbox", name="Name").fill("one more")
                tab.get_by_role("button", name="Make the token").click()
                expect(tab.get_by_role("alert")).to_contain_text("revoke one")
            assert sticking_out(tab) == []
            found: Any = Axe().run(tab, options={"resultTypes": ["violations"]}).response
            assert [(fault["id"], fault["nodes"]) for fault in found["violations"]] == []
