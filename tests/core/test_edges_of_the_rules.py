"""Edges that a mutation has found: the very microsecond, the very last record."""

from __future__ import annotations

from sessiongate.core.rotation import Change, present
from sessiongate.core.row import Row
from sessiongate.testing.contract._material import MINUTE, POLICY, START, session

NOW = START + MINUTE


def test_a_change_at_the_end_of_the_overlap_revives_no_predecessor() -> None:
    row = session(generation=5, oldest_accepted=4, previous_until=NOW)
    changed = present(row, 5, NOW, POLICY, Change(("read",), None, lambda _: None))
    assert isinstance(changed, Row)
    assert changed.oldest_accepted == 5


def test_a_change_within_the_overlap_keeps_them() -> None:
    row = session(generation=5, oldest_accepted=3, previous_until=NOW + 1)
    changed = present(row, 5, NOW, POLICY, Change(("read",), None, lambda _: None))
    assert isinstance(changed, Row)
    assert changed.oldest_accepted == 3
