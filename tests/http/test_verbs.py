"""What a view does with its session, and who the request is from then on."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from tests.http.harness import (
    Call,
    MakeSite,
    Reply,
    Response,
    Site,
    View,
    Way,
    bearer,
    cookie,
    set_cookies,
    show,
)

from sessiongate.errors import ResponseStartedError

both_kinds = pytest.mark.parametrize("kind", ["opaque", "jwt"])
both_ways = pytest.mark.parametrize("way", [cookie, bearer])


def is_user(call: Call, username: str | None) -> None:
    """Every place names this user, now."""
    user = call.session.user
    assert user.username == username
    assert user.is_authenticated == (username is not None)
    assert (user.info or {}).get("username") == username
    assert (call.session.session is None) == (username is None)
    if call.site.stack == "asgi":
        assert call.places["user"] is user
        assert call.places["user"].display_name == (username or "")
        assert ("authenticated" in call.places["auth"].scopes) == (username is not None)


def logging_in(username: str = "alice", **options: Any) -> View:
    async def view(call: Call) -> Reply:
        assert await call.login(username, **options) is not None
        is_user(call, username)
        await call.start(Reply())
        if call.site.stack == "wsgi":
            assert call.places["REMOTE_USER"] == username
        return Reply()

    return view


async def logout(call: Call) -> Reply:
    await call.logout()
    is_user(call, None)
    await call.start(Reply())
    assert "REMOTE_USER" not in call.places
    return Reply()


async def refresh(call: Call) -> Reply:
    user = call.session.user.username
    token = await call.refresh()
    assert (token is None) == (user is None)
    is_user(call, user)
    return Reply()


@both_kinds
def test_login_opens_a_session_and_sets_the_cookie(site: Site) -> None:
    response = site.ask(view=logging_in())
    assert (response.who, response.one("x-refreshed-token")) == (None, None)
    assert site.ask(cookie(response.token)).who == "alice"
    assert site.kinds() == ["login"]


@both_kinds
def test_login_as_a_bearer_sets_no_cookie(site: Site) -> None:
    response = site.ask(view=logging_in(transport="bearer"))
    assert set_cookies(response) == []
    assert site.ask(bearer(response.one("x-refreshed-token"))).who == "alice"


@pytest.mark.parametrize("ended", [False, True])
def test_login_as_a_bearer_takes_the_cookie_of_the_session_before(site: Site, ended: bool) -> None:  # noqa: FBT001
    old = site.open("bob")
    if ended:
        site.manager.invalidate_session(old)
    response = site.ask(cookie(old), view=logging_in(transport="bearer"))
    (deletion,) = set_cookies(response)
    assert deletion.startswith("__Host-session=;")
    assert "Max-Age=0" in deletion
    assert site.ask(bearer(response.one("x-refreshed-token"))).who == "alice"


def test_logout_with_both_takes_the_cookie_as_well(site: Site) -> None:
    token = site.open()
    response = site.ask(cookie(token), bearer(token), view=logout)
    (deletion,) = set_cookies(response)
    assert "Max-Age=0" in deletion
    assert set_cookies(site.ask(bearer(site.open()), view=logout)) == []


@both_ways
def test_login_goes_back_the_way_the_request_came(site: Site, way: Way) -> None:
    response = site.ask(way(site.open("bob")), view=logging_in())
    assert bool(set_cookies(response)) == (way is cookie)
    assert site.ask(way(response.token)).who == "alice"


@both_kinds
@both_ways
@pytest.mark.parametrize("username", ["alice", "bob"])
def test_login_over_a_login_replaces_it(site: Site, way: Way, username: str) -> None:
    """A new token at every login, and the old one dies (session fixation)."""
    old = site.open()
    response = site.ask(way(old), view=logging_in(username))
    assert response.who == "alice"
    assert response.token not in {None, old}
    assert site.ask(way(old)).who is None
    assert site.ask(way(response.token)).who == username
    assert site.manager.n_active_sessions() == 1


def test_login_with_a_forged_token_opens_a_session_of_our_own(site: Site) -> None:
    forged = "sg_" + "A" * 22 + ".0." + "0" * 32
    response = site.ask(cookie(forged), view=logging_in())
    assert response.token != forged
    assert site.ask(cookie(forged)).who is None


@pytest.mark.parametrize("existing", ["reuse", "new", None])
def test_two_browsers_never_share_a_session(site: Site, existing: str | None) -> None:
    one = site.ask(view=logging_in(existing=existing)).token
    other = site.ask(view=logging_in(existing=existing)).token
    assert one != other
    assert site.ask(cookie(one), view=logout).token == ""
    assert site.ask(cookie(other)).who == "alice"


def test_login_may_end_the_others(site: Site) -> None:
    elsewhere, bob = site.open(), site.open("bob")
    here = site.ask(view=logging_in(existing="replace")).token
    assert site.ask(cookie(elsewhere)).who is None
    assert site.ask(cookie(bob)).who == "bob"
    assert site.ask(cookie(here)).who == "alice"


@both_kinds
def test_scopes_claims_and_device_are_kept(site: Site) -> None:
    options: dict[str, Any] = {
        "scopes": ["b", "a"],
        "claims": {"tenant": 7},
        "device": {"name": "phone"},
    }
    token = site.ask(view=logging_in(**options)).token

    async def look(call: Call) -> Reply:
        assert call.session.user.scopes == ("a", "b")
        assert (call.session.user.info or {})["tenant"] == 7
        if call.site.stack == "asgi":
            assert call.places["auth"].scopes == ["authenticated", "a", "b"]
        return Reply()

    assert site.ask(cookie(token), view=look).status == 200
    (device,) = site.manager.user_sessions("alice")
    assert device["device"] == {"name": "phone"}


@pytest.mark.parametrize("rule", ["max_concurrent_sessions", "max_sessions_per_user"])
def test_login_at_a_limit_keeps_the_old_session(make: MakeSite, rule: str) -> None:
    site = make(**{rule: 1})
    token = site.open("alice")
    holder = site.open("bob") if rule == "max_sessions_per_user" else token
    browser = None if holder == token else token

    async def view(call: Call) -> Reply:
        before = call.session.user.username
        assert await call.login("bob") is None
        is_user(call, before)
        return Reply()

    response = site.ask(*([cookie(browser)] if browser else []), view=view)
    assert (response.status, response.token) == (200, None)
    assert site.ask(cookie(token)).who == "alice"
    assert "limit_reached" in site.kinds()


def test_login_needs_no_free_slot_for_the_session_it_replaces(make: MakeSite) -> None:
    site = make(max_concurrent_sessions=1)
    response = site.ask(cookie(site.open()), view=logging_in("bob"))
    assert site.ask(cookie(response.token)).who == "bob"


@both_ways
@pytest.mark.parametrize("verb", ["login", "refresh"])
def test_a_verb_that_comes_too_late_does_nothing(site: Site, way: Way, verb: str) -> None:
    token = site.open()

    async def late(call: Call) -> Reply:
        await call.start(Reply())
        call.site.store.reset()
        with pytest.raises(ResponseStartedError, match=verb):
            await (call.login("bob") if verb == "login" else call.refresh())
        assert call.site.store.calls == 0
        is_user(call, "alice")
        return Reply()

    assert site.ask(way(token), view=late).token is None
    assert site.ask(way(token)).who == "alice"
    assert site.manager.n_active_sessions() == 1


def test_a_late_logout_ends_the_session_all_the_same(site: Site) -> None:
    token = site.open()

    async def late(call: Call) -> Reply:
        await call.start(Reply())
        await call.logout()
        return Reply()

    assert site.ask(cookie(token), view=late).token is None
    assert site.ask(cookie(token)).who is None


@both_kinds
@both_ways
def test_logout_ends_the_session_and_deletes_the_cookie(site: Site, way: Way) -> None:
    token = site.open()
    site.kinds()
    response = site.ask(way(token), view=logout)
    assert (response.who, response.token) == ("alice", "" if way is cookie else None)
    assert site.manager.n_active_sessions() == 0
    assert site.ask(way(token)).who is None
    assert site.kinds() == ["logout"]


def test_logout_is_idempotent_and_no_oracle(site: Site) -> None:
    ended = site.open()
    site.manager.invalidate_session(ended)

    async def twice(call: Call) -> Reply:
        await call.logout()
        await call.logout()
        return Reply()

    live = site.ask(cookie(site.open()), view=twice)
    for headers in ([], [cookie(ended)], [cookie("forged")]):
        response = site.ask(*headers, view=twice)
        assert (response.status, response.headers, response.body) == (
            live.status,
            live.headers,
            live.body,
        )


def test_logout_ends_every_token_of_the_session(site: Site) -> None:
    old = site.open()
    site.clock.advance(1800)
    new = site.ask(cookie(old)).token
    site.ask(cookie(old), view=logout)
    assert site.ask(cookie(new)).who is None
    assert site.ask(cookie(old)).who is None


def test_logout_and_login_in_one_request(site: Site) -> None:
    old = site.open()

    async def switch(call: Call) -> Reply:
        await call.logout()
        assert await call.login("bob") is not None
        is_user(call, "bob")
        return Reply()

    response = site.ask(cookie(old), view=switch)
    assert site.ask(cookie(old)).who is None
    assert site.ask(cookie(response.token)).who == "bob"


def test_login_and_logout_in_one_request(site: Site) -> None:
    async def both(call: Call) -> Reply:
        await call.login("bob")
        await call.logout()
        is_user(call, None)
        return Reply()

    assert site.ask(view=both).token == ""
    assert site.manager.n_active_sessions() == 0


@both_kinds
@both_ways
def test_refresh_exchanges_now(site: Site, way: Way) -> None:
    old = site.open()
    response = site.ask(way(old), view=refresh)
    assert response.token not in {None, old}
    assert bool(set_cookies(response)) == (way is cookie)
    assert site.ask(way(response.token)).who == "alice"
    assert site.ask(way(old)).who is None
    assert site.ask(way(response.token)).who == "alice", "an old token is no replay"


def test_refresh_without_a_session_gives_nothing(site: Site) -> None:
    assert site.ask(view=refresh).token is None


@both_kinds
def test_refresh_of_a_session_that_ended_meanwhile(site: Site) -> None:
    token = site.open()

    async def view(call: Call) -> Reply:
        await call.meanwhile(cookie(token), view=logout)
        assert await call.refresh() is None
        is_user(call, None)
        return Reply()

    assert site.ask(cookie(token), view=view).token is None
    assert site.manager.n_active_sessions() == 0


# A logout is final, whatever is in flight.


@both_kinds
@both_ways
@pytest.mark.parametrize("due", [True, False])
@pytest.mark.parametrize("ends", ["logout", "everywhere", "login"])
def test_a_request_in_flight_does_not_bring_a_session_back(
    site: Site, way: Way, ends: str, *, due: bool
) -> None:
    token = site.open()
    if due:
        site.clock.advance(1800)

    async def everywhere(call: Call) -> Reply:
        assert call.site.manager.invalidate_user_sessions("alice") == 1
        return Reply()

    view = {"logout": logout, "everywhere": everywhere, "login": logging_in("bob")}[ends]
    quick: list[Response] = []

    async def slow(call: Call) -> Reply:
        quick.append(await call.meanwhile(way(token), view=view))
        is_user(call, "alice")
        return Reply(200, body=[b"un", b"disturbed"])

    late = site.ask(way(token), view=slow)
    assert (late.status, late.body, late.who) == (200, b"undisturbed", "alice")
    assert late.token is None
    assert quick[0].status == 200
    assert site.ask(way(token)).who is None
    assert [row["username"] for row in site.manager.sessions.values()] == (
        ["bob"] if ends == "login" else []
    )


@pytest.mark.parametrize("verb", ["login", "refresh"])
def test_a_token_that_died_before_the_response_is_not_sent(site: Site, verb: str) -> None:
    token = site.open()

    async def slow(call: Call) -> Reply:
        assert await (call.login("alice") if verb == "login" else call.refresh()) is not None
        assert call.site.manager.invalidate_user_sessions("alice") == 1
        return Reply()

    assert site.ask(cookie(token), view=slow).token is None


def test_a_request_held_while_another_one_logs_out(site: Site) -> None:
    """The same with two requests that really run at once."""
    token = site.open()
    site.clock.advance(1800)
    if site.stack == "wsgi":
        slow = _hold_thread(site, token)
    else:
        slow = asyncio.run(_hold_task(site, token))
    assert (slow.status, slow.who, slow.token) == (200, "alice", None)
    assert site.ask(cookie(token)).who is None
    assert site.manager.n_active_sessions() == 0


def _hold_thread(site: Site, token: str) -> Response:
    inside, may_go = threading.Event(), threading.Event()
    slow: list[Response] = []

    async def held(_call: Call) -> Reply:
        inside.set()
        assert may_go.wait(30)
        return Reply()

    thread = threading.Thread(target=lambda: slow.append(site.ask(cookie(token), view=held)))
    thread.start()
    assert inside.wait(30)
    site.ask(cookie(token), view=logout)
    may_go.set()
    thread.join()
    return slow[0]


async def _hold_task(site: Site, token: str) -> Response:
    inside, may_go = asyncio.Event(), asyncio.Event()

    async def held(_call: Call) -> Reply:
        inside.set()
        await may_go.wait()
        return Reply()

    slow = asyncio.create_task(site.aask(cookie(token), view=held))
    await inside.wait()
    await site.aask(cookie(token), view=logout)
    may_go.set()
    return await slow


def test_nothing_but_login_makes_a_session(site: Site) -> None:
    token = site.open()
    site.manager.invalidate_session(token)
    for view in (show, refresh, logout):
        for headers in ([], [cookie(token)], [cookie("forged")]):
            site.ask(*headers, view=view)
    assert site.manager.n_active_sessions() == 0


@pytest.mark.parametrize(
    ("username", "options"),
    [
        ("", {}),
        (None, {}),
        ("a\nb", {}),
        ("alice", {"transport": "query"}),
        ("alice", {"existing": "maybe"}),
        ("alice", {"scopes": "read"}),
        ("alice", {"claims": {"sub": "bob"}}),
    ],
)
def test_unfit_arguments_change_nothing(site: Site, username: Any, options: dict[str, Any]) -> None:
    token = site.open()

    async def view(call: Call) -> Reply:
        with pytest.raises((TypeError, ValueError)):
            await call.login(username, **options)
        is_user(call, "alice")
        return Reply()

    assert site.ask(cookie(token), view=view).token is None
    assert site.ask(cookie(token)).who == "alice"
    assert site.manager.n_active_sessions() == 1
