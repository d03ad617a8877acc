"""The exchange with a browser that binds, on both stacks: offer, binding, proofs, the end."""

from __future__ import annotations

import json

import pytest
from tests.device_bound.device import Device
from tests.device_bound.playing import BIND, BOUND_FOR, OVER, Browser, entering, places
from tests.http.harness import (
    Call,
    MakeSite,
    Reply,
    Site,
    attributes,
    bare,
    bearer,
    cookie,
    enter,
    leave,
    renew,
    set_cookies,
)

STRICT = {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"}


def test_a_login_offers_the_binding_and_nothing_else_does(site: Site) -> None:
    browser = Browser(site)
    assert browser.log_in().one("secure-session-registration") is not None
    assert browser.offered is not None
    assert browser.offered[0] == BIND
    assert browser.max_age is None
    for view in (bare, renew):
        assert browser.ask(view=view).one("secure-session-registration") is None
    site.clock.advance(1800)
    rotated = browser.ask(view=bare)
    assert rotated.token
    assert rotated.one("secure-session-registration") is None
    assert site.ask(view=bare).one("secure-session-registration") is None


def test_a_login_by_header_is_offered_nothing(site: Site) -> None:
    answer = site.ask(view=entering("alice", transport="bearer"), method="POST")
    assert answer.one("x-refreshed-token")
    assert answer.one("secure-session-registration") is None


def test_a_middleware_that_binds_nothing_offers_nothing(make: MakeSite) -> None:
    site = make(options={"device_bound": False})
    assert site.ask(view=enter, method="POST").one("secure-session-registration") is None
    assert site.ask(view=bare, method="POST", **places(site, BIND)).reached


def test_a_bound_session_from_login_to_logout(site: Site) -> None:
    browser = Browser(site)
    browser.log_in()
    first = browser.token
    answer = browser.bind()
    assert (answer.status, answer.reached) == (200, False)
    (given,) = set_cookies(answer)
    assert attributes(given)[1] == STRICT | {f"Max-Age={BOUND_FOR}"}
    assert browser.token != first
    assert answer.one("cache-control") == "no-store"
    assert answer.one("content-type") == "application/json"
    (named,) = browser.instructions["credentials"]
    assert set(named["attributes"].split("; ")) == STRICT
    assert browser.who == "alice"

    for _ in range(3):
        before = browser.token
        site.clock.advance(BOUND_FOR)
        answer = browser.refresh()
        assert (answer.status, answer.body, answer.reached) == (200, b"", False)
        assert attributes(set_cookies(answer)[0])[1] == STRICT | {f"Max-Age={BOUND_FOR}"}
        assert answer.one("cache-control") == "no-store"
        assert browser.token != before
        assert browser.who == "alice"
    kinds = site.kinds()
    assert kinds == ["login", "bound", "rotated", "rotated", "rotated"]

    last = browser.token
    assert browser.ask(view=leave, method="POST").status == 200
    assert browser.token is None
    answer = browser.refresh()
    assert (answer.status, json.loads(answer.body)) == (
        200,
        {"session_identifier": browser.instructions["session_identifier"], "continue": False},
    )
    assert set_cookies(answer) == []
    assert site.ask(cookie(last)).who is None


def test_the_view_sees_that_the_session_is_bound(site: Site) -> None:
    seen: list[bool] = []

    async def look(call: Call) -> Reply:
        seen.append(call.session.device_bound)
        return Reply()

    browser = Browser(site)
    browser.ask(view=look)
    browser.log_in()
    browser.ask(view=look)
    browser.bind()
    browser.ask(view=look)
    assert seen == [False, False, True]


def test_a_browser_that_does_not_bind_keeps_an_ordinary_session(site: Site) -> None:
    browser = Browser(site)
    browser.log_in()
    for _ in range(3):
        site.clock.advance(1800)
        assert browser.who == "alice"
    assert site.kinds() == ["login", "rotated", "rotated", "rotated"]


def test_a_copied_cookie_is_dead_soon_after_the_proof(site: Site, browser: Browser) -> None:
    copy = cookie(browser.token)
    site.clock.advance(OVER - 1)
    assert site.ask(copy).who == "alice"
    site.clock.advance(1)
    site.kinds()
    refused = site.ask(copy, view=bare)
    assert (refused.who, refused.problem, refused.token) == (None, "invalid_token", None)
    assert site.kinds() == ["unproved"]
    assert browser.proving().status == 200
    assert browser.who == "alice"


def test_a_cookie_that_was_copied_before_the_binding_is_dead_as_soon(site: Site) -> None:
    browser = Browser(site)
    browser.log_in()
    copy = cookie(browser.token)
    browser.bind()
    assert site.ask(copy).who == "alice"  # a request that was under way
    site.clock.advance(OVER)
    assert site.ask(copy).who is None
    browser.proving()
    assert browser.who == "alice"
    assert site.ask(copy).who is None


def test_it_is_dead_at_once_when_the_grace_after_its_successor_is_over(site: Site) -> None:
    browser = Browser(site)
    browser.log_in()
    copy = cookie(browser.token)
    browser.bind()
    assert browser.who == "alice"
    site.clock.advance(30)
    assert site.ask(copy).who is None
    assert browser.who == "alice"


def test_no_request_hands_out_a_successor(site: Site, browser: Browser) -> None:
    copy = cookie(browser.token)
    site.clock.advance(BOUND_FOR - 60)
    browser.refresh()
    for header in (copy, cookie(browser.token)):
        answer = site.ask(header)
        assert (answer.who, answer.token) == ("alice", None)


def test_a_bound_session_does_not_rotate_by_age(make: MakeSite) -> None:
    site = make(rotate_after=60)
    browser = Browser(site).logged_in()
    for _ in range(5):
        site.clock.advance(100)
        answer = browser.ask()
        assert (answer.who, answer.token) == ("alice", None)


def test_a_stale_cookie_is_told_of_once_for_each_proof(site: Site, browser: Browser) -> None:
    copies = []
    for _ in range(2):
        copies.append(cookie(browser.token))
        site.clock.advance(OVER)
        browser.proving()
        site.kinds()
        for copy in copies * 3:
            assert site.ask(copy, view=bare).who is None
        assert site.kinds() == ["unproved"]
    assert browser.who == "alice"


@pytest.mark.parametrize("way", [leave, enter])
def test_who_holds_a_stale_copy_cannot_log_the_owner_out(
    site: Site, browser: Browser, way: object
) -> None:
    copy = cookie(browser.token)
    site.clock.advance(OVER)
    browser.proving()
    site.ask(copy, view=way, method="POST")  # type: ignore[arg-type]
    own = site.open("mallory")
    site.ask(copy, bearer(own), view=way, method="POST")  # type: ignore[arg-type]
    site.manager.invalidate_session(copy[1].decode().partition("=")[2])
    assert browser.who == "alice"


def test_who_holds_a_fresh_copy_can(site: Site, browser: Browser) -> None:
    copy = cookie(browser.token)
    site.ask(copy, view=leave, method="POST")
    assert browser.who is None


def test_a_bound_session_is_no_bearer_token(site: Site, browser: Browser) -> None:
    token = browser.token
    site.kinds()
    for headers in ((bearer(token),), (bearer(token), cookie(token))):
        refused = site.ask(*headers, view=bare)
        assert (refused.who, refused.problem) == (None, "invalid_token")
    assert [(event.kind, event.reason) for event in site.events] == [("unproved", "bearer")]
    assert browser.who == "alice"


def test_a_session_that_came_by_header_from_the_start_is_as_before(site: Site) -> None:
    token = site.open()
    for _ in range(3):
        site.clock.advance(1200)
        answer = site.ask(bearer(token))
        assert answer.who == "alice"
        token = answer.token or token
    assert site.kinds() == ["login", "rotated"]


def test_refresh_and_update_make_the_cookie_no_younger(site: Site, browser: Browser) -> None:
    async def update(call: Call) -> Reply:
        if site.stack == "wsgi":
            call.session.update(scopes=["admin"])
        else:
            await call.session.aupdate(scopes=["admin"])
        return Reply()

    site.clock.advance(200)
    before = browser.token
    assert browser.ask(view=renew).token
    assert browser.max_age == BOUND_FOR - 200
    assert site.ask(cookie(before), view=bare).who is None
    site.clock.advance(200)
    before = browser.token
    assert browser.ask(view=update).token
    assert browser.max_age == BOUND_FOR - 400
    assert site.ask(cookie(before), view=bare).who == "alice"  # no younger, so as good
    site.clock.advance(OVER - 400)
    for token in (before, browser.token):
        assert site.ask(cookie(token), view=bare).who is None
    assert browser.proving().status == 200
    assert browser.who == "alice"
    assert site.manager.validate_session(browser.token or "") is not None


@pytest.mark.parametrize("verb", ["refresh", "update"])
@pytest.mark.parametrize("scopes", [(), ("admin",)])
def test_a_copy_of_the_cookie_before_is_renewed_to_nothing_younger(
    site: Site, browser: Browser, verb: str, scopes: tuple[str, ...]
) -> None:
    """The owner has proved the key meanwhile: that is none of the thief's proofs."""

    async def renewing(call: Call) -> Reply:
        for _ in range(2):
            if site.stack == "wsgi":
                session = call.session
                token = session.refresh() if verb == "refresh" else session.update(scopes=scopes)
            elif verb == "refresh":
                token = await call.session.arefresh()
            else:
                token = await call.session.aupdate(scopes=scopes)
            assert token is not None
            told.append(token)
        return Reply()

    told: list[str] = []
    thief = Browser(site)
    thief.token = browser.token
    told.append(browser.token or "")
    site.clock.advance(500)
    assert browser.refresh().status == 200
    assert thief.ask(view=renewing).token
    assert thief.max_age == BOUND_FOR - 500
    told += [str(site.manager.update_session(thief.token or "", scopes=["other"]))]
    site.clock.advance(OVER - 500)
    for token in told:
        assert site.ask(cookie(token), view=bare).who is None
        assert site.manager.validate_session(token) is None
    assert browser.proving().status == 200
    assert browser.who == "alice"


def test_the_manager_renews_a_copy_of_the_token_before_to_nothing_younger(
    site: Site, browser: Browser
) -> None:
    copy = browser.token or ""
    site.clock.advance(500)
    assert browser.refresh().status == 200
    update = site.manager.update_session
    made = [copy, update(copy, scopes=["a"]), update(copy, scopes=["a"])]
    made.append(site.manager.refresh_session(copy))
    assert None not in made
    site.clock.advance(OVER - 500)
    assert [site.manager.validate_session(token or "") for token in made] == [None] * 4
    assert browser.proving().status == 200
    assert browser.who == "alice"


def test_a_change_by_an_administrator_logs_nobody_out(site: Site, browser: Browser) -> None:
    for scopes in (["a"], ["b"]):
        site.manager.update_user_sessions("alice", scopes=scopes)
        answer = browser.ask()
        assert (answer.who, answer.token) == ("alice", None)
    site.clock.advance(BOUND_FOR)
    assert browser.proving().status == 200
    assert browser.who == "alice"


def test_the_manager_enforces_the_age_as_well(site: Site, browser: Browser) -> None:
    token = browser.token or ""
    assert site.manager.validate_session(token) is not None
    site.clock.advance(OVER)
    assert site.manager.validate_session(token) is None
    assert site.manager.refresh_session(token) is None
    assert site.manager.update_session(token, scopes=["admin"]) is None
    assert site.manager.invalidate_session(token) == (False, None)
    assert browser.proving().status == 200


def test_no_other_client_is_given_a_bound_session(site: Site, browser: Browser) -> None:
    token = site.manager.create_session("alice", existing="reuse")
    assert token is not None
    assert token != browser.token
    assert token.split(".")[0] != (browser.token or "").split(".")[0]


def test_a_session_that_was_given_to_others_cannot_be_bound(site: Site) -> None:
    browser = Browser(site)
    browser.log_in()
    assert site.manager.create_session("alice", existing="reuse") == browser.token
    assert browser.bind().status == 400
    assert browser.who == "alice"


def test_a_proof_is_no_activity_and_the_request_behind_it_is(make: MakeSite) -> None:
    site = make(options={"passive": ["/poll"]})
    browser = Browser(site).logged_in()
    for _ in range(5):
        site.clock.advance(BOUND_FOR)
        browser.refresh()
        assert browser.ask(path="/poll").who == "alice"
    site.clock.advance(BOUND_FOR)
    assert json.loads(browser.refresh().body)["continue"] is False
    assert browser.ask(path="/poll").who is None

    browser = Browser(site).logged_in()
    for _ in range(20):
        site.clock.advance(BOUND_FOR)
        browser.refresh()
        assert browser.who == "alice"


def test_a_session_ends_for_good_when_it_is_over(make: MakeSite) -> None:
    site = make(max_lifetime=1000)
    browser = Browser(site).logged_in()
    site.clock.advance(BOUND_FOR)
    assert browser.refresh().status == 200
    site.clock.advance(400)
    assert json.loads(browser.refresh().body)["continue"] is False


@pytest.mark.parametrize("root", ["/app", "/a b/ä"])
def test_the_paths_are_below_the_mount(site: Site, root: str) -> None:
    if site.stack == "wsgi":
        root = root.encode().decode("latin-1")
    browser = Browser(site, root=root)
    browser.log_in()
    assert browser.offered is not None
    path, challenge = browser.offered
    encoded = {"/app": "/app", "/a b/ä": "/a%20b/%C3%A4"}[root if root == "/app" else "/a b/ä"]
    assert path == f"{encoded}{BIND}"
    answer = browser.prove(BIND, browser.device.registers(challenge))
    assert answer.status == 200
    url = json.loads(answer.body)["refresh_url"]
    assert url.startswith(f"{encoded}/.sessiongate/refresh/")
    proof = browser.device.answers(browser.challenge or "")
    assert browser.prove(url.removeprefix(encoded), proof).status == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT"])
def test_the_paths_are_posted_to(site: Site, browser: Browser, method: str) -> None:
    for path in (BIND, browser.instructions["refresh_url"]):
        answer = site.ask(method=method, **places(site, path))
        assert (answer.status, answer.one("allow"), answer.reached) == (405, "POST", False)


@pytest.mark.parametrize(
    "path",
    [
        *("/.sessiongate", "/.sessiongate/", "/.sessiongate/bind/", "/.sessiongate/bindx"),
        *("/.sessiongate/refresh", "/.sessiongate/refresh/", "/.sessiongate/refresh/short"),
        *("/.sessiongate/refresh/" + "\0" * 22, "/.sessiongate/refresh/" + "\xe4" * 22),
        *("/.sessiongate/refresh/" + "/" * 22, "/x/.sessiongate/bind", "/.SESSIONGATE/bind"),
    ],
)
def test_all_other_paths_are_the_apps(site: Site, path: str) -> None:
    assert site.ask(method="POST", view=bare, **places(site, path)).reached


def test_two_devices_of_one_user_are_two_sessions(site: Site) -> None:
    one, other = Browser(site).logged_in(), Browser(site).logged_in()
    assert one.instructions["refresh_url"] != other.instructions["refresh_url"]
    site.clock.advance(BOUND_FOR)
    assert one.refresh().status == other.refresh().status == 200
    assert one.who == other.who == "alice"
    other.ask(view=leave, method="POST")
    assert one.who == "alice"


def test_a_session_is_bound_once(browser: Browser) -> None:
    owner, thief = browser.device, Device()
    browser.device = thief
    assert browser.bind().status == 400
    browser.device = owner
    assert browser.proving().status == 200
