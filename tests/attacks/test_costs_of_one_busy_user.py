"""What a removal costs does not grow with the live sessions of the same user.

The contract, 1.1: the cost of a cleanup grows with the expired, not with the live.
"""

from __future__ import annotations

import time

import pytest

from sessiongate import SessionManager
from sessiongate.testing import ManualClock

FEW, MANY = 500, 16_000


def seconds(live: int, removal: str) -> float:
    """CPU time to remove a hundred sessions of a user who has so many others."""
    clock = ManualClock()
    manager = SessionManager(max_concurrent_sessions=None, existing="new", clock=clock)
    tokens = [manager.create_session("kiosk") or "" for _ in range(100)]
    clock.advance(3000)
    for _ in range(live):
        manager.create_session("kiosk")
    if removal == "expiry":
        clock.advance(700)
    start = time.thread_time()
    if removal == "expiry":
        manager.cleanup_expired_sessions()
    else:
        for token in tokens:
            manager.invalidate_session(token)
    spent = time.thread_time() - start
    assert manager.n_active_sessions() == live
    return spent


@pytest.mark.slow
@pytest.mark.parametrize("removal", ["expiry", "logout"])
def test_a_removal_costs_what_it_removes(removal: str) -> None:
    few, many = seconds(FEW, removal), seconds(MANY, removal)
    assert many < 5 * few, f"{few * 1000:.1f} ms beside {FEW}, {many * 1000:.1f} ms beside {MANY}"
