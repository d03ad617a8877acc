"""Requirement 16: rotation, on a clock to move: one successor for all, nobody is logged out.

Every interleaving: ``tests/rotation``; several processes: ``tests/servers/test_processes.py``;
that a replay is remembered by each store, across restarts: ``sessiongate.testing``'s contract.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.http.harness import (
    PLAIN,
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

DUE = 1800
"""Seconds; half of the default lifetime."""
GRACE = 30

both_kinds = pytest.mark.parametrize("kind", ["opaque", "jwt"])
both_ways = pytest.mark.parametrize("way", [cookie, bearer])


def answering(status: int) -> View:
    async def view(_call: Call) -> Reply:
        return Reply(status, [PLAIN])

    return view


@both_kinds
@both_ways
def test_a_token_of_that_age_is_rotated(site: Site, way: Way) -> None:
    token = site.open()
    site.clock.advance(DUE - 1)
    assert site.ask(way(token)).token is None
    site.clock.advance(1)
    response = site.ask(way(token))
    assert response.who == "alice"
    assert response.token not in {None, "", token}
    assert bool(set_cookies(response)) == (way is cookie)
    assert site.ask(way(response.token)).token is None


@both_kinds
def test_racers_get_one_successor(site: Site) -> None:
    token = site.open()
    site.clock.advance(DUE)
    site.kinds()

    async def race() -> list[Response]:
        return await asyncio.gather(*(site.aask(cookie(token)) for _ in range(100)))

    if site.stack == "wsgi":
        with ThreadPoolExecutor(16) as pool:
            responses = list(pool.map(lambda _: site.ask(cookie(token)), range(100)))
    else:
        responses = asyncio.run(race())
    assert {response.who for response in responses} == {"alice"}
    (successor,) = {response.token for response in responses}
    assert successor not in {None, token}
    assert site.kinds() == ["rotated"]
    assert site.ask(cookie(successor)).who == "alice"


@both_kinds
@both_ways
def test_a_lost_response_locks_nobody_out(site: Site, way: Way) -> None:
    token = site.open()
    site.clock.advance(DUE)
    lost = site.ask(way(token)).token
    site.clock.advance(DUE - 1)
    again = site.ask(way(token))
    assert (again.who, again.token) == ("alice", lost)
    assert site.ask(way(again.token)).who == "alice"


@both_kinds
@both_ways
def test_the_predecessor_is_honoured_for_the_grace(site: Site, way: Way) -> None:
    token = site.open()
    site.clock.advance(DUE)
    successor = site.ask(way(token)).token
    assert site.ask(way(successor)).token is None
    site.clock.advance(GRACE - 1)
    racer = site.ask(way(token))
    assert (racer.who, racer.token) == ("alice", successor)


@both_kinds
@pytest.mark.parametrize("way", [cookie, bearer])
def test_a_replay_ends_the_session_and_is_told_once(site: Site, way: Way) -> None:
    token = site.open()
    site.clock.advance(DUE)
    successor = site.ask(way(token)).token
    site.ask(way(successor))
    site.clock.advance(GRACE)
    site.kinds()
    for _ in range(3):
        replay = site.ask(way(token))
        assert replay.who is None
        assert replay.token is None
    assert site.ask(way(successor)).who is None
    assert site.kinds() == ["replayed"]


@both_kinds
@both_ways
@pytest.mark.parametrize(("age", "replayed"), [(2 * DUE - 1, True), (2 * DUE, False)])
def test_a_stale_jwt_past_its_own_end_is_no_replay(
    site: Site, kind: str, way: Way, age: int, *, replayed: bool
) -> None:
    """It opens nothing for anybody; an opaque token states no end."""
    token = site.open()
    site.clock.advance(DUE)
    successor = site.ask(way(token)).token
    site.ask(way(successor))
    site.clock.advance(age - DUE)
    site.kinds()
    assert site.ask(way(token)).who is None
    replayed = replayed or kind == "opaque"
    assert site.kinds() == (["replayed"] if replayed else [])
    assert site.ask(way(successor)).who == (None if replayed else "alice")


def test_a_late_response_sends_no_token(site: Site) -> None:
    """A slow download must not roll a browser back."""
    token = site.open()

    def slow(seconds: int) -> View:
        async def view(_call: Call) -> Reply:
            site.clock.advance(seconds)
            return Reply()

        return view

    site.clock.advance(DUE)
    late = site.ask(cookie(token), view=slow(GRACE + 1))
    assert (late.status, late.who, late.token) == (200, "alice", None)
    assert late.one("cache-control") is None
    in_time = site.ask(cookie(token), view=slow(GRACE))
    assert (in_time.who, bool(in_time.token)) == ("alice", True)


@both_ways
def test_a_response_that_was_overtaken_by_a_refresh_sends_no_token(site: Site, way: Way) -> None:
    token = site.open()
    site.clock.advance(DUE)

    async def refresh(call: Call) -> Reply:
        assert await call.refresh() is not None
        return Reply()

    async def slow(call: Call) -> Reply:
        quick.append(await call.meanwhile(way(token), view=refresh))
        return Reply()

    quick: list[Response] = []
    late = site.ask(way(token), view=slow)
    assert (late.status, late.who, late.token) == (200, "alice", None)
    (refreshed,) = quick
    assert site.ask(way(refreshed.token)).who == "alice"


@both_kinds
@both_ways
def test_no_rotation_on_options(site: Site, way: Way) -> None:
    token = site.open()
    site.clock.advance(DUE)
    site.kinds()
    response = site.ask(way(token), method="OPTIONS")
    assert (response.who, response.token) == ("alice", None)
    assert site.kinds() == []
    assert site.ask(way(token)).token


def test_no_rotation_on_requests_that_are_refused(site: Site) -> None:
    token, other = site.open(), site.open()
    site.clock.advance(DUE)
    site.kinds()
    cross_site = (b"sec-fetch-site", b"cross-site")
    assert site.ask(cookie(token), cross_site, method="POST").status == 403
    assert site.ask(cookie(token), cookie(other)).status == 400
    assert site.ask(cookie(token), bearer("forged")).status == 401
    assert site.ask(cookie(token), (b"authorization", b"Bearer")).status == 400
    assert site.kinds() == []


@both_ways
@pytest.mark.parametrize("status", [401, 403])
def test_a_rotated_token_is_not_sent_on_a_refusal(site: Site, way: Way, status: int) -> None:
    token = site.open()
    site.clock.advance(DUE)
    assert site.ask(way(token), view=answering(status)).token is None
    later = site.ask(way(token))
    assert (later.who, bool(later.token)) == ("alice", True)


@both_ways
@pytest.mark.parametrize("status", [200, 204, 302, 304, 404, 500])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
def test_a_rotated_token_is_sent_on_any_other_answer(
    site: Site, way: Way, status: int, method: str
) -> None:
    token = site.open()
    site.clock.advance(DUE)

    async def view(_call: Call) -> Reply:
        bodiless = status in {204, 304}
        return Reply(status, () if bodiless else [PLAIN], () if bodiless else [b"x"])

    assert site.ask(way(token), view=view, method=method).token


@both_kinds
@both_ways
def test_a_shared_session_is_never_rotated(site: Site, way: Way) -> None:
    first = site.manager.create_session("alice")
    assert site.manager.create_session("alice") is not None
    for _ in range(3):
        site.clock.advance(DUE // 2)
        response = site.ask(way(first))
        assert (response.who, response.token) == ("alice", None)
    assert "rotated" not in site.kinds()


def test_tokens_from_before_the_sharing_are_no_replay(site: Site) -> None:
    first = site.manager.create_session("alice")
    site.clock.advance(DUE)
    second = site.ask(cookie(first)).token
    assert site.ask(cookie(second)).who == "alice"
    shared = site.manager.create_session("alice")
    assert shared == second
    site.clock.advance(GRACE + 1)
    old = site.ask(cookie(first))
    assert (old.who, old.token) == ("alice", None)
    assert "replayed" not in site.kinds()


@both_kinds
def test_no_rotation_goes_past_the_absolute_lifetime(make: MakeSite) -> None:
    site = make(session_timeout=100, max_lifetime=150)
    token = site.open()
    site.clock.advance(60)
    token = site.ask(cookie(token)).token or ""
    site.clock.advance(60)
    response = site.ask(cookie(token))
    assert response.who == "alice"
    token = response.token or token
    site.clock.advance(29)
    assert site.ask(cookie(token)).who == "alice"
    site.clock.advance(1)
    assert site.ask(cookie(token)).who is None


@both_kinds
def test_rotation_extends_the_session(site: Site) -> None:
    token = site.open()
    for _ in range(10):
        site.clock.advance(DUE)
        response = site.ask(cookie(token))
        assert response.who == "alice"
        token = response.token or ""
    site.clock.advance(3600)
    assert site.ask(cookie(token)).who is None


def test_rotation_can_be_switched_off(make: MakeSite) -> None:
    site = make(rotate_after=None)
    token = site.open()
    for _ in range(3):
        site.clock.advance(3599)
        response = site.ask(cookie(token), view=show)
        assert (response.who, response.token) == ("alice", None)
    site.clock.advance(3600)
    assert site.ask(cookie(token)).who is None


@both_ways
def test_it_goes_back_the_way_it_came(site: Site, way: Way) -> None:
    token = site.open()
    site.clock.advance(DUE)
    response = site.ask(way(token))
    by_header = response.one("x-refreshed-token")
    assert (by_header is None) == (way is cookie)
    assert bool(set_cookies(response)) == (way is cookie)


def test_one_session_by_both_ways_is_renewed_both_ways(site: Site) -> None:
    """Else the one that is left behind would be a replay some day."""
    token = site.open()
    site.clock.advance(DUE)
    response = site.ask(cookie(token), bearer(token))
    successor = response.one("x-refreshed-token")
    assert successor not in {None, token}
    (set_cookie,) = set_cookies(response)
    assert set_cookie.startswith(f"__Host-session={successor};")


def test_of_two_tokens_of_one_session_the_newer_counts_and_the_older_is_renewed(
    site: Site,
) -> None:
    old = site.open()
    site.clock.advance(DUE)
    new = site.ask(cookie(old)).token
    assert site.ask(cookie(new)).who == "alice"
    site.clock.advance(GRACE + 1)
    for brought in ((cookie(new), bearer(old)), (cookie(old), bearer(new))):
        response = site.ask(*brought)
        assert (response.who, response.one("x-refreshed-token")) == ("alice", new)
        assert len(set_cookies(response)) == 1
    assert site.kinds() == ["login", "rotated"]
