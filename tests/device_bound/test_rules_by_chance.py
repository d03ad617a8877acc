"""Whatever happens to a bound session: no token outlives its proof, and its owner is let in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hypothesis import given
from hypothesis import strategies as st

from sessiongate.core.rotation import (
    NOW,
    PASSIVE,
    PROOF_SLACK,
    WHEN_DUE,
    Change,
    Policy,
    close,
    present,
)
from sessiongate.core.row import SECOND, Row
from sessiongate.device_bound.rules import bind, prove
from sessiongate.testing.contract._material import session

if TYPE_CHECKING:
    from collections.abc import Callable

BOUND_FOR: Final = 600 * SECOND
COUNTS: Final = BOUND_FOR + PROOF_SLACK
GRACE: Final = 30 * SECOND
POLICY: Final = Policy(
    10**15, rotate_after=60 * SECOND, grace=GRACE, touch_every=0, time_resolution=1
)
RENEWING: Final = "refresh", "update", "refresh an old one", "update an old one"
STEPS: Final = st.lists(
    st.tuples(
        st.sampled_from(["wait", "use", "use an old one", "prove", "lose", *RENEWING]),
        st.integers(1, 700),
    ),
    max_size=30,
)


class Played:
    """A bound session, its owner, and when each token's proof was."""

    def __init__(self) -> None:
        row = session(expires_at=10**16, rotated_at=0, created_at=0, last_accessed=0)
        self.now = row.created_at + SECOND
        found = bind(row, 0, "A" * 86, self.now, self.now + COUNTS)
        assert found is not None
        self.row: Row = found
        self.proved_at = {0: self.now, 1: self.now}
        """The unbound token is no older than the binding."""
        self.held = 1
        """The generation that the owner has."""
        self.lost = False
        """Whether the answer to the last proof was."""
        self.retired: set[int] = set()

    def present(self, generation: int, renewal: int | Change = WHEN_DUE) -> bool:
        before = self.row
        answer = present(before, generation, self.now, POLICY, renewal)
        assert answer != "replayed", "the owner would be logged out"
        if not isinstance(answer, Row):
            assert close(before, generation, None, self.now) is None
            return False
        assert self.now < self.proved_at[generation] + COUNTS, "it has outlived its proof"
        assert generation not in self.retired
        if answer.generation != before.generation:
            assert renewal != WHEN_DUE, "no request makes it younger"
            for made in range(before.generation + 1, answer.generation + 1):
                self.proved_at[made] = self.proved_at[generation]
            if renewal == NOW:
                self.retired |= set(range(answer.generation))
            # As old as the token that is renewed, and the next proof starts anew.
            assert answer.proved_until <= before.proved_until
        else:
            assert answer.proved_until == before.proved_until
        self.row = answer
        return True

    def look(self) -> None:
        """At all tokens that there are, as polls would show them."""
        for generation, proved_at in self.proved_at.items():
            if isinstance(present(self.row, generation, self.now, POLICY, PASSIVE), Row):
                assert self.now < proved_at + COUNTS, "it has outlived its proof"
                assert generation not in self.retired

    def prove(self, *, lost: bool) -> None:
        """By a browser whose answer may be lost; it is sent a challenge first, if need be."""
        arrived, self.lost = not self.lost, lost
        self.row = prove(self.row, self.now, self.now + COUNTS, arrived=arrived)
        self.proved_at[self.row.generation] = self.now
        if not lost:
            self.held = self.row.generation

    @property
    def is_owner_in_time(self) -> bool:
        return self.now < self.proved_at[self.held] + BOUND_FOR and self.held not in self.retired


def scopes(*names: str) -> Change:
    check: Callable[[Row], object] = lambda _: None  # noqa: E731
    return Change(names, None, check)


@given(steps=STEPS)
def test_no_token_outlives_its_proof(steps: list[tuple[str, int]]) -> None:
    played = Played()
    for number, (step, amount) in enumerate(steps):
        if step == "wait":
            played.now += amount * SECOND
        elif step == "use":
            played.present(played.held)
        elif step == "use an old one":
            played.present(amount % (played.row.generation + 1))
        elif step in {"prove", "lose"}:
            played.prove(lost=step == "lose")
        else:
            renewal = NOW if step.startswith("refresh") else scopes(f"s{number // 2}")
            newest = played.row.generation
            generation = amount % (newest + 1) if step.endswith("an old one") else newest
            if played.present(generation, renewal):
                played.held = played.row.generation
        played.look()
    over_at = played.proved_at[played.row.generation] + COUNTS
    assert played.present(played.row.generation) == (
        played.now < min(over_at, played.row.proved_until)
    )


@given(waits=st.lists(st.tuples(st.sampled_from(["prove", "lose"]), st.integers(0, 130))))
def test_no_lost_answer_locks_the_owner_out(waits: list[tuple[str, int]]) -> None:
    """A browser proves its key in the last two minutes, until an answer comes, or it is too late.

    Then its cookie is over, and it waits for a proof. So it never sends one that is refused.
    """
    played = Played()
    for step, wait in waits:
        played.now = max(played.now, played.proved_at[played.held] + BOUND_FOR - 120 * SECOND)
        played.now += wait * SECOND
        if played.is_owner_in_time:
            assert played.present(played.held)
        played.prove(lost=step == "lose")
        if played.is_owner_in_time:
            assert played.present(played.held)
