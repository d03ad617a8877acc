"""Tokens that are due, in the two apps of the demo, with a clock that the test moves."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import pytest
from playwright.sync_api import expect
from tests.browser.chromium import cookies
from tests.browser.roads import Road
from tests.servers.running import serving_asgi, serving_wsgi

import flask_app
import starlette_app
from sessiongate import Event, SessionManager
from sessiongate.testing import ManualClock
from shared import COOKIE, ROTATE_AFTER, SESSION_TIMEOUT, Accounts, Services, Site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import BrowserContext, Page, Response

pytestmark = pytest.mark.slow

GRACE: Final = 30
"""Seconds; the default."""
GO: Final = "url => { location.href = url }"
"""A script that waits for no answer."""


class Both:
    """The two apps, over one manager."""

    def __init__(self, stack: ExitStack) -> None:
        self.clock, self.road = ManualClock(), Road("/account")
        self.events: list[Event] = []
        manager = SessionManager(
            SESSION_TIMEOUT,
            max_concurrent_sessions=None,
            rotate_after=ROTATE_AFTER,
            rotation_grace=GRACE,
            secret_key="k" * 64,
            clock=self.clock,
            on_event=self.events.append,
        )
        self._manager = manager
        services = Services(manager, Accounts(), Site("here", "", "there", ""))
        flask, starlette = flask_app.create_app(services), starlette_app.create_app(services)
        address = stack.enter_context(serving_wsgi(self.road.wsgi(flask)))
        self.flask = f"http://{address}"
        address = stack.enter_context(serving_asgi(self.road.asgi(starlette)))
        self.starlette = f"http://{address}"

    def log_in(self, *visitors: BrowserContext) -> str:
        """Give browsers the cookie that a login would; the password is not what this is about."""
        token = self._manager.create_session("alice", existing="new")
        assert token is not None
        for visitor in visitors:
            visitor.add_cookies(
                [{"name": COOKIE.name, "value": token, "url": self.flask, "httpOnly": True}]
            )
        return token

    def told(self) -> list[str]:
        return [event.kind for event in self.events]


@pytest.fixture(scope="module")
def running() -> Iterator[Both]:
    with ExitStack() as stack:
        yield Both(stack)


@pytest.fixture
def both(running: Both) -> Both:
    running.events.clear()
    running.road.open()
    return running


def kept(visitor: BrowserContext) -> str:
    (cookie,) = cookies(visitor)
    value: str = cookie["value"]
    return value


def expect_known(tab: Page) -> None:
    expect(tab.get_by_role("heading", name="Hello, alice")).to_be_visible()


def test_five_tabs_that_load_at_once_get_one_successor(both: Both, visitor: BrowserContext) -> None:
    first = both.log_in(visitor)
    sites = [both.flask, both.starlette, both.flask, both.starlette, both.flask]
    tabs = [visitor.new_page() for _ in sites]
    answers: list[Response] = []
    # Playwright notes something at the function, which a method of list has no room for.
    visitor.on("response", lambda answer: answers.append(answer))  # noqa: PLW0108

    both.clock.advance(ROTATE_AFTER)
    both.road.meet(len(tabs))
    for number, (tab, site) in enumerate(zip(tabs, sites, strict=True)):
        # Each with an address of its own: a browser asks for one and the same but once.
        tab.evaluate(GO, f"{site}/account?tab={number}")
    for tab in tabs:
        expect_known(tab)

    loaded = [answer for answer in answers if "/account?" in answer.url]
    brought = {answer.request.header_value("cookie") for answer in loaded}
    assert brought == {f"sessiongate={first}"}
    (given,) = {answer.header_value("set-cookie") for answer in loaded}
    assert given == f"sessiongate={kept(visitor)}; HttpOnly; Path=/; SameSite=Lax"
    assert kept(visitor) != first
    assert both.told() == ["login", "rotated"]


@pytest.mark.parametrize("site", ["flask", "starlette"])
def test_a_lost_answer_locks_nobody_out(both: Both, visitor: BrowserContext, site: str) -> None:
    here: str = getattr(both, site)
    first = both.log_in(visitor)
    tab = visitor.new_page()
    both.clock.advance(ROTATE_AFTER)
    both.road.broken = True
    tab.evaluate(GO, f"{here}/account")
    both.road.wait_for_loss()
    tab.close()
    assert kept(visitor) == first
    assert both.told() == ["login", "rotated"]

    both.road.open()
    tab = visitor.new_page()
    both.clock.advance(1.5 * GRACE)  # the overlap begins when the successor is seen
    tab.goto(f"{here}/account")
    expect_known(tab)
    assert kept(visitor) != first
    tab.reload()
    expect_known(tab)
    assert both.told() == ["login", "rotated"]


def test_an_old_copy_of_a_cookie_ends_the_session(
    both: Both, new_visitor: Callable[[], BrowserContext]
) -> None:
    owner, thief = new_visitor(), new_visitor()
    both.log_in(owner, thief)
    tab, theirs = owner.new_page(), thief.new_page()
    both.clock.advance(ROTATE_AFTER)
    for _ in range(2):  # with the first cookie, and with its successor
        tab.goto(f"{both.flask}/account")
        expect_known(tab)
    both.clock.advance(GRACE)

    for one in (theirs, tab):
        one.goto(f"{both.starlette}/account")
        expect(one.get_by_role("heading", name="Log in")).to_be_visible()
    assert both.told() == ["login", "rotated", "replayed"]
