"""Device-bound sessions of browsers that are started again, and of one that signs too often."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.browser.binding import FLAGS, FLAGS_WITH_QUOTA, Watched, ask, log_in_or_skip, who
from tests.browser.bound_sites import BOUND_FOR, Sites
from tests.browser.chromium import LONG, running_chromium, running_with_profile
from tests.examples.running_demo import Demo

if TYPE_CHECKING:
    from pathlib import Path

    from tests.browser.authority import Authority

pytestmark = pytest.mark.slow


def test_a_bound_session_outlives_the_browser_and_ends_by_itself(
    sites: Sites, tmp_path: Path, authority: Authority
) -> None:
    site = sites.at("starlette")
    with running_with_profile(tmp_path, authority.home, FLAGS) as visitor:
        log_in_or_skip(visitor, f"{site}/who")
    for gone, name in ((7199, "alice"), (7200, None)):
        sites.clock.advance(gone)
        with running_with_profile(tmp_path, authority.home, FLAGS) as visitor:
            visitor.clear_cookies()
            tab = visitor.new_page()
            tab.goto(f"{site}/who")
            assert who(tab) == name


def test_beyond_its_quota_a_browser_comes_without_the_cookie_and_nobody_is_logged_out(
    sites: Sites, authority: Authority
) -> None:
    with running_chromium(authority.home, FLAGS_WITH_QUOTA) as browser:
        visitor = browser.new_context()
        visitor.set_default_timeout(LONG)
        watched = log_in_or_skip(visitor, f"{sites.at('starlette')}/who")
        proofs = 0
        while who(watched.tab) == "alice":
            proofs += 1
            assert proofs < 20
            visitor.clear_cookies()
        assert sites.kinds()[:2] == ["login", "bound"]
        assert proofs >= 600 / BOUND_FOR  # more than bound_for asks for
        assert "ended" not in {what for what, _ in watched.events}
        (row,) = sites.manager.user_sessions("alice")
        assert row["handle"]
        assert ask(watched.tab, "/login?username=alice", "POST")[0] == 200  # sets it right
        assert who(watched.tab) == "alice"


def test_the_demo_shows_that_its_session_is_bound(tmp_path: Path, authority: Authority) -> None:
    with Demo.start(tmp_path, "--device-bound") as demo:
        authority.trust(tmp_path / "certificate.pem")
        with running_chromium(authority.home, FLAGS) as browser:
            visitor = browser.new_context()
            visitor.set_default_timeout(LONG)
            watched = Watched(visitor, f"{demo.flask}/login")
            watched.tab.get_by_label("Username").fill("alice")
            watched.tab.get_by_label("Password").fill(demo.password)
            watched.tab.get_by_role("button", name="Log in").click()
            watched.wait_for("created", "Success")
            visitor.clear_cookies()
            for page in ("/account", "/devices"):
                watched.tab.goto(f"{demo.flask}{page}")
                assert watched.tab.get_by_text("bound to").first.is_visible()
            assert ("refreshed", "Refreshed") in watched.events
