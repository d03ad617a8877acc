"""Edges that a mutation has found: the very microsecond, the very last record."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sessiongate.core.rotation import (
    CURRENT,
    PASSIVE,
    PREVIOUS,
    WHEN_DUE,
    Change,
    Policy,
    classify,
    close,
    present,
)
from sessiongate.core.row import FOREVER, Row
from sessiongate.testing.contract._material import HOUR, MINUTE, POLICY, START, session

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


def test_the_first_poll_with_a_new_token_begins_the_grace() -> None:
    row = session(generation=5, oldest_accepted=4, previous_until=FOREVER)
    seen = present(row, 5, NOW, POLICY, PASSIVE)
    assert isinstance(seen, Row)
    assert seen.previous_until == NOW + POLICY.grace


@pytest.mark.parametrize(
    ("generation", "previous_until"), [(4, FOREVER), (5, NOW + 1), (4, NOW + 1), (5, NOW - 1)]
)
def test_no_other_poll_writes_anything(generation: int, previous_until: int) -> None:
    row = session(generation=5, oldest_accepted=4, previous_until=previous_until)
    assert present(row, generation, NOW, POLICY, PASSIVE) is row


def test_two_requests_of_one_microsecond_are_one_touch() -> None:
    always = Policy(timeout=HOUR, rotate_after=HOUR, grace=0, touch_every=0, time_resolution=1)
    touched = present(session(), 0, NOW, always, WHEN_DUE)
    assert isinstance(touched, Row)
    assert touched.last_accessed == NOW
    assert present(touched, 0, NOW, always, WHEN_DUE) is touched


def test_a_touch_by_a_clock_that_was_set_back_takes_no_time_away() -> None:
    extends = replace(POLICY, touch_extends=True)
    row = session(previous_until=FOREVER, last_accessed=NOW + 1, expires_at=NOW + 2 * HOUR)
    touched = present(row, 0, NOW, extends, WHEN_DUE)
    assert touched == replace(row, previous_until=NOW + POLICY.grace)


def test_an_older_token_of_a_shared_session_changes_it_by_one_generation() -> None:
    row = session(generation=5, oldest_accepted=4, previous_until=NOW, shared=True)
    changed = present(row, 3, NOW, POLICY, Change(("read",), None, lambda _: None))
    assert isinstance(changed, Row)
    assert changed.generation == 6


def test_only_the_newest_token_of_a_bound_session_is_called_current() -> None:
    row = session(generation=5, oldest_accepted=4, bound_key="key", proved_until=NOW + 1)
    assert [classify(row, generation, NOW) for generation in (5, 4)] == [CURRENT, PREVIOUS]


def test_a_change_by_a_token_of_the_proof_before_makes_none_of_the_newer_proof() -> None:
    row = session(
        generation=5,
        oldest_accepted=5,
        revoked_below=4,
        previous_until=NOW + 10,
        bound_key="key",
        proved_until=NOW + 1000,
    )
    changed = present(row, 4, NOW, POLICY, Change(("read",), None, lambda _: None))
    assert isinstance(changed, Row)
    assert changed.proved_until == NOW + 10


def test_a_touch_that_gains_as_much_as_is_written_at_once_extends() -> None:
    each = Policy(
        HOUR, rotate_after=HOUR, grace=0, touch_every=1, time_resolution=1, touch_extends=True
    )
    row = session(last_accessed=NOW, expires_at=NOW + HOUR - 1)
    extended = present(row, 0, NOW, each, WHEN_DUE)
    assert isinstance(extended, Row)
    assert extended.expires_at == NOW + HOUR


def test_how_a_session_is_closed() -> None:
    row = session(generation=5, oldest_accepted=4, revoked_below=3, previous_until=NOW)
    ends = [close(row, generation, "alice", NOW) for generation in (None, 5, 4, 2, 6)]
    assert ends == ["logout", "logout", "replayed", None, None]
    assert close(row, 5, "bob", NOW) is None
