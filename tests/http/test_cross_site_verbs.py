"""What login, logout and refresh do in a request of another site, and what the log says of it.

Which requests are another site's: ``tests/security/test_19_cross_site.py``.
"""

from __future__ import annotations

import logging
from typing import Any

import pytest
from tests.http.harness import (
    Call,
    Header,
    MakeSite,
    Reply,
    Site,
    View,
    bare,
    bearer,
    cookie,
    enter,
    leave,
    renew,
    set_cookies,
)

from sessiongate.errors import CrossSiteError

ELSEWHERE: Header = (b"origin", b"https://elsewhere.example")
FETCHED: Header = (b"sec-fetch-site", b"cross-site")

from_elsewhere = pytest.mark.parametrize(
    "elsewhere", [[ELSEWHERE], [FETCHED], [ELSEWHERE, FETCHED]], ids=["origin", "fetch", "both"]
)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The warnings and worse since the last look."""
    found = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    caplog.clear()
    return found


def logging_in(username: str = "alice", **options: Any) -> View:
    async def view(call: Call) -> Reply:
        assert await call.login(username, **options) is not None
        assert call.session.user.username == username
        return Reply()

    return view


async def refused_login(call: Call) -> Reply:
    before = (call.session.user.username, call.session.problem)
    with pytest.raises(CrossSiteError) as raised:
        await call.login("mallory")
    assert (raised.value.status, raised.value.code) == (403, "cross_site")
    assert "trusted_origins" in str(raised.value)
    assert (call.session.user.username, call.session.problem) == before
    return Reply(403)


@from_elsewhere
@pytest.mark.parametrize("held", ["live", "forged", None])
def test_a_login_by_cookie_is_refused_and_changes_nothing(
    site: Site, elsewhere: list[Header], held: str | None
) -> None:
    token = site.open()
    brought = [] if held is None else [cookie(token if held == "live" else held)]
    site.kinds()
    site.store.reset()
    response = site.ask(*brought, *elsewhere, view=refused_login, method="POST")
    assert (response.status, response.token) == (403, None)
    assert (site.kinds(), site.store.calls) == ([], 0)
    assert site.manager.n_active_sessions() == 1
    assert site.ask(cookie(token)).who == "alice"


def test_a_login_that_a_view_lets_fail_reaches_the_app_as_it_is(site: Site) -> None:
    with pytest.raises(CrossSiteError):
        site.ask(ELSEWHERE, view=enter, method="POST")
    assert site.manager.n_active_sessions() == 0


@from_elsewhere
def test_a_login_that_means_to_come_from_another_site_works(
    site: Site, elsewhere: list[Header]
) -> None:
    """As an OpenID Connect form_post; what the client held ends, as with any login."""
    held = site.open("bob")
    for brought in ([], [cookie(held)], [cookie("forged")]):
        response = site.ask(*brought, *elsewhere, view=logging_in(cross_site=True), method="POST")
        assert (response.status, response.one("x-refreshed-token")) == (200, None)
        assert site.ask(cookie(response.token)).who == "alice"
    assert site.ask(cookie(held)).who is None


def test_what_is_logged_in_from_another_site_can_be_logged_out_again(site: Site) -> None:
    async def both(call: Call) -> Reply:
        assert await call.login("alice", cross_site=True)
        await call.logout()
        assert call.session.user.username is None
        return Reply()

    assert site.ask(ELSEWHERE, view=both, method="POST").token == ""
    assert site.manager.n_active_sessions() == 0


@from_elsewhere
@pytest.mark.parametrize("then", [None, "logout", "refresh"])
def test_a_login_by_bearer_works_and_leaves_the_cookie_alone(
    site: Site, elsewhere: list[Header], then: str | None
) -> None:
    """It sets no cookie; and the one that came along counts for nothing, so it is not ended."""
    held = site.open("bob")

    async def view(call: Call) -> Reply:
        assert await call.login("alice", transport="bearer") is not None
        if then == "logout":
            await call.logout()
        elif then == "refresh":
            assert await call.refresh() is not None
        return Reply()

    response = site.ask(cookie(held), *elsewhere, view=view, method="POST")
    assert (response.status, set_cookies(response)) == (200, [])
    assert site.ask(cookie(held)).who == "bob"
    token = response.one("x-refreshed-token")
    if then == "logout":
        assert (token, site.manager.n_active_sessions()) == (None, 1)
    else:
        assert site.ask(bearer(token)).who == "alice"


@from_elsewhere
def test_a_bearer_request_is_exempt_and_its_cookie_counts_for_nothing(
    site: Site, elsewhere: list[Header]
) -> None:
    held, shown = site.open("bob"), site.open()
    response = site.ask(cookie(held), bearer(shown), *elsewhere, view=enter, method="POST")
    assert set_cookies(response) == []
    assert site.ask(bearer(shown)).who is None
    out = site.ask(cookie(held), bearer(response.token), *elsewhere, view=leave, method="POST")
    assert (out.status, set_cookies(out)) == (200, [])
    assert site.ask(bearer(response.token)).who is None
    assert site.ask(cookie(held)).who == "bob"


@from_elsewhere
def test_a_logout_does_nothing_and_says_so(
    site: Site, elsewhere: list[Header], caplog: pytest.LogCaptureFixture
) -> None:
    token = site.open()
    site.kinds()
    for brought in ([cookie(token)], [], [cookie("forged")]):
        site.clock.advance(61)
        caplog.clear()
        response = site.ask(*brought, *elsewhere, view=leave, method="POST")
        assert (response.status, response.token) == (200, None)
        (told,) = [line for line in lines(caplog) if "logout" in line]
        assert "did nothing" in told
        assert "trusted_origins" in told
    assert site.kinds() == []
    assert site.ask(cookie(token)).who == "alice"


@from_elsewhere
def test_a_refresh_does_nothing(site: Site, elsewhere: list[Header]) -> None:
    token = site.open()

    async def view(call: Call) -> Reply:
        assert await call.refresh() is None
        assert call.session.problem == "cross_site"
        return Reply()

    response = site.ask(cookie(token), *elsewhere, view=view, method="POST")
    assert response.token is None
    assert site.ask(cookie(token)).who == "alice"


@pytest.mark.parametrize("view", [enter, leave, renew])
def test_from_a_trusted_origin_all_verbs_work(make: MakeSite, view: View) -> None:
    site = make(options={"trusted_origins": ["https://elsewhere.example"]})
    response = site.ask(cookie(site.open()), ELSEWHERE, FETCHED, view=view, method="POST")
    assert (response.status, response.who) == (200, "alice")
    assert response.token is not None


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_safe_method_is_not_asked_where_it_comes_from(site: Site, method: str) -> None:
    """An OpenID Connect callback is a GET that another site sends the browser to."""
    assert site.ask(ELSEWHERE, FETCHED, view=enter, method=method).token


# The log.


def test_the_log_names_the_two_hosts_and_the_remedy(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.ask(cookie(site.open()), ELSEWHERE, view=bare, method="POST")
    (told,) = lines(caplog)
    for part in ("https://elsewhere.example", "app.example.com", "trusted_origins"):
        assert part in told


def test_the_log_names_what_there_is_where_no_origin_came(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.ask(cookie(site.open()), FETCHED, view=bare, method="POST")
    (told,) = lines(caplog)
    assert "cross-site" in told
    assert "app.example.com" in told


@pytest.mark.parametrize("view", [bare, leave, refused_login])
def test_there_is_one_line_a_minute(
    site: Site, view: View, caplog: pytest.LogCaptureFixture
) -> None:
    token = site.open()
    brought = [cookie(token)] if view is bare else []
    for _ in range(3):
        for second in range(60):
            site.ask(*brought, ELSEWHERE, view=view, method="POST")
            assert len(lines(caplog)) == (second == 0)
            site.clock.advance(1)
    site.clock.advance(-3600)
    site.ask(*brought, ELSEWHERE, view=view, method="POST")
    assert len(lines(caplog)) == 1, "a clock that was set back silences nothing"


def test_what_no_cookie_was_spent_on_is_not_in_the_log(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    for brought in ([], [cookie("forged")], [bearer(site.open())], [bearer("forged")]):
        site.ask(*brought, ELSEWHERE, view=bare, method="POST")
    site.ask(cookie(site.open()), ELSEWHERE, view=bare)
    assert lines(caplog) == []


@pytest.mark.parametrize(
    "evil",
    [
        b"https://a\r\nsession login: user 'admin'",
        b"https://a\nb",
        b"https://\x1b[31mred",
        b"https://\xe2\x80\xae\xff\x00",
        b"https://%s%(name)s{0}",
        b"https://" + b"a" * 100_000,
    ],
)
@pytest.mark.parametrize("name", [b"origin", b"sec-fetch-site", b"host"])
@pytest.mark.parametrize("view", [bare, leave, refused_login])
def test_no_header_can_write_into_the_log(
    site: Site, view: View, name: bytes, evil: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    token = site.open()
    brought = [ELSEWHERE, (name, evil)] if name == b"host" else [(name, evil)]
    site.ask(cookie(token), *brought, view=view, method="POST")
    found = lines(caplog)
    assert found
    for line in found:
        assert line.isascii()
        assert line.isprintable()
        assert len(line) < 1000
        assert token not in line
