"""A client that was logged in is a client like any other: rotation, logout, scopes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.testing.clients import Seen, Visitor, Visitors

from sessiongate import ConfigurationError, SessionCookie, SessionManager
from sessiongate.testing import ManualClock, login_as

if TYPE_CHECKING:
    from sessiongate.http.credentials import Transport

NOBODY = Seen(None)


@pytest.fixture(params=["cookie", "bearer"])
def transport(request: pytest.FixtureRequest) -> Transport:
    way: Transport = request.param
    return way


def test_the_app_sees_the_user_with_scopes(visitor: Visitor, transport: Transport) -> None:
    assert visitor.sees() == NOBODY
    login_as(visitor.client, "alice", transport=transport, scopes=["write", "read"])
    assert visitor.sees() == Seen("alice", transport, ("read", "write"))


def test_it_is_a_real_session_of_the_manager(
    visitor: Visitor, manager: SessionManager, transport: Transport
) -> None:
    login = login_as(
        visitor.client, "alice", transport=transport, claims={"team": "red"}, device="phone"
    )
    assert login.token is not None
    found = manager.validate_session(login.token)
    assert found is not None
    assert (found["username"], found["team"]) == ("alice", "red")
    (listed,) = manager.user_sessions("alice")
    assert (listed["handle"], listed["device"]) == (login.session, "phone")
    assert login.username == "alice"
    assert login.token not in repr(login)


@pytest.mark.parametrize("format_", ["opaque", "jwt"])
def test_the_client_follows_rotations_until_the_session_ends(
    visitor: Visitor, clock: ManualClock, transport: Transport
) -> None:
    login = login_as(visitor.client, "alice", transport=transport)
    seen, before = Seen("alice", transport), login.token
    for _ in range(3):
        clock.advance(61)
        assert visitor.sees() == seen
        after = login.token
        assert after != before, "the rotated token was lost"
        assert visitor.sees() == seen
        before = after
    clock.advance(31)  # a replay from here on, if the client still had an old one
    assert visitor.sees() == seen
    assert visitor.tokens() == ([login.token] if transport == "cookie" else [])
    clock.advance(601)
    assert visitor.sees() == NOBODY


def test_a_rotation_on_the_way_through_a_redirect_is_followed(
    visitor: Visitor, clock: ManualClock, transport: Transport
) -> None:
    login = login_as(visitor.client, "alice", transport=transport)
    before = login.token
    clock.advance(61)
    httpx_names_it = hasattr(visitor.client, "follow_redirects")
    if httpx_names_it:
        visitor.client.follow_redirects = True
        visitor.ask("GET", "/away")
    else:
        visitor.client.open("/away", follow_redirects=True)
    assert login.token != before
    clock.advance(31)
    assert visitor.sees() == Seen("alice", transport)


def test_a_logout_by_the_app_reaches_the_client(
    visitor: Visitor, manager: SessionManager, transport: Transport
) -> None:
    login = login_as(visitor.client, "alice", transport=transport)
    visitor.ask("POST", "/logout")
    assert manager.user_sessions("alice") == []
    assert visitor.tokens() == []
    assert visitor.sees() == NOBODY
    assert login.token is None or transport == "bearer"


def test_logout_ends_the_session_and_leaves_an_anonymous_client(
    visitor: Visitor, manager: SessionManager, clock: ManualClock, transport: Transport
) -> None:
    login = login_as(visitor.client, "alice", transport=transport)
    clock.advance(61)
    visitor.sees()
    login.logout()
    assert manager.user_sessions("alice") == []
    assert (login.token, visitor.tokens()) == (None, [])
    assert visitor.sees() == NOBODY
    login.logout()


@pytest.mark.parametrize("then", ["cookie", "bearer"])
def test_the_next_login_takes_the_place_of_the_last(
    visitor: Visitor, manager: SessionManager, transport: Transport, then: Transport
) -> None:
    login_as(visitor.client, "alice", transport=transport)
    login_as(visitor.client, "bob", transport=then)
    assert visitor.sees() == Seen("bob", then)
    assert len(visitor.tokens()) == (then == "cookie")
    assert len(manager.user_sessions("alice")) == 1, "it lives on, as on a device left behind"


def test_a_login_by_the_app_takes_the_same_place(visitor: Visitor, clock: ManualClock) -> None:
    login_as(visitor.client, "alice")
    visitor.ask("POST", "/login?username=bob")
    assert len(visitor.tokens()) == 1
    assert visitor.sees() == Seen("bob", "cookie")

    login_as(visitor.client, "carol")
    assert len(visitor.tokens()) == 1
    clock.advance(61)
    assert visitor.sees() == Seen("carol", "cookie")


def test_a_header_that_is_given_wins(
    visitor: Visitor, manager: SessionManager, transport: Transport
) -> None:
    login_as(visitor.client, "alice", transport=transport)
    token = manager.create_session("bob")
    other = visitor.sees(headers={"Authorization": f"Bearer {token}"})
    assert other == Seen("bob", "bearer")
    assert visitor.sees() == Seen("alice", transport)


@pytest.mark.parametrize(
    "cookie",
    [
        SessionCookie.for_http(),
        SessionCookie(name="__Secure-session", domain="example.com"),
        SessionCookie(persistent=True, same_site="Strict", partitioned=True),
    ],
    ids=["for-http", "domain", "persistent"],
)
def test_each_cookie_finds_its_place(
    visitors: Visitors, clock: ManualClock, cookie: SessionCookie
) -> None:
    visitor = visitors(cookie=cookie)
    base_url = None if hasattr(visitor.client, "base_url") else "https://app.example.com"
    inside = {} if base_url is None else {"base_url": base_url}
    login_as(visitor.client, "alice", base_url=base_url)
    clock.advance(61)
    for _ in range(2):
        assert visitor.sees(**inside) == Seen("alice", "cookie")
        clock.advance(31)
    assert len(visitor.tokens()) == 1
    visitor.ask("POST", "/logout", **inside)
    assert visitor.tokens() == []


def test_a_cookie_that_would_not_be_sent_is_an_error_and_leaves_nothing(
    visitors: Visitors, manager: SessionManager
) -> None:
    visitor = visitors(cookie=SessionCookie(name="__Secure-s", domain="example.org"))
    with pytest.raises(ConfigurationError, match=r"base_url='https://example\.org'"):
        login_as(visitor.client, "alice")
    assert manager.n_active_sessions() == 0


def test_a_manager_at_its_limit_is_an_error(visitors: Visitors, manager: SessionManager) -> None:
    manager.operations.policy = replace(manager.operations.policy, limit=1)
    login_as(visitors().client, "alice")
    with pytest.raises(
        ConfigurationError, match="'bob' is not let in: the manager is at its limit"
    ):
        login_as(visitors().client, "bob")


def test_unfit_arguments_open_nothing(visitor: Visitor, manager: SessionManager) -> None:
    with pytest.raises(ValueError, match="username must not be empty"):
        login_as(visitor.client, "")
    with pytest.raises(ValueError, match="transport must be one of 'cookie', 'bearer'"):
        login_as(visitor.client, "alice", transport="query")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="scopes must be a list"):
        login_as(visitor.client, "alice", scopes="read")
    assert manager.n_active_sessions() == 0
    assert visitor.sees() == NOBODY
