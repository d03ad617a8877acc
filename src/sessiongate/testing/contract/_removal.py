"""The end of sessions: expiry, logout, sweeping; and what is listed and counted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sessiongate.core.rotation import NEVER, NOW, WHEN_DUE
from sessiongate.core.row import FOREVER
from sessiongate.testing.commands import Close, CloseUser, Count, List, Read, Sweep
from sessiongate.testing.contract._material import HOUR, POLICY, START, login, session, touch
from sessiongate.testing.outcomes import Ended, Opened, Replayed, Rotated

if TYPE_CHECKING:
    from sessiongate.core.row import Row
    from sessiongate.testing.commands import Command
    from sessiongate.testing.contract._calls import Call

END = START + HOUR
"""When a session opened at ``START`` expires."""


class Removal:
    # Expiry.

    def test_dead_at_the_very_instant_of_expiry(self, call: Call) -> None:
        row = session()
        call(login(row))
        last = END - 1
        assert call(Read(row.sid, last)) == row
        assert call(touch(row, last, rotation=NEVER)) == replace(row, last_accessed=last)
        assert call(Count(last)) == len(call(List(None, last))) == len(call(List("alice", last)))
        assert call(Count(END)) == 0
        assert call(List(None, END)) == call(List("alice", END)) == ()
        assert call(Read(row.sid, END)) is None

    def test_an_expired_session_seen_once_stays_dead(self, call: Call) -> None:
        for sight in _sights():
            row = session()
            call(login(row))
            assert call(sight) is None, f"{sight} found an expired session"
            back = START + 1
            assert call(Read(row.sid, back)) is None, (
                f"after {sight} a clock set back revived the session"
            )
            assert call(touch(row, back)) is None
            assert call(Count(back)) == 0

    # Ending one session.

    def test_close_ends_a_session_once(self, call: Call) -> None:
        row, other = session(1), session(2)
        call(login(row))
        call(login(other))
        assert call(Close(row.sid, START)) == Ended(row.sid, row.username)
        assert call(Close(row.sid, START)) is None
        assert call(Read(row.sid, START)) is None
        for rotation in (NEVER, WHEN_DUE, NOW):
            assert call(touch(row, START, rotation=rotation)) is None
        assert call(Close(row.sid, START)) is None, "Touch or Close made a row"
        assert call(List(None, START)) == (other,)

    def test_close_with_a_username_only_if_it_is_theirs(self, call: Call) -> None:
        row = session()
        call(login(row))
        assert call(Close(row.sid, START, username="bob")) is None
        assert call(Close(row.sid, START, username="")) is None
        assert call(Read(row.sid, START)) == row
        assert call(Close(row.sid, START, username="alice")) == Ended(row.sid, "alice")
        assert call(Read(row.sid, START)) is None

    def test_close_with_a_generation_judges_it_by_the_table(self, call: Call) -> None:
        state = session(generation=5, oldest_accepted=4, revoked_below=3, previous_until=START + 2)
        ended, replayed = Ended(state.sid, "alice"), Replayed(state.sid, "alice")
        cases = [
            (6, START, None),
            (5, START, ended),
            (5, START + 2, ended),
            (4, START + 1, ended),
            (4, START + 2, replayed),
            (3, START, replayed),
            (2, START, None),
        ]
        for generation, now, answer in cases:
            call(login(state))
            close = Close(state.sid, now, generation)
            assert call(close) == answer, close
            assert call(Read(state.sid, now)) == (state if answer is None else None), close
            call(Close(state.sid, now))

    def test_close_with_generation_0_and_a_username(self, call: Call) -> None:
        row = session(generation=1, oldest_accepted=1)
        call(login(row))
        assert call(Close(row.sid, START, 0, "bob")) is None, "not theirs, so no replay either"
        assert call(Read(row.sid, START)) == row
        assert call(Close(row.sid, START, 0, "alice")) == Replayed(row.sid, "alice")
        assert call(Read(row.sid, START)) is None

    def test_an_older_token_of_a_shared_session_closes_it(self, call: Call) -> None:
        row = session(generation=5, oldest_accepted=5, revoked_below=2, shared=True)
        call(login(row))
        assert call(Close(row.sid, START, 1)) is None
        assert call(Close(row.sid, START, 2)) == Ended(row.sid, "alice")

    # Ending all sessions of a user.

    def test_close_user_ends_all_but_the_one_to_keep(self, call: Call) -> None:
        rows = [session(1), session(2), session(3)]
        other = session(4, "bob")
        _open(call, *rows, other)
        assert call(CloseUser("alice", rows[1].sid, START)) == _ended(rows[0], rows[2])
        assert call(List(None, START)) == (rows[1], other)
        assert call(CloseUser("alice", None, START)) == _ended(rows[1])
        assert call(CloseUser("alice", None, START)) == ()
        assert call(List(None, START)) == (other,)

    def test_close_user_keeps_nothing_of_somebody_else(self, call: Call) -> None:
        mine, theirs = session(1), session(2, "bob")
        _open(call, mine, theirs)
        assert call(CloseUser("alice", theirs.sid, START)) == _ended(mine)
        assert call(List(None, START)) == (theirs,)

    def test_close_user_answers_the_live_and_removes_the_expired(self, call: Call) -> None:
        expired, live = session(1), session(2, expires_at=END + HOUR)
        _open(call, expired, live)
        assert call(CloseUser("alice", None, END)) == _ended(live)
        assert call(List(None, START)) == (), "a clock set back revived an expired session"
        assert call(Read(expired.sid, START)) is None

    # Sweeping.

    def test_sweep_takes_bites_of_the_expired_only(self, call: Call) -> None:
        expired = [session(name, f"user {name % 2}") for name in range(7)]
        live = session("live", expires_at=END + 1)
        _open(call, live, *expired)
        assert call(Sweep(END - 1, 100)) == 0
        assert [call(Sweep(END, 3)) for _ in range(4)] == [3, 3, 1, 0]
        assert call(List(None, START)) == (live,), "swept, and yet back when the clock is set back"
        assert call(List("user 0", START)) == ()
        assert call(Count(START)) == 1

    def test_sweep_goes_by_the_expiry_of_today(self, call: Call) -> None:
        row = session()
        call(login(row))
        rotated = call(touch(row, END - 1))
        assert isinstance(rotated, Rotated)
        assert call(Sweep(END, 100)) == 0, "a session was swept that had just been extended"
        assert call(Read(row.sid, END)) == rotated.row
        assert call(Sweep(rotated.row.expires_at, 100)) == 1

    def test_a_swept_session_is_gone(self, call: Call) -> None:
        row = session()
        call(login(row))
        assert call(Sweep(END, 1)) == 1
        assert call(touch(row, START)) is None
        assert call(login(row)).row == row, "nothing of it may be left"

    def test_nothing_of_a_session_is_left_in_an_index(self, call: Call) -> None:
        row = session()
        ways: list[Command] = [Close(row.sid, START), CloseUser("alice", None, START)]
        ways += Read(row.sid, END), Sweep(END, 1)
        for way in ways:
            call(login(row))
            call(way)
            assert call(login(row, user_limit=1)) == Opened(row), f"{way} has left something"
            assert call(List("alice", START)) == call(List(None, START)) == (row,), way
            assert call(CloseUser("alice", None, START)) == _ended(row), way

    # Listing and counting.

    def test_lists_are_in_the_order_of_opening(self, call: Call) -> None:
        rows = [
            session(name, username, created_at=START - at)
            for at, (name, username) in enumerate(zip("zaybx", "abaab", strict=True))
        ]
        _open(call, *rows)
        assert call(List(None, START)) == tuple(rows)
        assert call(List("a", START)) == (rows[0], rows[2], rows[3])
        assert call(List("b", START)) == (rows[1], rows[4])
        assert call(List("c", START)) == ()

    def test_touching_and_rotating_keep_the_order(self, call: Call) -> None:
        rows = [session(1), session(2)]
        _open(call, *rows)
        now = START + POLICY.rotate_after
        rotated = call(touch(rows[0], now)).row
        assert call(List("alice", now)) == call(List(None, now)) == (rotated, rows[1])

    def test_count_counts_the_live(self, call: Call) -> None:
        assert call(Count(START)) == 0
        _open(call, session(1), session(2, "bob"), session(3, expires_at=FOREVER))
        assert call(Count(START)) == 3
        assert call(Count(END)) == 1
        assert call(Count(FOREVER - 1)) == 1
        assert call(Count(FOREVER)) == 0

    def test_reading_writes_nothing(self, call: Call) -> None:
        row = session(previous_until=FOREVER)
        call(login(row))
        for command in (Read(row.sid, END - 1), List(None, END - 1), Count(END - 1)):
            call(command)
        assert call(Read(row.sid, START)) == row


def _sights() -> list[Command]:
    row = session()
    return [
        Read(row.sid, END),
        Close(row.sid, END),
        Close(row.sid, END, username="bob"),
        Close(row.sid, END, generation=1),
        *(touch(row, END, rotation=rotation) for rotation in (NEVER, WHEN_DUE, NOW)),
        touch(row, END, generation=1),
    ]


def _open(call: Call, *rows: Row) -> None:
    for row in rows:
        call(login(row))


def _ended(*rows: Row) -> tuple[Ended, ...]:
    return tuple(Ended(row.sid, row.username) for row in rows)
