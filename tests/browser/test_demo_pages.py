"""The running demo, as somebody with a browser meets it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import expect
from tests.browser.chromium import cookies
from tests.browser.pages import OPEN_WEBSOCKET, anything, page_at, sticking_out
from tests.examples.running_demo import Browser, Demo
from tests.servers.running import serving_wsgi

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import BrowserContext, Page

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with Demo.start(tmp_path_factory.mktemp("demo")) as demo:
        yield demo
        code, errors = demo.stop()
    assert (code, "Traceback" in errors) == (0, False), errors


@pytest.fixture(params=["flask", "starlette"])
def here(demo: Demo, request: pytest.FixtureRequest) -> str:
    site: str = getattr(demo, request.param)
    return site


@pytest.fixture
def there(demo: Demo, here: str) -> str:
    return demo.starlette if here == demo.flask else demo.flask


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[int]:
    """The port of another site, on whichever name of this machine."""
    with serving_wsgi(anything) as address:
        yield int(address.rpartition(":")[2])


def log_in(tab: Page, site: str, password: str, path: str = "/account") -> None:
    """Ask for a page, be sent to the form, fill it in, and be back."""
    tab.goto(site + path)
    tab.get_by_label("Username").fill("alice")
    tab.get_by_label("Password").fill(password)
    tab.get_by_role("button", name="Log in").click()
    expect(tab).to_have_url(site + path)


def expect_known(tab: Page) -> None:
    expect(tab.get_by_role("heading", name="Hello, alice")).to_be_visible()


def expect_form(tab: Page) -> None:
    expect(tab.get_by_role("heading", name="Log in")).to_be_visible()


def test_a_login_by_form_is_kept_as_a_cookie_that_no_script_reads(
    demo: Demo, visitor: BrowserContext, here: str, there: str
) -> None:
    tab = visitor.new_page()
    log_in(tab, here, demo.password)
    expect_known(tab)

    (cookie,) = cookies(visitor)
    assert cookie.pop("value").startswith("sg_")
    assert cookie == {
        "name": "sessiongate",
        "domain": "127.0.0.1",
        "path": "/",
        "expires": -1,  # with the browser
        "httpOnly": True,
        "secure": False,
        "sameSite": "Lax",
    }
    assert tab.evaluate("document.cookie") == ""

    tab.get_by_role("link", name="Look at it on").click()
    expect(tab).to_have_url(f"{there}/account")
    expect_known(tab)


def test_a_wrong_password_is_told_and_the_right_one_goes_on(
    demo: Demo, visitor: BrowserContext, here: str
) -> None:
    tab = visitor.new_page()
    tab.goto(f"{here}/devices")
    tab.get_by_label("Username").fill("alice")
    tab.get_by_label("Password").fill("guess")
    tab.get_by_label("Password").press("Enter")
    expect(tab.get_by_role("alert")).to_contain_text("not the right")
    assert cookies(visitor) == []

    expect(tab.get_by_label("Password")).to_be_focused()
    tab.get_by_label("Password").fill(demo.password)
    tab.get_by_label("Password").press("Enter")
    expect(tab).to_have_url(f"{here}/devices")


def test_a_logout_in_one_tab_is_a_logout_in_the_other(
    demo: Demo, visitor: BrowserContext, here: str, there: str
) -> None:
    first, second = visitor.new_page(), visitor.new_page()
    log_in(first, here, demo.password)
    second.goto(f"{there}/account")
    expect_known(second)

    first.get_by_role("button", name="Log out").click()
    expect(first).to_have_url(f"{here}/")
    assert cookies(visitor) == []

    second.reload()
    expect(second).to_have_url(f"{there}/login?next=/account")
    expect_form(second)


def test_the_way_back_shows_nothing_after_a_logout(
    demo: Demo, visitor: BrowserContext, here: str
) -> None:
    tab = visitor.new_page()
    log_in(tab, here, demo.password)
    tab.get_by_role("button", name="Log out").click()
    expect(tab).to_have_url(f"{here}/")

    tab.evaluate("history.back()")
    expect_form(tab)


def test_a_websocket_speaks_until_the_session_ends(demo: Demo, visitor: BrowserContext) -> None:
    first, second = visitor.new_page(), visitor.new_page()
    log_in(first, demo.starlette, demo.password)
    first.get_by_role("button", name="Send").click()
    expect(first.get_by_role("status")).to_contain_text("alice")

    second.goto(f"{demo.flask}/account")
    second.get_by_role("button", name="Log out").click()
    expect(second).to_have_url(f"{demo.flask}/")

    first.get_by_role("button", name="Send").click()
    expect(first.get_by_role("status")).to_contain_text("ended")
    address = demo.starlette.replace("http", "ws") + "/ws"
    assert first.evaluate(OPEN_WEBSOCKET, address) is False


def test_my_devices_ends_one_and_all_others(
    demo: Demo, new_visitor: Callable[[], BrowserContext], here: str, there: str
) -> None:
    mine, phone, tablet = (new_visitor().new_page() for _ in range(3))
    log_in(mine, here, demo.password, "/devices")
    if (others := mine.get_by_role("button", name="Log out all others")).is_visible():
        others.click()  # those of other tests
    expect(mine.get_by_text("This is the only one.")).to_be_visible()

    log_in(phone, there, demo.password)
    mine.reload()
    devices = mine.get_by_role("listitem")
    expect(devices).to_have_count(2)
    expect(devices.filter(has_text="this one")).to_have_count(1)
    devices.filter(has_not_text="this one").get_by_role("button").click()
    expect(devices).to_have_count(1)
    phone.reload()
    expect_form(phone)

    log_in(phone, there, demo.password)
    log_in(tablet, here, demo.password)
    mine.reload()
    expect(devices).to_have_count(3)
    others.click()
    expect(devices).to_have_count(1)
    for tab in (phone, tablet):
        tab.reload()
        expect_form(tab)

    devices.get_by_role("button").click()
    expect(mine).to_have_url(f"{here}/")
    assert cookies(mine.context) == []


def test_an_api_token_opens_both_apps_until_it_is_revoked(
    demo: Demo, visitor: BrowserContext, here: str, there: str
) -> None:
    tab = visitor.new_page()
    log_in(tab, here, demo.password, "/devices")
    tab.get_by_label("Name").fill("A script")
    tab.get_by_label("notes:read").check()
    tab.get_by_role("button", name="Make the token").click()
    line = tab.get_by_label("A command for a terminal").inner_text()
    token = tab.get_by_label("Your new API token").input_value()
    assert line == f'curl -i {there}/api/me -H "Authorization: Bearer {token}"'

    headers = {"Authorization": f"Bearer {token}"}
    for site in (here, there):
        answer = httpx.get(f"{site}/api/me", headers=headers, trust_env=False)
        assert (answer.status_code, answer.json()["api_token"]) == (200, "A script")

    tab.goto(f"{there}/devices")
    expect(tab.get_by_text("last used at")).to_be_visible()
    tab.get_by_role("button", name="Revoke A script").click()
    expect(tab.get_by_text("You have none.")).to_be_visible()
    for site in (here, there):
        answer = httpx.get(f"{site}/api/me", headers=headers, trust_env=False)
        assert answer.status_code == 401


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        # Another port of the same site brings the cookie.
        ("127.0.0.1", ("same-site", True, 403)),
        # SameSite withholds it; a deletion would be obeyed all the same.
        ("localhost", ("cross-site", False, 403)),
    ],
)
def test_a_form_elsewhere_ends_no_session(
    demo: Demo,
    visitor: BrowserContext,
    here: str,
    elsewhere: int,
    host: str,
    expected: tuple[str, bool, int],
) -> None:
    tab = visitor.new_page()
    log_in(tab, here, demo.password)
    (cookie,) = cookies(visitor)

    form = f'<form method=post action="{here}/logout"><button>Win a prize</button></form>'
    tab.goto(page_at(f"http://{host}:{elsewhere}", form))
    with tab.expect_response(f"{here}/logout") as waiting:
        tab.get_by_role("button").click()
    sent = waiting.value.request.all_headers()
    assert (sent["sec-fetch-site"], "cookie" in sent, waiting.value.status) == expected
    expect(tab).not_to_have_title("Elsewhere")

    assert cookies(visitor) == [cookie]
    tab.goto(f"{here}/account")
    expect_known(tab)


def test_a_script_elsewhere_opens_no_websocket(
    demo: Demo, visitor: BrowserContext, elsewhere: int
) -> None:
    tab = visitor.new_page()
    log_in(tab, demo.starlette, demo.password)
    address = demo.starlette.replace("http", "ws") + "/ws"
    assert tab.evaluate(OPEN_WEBSOCKET, address) is True

    tab.goto(page_at(f"http://127.0.0.1:{elsewhere}", ""))
    assert tab.evaluate(OPEN_WEBSOCKET, address) is False


@pytest.mark.parametrize("width", [320, 1280])
def test_every_page_fits_the_screen(
    demo: Demo, visitor: BrowserContext, here: str, there: str, width: int
) -> None:
    """320 pixels is the least that WCAG 2.2 asks for (1.4.10)."""
    with Browser() as other:
        other.log_in(there, demo.password)  # a second device
        tab = visitor.new_page()
        tab.set_viewport_size({"width": width, "height": 700})
        for path in ("/", "/login"):
            tab.goto(here + path)
            assert sticking_out(tab) == [], path
        log_in(tab, here, demo.password, "/devices")
        assert tab.get_by_role("listitem").count() > 1
        for path in ("/devices", "/account", "/"):
            tab.goto(here + path)
            assert sticking_out(tab) == [], path


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_breaks_its_own_rules(
    demo: Demo, visitor: BrowserContext, here: str, scheme: Any
) -> None:
    tab = visitor.new_page()
    tab.emulate_media(color_scheme=scheme)
    complaints: list[str] = []
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.goto(here)
    log_in(tab, here, demo.password)
    tab.goto(f"{here}/devices")
    assert urlsplit(tab.url).path == "/devices"
    # Who is tested types faster than a page gives the focus.
    assert [one for one in complaints if not one.startswith("Autofocus processing")] == []
