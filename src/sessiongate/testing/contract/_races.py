"""Commands against each other: every step is atomic, or a session too many is open."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from sessiongate.core.rotation import NOW, WHEN_DUE
from sessiongate.testing.commands import Close, CloseUser, Count, List, Read, Sweep
from sessiongate.testing.contract._calls import RACERS
from sessiongate.testing.contract._material import HOUR, POLICY, START, login, session, touch
from sessiongate.testing.outcomes import Ended, Existing, LimitReached, Opened, Rotated

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sessiongate.testing.commands import Command
    from sessiongate.testing.contract._calls import Race

DUE = START + POLICY.rotate_after


class Races:
    ROUNDS = 50
    """How often a logout races against something else; how much each does in the long race."""

    # Logins.

    def test_logins_stop_exactly_at_the_limit(self, race: Race) -> None:
        answers = race([login(session(i, f"user {i}"), limit=7) for i in range(RACERS)])
        assert _count(answers, Opened) == 7
        assert _count(answers, LimitReached) == RACERS - 7
        assert race.alone(Count(START)) == 7

    def test_logins_of_a_user_stop_exactly_at_their_limit(self, race: Race) -> None:
        answers = race([login(session(i, f"u{i % 2}"), user_limit=3) for i in range(RACERS)])
        assert _count(answers, Opened) == 6
        for username in ("u0", "u1"):
            assert len(race.alone(List(username, START))) == 3

    def test_logins_that_evict_never_exceed_the_limit(self, race: Race) -> None:
        answers = race([login(session(i, f"user {i}"), limit=5, evict=True) for i in range(RACERS)])
        assert _count(answers, Opened) == RACERS
        ended = [one.sid for answer in answers for one in answer.ended]
        assert len(ended) == len(set(ended)) == RACERS - 5, "each is evicted once"
        live = {row.sid for row in race.alone(List(None, START))}
        assert live == {session(i, f"user {i}").sid for i in range(RACERS)} - set(ended)

    def test_logins_that_evict_never_exceed_the_users_limit(self, race: Race) -> None:
        answers = race([login(session(i), user_limit=2, evict=True) for i in range(RACERS)])
        ended = [one.sid for answer in answers for one in answer.ended]
        assert len(ended) == len(set(ended)) == RACERS - 2, "each is evicted once"
        assert race.alone(Count(START)) == 2

    def test_logins_that_reuse_open_one_session(self, race: Race) -> None:
        answers = race([login(session(i), existing="reuse") for i in range(RACERS)])
        assert _count(answers, Opened) == 1
        assert _count(answers, Existing) == RACERS - 1
        assert len({answer.row.sid for answer in answers}) == 1
        (row,) = race.alone(List(None, START))
        assert row.shared, "handed out twice, and yet it rotates"

    def test_logins_that_reuse_are_not_refused_for_what_they_reuse(self, race: Race) -> None:
        answers = race([login(session(i), existing="reuse", limit=1) for i in range(RACERS)])
        assert _count(answers, Opened) == 1
        assert _count(answers, Existing) == RACERS - 1

    def test_logins_that_replace_leave_one_session(self, race: Race) -> None:
        answers = race([login(session(i), existing="replace") for i in range(RACERS)])
        assert _count(answers, Opened) == RACERS
        assert race.alone(Count(START)) == 1

    def test_one_session_is_replaced_once(self, race: Race) -> None:
        old = session("old")
        race.alone(login(old))
        answers = race([login(session(i, "bob"), replaces=(old.sid,)) for i in range(RACERS)])
        ended = [one for answer in answers for one in answer.ended]
        assert ended == [Ended(old.sid, old.username)]
        assert race.alone(Count(START)) == RACERS

    # Rotation.

    def test_one_due_token_gets_one_successor(self, race: Race) -> None:
        row = session()
        race.alone(login(row))
        answers = race([touch(row, DUE) for _ in range(RACERS)])
        assert _count(answers, Rotated) == 1
        rows = {answer.row if isinstance(answer, Rotated) else answer for answer in answers}
        assert {row.generation for row in rows} == {1}
        assert race.alone(Read(row.sid, DUE)) in rows

    def test_of_parallel_refreshes_one_succeeds(self, race: Race) -> None:
        row = session()
        race.alone(login(row))
        answers = race([touch(row, START, rotation=NOW) for _ in range(RACERS)])
        assert _count(answers, Rotated) == 1
        assert answers.count(None) == RACERS - 1, "the others are merely invalid"
        assert race.alone(Read(row.sid, START)).generation == 1

    def test_a_session_is_closed_once(self, race: Race) -> None:
        row = session()
        race.alone(login(row))
        answers = race([Close(row.sid, START) for _ in range(RACERS)])
        assert _count(answers, Ended) == 1
        assert answers.count(None) == RACERS - 1

    # Logout is final.

    def test_no_touch_revives_a_closed_session(self, race: Race) -> None:
        row = session()
        now = START + 2 * POLICY.touch_every
        self._logouts_are_final(race, [touch(row, now + i) for i in range(3)], Close(row.sid, now))

    def test_no_rotation_revives_a_closed_session(self, race: Race) -> None:
        row = session()
        self._logouts_are_final(race, [touch(row, DUE)] * 3, Close(row.sid, DUE))

    def test_no_refresh_revives_a_closed_session(self, race: Race) -> None:
        row = session()
        touches = [touch(row, START, rotation=NOW)] * 3
        self._logouts_are_final(race, touches, Close(row.sid, START))

    def test_no_rotation_revives_a_session_closed_with_its_user(self, race: Race) -> None:
        row = session()
        self._logouts_are_final(race, [touch(row, DUE)] * 3, CloseUser(row.username, None, DUE))

    def test_no_reuse_revives_a_closed_session(self, race: Race) -> None:
        row = session()
        for number in range(self.ROUNDS):
            race.alone(login(row))
            again = login(session("again"), existing="reuse")
            closed, answer = race([Close(row.sid, START), again])
            assert closed == Ended(row.sid, row.username)
            assert race.alone(Read(row.sid, START)) is None, f"revived in round {number}"
            assert race.alone(Count(START)) == (1 if isinstance(answer, Opened) else 0)
            race.alone(CloseUser(row.username, None, START))

    def test_a_sweep_takes_nothing_that_was_just_extended(self, race: Race) -> None:
        row, end = session(), START + HOUR
        for number in range(self.ROUNDS):
            race.alone(login(row))
            # Two processes, one clock an instant behind the other.
            swept, touched = race([Sweep(end, 10), touch(row, end - 1, rotation=WHEN_DUE)])
            found = race.alone(Read(row.sid, end))
            if swept:
                assert (touched, found) == (None, None), f"round {number}"
            else:
                assert found == touched.row, f"round {number}: extended, and swept all the same"
            race.alone(Close(row.sid, START))

    # All of it.

    def test_all_that_happens_at_once_adds_up(self, race: Race) -> None:
        kept, racers = session("kept", "keeper"), 8

        def story(number: int) -> Iterator[Command]:
            for step in range(self.ROUNDS):
                row = session(f"{number}-{step}", f"user {number % 4}")
                yield login(row, user_limit=2, evict=True)
                yield touch(kept, START, generation=step, rotation=NOW)
                yield touch(row, DUE)
                yield Close(session(f"{(number + 4) % racers}-{step}").sid, DUE)

        race.alone(login(kept))
        answers = chain(*race.stories([list(story(number)) for number in range(racers)]))
        opened: list[str] = []
        ended: list[Ended] = []
        refreshed: list[int] = []
        for answer in answers:
            if isinstance(answer, Opened):
                opened.append(answer.row.sid)
                ended += answer.ended
            elif isinstance(answer, Ended):
                ended.append(answer)
            elif isinstance(answer, Rotated) and answer.row.sid == kept.sid:
                refreshed.append(answer.row.generation)
        gone = [one.sid for one in ended]
        assert len(gone) == len(set(gone)), "a session was ended twice"
        assert race.alone(Read(kept.sid, START)).generation == len(refreshed)
        assert sorted(refreshed) == list(range(1, len(refreshed) + 1)), "a token had two successors"
        live = {row.sid for row in race.alone(List(None, START))}
        assert live == {kept.sid, *opened} - set(gone), "lost, or there against all that was said"
        assert race.alone(Count(START)) == len(live)
        listed = [race.alone(List(f"user {number}", START)) for number in range(4)]
        assert max(map(len, listed)) <= 2
        assert {row.sid for rows in listed for row in rows} == live - {kept.sid}

    def _logouts_are_final(self, race: Race, touches: Sequence[Command], logout: Command) -> None:
        row = session()
        for number in range(self.ROUNDS):
            race.alone(login(row))
            place = number % (len(touches) + 1)
            answers = race([*touches[:place], logout, *touches[place:]])
            now = logout.now
            gone = Ended(row.sid, row.username)
            assert answers[place] in (gone, (gone,)), f"round {number}: nothing was ended"
            assert race.alone(Read(row.sid, now)) is None, f"revived in round {number}"
            assert race.alone(List(None, START)) == ()
            for generation in (0, 1):
                assert race.alone(touch(row, now, generation=generation)) is None


def _count(answers: list[object], kind: type) -> int:
    return sum(isinstance(answer, kind) for answer in answers)
