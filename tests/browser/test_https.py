"""What a browser does with the strict cookie, over HTTPS, and what it takes for another site."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

import pytest
from tests.browser.chromium import cookies
from tests.browser.pages import OPEN_WEBSOCKET, anything, page_at
from tests.servers.running import serving_asgi, serving_wsgi
from tests.servers.sites import flask_site, starlette_site

from sessiongate import SessionCookie, SessionManager
from sessiongate.testing import ManualClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import BrowserContext, Frame, Page

pytestmark = pytest.mark.slow

DUE: Final = 1800
"""Seconds; half of the default lifetime."""
STRICT: Final = SessionCookie()
ANYWHERE: Final = SessionCookie(same_site="None")
EMBEDDED: Final = SessionCookie(same_site="None", partitioned=True)
ASK: Final = """async ([method, url]) => {
  const answer = await fetch(url, { method, credentials: "include" });
  return [answer.status, answer.ok ? await answer.json() : null];
}"""


class Sites:
    """Sites over one manager, each on a port of its own, and foreign pages."""

    def __init__(self, stack: ExitStack, certificate: tuple[str, str]) -> None:
        self._stack, self._certificate = stack, certificate
        self.clock = ManualClock()
        self._manager = SessionManager(
            max_concurrent_sessions=None, secret_key="k" * 64, clock=self.clock
        )
        address = stack.enter_context(serving_wsgi(anything, certificate))
        self._elsewhere = address.rpartition(":")[2]

    def open(self, stack: str, cookie: SessionCookie, **options: Any) -> str:
        """The address of a site with this cookie, at app.test."""
        if stack == "flask":
            serving = serving_wsgi(
                flask_site(self._manager, cookie=cookie, **options), self._certificate
            )
        else:
            serving = serving_asgi(
                starlette_site(self._manager, cookie=cookie, **options), self._certificate
            )
        address = self._stack.enter_context(serving)
        return f"https://app.test:{address.rpartition(':')[2]}"

    def page(self, host: str, html: str = "") -> str:
        """The address of a page of somebody else."""
        return page_at(f"https://{host}:{self._elsewhere}", html)

    def origin(self, host: str) -> str:
        return f"https://{host}:{self._elsewhere}"


@pytest.fixture
def sites(certificate: tuple[str, str]) -> Iterator[Sites]:
    with ExitStack() as stack:
        yield Sites(stack, certificate)


@pytest.fixture(params=["flask", "starlette"])
def stack(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def ask(tab: Page | Frame, path: str, method: str = "GET") -> Any:
    """The status and the JSON that a script of the page gets."""
    return tab.evaluate(ASK, [method, path])


def log_in(tab: Page | Frame, name: str = "alice") -> None:
    assert ask(tab, f"/login?username={name}", "POST")[0] == 200


def who(tab: Page | Frame) -> str | None:
    name: str | None = ask(tab, "/who")[1]["username"]
    return name


def test_the_cookie_as_the_browser_keeps_it(
    sites: Sites, visitor: BrowserContext, stack: str
) -> None:
    site = sites.open(stack, STRICT)
    tab = visitor.new_page()
    tab.goto(f"{site}/who")
    log_in(tab)

    (cookie,) = cookies(visitor)
    first = cookie.pop("value")
    assert cookie == {
        "name": "__Host-session",
        "domain": "app.test",  # without a dot: this host alone
        "path": "/",
        "expires": -1,  # with the browser
        "httpOnly": True,
        "secure": True,
        "sameSite": "Lax",
    }
    assert tab.evaluate("document.cookie") == ""

    sites.clock.advance(DUE)
    assert who(tab) == "alice"
    (cookie,) = cookies(visitor)  # the successor took the place of the first
    assert cookie["value"] != first

    assert ask(tab, "/logout", "POST")[0] == 200
    assert cookies(visitor) == []
    assert who(tab) is None


def test_a_script_elsewhere_is_refused_with_a_cookie_that_goes_everywhere(
    sites: Sites, visitor: BrowserContext, stack: str
) -> None:
    site = sites.open(stack, ANYWHERE)
    tab = visitor.new_page()
    tab.goto(f"{site}/who")
    log_in(tab)

    tab.goto(sites.page("evil.test", f'<form method=post action="{site}/logout"><button>Go'))
    with tab.expect_response(f"{site}/logout") as waiting:
        tab.get_by_role("button").click()
    sent = waiting.value.request.all_headers()
    assert (sent["sec-fetch-site"], "cookie" in sent) == ("cross-site", True)
    assert waiting.value.status == 403

    tab.goto(f"{site}/who")
    assert who(tab) == "alice"


def test_a_trusted_origin_is_let_in(sites: Sites, visitor: BrowserContext, stack: str) -> None:
    site = sites.open(stack, ANYWHERE, trusted_origins=[sites.origin("friend.test")])
    tab = visitor.new_page()
    tab.goto(f"{site}/who")
    log_in(tab)

    tab.goto(sites.page("friend.test", f'<form method=post action="{site}/logout"><button>Go'))
    with tab.expect_response(f"{site}/logout") as waiting:
        tab.get_by_role("button").click()
    assert waiting.value.status == 200
    assert cookies(visitor) == []


def test_a_websocket_opens_for_its_own_pages(sites: Sites, visitor: BrowserContext) -> None:
    site = sites.open("starlette", ANYWHERE)
    address = site.replace("https", "wss") + "/ws"
    tab = visitor.new_page()
    tab.goto(f"{site}/who")
    assert tab.evaluate(OPEN_WEBSOCKET, address) is False
    log_in(tab)
    assert tab.evaluate(OPEN_WEBSOCKET, address) is True
    tab.goto(sites.page("evil.test"))
    assert tab.evaluate(OPEN_WEBSOCKET, address) is False


def test_an_embedded_site_has_a_login_for_each_site_around_it(
    sites: Sites, visitor: BrowserContext, stack: str
) -> None:
    site = sites.open(stack, EMBEDDED)
    frames = {}
    for host in ("one.test", "two.test"):
        tab = visitor.new_page()
        tab.goto(sites.page(host, f'<iframe name=app src="{site}/who"></iframe>'))
        frame = tab.frame("app")
        assert frame is not None
        frame.wait_for_load_state()
        frames[host] = frame
    top = visitor.new_page()
    top.goto(f"{site}/who")

    log_in(frames["one.test"], "alice")
    assert [who(frames["two.test"]), who(top)] == [None, None]
    log_in(frames["two.test"], "bob")
    log_in(top, "carol")
    assert [who(frames["one.test"]), who(frames["two.test"]), who(top)] == ["alice", "bob", "carol"]

    kept = {cookie.get("partitionKey"): cookie for cookie in cookies(visitor)}
    assert set(kept) == {"https://one.test", "https://two.test", "https://app.test"}
    for cookie in kept.values():
        assert (cookie["name"], cookie["domain"]) == ("__Host-session", "app.test")
        assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (True, True, "None")

    assert ask(frames["one.test"], "/logout", "POST")[0] == 200
    assert [who(frames["one.test"]), who(frames["two.test"]), who(top)] == [None, "bob", "carol"]
