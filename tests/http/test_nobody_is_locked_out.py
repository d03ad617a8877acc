"""Whatever cookies and tokens a client holds, the login page answers, and the login sets it right.

Promise 8. The middleware answers nothing but the 503.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.http.harness import (
    COOKIE,
    KEY,
    Call,
    Header,
    MakeSite,
    Reply,
    Site,
    Way,
    attributes,
    bare,
    bearer,
    cookie,
    enter,
    leave,
    renew,
    set_cookies,
    show,
)

from sessiongate import SessionCookie

if TYPE_CHECKING:
    from collections.abc import Iterable

pytestmark = pytest.mark.parametrize("kind", ["opaque", "jwt"])

both_orders = pytest.mark.parametrize("order", [1, -1], ids=["last", "first"])


def one_field(*values: str) -> Header:
    """A browser that holds several cookies of our name."""
    return b"cookie", "; ".join(f"{COOKIE}={value}" for value in values).encode()


def dead(site: Site, fate: str) -> str:
    """A genuine token of a session that is over, or was never in this store."""
    if fate == "of another store":
        other = type(site.manager)(secret_key=KEY, clock=site.clock)
        return other.create_session("alice") or ""
    token = site.open("bob")
    if fate == "ended":
        site.manager.invalidate_session(token)
    elif fate == "refreshed":
        site.manager.refresh_session(token)
    elif fate == "expired":
        site.clock.advance(3600)
    return token


FATES = ["ended", "refreshed", "expired", "of another store"]

MALFORMED: list[list[Header]] = [
    [(b"authorization", b"Bearer")],
    [(b"authorization", b"Bearer a b")],
    [(b"authorization", b"")],
    [bearer("forged")],
    [bearer("a"), bearer("a")],
    [(b"authorization", b"Basic YTpi"), bearer("a")],
    [cookie("forged")],
    [cookie("a"), cookie("b")],
    [cookie("a"), bearer("b")],
    [(b"cookie", b"\xff=\xff; " + COOKIE.encode() + b"=\xff; ;;=")],
]


def is_in(site: Site, response_token: str | None) -> None:
    """The client that was answered this is alice from now on, and nothing else is left open."""
    assert response_token
    assert site.ask(cookie(response_token)).who == "alice"
    assert site.ask(cookie(response_token), view=leave).status == 200
    assert site.ask(cookie(response_token)).who is None


@pytest.mark.parametrize("way", [cookie, bearer])
@pytest.mark.parametrize("fate", FATES)
def test_a_login_with_a_dead_credential_is_a_login(site: Site, way: Way, fate: str) -> None:
    token = dead(site, fate)
    assert site.ask(way(token), view=bare, method="POST").problem == "invalid_token"
    response = site.ask(way(token), view=enter, method="POST")
    assert (response.status, response.reached, response.who) == (200, True, None)
    is_in(site, response.token)


@pytest.mark.parametrize("headers", MALFORMED)
def test_a_login_with_a_malformed_credential_is_a_login(site: Site, headers: list[Header]) -> None:
    response = site.ask(*headers, view=enter, method="POST")
    assert (response.status, response.reached, response.who) == (200, True, None)
    is_in(site, response.token)


@pytest.mark.parametrize("fate", ["live", *FATES])
@pytest.mark.parametrize("shown", ["forged", "a b"])
def test_a_login_with_mixed_credentials_is_a_login(site: Site, fate: str, shown: str) -> None:
    held = dead(site, fate)
    response = site.ask(cookie(held), bearer(shown), view=enter, method="POST")
    assert (response.status, response.who) == (200, None)
    assert site.ask(cookie(held)).who is None, "every session whose token came has ended"
    is_in(site, response.token)


# Several values under the name of our cookie.


@both_orders
@pytest.mark.parametrize("joined", [True, False])
@pytest.mark.parametrize("other", ["x", "unquoted", "{token}x", "", "sg_{A22}.0.{zeros}"])
def test_values_that_were_not_minted_here_are_ignored(
    site: Site, order: int, other: str, *, joined: bool
) -> None:
    token = site.open()
    other = other.format(token=token, A22="A" * 22, zeros="0" * 32)
    values = [other, token][::order]
    fields = [one_field(*values)] if joined else [cookie(value) for value in values]
    site.store.reset()
    for view in (show, bare):
        response = site.ask(*fields, view=view)
        assert (response.status, response.who, response.problem) == (200, "alice", None)
        assert response.token is None, "no other response deletes a cookie"
    assert site.store.calls == 2
    assert site.ask(*fields, view=leave, method="POST").status == 200
    assert site.ask(cookie(token)).who is None


@pytest.mark.parametrize("values", [("a", "b"), ("a", "b", "c", "a")])
def test_only_values_that_were_not_minted_here_are_no_credential(
    site: Site, values: Iterable[str]
) -> None:
    site.store.reset()
    response = site.ask(one_field(*values))
    assert (response.status, response.who, response.problem) == (200, None, None)
    assert site.store.calls == 0


@both_orders
@pytest.mark.parametrize("later", [0, 3000])
def test_of_one_session_the_newest_counts_and_the_older_is_no_replay(
    site: Site, order: int, later: float
) -> None:
    old = site.open()
    site.clock.advance(1800)
    new = site.ask(cookie(old)).token or ""
    assert site.ask(cookie(new)).who == "alice"
    site.clock.advance(min(later, 1700))  # beyond the overlap the old one alone is a replay
    site.kinds()
    response = site.ask(one_field(*[old, new][::order]))
    assert (response.status, response.who, response.token) == (200, "alice", None)
    assert site.kinds() == []
    assert site.ask(cookie(new)).who == "alice"


@both_orders
def test_of_one_session_the_newest_is_rotated_when_it_is_due(site: Site, order: int) -> None:
    old = site.open()
    site.clock.advance(1800)
    new = site.ask(cookie(old)).token or ""
    site.clock.advance(1800)
    response = site.ask(one_field(*[old, new][::order]))
    assert response.token not in {None, "", old, new}
    assert site.ask(cookie(response.token)).who == "alice"


@pytest.mark.parametrize("fate", FATES)
@pytest.mark.parametrize("at", range(4))
def test_dead_sessions_beside_a_live_one_do_not_count(site: Site, fate: str, at: int) -> None:
    gone = [dead(site, fate) for _ in range(3)]
    token = site.open()
    values = [*gone[:at], token, *gone[at:]]
    site.kinds()
    response = site.ask(one_field(*values))
    assert (response.status, response.who, response.problem) == (200, "alice", None)
    assert (response.transport, response.token) == ("cookie", None)
    assert "replayed" not in site.kinds()
    assert site.ask(cookie(token)).who == "alice"


def test_dead_sessions_alone_are_an_invalid_token(site: Site) -> None:
    response = site.ask(one_field(*(dead(site, "ended") for _ in range(3))))
    assert (response.status, response.problem, response.token) == (401, "invalid_token", None)


def test_each_is_asked_about_from_the_last_backwards_and_four_at_most(site: Site) -> None:
    """A browser puts the older of two equal ones first (RFC 6265bis, section 5.8.3)."""
    live, gone = site.open(), [dead(site, "ended") for _ in range(4)]
    site.store.reset()
    assert site.ask(one_field(live, *gone[:3])).who == "alice"
    assert site.store.calls == 4
    site.store.reset()
    assert site.ask(one_field(live, *gone)).problem == "invalid_token", "a fifth is ignored"
    assert site.store.calls == 4
    assert site.ask(one_field(*gone, live)).who == "alice"
    for _ in range(2):  # the fifth is not asked about, so it is neither two live ones
        assert site.ask(one_field(live, *gone[:3], site.open())).who == "alice"


def test_a_rotation_beside_a_dead_cookie_goes_out_once(site: Site) -> None:
    gone, token = dead(site, "ended"), site.open()
    site.clock.advance(1800)
    site.kinds()
    response = site.ask(one_field(token, gone))
    assert (response.who, len(set_cookies(response))) == ("alice", 1)
    assert site.kinds() == ["rotated"]
    assert site.ask(one_field(response.token or "", gone)).who == "alice"
    site.clock.advance(1800)
    untouched = site.ask(one_field(response.token or "", gone), method="OPTIONS")
    assert (untouched.who, untouched.token) == ("alice", None)


@pytest.mark.parametrize("people", [("alice", "alice"), ("alice", "bob"), ("bob", "alice")])
def test_two_live_sessions_make_it_nobodys_until_a_login(
    site: Site, people: tuple[str, str]
) -> None:
    both = one_field(*map(site.open, people))
    for view in (bare, renew):
        response = site.ask(both, view=view)
        assert (response.status, response.who, response.problem) == (200, None, "invalid_request")
        assert response.token is None
    refused = site.ask(both)
    assert refused.status == 400
    assert b"two sessions" in refused.body
    assert b"malformed" not in refused.body.lower()
    assert site.manager.n_active_sessions() == 2, "neither is ended by being beside the other"
    site.kinds()
    entered = site.ask(both, view=enter, method="POST")
    assert sorted(site.kinds()) == ["login", "logout", "logout"]
    assert site.manager.n_active_sessions() == 1
    is_in(site, entered.token)


def test_a_logout_of_two_live_sessions_ends_both(site: Site) -> None:
    one, two, elsewhere = site.open(), site.open("bob"), site.open("carol")
    site.events.clear()
    response = site.ask(one_field(one, two), view=leave, method="POST")
    assert (response.status, response.token) == (200, "")
    told = {(event.kind, event.username, event.transport) for event in site.events}
    assert told == {("logout", "alice", "cookie"), ("logout", "bob", "cookie")}
    assert [site.ask(cookie(token)).who for token in (one, two, elsewhere)] == [None, None, "carol"]


def test_a_live_session_beside_dead_ones_is_logged_out_by_its_token(site: Site) -> None:
    values = [dead(site, "ended"), site.open(), dead(site, "refreshed")]
    assert site.ask(one_field(*values), view=leave, method="POST").token == ""
    assert site.manager.n_active_sessions() == 0


# What a login and a logout expire, and no other response does.

DOMAIN = SessionCookie(name="sid", domain="example.com", path="/app")


def scopes(lines: Iterable[str]) -> list[tuple[str, frozenset[str]]]:
    """The value of each ``Set-Cookie`` and where it counts."""
    found = []
    for line in lines:
        value, rest = attributes(line)
        found.append((value, frozenset(a for a in rest if a.startswith(("Domain", "Path")))))
    return found


@pytest.mark.parametrize("view", [enter, leave])
def test_where_several_came_what_the_cookie_does_not_replace_is_expired(
    make: MakeSite, view: object
) -> None:
    site = make(options={"cookie": DOMAIN})
    token = site.open()
    ours = cookie(f"x; sid={token}", "sid")
    response = site.ask(ours, view=view, method="POST")  # type: ignore[arg-type]
    lines = set_cookies(response, "sid")
    found = scopes(lines)
    places = [place for _, place in found]
    assert len(set(places)) == len(places), "one for each name and scope"
    assert set(places) == {
        frozenset({"Domain=example.com", "Path=/app"}),
        frozenset({"Domain=example.com", "Path=/"}),
        frozenset({"Path=/app"}),
        frozenset({"Path=/"}),
    }
    kept = [(value, place) for value, place in found if value]
    assert [place for _, place in kept] == (
        [frozenset({"Domain=example.com", "Path=/app"})] if view is enter else []
    )
    for line in lines:
        assert {"Secure", "HttpOnly", "SameSite=Lax"} < attributes(line)[1]
        assert ("Max-Age=0" in attributes(line)[1]) == (not attributes(line)[0])
    assert response.one("cache-control") == "no-store"
    if view is enter:
        assert site.ask(cookie(kept[0][0], "sid")).who == "alice"


@pytest.mark.parametrize("view", [enter, leave])
def test_where_one_came_only_the_cookie_itself_is_written(make: MakeSite, view: object) -> None:
    site = make(options={"cookie": DOMAIN})
    for headers in ([], [cookie(site.open(), "sid")], [cookie("x", "sid"), cookie("x", "sid")]):
        response = site.ask(*headers, view=view, method="POST")  # type: ignore[arg-type]
        ((_, place),) = scopes(set_cookies(response, "sid"))
        assert place == {"Domain=example.com", "Path=/app"}


def test_a_host_cookie_has_no_neighbours_to_expire(site: Site) -> None:
    both = one_field(site.open(), site.open())
    assert len(set_cookies(site.ask(both, view=enter, method="POST"))) == 1
    assert len(set_cookies(site.ask(both, view=leave, method="POST"))) == 1


def test_a_login_as_a_bearer_expires_all_of_several(make: MakeSite) -> None:
    site = make(options={"cookie": DOMAIN})

    async def by_bearer(call: Call) -> Reply:
        assert await call.login("alice", transport="bearer")
        return Reply()

    response = site.ask(cookie(f"x; sid={site.open()}", "sid"), view=by_bearer, method="POST")
    assert [value for value, _ in scopes(set_cookies(response, "sid"))] == [""] * 4
    assert site.ask(bearer(response.one("x-refreshed-token"))).who == "alice"


@pytest.mark.parametrize("due", [True, False])
def test_no_other_response_deletes_a_cookie(make: MakeSite, *, due: bool) -> None:
    site = make(options={"cookie": DOMAIN})
    gone = [dead(site, fate) for fate in FATES]
    token = site.open()
    if due:
        site.clock.advance(1800)
    for values in (["x"], ["x", token], [token, "x"], gone[:1], gone[:2], [*gone[:2], token]):
        for view in (show, bare, renew):
            lines = set_cookies(site.ask(cookie("; sid=".join(values), "sid"), view=view), "sid")
            assert all(value for value, _ in scopes(lines))
            assert all("Max-Age=0" not in line for line in lines)
            token_or_none = [attributes(line)[0] for line in lines]
            values = [*values[:-1], *(token_or_none or values[-1:])]  # noqa: PLW2901
            token = token_or_none[-1] if token_or_none else token
    two = [site.open(), site.open()]
    assert set_cookies(site.ask(cookie("; sid=".join(two), "sid"), view=bare), "sid") == []


# Beside a bearer token.


def test_a_bearer_token_beside_a_dead_cookie_counts(site: Site) -> None:
    gone, token = dead(site, "ended"), site.open()
    for values in ((gone,), ("x", gone), (gone, dead(site, "refreshed"))):
        response = site.ask(one_field(*values), bearer(token))
        assert (response.status, response.who, response.transport) == (200, "alice", "bearer")


def test_a_logout_with_both_ends_both_sessions(site: Site) -> None:
    held, shown = site.open(), site.open("bob")
    response = site.ask(cookie(held), bearer(shown), view=leave, method="POST")
    assert response.token == ""
    assert site.manager.n_active_sessions() == 0


@pytest.mark.parametrize("way", [cookie, bearer])
@pytest.mark.parametrize("how", ["refresh", "rotation"])
def test_a_logout_with_a_token_that_was_just_retired_ends_the_session(
    site: Site, way: Way, how: str
) -> None:
    """Another tab has refreshed a moment ago: the user who logs out is out all the same."""
    old = site.open()
    if how == "refresh":
        new = site.manager.refresh_session(old)
        assert site.ask(way(old), view=bare).problem == "invalid_token"
    else:
        site.clock.advance(1800)
        new = site.ask(way(old)).token
    site.events.clear()
    response = site.ask(way(old), view=leave, method="POST")
    assert (response.status, response.token) == (200, "" if way is cookie else None)
    (event,) = (event for event in site.events if event.kind == "logout")
    assert event.transport == ("cookie" if way is cookie else "bearer")
    assert "replayed" not in site.kinds()
    assert site.ask(way(new)).who is None
    assert site.manager.n_active_sessions() == 0


def test_a_logout_that_a_refresh_overtakes_ends_the_session(site: Site) -> None:
    """The refresh comes while the logout is being served."""
    token = site.open()
    fresh: list[str | None] = []

    async def overtaken(call: Call) -> Reply:
        fresh.append((await call.meanwhile(cookie(token), view=renew)).token)
        await call.logout()
        return Reply()

    assert site.ask(cookie(token), view=overtaken, method="POST").token == ""
    assert fresh[0]
    assert site.ask(cookie(fresh[0])).who is None
    assert site.manager.n_active_sessions() == 0


def test_a_login_with_a_token_that_was_just_retired_ends_that_session(site: Site) -> None:
    old = site.open()
    new = site.manager.refresh_session(old)
    response = site.ask(cookie(old), view=enter, method="POST")
    assert site.ask(cookie(new)).who is None
    is_in(site, response.token)


def test_a_bearer_client_is_told_nothing_of_cookies_when_it_logs_out(site: Site) -> None:
    token = site.open()
    response = site.ask(bearer(token), view=leave, method="POST")
    assert (response.status, response.all("set-cookie"), response.token) == (200, [], None)
    assert site.ask(bearer(token)).problem == "invalid_token"


@pytest.mark.parametrize(
    "options",
    [
        SessionCookie(),
        SessionCookie.for_http(),
        SessionCookie(name="__Secure-id", domain="example.com", path="/app", same_site="Strict"),
        SessionCookie(same_site="None", partitioned=True, persistent=True),
    ],
)
def test_the_deletion_has_the_attributes_of_the_original(
    make: MakeSite, options: SessionCookie
) -> None:
    site = make(options={"cookie": options})
    original = attributes(site.ask(view=enter).one("set-cookie") or "")
    deletion = attributes(
        site.ask(cookie(original[0], options.name), view=leave, method="POST").one("set-cookie")
        or ""
    )
    times = {a for a in original[1] | deletion[1] if a.startswith(("Max-Age=", "Expires="))}
    assert original[1] - times == deletion[1] - times
    assert "Max-Age=0" in deletion[1]
    assert deletion[0] == ""
