"""Device-bound sessions in the real browser: a proof is made, and a copied cookie is dead."""

from __future__ import annotations

import ssl
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import httpx
import pytest
from tests.browser.binding import FLAGS, Watched, ask, log_in, log_in_or_skip, who
from tests.browser.bound_sites import OVER, Sites
from tests.browser.chromium import LONG, cookies, running_chromium
from tests.browser.pages import page_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, BrowserContext, Response
    from tests.browser.authority import Authority

pytestmark = pytest.mark.slow

MANY: Final = """async ([images, socket]) => {
  const opened = socket && new Promise(tell => {
    const one = new WebSocket(socket);
    one.onmessage = message => tell(message.data);
    one.onclose = () => tell(null);
  });
  const loads = Array.from({ length: images }, (_, i) => new Promise(tell => {
    const image = new Image();
    image.onload = image.onerror = () => tell();
    image.src = `/me?image=${i}`;
    document.body.append(image);
  }));
  const form = document.createElement("form");
  const frame = document.createElement("iframe");
  frame.name = form.target = "answer";
  Object.assign(form, { method: "post", action: "/me?form" });
  document.body.append(frame, form);
  const posted = new Promise(tell => {
    frame.onload = () => tell(frame.contentDocument.body.textContent);
  });
  form.submit();
  await Promise.all(loads);
  return [await opened, await posted];
}"""
"""Images, a websocket (``null``: none) and a form that is posted, all at once."""


@pytest.fixture(scope="module")
def binding_chromium(authority: Authority, certified: tuple[str, str]) -> Iterator[Browser]:
    """A browser that has bound a session; where it does not, these tests are skipped, loudly."""
    with running_chromium(authority.home, FLAGS) as browser:
        with ExitStack() as stack:
            sites = Sites(stack, certified)
            visitor = browser.new_context()
            log_in_or_skip(visitor, f"{sites.at('starlette')}/who")
            visitor.close()
        yield browser


@pytest.fixture
def new_binder(binding_chromium: Browser) -> Iterator[Callable[[], BrowserContext]]:
    """Each has a profile of its own, and so keys and cookies of its own."""
    visitors: list[BrowserContext] = []

    def make() -> BrowserContext:
        visitor = binding_chromium.new_context()
        visitor.set_default_timeout(LONG)
        visitors.append(visitor)
        return visitor

    yield make
    for visitor in visitors:
        visitor.close()


@pytest.fixture
def visitor(new_binder: Callable[[], BrowserContext]) -> BrowserContext:
    return new_binder()


@pytest.fixture(params=["flask", "starlette"])
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def test_a_session_is_bound_renewed_and_ended(
    sites: Sites, visitor: BrowserContext, kind: str
) -> None:
    watched = Watched(visitor, f"{sites.at(kind)}/who")
    log_in(watched)
    (cookie,) = cookies(visitor)
    first = cookie["value"]
    assert cookie["expires"] > 0
    assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"]) == (True, True, "Lax")
    assert who(watched.tab) == "alice"

    sites.let_expire(visitor)
    assert who(watched.tab) == "alice"
    (cookie,) = cookies(visitor)
    assert cookie["value"] != first
    assert sites.kinds() == ["login", "bound", "rotated"]

    assert ask(watched.tab, "/logout", "POST")[0] == 200
    assert who(watched.tab) is None
    watched.wait_for("ended", "ServerRequested")
    assert who(watched.tab) is None
    assert cookies(visitor) == []
    assert sites.kinds() == ["logout"]


def test_all_that_is_under_way_waits_for_one_proof(
    sites: Sites, visitor: BrowserContext, kind: str
) -> None:
    site = sites.at(kind)
    watched = Watched(visitor, f"{site}/who")
    log_in(watched)
    sites.kinds()
    answers: list[Response] = []
    visitor.on("response", lambda answer: answers.append(answer))  # noqa: PLW0108
    sites.let_expire(visitor)

    socket = site.replace("https", "wss") + "/ws" if kind == "starlette" else None
    greeted, posted = watched.tab.evaluate(MANY, [30, socket])
    assert greeted == (socket and "alice")
    assert '"alice"' in posted
    loaded = [answer.status for answer in answers if "/me?" in answer.url]
    assert loaded == [200] * 31
    assert sites.kinds() == ["rotated"]


def test_two_tabs_come_back_at_once(sites: Sites, visitor: BrowserContext, kind: str) -> None:
    site = sites.at(kind)
    watched = Watched(visitor, f"{site}/who")
    log_in(watched)
    other = visitor.new_page()
    other.goto(f"{site}/who")
    sites.kinds()
    sites.let_expire(visitor)
    for tab in (watched.tab, other):
        tab.evaluate("() => { window.answer = fetch('/who').then(answer => answer.json()) }")
    for tab in (watched.tab, other):
        assert tab.evaluate("() => window.answer")["username"] == "alice"
    assert set(sites.kinds()) == {"rotated"}


def test_bob_takes_the_place_of_alice(sites: Sites, visitor: BrowserContext, kind: str) -> None:
    watched = Watched(visitor, f"{sites.at(kind)}/who")
    log_in(watched, "alice")
    log_in(watched, "bob")
    assert ("ended", "Replaced") in watched.events
    sites.let_expire(visitor)
    assert who(watched.tab) == "bob"


def test_a_thief_has_a_few_minutes(
    sites: Sites, new_binder: Callable[[], BrowserContext], authority: Authority, kind: str
) -> None:
    owner, thief = new_binder(), new_binder()
    site = sites.at(kind)
    watched = Watched(owner, f"{site}/who")
    log_in(watched)
    assert who(watched.tab) == "alice"
    thief.add_cookies(owner.cookies())  # type: ignore[arg-type]
    theirs = thief.new_page()
    theirs.goto(f"{site}/who")
    (cookie,) = cookies(owner)
    copied = f"{cookie['name']}={cookie['value']}"
    assert who(theirs) == asked_by_program(site, authority, copied) == "alice"

    sites.kinds()
    sites.clock.advance(OVER)
    assert who(theirs) is None
    assert asked_by_program(site, authority, copied) is None
    assert sites.kinds() == ["unproved"]
    # What they do with it does not touch the owner.
    assert ask(theirs, "/logout", "POST")[0] == 200
    owner.clear_cookies()
    assert who(watched.tab) == "alice"
    assert sites.kinds() == ["rotated"]


def asked_by_program(site: str, authority: Authority, cookie: str) -> str | None:
    """Whom a program that sends the cookie is taken for."""
    host, _, port = site.removeprefix("https://").partition(":")
    trusted = ssl.create_default_context(cafile=str(authority.file))
    with httpx.Client(verify=trusted, timeout=60) as client:
        answer = client.get(
            f"https://127.0.0.1:{port}/who",
            headers={"Host": f"{host}:{port}", "Cookie": cookie},
            extensions={"sni_hostname": host},
        )
    name: str | None = answer.json()["username"]
    return name


def test_a_login_from_another_site_is_bound_and_its_links_arrive(
    sites: Sites, visitor: BrowserContext, kind: str
) -> None:
    site, elsewhere = sites.at(kind), sites.at("anything", "evil.test")
    watched = Watched(visitor, f"{site}/who")
    action = f"{site}/login?username=alice&cross_site=1"
    watched.tab.goto(page_at(elsewhere, f'<form method=post action="{action}"><button>Go'))
    watched.tab.get_by_role("button").click()
    watched.wait_for("created", "Success")

    sites.let_expire(visitor)
    watched.tab.goto(page_at(elsewhere, f'<a href="{site}/me">Go</a>'))
    with watched.tab.expect_response(f"{site}/me") as arriving:
        watched.tab.get_by_role("link").click()
    assert arriving.value.status == 200


def test_while_the_store_is_down_nobody_is_logged_out(
    sites: Sites, visitor: BrowserContext, kind: str
) -> None:
    watched = Watched(visitor, f"{sites.at(kind)}/who")
    log_in(watched)
    sites.let_expire(visitor)
    sites.store.down = True
    assert who(watched.tab) is None
    assert cookies(visitor) == []
    sites.store.down = False
    watched.wait_until(lambda: who(watched.tab) == "alice")
    assert "ended" not in {what for what, _ in watched.events}


def test_two_hosts_of_one_site_keep_their_sessions(sites: Sites, visitor: BrowserContext) -> None:
    one = Watched(visitor, f"{sites.at('starlette', 'one.site.test')}/who")
    two = Watched(visitor, f"{sites.at('starlette', 'two.site.test')}/who")
    log_in(one, "alice")
    log_in(two, "bob")
    sites.let_expire(visitor)
    assert [who(one.tab), who(two.tab)] == ["alice", "bob"]
    assert ("ended", "Replaced") not in one.events + two.events
