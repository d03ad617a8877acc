"""``login(…, remember=True)``: the cookie persists, by bearer it is the session alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.http.harness import (
    Call,
    MakeSite,
    Reply,
    View,
    Way,
    attributes,
    bearer,
    cookie,
    set_cookies,
)

if TYPE_CHECKING:
    from sessiongate.http.request_session import RequestSession

DAY = 86_400
both_kinds = pytest.mark.parametrize("kind", ["opaque", "jwt"])


def logging_in(**options: Any) -> View:
    async def view(call: Call) -> Reply:
        assert await call.login("alice", **options) is not None
        return Reply()

    return view


def remembered(found: list[RequestSession]) -> View:
    async def view(call: Call) -> Reply:
        found.append(call.session)
        return Reply()

    return view


@both_kinds
@pytest.mark.parametrize("remember", [True, False])
def test_the_cookie_persists_or_ends_with_the_browser(make: MakeSite, *, remember: bool) -> None:
    site = make(remember_for=30 * DAY)
    response = site.ask(view=logging_in(remember=remember))
    (set_cookie,) = set_cookies(response)
    _, found = attributes(set_cookie)
    assert (f"Max-Age={30 * DAY}" in found) == remember
    assert any(name.startswith("Max-Age") for name in found) == remember


@both_kinds
def test_a_rotation_knows(make: MakeSite) -> None:
    site = make(remember_for=30 * DAY)
    token = site.ask(view=logging_in(remember=True)).token
    site.clock.advance(10 * DAY)
    response = site.ask(cookie(token))
    assert response.who == "alice"
    (set_cookie,) = set_cookies(response)
    assert f"Max-Age={30 * DAY}" in attributes(set_cookie)[1]


@both_kinds
def test_by_bearer_it_is_the_session_alone(make: MakeSite) -> None:
    site = make(remember_for=30 * DAY)
    response = site.ask(view=logging_in(remember=True, transport="bearer"))
    assert set_cookies(response) == []
    site.clock.advance(29 * DAY)
    assert site.ask(bearer(response.token)).who == "alice"


@pytest.mark.parametrize("way", [cookie, bearer])
def test_a_view_may_know(make: MakeSite, way: Way) -> None:
    site = make()
    found: list[RequestSession] = []
    for remember in (True, False):
        site.ask(way(site.open(remember=remember)), view=remembered(found))
    site.ask(view=remembered(found))
    assert [session.remembered for session in found] == [True, False, False]
    assert found[0].expires_at is not None
    assert found[0].expires_at.timestamp() == site.clock() + 30 * DAY


def test_a_browser_keeps_no_cookie_longer_than_it_may(make: MakeSite) -> None:
    site = make(remember_for=1000 * DAY)
    (set_cookie,) = set_cookies(site.ask(view=logging_in(remember=True)))
    assert f"Max-Age={400 * DAY}" in attributes(set_cookie)[1]


def test_without_rotation_the_cookie_stays_as_long_as_the_session_may(make: MakeSite) -> None:
    site = make(remember_for=10 * DAY, rotate_after=None, max_lifetime=100 * DAY)
    (set_cookie,) = set_cookies(site.ask(view=logging_in(remember=True)))
    assert f"Max-Age={100 * DAY}" in attributes(set_cookie)[1]


def test_an_unfit_choice_opens_nothing(make: MakeSite) -> None:
    site = make()

    async def view(call: Call) -> Reply:
        with pytest.raises(TypeError, match="remember must be True or False"):
            await call.login("alice", remember="on")
        return Reply()

    assert set_cookies(site.ask(view=view)) == []
    assert site.manager.n_active_sessions() == 0
