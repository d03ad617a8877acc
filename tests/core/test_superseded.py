"""What must not be sent any more is known as long as it may be sent, and not for ever."""

from __future__ import annotations

from sessiongate import SessionManager
from sessiongate.core.recent import Superseded
from sessiongate.core.row import FOREVER
from sessiongate.testing import ManualClock


def test_older_generations_are_not_sent() -> None:
    superseded = Superseded()
    superseded.add("a", 3)
    assert [superseded.covers("a", g) for g in (1, 2, 3, 4)] == [True, True, False, False]
    assert not superseded.covers("b", 0)


def test_a_logout_that_overtook_a_rotation_counts() -> None:
    superseded = Superseded()
    superseded.add("a", FOREVER)
    superseded.add("a", 5)
    superseded.add("a", 6)
    assert superseded.covers("a", 7)


def test_one_entry_a_session() -> None:
    superseded = Superseded()
    for generation in range(100_000):
        superseded.add("a", generation)
    assert len(superseded) == 1


def test_it_is_bounded_and_forgets_the_oldest() -> None:
    superseded = Superseded()
    for number in range(50_000):
        superseded.add(f"{number}", 1)
    assert len(superseded) <= 2 * 16_384
    assert all(superseded.covers(f"{number}", 0) for number in range(49_999, 50_000 - 16_384, -1))
    assert not superseded.covers("10000", 0)


def test_it_lasts_as_long_as_a_response_may_be_late_whatever_the_grace() -> None:
    clock = ManualClock()
    manager = SessionManager(rotation_grace=0.01, clock=clock, max_concurrent_sessions=None)
    token = manager.create_session("alice") or ""
    sid = next(iter(manager.user_sessions("alice")))["handle"]
    assert manager.refresh_session(token)
    for number in range(9):
        clock.advance(0.1)
        manager.invalidate_session(manager.create_session(f"user {number}") or "")
        assert manager.operations.superseded.covers(sid, 0)
