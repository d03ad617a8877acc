"""What goes wrong with real browsers, each once: it was observed, and is designed around."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.device_bound.playing import BIND, BOUND_FOR, ORIGIN, Browser, entering, places
from tests.http.brittle import BrittleStore
from tests.http.harness import cookie, leave, make_site, set_cookies

from sessiongate import (
    ConfigurationError,
    JWTSessionManager,
    SessionCookie,
    SessionManager,
)
from sessiongate.asgi import SessionAuthMiddleware as ASGIMiddleware
from sessiongate.wsgi import SessionAuthMiddleware as WSGIMiddleware

if TYPE_CHECKING:
    from tests.http.harness import MakeSite, Site


def test_a_browser_signs_six_times_in_nine_minutes(make: MakeSite) -> None:
    """With a login, five proofs are left: bound_for is so long that they are enough."""
    for bound_for in (1, 120, 299.9):
        with pytest.raises(ValueError, match=r"bound_for must be at least 300.*nine minutes"):
            make(options={"bound_for": bound_for}).ask()
    site = make(options={"bound_for": 300})
    browser = Browser(site).logged_in()
    assert browser.max_age == 300
    assert 9 * 60 / 300 < 5


def test_a_browser_proves_its_key_in_the_last_two_minutes(site: Site, browser: Browser) -> None:
    """Early: what is under way with the cookie before is let in, and learns nothing new."""
    before = cookie(browser.token)
    site.clock.advance(BOUND_FOR - 120)
    assert browser.refresh().status == 200
    assert browser.max_age == BOUND_FOR  # from the proof, not from the cookie before
    assert (browser.max_age or 0) > 2 * 120
    for _ in range(3):
        answer = site.ask(before)
        assert (answer.who, answer.token) == ("alice", None)
    assert browser.who == "alice"


def test_bob_logs_in_after_alice_without_a_logout(site: Site) -> None:
    """The browser keeps one session for one name: bob's takes the place of alice's."""
    browser = Browser(site).logged_in()
    alice = browser.instructions
    browser.logged_in(view=entering("bob"))
    assert browser.instructions["session_identifier"] == alice["session_identifier"]
    assert browser.instructions["refresh_url"] != alice["refresh_url"]
    site.clock.advance(BOUND_FOR)
    assert browser.refresh().status == 200
    assert browser.who == "bob"
    told = json.loads(browser.prove(alice["refresh_url"], None).body)
    assert told == {"session_identifier": alice["session_identifier"], "continue": False}


def test_a_session_at_another_host_of_the_site_keeps_its_name(site: Site) -> None:
    """A browser has one list of names for a whole site."""
    names = set()
    for origin in (b"https://app.example.com", b"https://admin.example.com"):
        browser = Browser(site)
        browser.log_in()
        assert browser.offered is not None
        path, challenge = browser.offered
        headers = (
            (b"origin", origin),
            (
                b"secure-session-response",
                browser.device.registers(challenge).encode(),
            ),
        )
        answer = site.ask(*headers, method="POST", **places(site, path))
        names.add(json.loads(answer.body)["session_identifier"])
    assert len(names) == 2


def test_a_link_from_another_site_waits_for_the_proof(browser: Browser) -> None:
    assert browser.instructions["allowed_refresh_initiators"] == ["*"]


def test_a_login_that_came_from_another_site_is_bound_without_its_cookie(site: Site) -> None:
    """The ``form_post`` of an identity provider: the browser keeps the ``Lax`` cookie back."""
    elsewhere = (b"sec-fetch-site", b"cross-site")
    browser = Browser(site)
    browser.log_in(elsewhere, view=entering("alice", cross_site=True))
    assert browser.bind(elsewhere, bare=True).status == 200
    assert browser.who == "alice"
    site.clock.advance(BOUND_FOR)
    assert browser.refresh(elsewhere).status == 200  # and a link from there starts a proof
    assert browser.who == "alice"


def test_the_store_is_down(make: MakeSite) -> None:
    """A 4xx would end the browser's session; it tries a 503 again."""
    store = BrittleStore()
    site = make(store=store)
    browser = Browser(site)
    browser.log_in()
    store.down = True
    for answer in (browser.bind(), browser.prove(f"{BIND[:-4]}refresh/{'A' * 22}", None)):
        assert (answer.status, answer.one("retry-after"), answer.reached) == (503, "5", False)
    store.down = False
    assert browser.bind().status == 200
    site.clock.advance(BOUND_FOR)
    store.down = True
    assert browser.refresh().status == 503
    store.down = False
    assert browser.refresh().status == 200
    assert browser.who == "alice"


def test_a_bound_session_survives_a_restart_of_the_browser(make: MakeSite) -> None:
    """The cookie is gone, the key is not: it is renewed, until the session itself is over."""
    site = make(session_timeout=3600)
    browser = Browser(site).logged_in()
    browser.token = None
    site.clock.advance(3599)
    assert browser.proving().status == 200
    assert browser.who == "alice"
    browser.token = None
    site.clock.advance(3600)
    answer = browser.refresh()
    assert json.loads(answer.body)["continue"] is False
    assert browser.who is None


def test_each_answer_brings_a_new_challenge(browser: Browser) -> None:
    """For the same one a browser sends the same proof again, which does not count."""
    challenges = {browser.challenge}
    for _ in range(3):
        assert browser.refresh().status == 200
        challenges.add(browser.challenge)
    assert len(challenges) == 4


def test_an_expired_cookie_that_comes_all_the_same_is_refused(site: Site, browser: Browser) -> None:
    """A browser drops it; a thief does not."""
    copy = cookie(browser.token)
    site.clock.advance(BOUND_FOR + 60)  # whatever the slack
    assert site.ask(copy).who is None


def test_elliptic_curves_alone_are_offered(site: Site) -> None:
    offered = Browser(site).log_in().one("secure-session-registration")
    assert offered is not None
    assert offered.startswith("(ES256);")


# Lost answers, and racers.


def test_the_answer_to_a_proof_is_lost(site: Site, browser: Browser) -> None:
    held, known = browser.token, browser.challenge
    for _ in range(2):  # and the next one as well
        site.clock.advance(60)
        assert browser.proving().status == 200
        browser.token, browser.challenge = held, known
        assert browser.who == "alice"
    site.clock.advance(BOUND_FOR)
    assert browser.proving().status == 200
    assert browser.who == "alice"


def test_the_answer_to_the_first_proof_is_lost(site: Site, browser: Browser) -> None:
    """The browser has used its first bound cookie just now: that is no reason to refuse it."""
    held = browser.token
    site.clock.advance(BOUND_FOR - 100)
    assert browser.who == "alice"
    assert browser.refresh().status == 200
    browser.token = held
    site.clock.advance(60)
    assert browser.who == "alice"


def test_the_answer_to_the_binding_is_lost(site: Site) -> None:
    browser = Browser(site)
    browser.log_in()
    held = browser.token
    assert browser.bind().status == 200
    browser.token = held
    assert browser.who == "alice"
    site.clock.advance(BOUND_FOR + 60)
    assert browser.ask(view=leave).who is None
    assert browser.log_in().status == 200  # sets it right
    assert browser.who == "alice"


def test_of_racing_proofs_one_renews() -> None:
    site = make_site("asgi", "opaque", options={"device_bound": True})
    browser = Browser(site).logged_in()
    proof = browser.device.answers(browser.challenge or "")
    path = browser.instructions["refresh_url"]
    sent = (b"secure-session-response", proof.encode())

    async def race() -> list[int]:
        asked = [site.aask(sent, ORIGIN, method="POST", **places(site, path)) for _ in range(20)]
        return sorted([answer.status for answer in await asyncio.gather(*asked)])

    assert asyncio.run(race()) == [200, *[403] * 19]
    assert site.kinds() == ["login", "bound", "rotated"]
    assert browser.who == "alice"
    assert browser.proving().status == 200


def test_a_logout_is_final_for_a_proof_that_is_under_way(site: Site, browser: Browser) -> None:
    path, challenge = browser.instructions["refresh_url"], browser.challenge or ""
    browser.ask(view=leave, method="POST")
    answer = browser.prove(path, browser.device.answers(challenge))
    assert set_cookies(answer) == []
    assert site.manager.n_active_sessions() == 0


# What cannot be bound.


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"cookie": SessionCookie.for_http()}, "for_http"),
        ({"cookie": SessionCookie(partitioned=True, same_site="None")}, "partitioned"),
        ({"cookie": SessionCookie(name="__Secure-id", domain="example.com")}, "domain"),
        ({"device_bound": "yes"}, "device_bound must be True or False"),
        ({"bound_for": "600"}, "bound_for must be seconds"),
        ({"bound_for": 60}, "bound_for must be at least 300"),
        ({"bound_for": 900, "device_bound": False}, "bound_for is for device_bound=True"),
    ],
)
@pytest.mark.parametrize("middleware", [ASGIMiddleware, WSGIMiddleware])
def test_what_cannot_be_bound_is_refused_with_the_reason(
    middleware: Any, options: dict[str, Any], reason: str
) -> None:
    with pytest.raises((ConfigurationError, TypeError), match=reason):
        middleware(object(), SessionManager(), **{"device_bound": True, **options})


@pytest.mark.parametrize("middleware", [ASGIMiddleware, WSGIMiddleware])
def test_jwts_that_others_read_are_refused(middleware: Any) -> None:
    with pytest.raises(ConfigurationError, match="Other services"):
        middleware(object(), JWTSessionManager(), device_bound=True)


def test_the_extra_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_name: str) -> None:
        raise NotImplementedError

    monkeypatch.setattr("jwt.get_algorithm_by_name", missing)
    with pytest.raises(ConfigurationError, match=r"sessiongate\[crypto\]"):
        ASGIMiddleware(object(), SessionManager(), device_bound=True)  # type: ignore[arg-type]
