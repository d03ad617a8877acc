"""A logout ends the session of any genuine token that came, whatever the clocks say (7)."""

from __future__ import annotations

import pytest
from tests.http.conftest import make, stack
from tests.http.harness import MakeSite, View, Way, bearer, cookie, enter, leave

__all__ = ["make", "stack"]

BEHIND = 15
"""Seconds that this server is behind the one that made the token."""


@pytest.fixture(params=["opaque", "jwt"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("way", [cookie, bearer])
@pytest.mark.parametrize("view", [leave, enter])
def test_a_logout_or_login_here_ends_what_was_opened_there(
    make: MakeSite, way: Way, view: View
) -> None:
    site = make()
    token = site.open("bob")
    site.clock.advance(-BEHIND)
    assert site.ask(way(token), view=view, method="POST").status == 200
    site.clock.advance(BEHIND)
    assert site.ask(way(token)).who is None


def test_the_manager_ends_it_as_well(make: MakeSite) -> None:
    site = make()
    token = site.open("bob")
    site.clock.advance(-BEHIND)
    site.manager.invalidate_session(token)
    site.clock.advance(BEHIND)
    assert site.manager.validate_session(token) is None
