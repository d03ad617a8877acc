"""The table of ``rotation``, told as stories."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sessiongate.core.rotation import NEVER, NOW, WHEN_DUE
from sessiongate.core.row import FOREVER, SECOND
from sessiongate.testing.commands import Read
from sessiongate.testing.contract._material import (
    HOUR,
    MINUTE,
    POLICY,
    START,
    login,
    session,
    touch,
)
from sessiongate.testing.outcomes import Replayed, Rotated

if TYPE_CHECKING:
    from sessiongate.testing.contract._calls import Call

DUE = START + POLICY.rotate_after
"""The first instant at which a session opened at ``START`` rotates."""


class Rotation:
    def test_the_current_generation_is_accepted_as_it_is(self, call: Call) -> None:
        row = session()
        call(login(row))
        assert call(touch(row, START)) == row
        assert call(touch(row, START + MINUTE - 1)) == row
        assert call(Read(row.sid, START)) == row

    def test_an_unknown_session_is_nothing(self, call: Call) -> None:
        for rotation in (NEVER, WHEN_DUE, NOW):
            assert call(touch(session(), START, rotation=rotation)) is None
        assert call(Read(session().sid, START)) is None, "Touch made a row: nothing may upsert"

    def test_last_accessed_slides_only_when_stale(self, call: Call) -> None:
        row = session()
        call(login(row))
        call(touch(row, START + MINUTE - 1))
        assert call(Read(row.sid, START)) == row, "written before touch_every was over"
        slid = replace(row, last_accessed=START + MINUTE)
        assert call(touch(row, START + MINUTE)) == slid
        assert call(Read(row.sid, START)) == slid
        assert call(touch(row, START)) == slid, "an earlier clock must not set last_accessed back"
        assert call(Read(row.sid, START)) == slid

    def test_with_touch_every_0_each_touch_counts(self, call: Call) -> None:
        row, policy = session(), replace(POLICY, touch_every=0)
        call(login(row))
        for now in (START, START + 1, START + 2, START + MINUTE):
            assert call(touch(row, now, policy=policy)) == replace(row, last_accessed=now)
            assert call(Read(row.sid, now)).last_accessed == now

    def test_rotates_at_the_very_instant_it_is_due(self, call: Call) -> None:
        row = session()
        call(login(row))
        early = call(touch(row, DUE - 1))
        assert early == replace(row, last_accessed=DUE - 1), "rotated before it was due"
        successor = replace(
            row,
            generation=1,
            rotated_at=DUE,
            last_accessed=DUE,
            expires_at=DUE + HOUR,
            previous_until=FOREVER,
        )
        assert call(touch(row, DUE)) == Rotated(successor)
        assert call(Read(row.sid, DUE)) == successor

    def test_never_means_never(self, call: Call) -> None:
        row = session()
        call(login(row))
        answer = call(touch(row, DUE + MINUTE, rotation=NEVER))
        assert answer == replace(row, last_accessed=DUE + MINUTE)

    def test_racers_and_lost_responses_get_the_one_successor(self, call: Call) -> None:
        row = session()
        call(login(row))
        successor = call(touch(row, DUE)).row
        for later in (0, 1, POLICY.grace, 10 * MINUTE - 1):
            answer = call(touch(row, DUE + later))
            assert not isinstance(answer, Rotated), "one due token was rotated twice"
            assert answer.generation == successor.generation

    def test_first_sight_of_the_successor_starts_the_grace(self, call: Call) -> None:
        row = session()
        call(login(row))
        successor = call(touch(row, DUE)).row
        seen = replace(successor, previous_until=DUE + 5 + POLICY.grace, last_accessed=DUE + 5)
        assert call(touch(successor, DUE + 5)) == seen
        assert call(touch(row, DUE + 5 + POLICY.grace - 1)) == seen, "dead within the grace"
        again = call(touch(successor, DUE + 6))
        assert again == seen, "the grace starts at the first sight, not at each"

    def test_a_replay_ends_the_session(self, call: Call) -> None:
        row = session()
        call(login(row))
        successor = call(touch(row, DUE)).row
        call(touch(successor, DUE))
        over = DUE + POLICY.grace
        assert call(touch(row, over)) == Replayed(row.sid, row.username)
        assert call(Read(row.sid, over)) is None
        assert call(touch(successor, over)) is None, "the thief's or the user's token lives on"
        assert call(touch(row, over)) is None, "one replay must be reported once"

    def test_a_token_of_before_an_overlap_that_is_over_is_a_replay(self, call: Call) -> None:
        row = session()
        call(login(row))
        successor = call(touch(row, DUE)).row
        seen = DUE + 1
        call(touch(successor, seen))
        over = seen + POLICY.grace
        later = DUE + POLICY.rotate_after
        assert later > over
        assert call(touch(row, later, generation=1)).row.generation == 2
        assert call(touch(row, later, generation=1, rotation=NEVER)).generation == 2
        assert call(touch(row, later, generation=0)) == Replayed(row.sid, row.username)
        assert call(Read(row.sid, later)) is None

    def test_a_refresh_retires_the_old_token_at_once(self, call: Call) -> None:
        row = session()
        call(login(row))
        later = START + 7
        successor = replace(
            row,
            generation=1,
            rotated_at=later,
            last_accessed=later,
            expires_at=later + HOUR,
            oldest_accepted=1,
            revoked_below=1,
        )
        assert call(touch(row, later, rotation=NOW)) == Rotated(successor)
        for rotation in (NEVER, WHEN_DUE, NOW):
            retired = call(touch(row, later, rotation=rotation))
            assert retired is None, "a token refreshed away is merely invalid"
        assert call(Read(row.sid, later)) == successor, "and does not end the session"

    def test_no_rotation_goes_past_the_lifetime(self, call: Call) -> None:
        for name, rotation in (("due", WHEN_DUE), ("now", NOW)):
            row = session(name, lifetime_ends_at=DUE + 1, expires_at=DUE + 1)
            call(login(row))
            assert call(touch(row, DUE, rotation=rotation)).row.expires_at == DUE + 1
            assert call(touch(row, DUE + 1, generation=1, rotation=rotation)) is None

    def test_two_predecessors_but_never_three(self, call: Call) -> None:
        policy = replace(POLICY, rotate_after=SECOND)
        row = session()
        call(login(row))
        now = START
        for generation in range(3):
            now += SECOND
            answer = call(touch(row, now, generation=generation, policy=policy))
            assert answer.row.generation == generation + 1
            # The successor is seen, which closes the window; it stays open for the grace.
            call(touch(row, now, generation=generation + 1, policy=policy))
        latest = call(Read(row.sid, now))
        assert (latest.generation, latest.oldest_accepted) == (3, 1)
        for honoured in (1, 2):
            answer = call(touch(row, now, generation=honoured, rotation=NEVER, policy=policy))
            assert answer == latest
        answer = call(touch(row, now, generation=0, rotation=NEVER, policy=policy))
        assert answer == Replayed(row.sid, row.username)

    def test_a_token_newer_than_its_row_is_refused(self, call: Call) -> None:
        row = session()
        call(login(row))
        for rotation in (NEVER, WHEN_DUE, NOW):
            for now in (START, DUE):
                assert call(touch(row, now, generation=1, rotation=rotation)) is None
        assert call(Read(row.sid, START)) == row, "of a store restored from a copy"

    def test_a_shared_session_does_not_rotate_but_can_be_refreshed(self, call: Call) -> None:
        row = session(shared=True, generation=4, oldest_accepted=4)
        call(login(row))
        kept = call(touch(row, DUE + MINUTE))
        assert kept == replace(row, last_accessed=DUE + MINUTE)
        assert call(touch(row, DUE + MINUTE, generation=1)) == kept, "its older tokens stay valid"
        refreshed = call(touch(row, DUE + MINUTE, generation=1, rotation=NOW))
        assert isinstance(refreshed, Rotated)
        assert (refreshed.row.generation, refreshed.row.shared) == (5, False)

    def test_whole_seconds_where_the_quantum_asks_for_them(self, call: Call) -> None:
        policy = replace(POLICY, time_resolution=SECOND)
        for name, rotation in (("due", WHEN_DUE), ("now", NOW)):
            row = session(name)
            call(login(row))
            rotated = call(touch(row, DUE, rotation=rotation, policy=policy)).row
            assert rotated.rotated_at == DUE - DUE % SECOND
            assert rotated.expires_at == rotated.rotated_at + policy.timeout
            assert rotated.last_accessed == DUE
