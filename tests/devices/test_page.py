"""The page and its two forms, as a browser without JavaScript uses them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.devices.site import COOKIE, HTML
from tests.stores.passing import PassingStore

from sessiongate.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.devices.site import Site


LAPTOP = {"name": "Laptop", "ip": "192.0.2.7"}
PHONE = {"user_agent": "Mozilla/5.0 (iPhone; …) Version/18.0 Safari/604.1", "ip": "2001:db8::1"}


def test_it_shows_each_device_this_one_first_and_then_the_last_seen(site: Site) -> None:
    site.open(device={"name": "oldest"})
    here = site.open(device=LAPTOP)
    site.clock.advance(60)
    site.open(device=PHONE)
    site.open("bob", device={"name": "of somebody else"})
    site.clock.advance(60)
    site.open(device={"name": "newest"})

    shown = site.ask("GET", token=here)

    assert shown.status == 200
    assert shown.names == ["Laptop", "newest", "Safari on iPhone", "oldest"]
    (first, *_) = shown.all("li")
    assert "This device" in first.text
    assert shown.text.count("This device") == 1
    assert "192.0.2.7" in shown.text
    assert "2001:db8::1" in shown.text
    assert "<strong>alice</strong>" in shown.text


def test_it_says_since_when_and_how_long_ago(site: Site) -> None:
    site.clock.set(1_772_000_000)
    here, there = site.open(device=LAPTOP), site.open(device=PHONE)
    site.clock.advance(125)
    assert site.manager.validate_session(there)
    site.clock.advance(59)
    shown = site.ask("GET", token=here)
    current, other = shown.all("dl")
    assert current.text == (
        "Last seen Just now Logged in 25 Feb 2026, 06:13 UTC IP address 192.0.2.7"
    )
    assert "Last seen Just now" in other.text
    site.clock.advance(61)
    assert "Last seen 2 minutes ago" in site.ask("GET", token=here).all("dl")[1].text
    (*_, since) = shown.all("time")
    assert since.attributes["datetime"] == "2026-02-25T06:13:20+00:00"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "Just now"),
        (59, "Just now"),
        (60, "1 minute ago"),
        (3599, "59 minutes ago"),
        (3600, "1 hour ago"),
        (86399, "23 hours ago"),
        (86400 * 3, "3 days ago"),
        (-5, "Just now"),
    ],
)
def test_how_long_ago_in_words(make: Callable[..., Site], seconds: int, words: str) -> None:
    site = make()
    site.manager = type(site.manager)(
        86400 * 9, store=site.store, clock=site.clock, secret_key="k" * 64
    )
    site.open(device=PHONE)
    site.clock.advance(seconds)
    assert words in site.ask("GET", token=site.open(device=LAPTOP)).all("li")[-1].text


def test_a_form_logs_one_device_out(site: Site) -> None:
    here, there = site.open(device=LAPTOP), site.open(device=PHONE)
    own, other = site.ask("GET", token=here).all("form")[:2]
    assert other.attributes["method"] == "post"
    assert other.attributes["action"] != own.attributes["action"]

    answer = site.ask("POST", str(other.attributes["action"]), here)

    assert (answer.status, answer.headers["Location"]) == (303, "/devices")
    assert site.manager.validate_session(there) is None
    assert site.ask("GET", "/devices", here).names == ["Laptop"]


def test_a_form_logs_all_others_out(site: Site) -> None:
    here, there, bob = site.open(device=LAPTOP), site.open(), site.open("bob")
    (*_, others) = site.ask("GET", token=here).all("form")
    answer = site.ask("POST", str(others.attributes["action"]), here)

    assert (answer.status, answer.headers["Location"]) == (303, "/devices")
    assert site.manager.validate_session(there) is None
    assert site.manager.validate_session(bob)
    alone = site.ask("GET", token=here)
    assert alone.names == ["Laptop"]
    assert "nowhere else" in alone.text
    assert len(alone.all("form")) == 1


def test_ending_the_own_session_is_a_logout(make: Callable[..., Site]) -> None:
    site = make(home_url="/goodbye")
    here, there = site.open(), site.open()
    answer = site.ask("POST", f"/devices/end/{site.handles()[0]}", here)

    assert (answer.status, answer.headers["Location"]) == (303, "/goodbye")
    assert answer.headers["Set-Cookie"].startswith(f"{COOKIE}=;")
    assert site.manager.validate_session(here) is None
    assert site.manager.validate_session(there)


def test_this_one_is_this_one_after_a_rotation(site: Site) -> None:
    here = site.open(device=LAPTOP)
    site.clock.advance(1900)
    rotated = site.ask("GET", token=here)
    newer = rotated.headers["Set-Cookie"].partition(";")[0].partition("=")[2]
    assert newer != here
    for token in (here, newer):
        assert "This device" in site.ask("GET", token=token).all("li")[0].text
    answer = site.ask("POST", f"/devices/end/{site.handles()[0]}", newer)
    assert answer.headers["Location"] == "/"
    assert site.manager.validate_session(newer) is None


@pytest.mark.parametrize("handle", ["unknown-but-well-formed", "x", "..", "end-others", "%00", "é"])
def test_an_unknown_device_ends_nothing_and_leads_back(site: Site, handle: str) -> None:
    here = site.open()
    answer = site.ask("POST", f"/devices/end/{handle}", here)
    assert answer.status in {303, 404, 405}
    assert answer.headers.get("Location", "/devices") == "/devices"
    assert len(site.handles()) == 1


def test_nobody_ends_the_session_of_somebody_else(site: Site) -> None:
    alice, bob = site.open(), site.open("bob")
    answer = site.ask("POST", f"/devices/end/{site.handles('bob')[0]}", alice)
    unknown = site.ask("POST", "/devices/end/AAAAAAAAAAAAAAAAAAAAAA", alice)
    assert (answer.status, answer.text) == (unknown.status, unknown.text)
    assert answer.headers["Location"] == unknown.headers["Location"]
    assert site.manager.validate_session(bob)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/devices"),
        ("POST", "/devices/end/AAAAAAAAAAAAAAAAAAAAAA"),
        ("POST", "/devices/end-others"),
    ],
)
def test_only_who_is_logged_in_gets_in(make: Callable[..., Site], method: str, path: str) -> None:
    assert make().ask(method, path, **HTML).status == 401
    sent = make(login_url="/login").ask(method, path, **HTML)
    assert sent.status == 303
    way_back = "?next=/devices" if method == "GET" else ""
    assert sent.headers["Location"] == f"/login{way_back}"


def test_it_may_ask_for_scopes_and_for_a_fresh_login(make: Callable[..., Site]) -> None:
    site = make(scopes=["account"])
    assert site.ask("GET", token=site.open()).status == 403
    site = make(fresh=60)
    token = site.open()
    assert site.ask("GET", token=token).status == 200
    site.clock.advance(61)
    for method, path in (("GET", "/devices"), ("POST", "/devices/end-others")):
        assert site.ask(method, path, token).status == 401
    assert site.ask("DELETE", f"/devices/api/{site.handles()[0]}", token).status == 401


@pytest.mark.parametrize("path", ["/devices/end-others", "/devices/end/{}"])
def test_another_site_cannot_post_the_forms(site: Site, path: str) -> None:
    here, there = site.open(), site.open()
    path = path.format(site.handles()[1])
    assert site.ask("POST", path, here, Sec_Fetch_Site="cross-site").status == 403
    assert site.ask("POST", path, here, Origin="https://evil.example").status == 403
    assert site.manager.validate_session(there)
    assert site.ask("POST", path, here, Origin="https://app.example.com").status == 303
    assert site.manager.validate_session(there) is None


@pytest.mark.parametrize("path", ["/devices/end-others", "/devices/end/AAAAAAAAAAAAAAAAAAAAAA"])
def test_looking_ends_nothing(site: Site, path: str) -> None:
    assert site.ask("GET", path, site.open()).status == 405


@pytest.mark.parametrize("others", [0, 50])
def test_each_request_costs_what_it_changes_besides_the_check(site: Site, others: int) -> None:
    here = site.open()
    for _ in range(others):
        site.open()
    assert site.cost("GET", "/devices", here) == {"read": 1, "of_user": 1}
    assert site.cost("POST", "/devices/end/no", here) == {"read": 1}
    other = f"/devices/end/{'A' * 22}"
    assert site.cost("POST", other, here) == {"read": 2}
    assert site.cost("POST", "/devices/end-others", here) == {
        "read": 1,
        "together": 1,
    }
    own = f"/devices/end/{site.handles()[0]}"
    assert site.cost("POST", own, here) == {"read": 2, "swap": 1}
    assert site.cost("GET", "/devices", None) == {}
    assert site.cost("GET", "/devices/style.css", None) == {}


def test_it_works_wherever_it_is_mounted(make: Callable[..., Site]) -> None:
    site = make(mounted="/my account/ä")
    here, there = site.open(), site.open()
    shown = site.ask("GET", "/my account/ä/devices", here)
    urls = [str(form.attributes["action"]) for form in shown.all("form")]
    base = "/my%20account/%C3%A4/devices"
    assert all(url.startswith(f"{base}/end") for url in urls)
    (style,) = shown.all("link")
    assert site.ask("GET", str(style.attributes["href"])).status == 200
    answer = site.ask("POST", urls[1], here)
    assert (answer.status, answer.headers["Location"]) == (303, base)
    assert site.manager.validate_session(there) is None


class FailingStore(PassingStore):
    """Knows who is logged in, and then fails."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = False

    def before(self, name: str, *_arguments: Any) -> None:
        known = name.removeprefix("a")
        if (known == "read" and self.seen) or known not in {"read", "swap", "commit"}:
            msg = "the store is down"
            raise StoreError(msg)
        self.seen = known == "read"


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("POST", "/end-others"), ("GET", "/api"), ("DELETE", f"/api/{'A' * 22}")],
)
def test_a_store_that_fails_is_a_503(make: Callable[..., Site], method: str, path: str) -> None:
    site = make(store=FailingStore())
    answer = site.ask(method, f"/devices{path}", site.open())
    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
