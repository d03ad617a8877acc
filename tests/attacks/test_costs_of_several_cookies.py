"""Of several cookies each session costs one plain read, and a change one trip more."""

from __future__ import annotations

from tests.http.conftest import kind, make, stack
from tests.http.harness import MakeSite, cookie

__all__ = ["kind", "make", "stack"]


def test_a_rotation_beside_a_dead_cookie_costs_one_trip_more(make: MakeSite) -> None:
    site = make(session_timeout=3600, rotate_after=1800)
    dead = site.open("bob")
    site.manager.invalidate_session(dead)
    live = site.open()
    site.clock.advance(1801)
    trips = site.cost(cookie(dead), cookie(live))
    assert trips.get("read") == 2, trips
    assert sum(trips.values()) <= 3, trips
