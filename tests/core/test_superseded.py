"""What must not be sent any more is known as long as it may be sent, and not for ever."""

from __future__ import annotations

from random import Random

import pytest

from sessiongate import SessionManager
from sessiongate.core.row import FOREVER, SECOND
from sessiongate.core.superseded import Superseded
from sessiongate.testing import ManualClock

KEEP = 30 * SECOND


def test_older_generations_are_not_sent() -> None:
    superseded = Superseded(KEEP)
    superseded.add("a", 3, 0)
    assert [superseded.covers("a", g) for g in (1, 2, 3, 4)] == [True, True, False, False]
    assert not superseded.covers("b", 0)


def test_a_logout_that_overtook_a_rotation_counts() -> None:
    superseded = Superseded(KEEP)
    superseded.add("a", FOREVER, 0)
    superseded.add("a", 5, 1)
    superseded.add("a", 6, 2 * KEEP)
    assert superseded.covers("a", 7)


@pytest.mark.parametrize("start", [0, 1_700_000_000 * SECOND])
def test_an_entry_that_has_run_out_takes_no_fresh_one_along(start: int) -> None:
    superseded = Superseded(KEEP)
    superseded.add("old", FOREVER, start)
    superseded.add("fresh", FOREVER, start + KEEP - 1)
    for later in range(1, KEEP, SECOND):
        superseded.add(f"{later}", 1, start + KEEP - 1 + later)
        assert superseded.covers("fresh", 0)


def test_one_entry_a_session() -> None:
    superseded = Superseded(KEEP)
    for generation in range(100_000):
        superseded.add("a", generation, generation * 1_000)
    assert len(superseded) == 1


def test_no_clock_makes_it_grow() -> None:
    random = Random(1)
    for clock in (
        lambda n: n,
        lambda n: -n,
        lambda _: 0,
        lambda n: n * KEEP,
        lambda n: (-1) ** n * n * SECOND,
        lambda _: random.randrange(FOREVER),
    ):
        superseded = Superseded(KEEP)
        for number in range(50_000):
            superseded.add(f"{number}", 1, clock(number))
        assert len(superseded) <= 2 * 16_384
        assert superseded.covers("49999", 0)


def test_time_makes_it_forget() -> None:
    superseded = Superseded(KEEP)
    for number in range(1_000):
        superseded.add(f"{number}", 1, 0)
    for later in (1, 2, 3):
        superseded.add("late", 1, later * KEEP)
    assert len(superseded) == 1


def test_a_clock_that_trembles_makes_nothing_forgotten() -> None:
    superseded = Superseded(KEEP)
    superseded.add("a", FOREVER, 2 * KEEP)
    for tremor in range(1_000):
        superseded.add(f"{tremor}", 1, 2 * KEEP - tremor)
        assert superseded.covers("a", 0)


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
