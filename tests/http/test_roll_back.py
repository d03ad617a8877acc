"""A slow response must not roll a browser back, however short the life of a token is."""

from __future__ import annotations

import pytest
from tests.http.harness import (
    Call,
    MakeSite,
    Reply,
    Response,
    Site,
    Way,
    bare,
    bearer,
    cookie,
    show,
)


@pytest.mark.parametrize(
    "rules", [{"rotate_after": 0}, {"rotate_after": 5}, {"session_timeout": 20}]
)
@pytest.mark.parametrize("way", [cookie, bearer])
@pytest.mark.parametrize("kind", ["opaque", "jwt"])
def test_a_slow_response_brings_no_token_that_was_replaced_since(
    make: MakeSite, way: Way, rules: dict[str, float]
) -> None:
    site = make(**rules)
    held = site.open()

    def keep(response: Response) -> None:
        nonlocal held
        assert response.who == "alice"
        held = response.token or held

    async def slow(call: Call) -> Reply:
        for _ in range(4):
            site.clock.advance(7)
            keep(await call.meanwhile(way(held), view=show))
        return Reply()

    site.clock.advance(10)
    keep(site.ask(way(held), view=slow))
    keep(site.ask(way(held)))
    assert "replayed" not in site.kinds()


def refreshed(site: Site, token: str) -> str:
    """Another request exchanges the token, so that all older ones are dead."""
    new = site.manager.refresh_session(token)
    assert new is not None
    return new


@pytest.mark.parametrize("way", [cookie, bearer])
@pytest.mark.parametrize("others", [1, 3])
def test_what_has_run_out_makes_nothing_fresh_forgotten(site: Site, way: Way, others: int) -> None:
    """An old entry goes when a new one comes, and takes no younger one along."""
    first = [site.open("old") for _ in range(others)]
    token, last = site.open(), site.open("new")
    site.clock.advance(1800)
    for one in first:
        refreshed(site, one)
    site.clock.advance(25)

    async def slow(call: Call) -> Reply:
        refreshed(call.site, token)
        call.site.clock.advance(10)  # the first ones have run out, this one has not
        refreshed(call.site, last)
        return Reply()

    response = site.ask(way(token), view=slow)
    assert (response.who, response.token) == ("alice", None)


@pytest.mark.parametrize("way", [cookie, bearer])
@pytest.mark.parametrize("kind", ["opaque", "jwt"])
def test_a_replay_during_a_request_that_rotated_keeps_its_token_back(
    make: MakeSite, way: Way
) -> None:
    site = make(rotate_after=1000)  # so that the stale token of a JWT has not expired by then
    stale = site.open()
    site.clock.advance(1000)
    token = site.ask(way(stale)).token or ""
    assert site.ask(way(token)).who == "alice"
    site.clock.advance(1000)
    site.kinds()

    async def slow(call: Call) -> Reply:
        replay = await call.meanwhile(way(stale), view=bare)
        assert (replay.who, replay.problem) == (None, "invalid_token")
        return Reply()

    response = site.ask(way(token), view=slow)
    assert (response.status, response.who, response.token) == (200, "alice", None)
    assert site.kinds() == ["rotated", "replayed"]
    assert site.ask(way(token)).who is None


@pytest.mark.parametrize("grace", [0, 0.1, 0.9])
@pytest.mark.parametrize("way", [cookie, bearer])
def test_without_a_grace_a_view_of_half_a_second_still_delivers_its_successor(
    make: MakeSite, way: Way, grace: float
) -> None:
    site = make(rotation_grace=grace)
    token = site.open()
    site.clock.advance(1800)

    async def slow(call: Call) -> Reply:
        call.site.clock.advance(0.5)
        return Reply()

    response = site.ask(way(token), view=slow)
    assert response.token not in {None, "", token}
    assert site.ask(way(response.token)).who == "alice"


@pytest.mark.parametrize("grace", [0, 0.1, 0.9])
@pytest.mark.parametrize("way", [cookie, bearer])
@pytest.mark.parametrize("ends", ["refresh", "logout"])
def test_nor_does_a_late_response_of_it_bring_a_dead_token(
    make: MakeSite, way: Way, grace: float, ends: str
) -> None:
    site = make(rotation_grace=grace)
    token, others = site.open(), [site.open("bob") for _ in range(3)]
    site.clock.advance(1800)

    async def slow(call: Call) -> Reply:
        call.site.clock.advance(0.2)
        if ends == "refresh":
            assert call.session.user.row is not None
            successor = call.site.manager.operations.codec.mint(call.session.user.row)
            refreshed(call.site, successor)
        else:
            assert call.site.manager.invalidate_user_sessions("alice") == 1
        for other in others:
            call.site.clock.advance(0.2)
            refreshed(call.site, other)
        return Reply()

    assert site.ask(way(token), view=slow).token is None
