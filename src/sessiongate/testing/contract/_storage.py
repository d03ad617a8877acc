"""What lies in the storage itself: damaged rows, and what the ended leave behind.

No command shows either, so a subclass helps with two optional fixtures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sessiongate.core.rotation import NEVER, NOW, WHEN_DUE
from sessiongate.testing.commands import Close, CloseUser, Count, List, Read, Sweep
from sessiongate.testing.contract._material import HOUR, POLICY, START, login, session, touch
from sessiongate.testing.outcomes import Ended, Opened, Replayed

if TYPE_CHECKING:
    from collections.abc import Callable

    from sessiongate.testing.contract._calls import Call

_ALL = 1_000_000


class Storage:
    def test_what_cannot_be_read_is_no_session(
        self, call: Call, damage: Callable[[str], object] | None
    ) -> None:
        if damage is None:
            pytest.skip("the optional fixture `damage` is not there")
        bad, good = session("bad"), session("good")
        call(login(bad))
        call(login(good))
        damage(bad.sid)
        for rotation in (NEVER, WHEN_DUE, NOW):
            assert call(touch(bad, START, rotation=rotation)) is None
        assert call(Read(bad.sid, START)) is None
        assert call(Close(bad.sid, START)) is None
        assert call(List(None, START)) == call(List("alice", START)) == (good,)
        assert call(touch(good, START)) == good, "a row is hidden by its broken neighbour"
        reused = call(login(session("new"), existing="reuse"))
        assert reused.row.sid == good.sid
        other = session("other", "bob")
        assert call(login(other, limit=4)) == Opened(other)
        assert Ended(good.sid, "alice") in call(CloseUser("alice", None, START))
        assert call(List(None, START)) == (other,)

    def test_what_cannot_be_read_keeps_nobody_from_a_login(
        self, call: Call, damage: Callable[[str], object] | None
    ) -> None:
        if damage is None:
            pytest.skip("the optional fixture `damage` is not there")
        for number, username in enumerate(("alice", "bob", "carol")):
            bad = session(f"bad {number}", "alice").sid
            for existing in ("reuse", "new", "replace"):
                call(login(session(f"bad {number}", "alice")))
                damage(bad)
                new = session(f"{username} {existing}", username)
                command = login(new, existing=existing, limit=1, user_limit=1)
                assert call(command) == Opened(new), command
                assert call(CloseUser(username, None, START)) == (Ended(new.sid, username),)
                call(CloseUser("alice", None, START))
                assert call(Count(START)) == 0
        call(login(session("bad", "alice")))
        damage(session("bad").sid)
        new = session("new", "bob")
        assert call(login(new, limit=1, evict=True)).row == new
        assert call(List(None, START)) == (new,)

    def test_the_ended_leave_nothing_behind(
        self, call: Call, footprint: Callable[[], int] | None
    ) -> None:
        if footprint is None:
            pytest.skip("the optional fixture `footprint` is not there")
        first = session()
        call(login(first))
        call(Close(first.sid, START))
        empty = footprint()
        due, end = START + POLICY.rotate_after, START + HOUR
        for way in range(6):
            rows = [session(f"{way}-{name}", f"user {name % 3}") for name in range(12)]
            for row in rows:
                call(login(row, limit=1 if way == 0 else None, evict=way == 0))
            kept = footprint()
            assert kept > empty, "a live session leaves no footprint: what is measured?"
            for row in rows:
                if way == 1:
                    assert call(Close(row.sid, START)) == Ended(row.sid, row.username)
                if way == 2:
                    call(touch(row, due))
                    call(touch(row, due, generation=1))
                    over = due + POLICY.grace
                    assert call(touch(row, over)) == Replayed(row.sid, row.username)
                if way == 3:
                    assert call(Read(row.sid, end)) is None
            if way in {0, 4}:
                for name in range(3):
                    call(CloseUser(f"user {name}", None, START))
            if way == 5:
                assert call(Sweep(end, _ALL)) == len(rows)
            assert call(Count(START)) == 0
            assert footprint() == empty, f"something is left over, by way {way}"
