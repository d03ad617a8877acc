"""The promise of the near cache under chaos: some seconds of it; ``make chaos`` goes on for longer.

What was ended, and a scope that was taken away, is accepted for ``near_cache`` seconds at the most,
whatever fails. And a watch is told of each end before the proof that comes after it.
"""

from __future__ import annotations

import secrets

import pytest
from tests.feed.chaos.conductor import NEAR, STORES, chaos
from tests.feed.chaos.controls import CONTROLS
from tests.feed.chaos.hosts import hosts
from tests.feed.chaos.judge import Judge

SECONDS = 12
LONGEST = 60
"""Seconds in which a control must be convicted; most are so within five."""


@pytest.mark.slow
@pytest.mark.parametrize("store", STORES)
def test_nothing_that_was_ended_is_accepted_for_longer_than_the_bound(store: str) -> None:
    seed = secrets.randbits(32)
    print(f"{store}, seed {seed}")  # noqa: T201 - pytest shows it if the test fails
    seen = chaos(store, SECONDS, seed=seed)
    assert seen.judge.violations == []
    assert seen.faults.total() > 3
    assert seen.judge.judged > 20
    assert seen.counts["hits"] > 100
    assert seen.counts["told"] > 5


@pytest.mark.slow
def test_hosts_that_are_parted() -> None:
    seed = secrets.randbits(32)
    print(f"redis, seed {seed}")  # noqa: T201 - pytest shows it if the test fails
    with hosts(2) as two:
        seen = chaos("redis", SECONDS, seed=seed, hosts=two)
    assert seen.judge.violations == []
    assert seen.judge.judged > 20
    assert seen.counts["hits"] > 100


@pytest.mark.slow
@pytest.mark.parametrize("control", CONTROLS)
@pytest.mark.parametrize("store", ["sqlite", "redis"])
def test_a_hub_that_is_wrong_is_convicted(store: str, control: str) -> None:
    seed = secrets.randbits(32)
    print(f"{store}, seed {seed}")  # noqa: T201 - pytest shows it if the test fails
    seen = chaos(store, LONGEST, seed=seed, control=control, until_convicted=True)
    assert seen.judge.violations != []


# The judge itself.


@pytest.fixture
def judge() -> Judge:
    found = Judge(NEAR)
    found.hear("a", "opened", "sid", "alice", 1.0)
    return found


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize(
    "end",
    [
        ("over", "sid", "ended", 5.0),
        ("over", "sid", "stripped", 5.0),
        ("retired", "sid", 1, 5.0),
        ("all", "alice", "ended", 1.5, 5.0),
        ("all", "alice", "stripped", 1.5, 5.0),
    ],
)
def test_what_was_accepted_too_late(
    judge: Judge, end: tuple[object, ...], *, backwards: bool, late: bool
) -> None:
    began = 5.0 + NEAR + (0.1 if late else -0.1)
    heard = [("a", *end), ("b", "seen", [("sid", 0, True, began)])]
    for words in reversed(heard) if backwards else heard:
        judge.hear(*words)  # type: ignore[arg-type]
    assert bool(judge.violations) == late
    assert judge.judged == 1


def test_what_an_end_does_not_mean(judge: Judge) -> None:
    judge.hear("a", "retired", "sid", 1, 5.0)
    judge.hear("a", "over", "sid", "stripped", 5.0)
    judge.hear("a", "all", "alice", "ended", 0.5, 5.0)  # began before it was opened
    judge.hear("a", "all", "bob", "ended", 4.0, 5.0)
    judge.hear("b", "seen", [("sid", 1, False, 9.0)])
    assert judge.violations == []


def test_an_end_of_all_that_is_heard_of_before_the_login() -> None:
    judge = Judge(NEAR)
    judge.hear("b", "all", "alice", "ended", 1.5, 2.0)
    judge.hear("c", "seen", [("sid", 0, False, 9.0)])
    judge.hear("a", "opened", "sid", "alice", 1.0)
    assert len(judge.violations) == 1


@pytest.mark.parametrize(("since", "proven"), [(4.0, 6.0), (5.5, 6.0), (4.0, 4.5)])
def test_a_watch_that_was_not_told(judge: Judge, since: float, proven: float) -> None:
    judge.hear("b", "silent", [("sid", since, proven)])
    judge.hear("a", "over", "sid", "ended", 5.0)
    assert bool(judge.violations) == (since < 5.0 < proven)
