"""Who gets in: reuse, replacement, limits, eviction."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from sessiongate.core.row import FOREVER
from sessiongate.testing.commands import Close, Count, List, Read
from sessiongate.testing.contract._material import HOUR, MINUTE, START, login, session
from sessiongate.testing.outcomes import Ended, Existing, LimitReached, Opened

if TYPE_CHECKING:
    from sessiongate.core.row import Row
    from sessiongate.testing.contract._calls import Call

READ = '{"claims":{},"scopes":["read"]}'
WRITE = '{"claims":{},"scopes":["write"]}'


class Admission:
    def test_a_login_opens_the_row_exactly_as_given(self, call: Call) -> None:
        row = session(
            generation=3, oldest_accepted=2, revoked_below=1, scopes_and_claims=READ, device='"pad"'
        )
        assert call(login(row)) == Opened(row)
        assert call(Read(row.sid, START)) == row

    # The user has a session already.

    def test_reuse_finds_the_newest_with_equal_grants_and_shares_it(self, call: Call) -> None:
        rows = [
            session(1, scopes_and_claims=READ),
            # Opened later by an earlier clock: newest is by the order of opening.
            session(2, scopes_and_claims=READ, created_at=START - HOUR, rotated_at=START - HOUR),
            session(3, scopes_and_claims=WRITE),
            session(4, "bob", scopes_and_claims=READ),
        ]
        _open(call, *rows)
        marked = replace(rows[1], shared=True)
        answer = call(login(session(5, scopes_and_claims=READ), existing="reuse"))
        assert answer == Existing(marked)
        assert call(List(None, START)) == (rows[0], marked, *rows[2:])

    def test_reuse_brings_no_stale_token_back(self, call: Call) -> None:
        later = START + MINUTE
        windows = {later: 4, later + 1: 3, FOREVER: 3}
        for previous_until, oldest in windows.items():
            row = session(previous_until, generation=4, oldest_accepted=3, revoked_below=1)
            row = replace(row, previous_until=previous_until)
            _open(call, row)
            answer = call(login(session("more"), later, existing="reuse"))
            shared = replace(row, shared=True, oldest_accepted=oldest, revoked_below=oldest)
            assert answer == Existing(shared)
            assert call(login(session("again"), later + HOUR // 2, existing="reuse")) == answer
            call(Close(row.sid, later))

    def test_reuse_with_other_grants_opens(self, call: Call) -> None:
        _open(call, session(1, scopes_and_claims=READ), session(2))
        row = session(3, scopes_and_claims=WRITE)
        assert call(login(row, existing="reuse")) == Opened(row)

    def test_reuse_wins_over_limits_and_replaces(self, call: Call) -> None:
        first, second = session(1), session(2, "bob")
        _open(call, first, second)
        command = login(
            session(3), existing="reuse", replaces=(second.sid,), limit=1, user_limit=1, evict=True
        )
        assert call(command) == Existing(replace(first, shared=True))
        assert call(Read(second.sid, START)) == second

    def test_new_opens_beside(self, call: Call) -> None:
        rows = [session(1), session(2), session(3)]
        _open(call, *rows)
        assert call(List("alice", START)) == tuple(rows)

    def test_replace_ends_all_others_of_the_user(self, call: Call) -> None:
        mine, theirs = [session(1), session(2)], session(3, "bob")
        _open(call, *mine, theirs)
        new = session(4)
        answer = call(login(new, existing="replace"))
        assert answer == Opened(new, _ended(*mine))
        assert call(List(None, START)) == (theirs, new)

    def test_replaces_ends_one_session_whosesoever(self, call: Call) -> None:
        own, other = session(1), session(2, "bob")
        _open(call, own, other)
        third, fourth = session(3), session(4)
        assert call(login(third, replaces=(other.sid,))) == Opened(third, _ended(other))
        assert call(login(fourth, replaces=(own.sid,))) == Opened(fourth, _ended(own))
        assert call(List(None, START)) == (third, fourth)
        assert call(Read(own.sid, START)) is None

    def test_what_is_replaced_is_named_once(self, call: Call) -> None:
        mine = [session(1), session(2)]
        _open(call, *mine)
        new = session(3)
        answer = call(
            login(new, existing="replace", replaces=(mine[1].sid,), user_limit=1, limit=1)
        )
        assert sorted(answer.ended) == sorted(_ended(*mine))
        assert call(List(None, START)) == (new,)

    def test_replaces_of_nothing_or_of_the_expired_ends_nothing(self, call: Call) -> None:
        gone = session(1, expires_at=START + 1)
        _open(call, gone)
        second, third = session(2), session(3)
        assert call(login(second, START + 1, replaces=(gone.sid,))) == Opened(second)
        assert call(login(third, START + 1, replaces=(session(9).sid,))) == Opened(third)
        assert call(Read(gone.sid, START)) is None, "a clock set back revived the session"

    # Limits.

    def test_the_total_limit_refuses_and_changes_nothing(self, call: Call) -> None:
        rows = [session(1), session(2, "bob")]
        _open(call, *rows)
        for existing in ("new", "reuse"):
            command = login(session(3, "carol"), existing=existing, limit=2)
            assert call(command) == LimitReached("total")
        assert call(login(session(3, "carol"), limit=1)) == LimitReached("total"), "a lowered limit"
        assert call(List(None, START)) == tuple(rows)
        assert call(login(session(3, "carol"), limit=3)) == Opened(session(3, "carol"))

    def test_the_users_limit_refuses_and_changes_nothing(self, call: Call) -> None:
        rows = [session(1), session(2)]
        _open(call, *rows)
        assert call(login(session(3), user_limit=2)) == LimitReached("user")
        assert call(login(session(3), user_limit=1)) == LimitReached("user")
        assert call(List(None, START)) == tuple(rows)
        bobs = session(3, "bob")
        assert call(login(bobs, user_limit=2)) == Opened(bobs), "somebody else's limit"

    def test_the_users_limit_is_named_before_the_total(self, call: Call) -> None:
        _open(call, session(1), session(2))
        assert call(login(session(3), limit=2, user_limit=2)) == LimitReached("user")

    def test_a_refusal_ends_nothing_of_what_it_would_have_replaced(self, call: Call) -> None:
        rows = [session(1), session(2, "bob"), session(3, "bob")]
        _open(call, *rows)
        refused = login(session(4), existing="replace", limit=1)
        assert call(refused) == LimitReached("total")
        refused = login(session(4, "bob"), replaces=(rows[0].sid,), user_limit=2)
        assert call(refused) == LimitReached("user")
        assert call(List(None, START)) == tuple(rows)

    def test_what_is_replaced_frees_its_slot(self, call: Call) -> None:
        first, second = session(1), session(2, "bob")
        _open(call, first, second)
        third = session(3)
        answer = call(login(third, replaces=(first.sid,), limit=2, user_limit=1))
        assert answer == Opened(third, _ended(first))
        fourth = session(4)
        answer = call(login(fourth, existing="replace", limit=2, user_limit=1))
        assert answer == Opened(fourth, _ended(third))

    def test_replacing_somebody_elses_frees_no_slot_of_the_user(self, call: Call) -> None:
        first, second = session(1), session(2, "bob")
        _open(call, first, second)
        refused = login(session(3), replaces=(second.sid,), user_limit=1)
        assert call(refused) == LimitReached("user")

    def test_the_expired_take_no_slot(self, call: Call) -> None:
        old = [session(name, expires_at=START + HOUR) for name in (1, 2)]
        _open(call, *old, limit=2)
        now = START + HOUR
        new = session(3, expires_at=now + HOUR)
        assert call(login(new, now - 1, limit=2)) == LimitReached("total")
        assert call(login(new, now - 1, user_limit=2)) == LimitReached("user")
        assert call(login(new, now, limit=1, user_limit=1)) == Opened(new)

    def test_many_expired_take_no_slot(self, call: Call) -> None:
        _open(call, *(session(name, f"user {name % 3}") for name in range(40)))
        now = START + HOUR
        for name in (40, 41):
            row = session(name, expires_at=now + HOUR)
            assert call(login(row, now, limit=2, user_limit=2)) == Opened(row)
        refused = session(42, expires_at=now + HOUR)
        assert call(login(refused, now, limit=2)) == LimitReached("total")
        assert call(Count(now)) == 2

    def test_the_expired_are_not_reused_replaced_or_evicted(self, call: Call) -> None:
        expired, live = session(1, expires_at=START + 1), session(2, "bob")
        _open(call, expired, live)
        now = START + 1
        new = session(3)
        answer = call(login(new, now, existing="reuse", limit=1, evict=True))
        assert answer == Opened(new, evicted=_ended(live)), "the expired one is nobody's to end"
        assert call(List(None, now)) == (new,)

    # Eviction.

    @pytest.mark.parametrize("clock", [1, 0, -1], ids=["forwards", "standing", "backwards"])
    def test_evicts_the_oldest_by_order_of_opening(self, call: Call, clock: int) -> None:
        rows = [session(name, created_at=START + clock * name) for name in range(5)]
        _open(call, *rows)
        new = session(5, created_at=START + clock * 5)
        assert call(login(new, limit=5, evict=True)) == Opened(new, evicted=_ended(rows[0]))
        assert call(List(None, START)) == (*rows[1:], new)

    def test_a_lowered_limit_evicts_as_many_as_it_takes(self, call: Call) -> None:
        rows = [session(name, f"user {name % 2}") for name in range(6)]
        _open(call, *rows)
        new = session(6)
        assert call(login(new, limit=3, evict=True)) == Opened(new, evicted=_ended(*rows[:4]))
        assert call(List(None, START)) == (*rows[4:], new)

    def test_the_users_limit_evicts_their_own(self, call: Call) -> None:
        theirs, *mine = [session(0, "bob"), session(1), session(2)]
        _open(call, theirs, *mine)
        new = session(3)
        answer = call(login(new, user_limit=2, limit=3, evict=True))
        assert answer == Opened(new, evicted=_ended(mine[0])), "one eviction satisfies both limits"
        assert call(List(None, START)) == (theirs, mine[1], new)

    def test_what_is_replaced_is_counted_before_evicting(self, call: Call) -> None:
        rows = [session(1), session(2), session(3, "bob")]
        _open(call, *rows)
        new = session(4)
        answer = call(login(new, replaces=(rows[1].sid,), user_limit=2, limit=3, evict=True))
        assert answer == Opened(new, _ended(rows[1]))
        assert call(List(None, START)) == (rows[0], rows[2], new)

    def test_an_eviction_ends_one_and_not_more(self, call: Call) -> None:
        limit = 6
        rows = [session(name, f"user {name % 4}") for name in range(limit + 5)]
        for number, row in enumerate(rows):
            oldest = rows[number - limit : number - limit + 1] if number >= limit else []
            answer = call(login(row, limit=limit, user_limit=4, evict=True))
            assert answer == Opened(row, evicted=_ended(*oldest))
            assert call(Count(START)) == min(number + 1, limit)

    def test_the_users_limit_evicts_below_the_total(self, call: Call) -> None:
        rows = [session(name, "alice" if name % 2 else "bob") for name in range(6)]
        _open(call, *rows)
        new = session(6)
        answer = call(login(new, user_limit=3, limit=20, evict=True))
        assert answer == Opened(new, evicted=_ended(rows[1]))
        assert call(Count(START)) == 6

    def test_what_is_replaced_and_what_is_evicted_is_told_apart(self, call: Call) -> None:
        rows = [session(1), session(2), session(3, "bob"), session(4, "carol"), session(5)]
        _open(call, *rows)
        new = session(6)
        answer = call(login(new, replaces=(rows[4].sid,), user_limit=2, limit=3, evict=True))
        replaced, evicted = _ended(rows[4]), _ended(rows[0], rows[1])
        assert answer == Opened(new, replaced, evicted)
        newest = session(7)
        answer = call(login(newest, existing="replace", limit=2, evict=True))
        assert answer == Opened(newest, _ended(new), _ended(rows[2]))

    def test_replaces_may_name_several(self, call: Call) -> None:
        rows = [session(1), session(2, "bob"), session(3, "carol")]
        _open(call, *rows)
        new = session(4)
        named = (rows[2].sid, session(9).sid, rows[0].sid, rows[2].sid)
        answer = call(login(new, replaces=named, limit=2, user_limit=1))
        assert answer == Opened(new, _ended(rows[2], rows[0]))
        assert call(List(None, START)) == (rows[1], new)

    def test_a_limit_of_one_evicts_everybody_else(self, call: Call) -> None:
        first, second = session(1), session(2, "bob")
        assert call(login(first, limit=1, evict=True)) == Opened(first)
        assert call(login(second, limit=1, evict=True)) == Opened(second, evicted=_ended(first))
        assert call(Count(START)) == 1


def _open(call: Call, *rows: Row, limit: int | None = None) -> None:
    for row in rows:
        assert call(login(row, limit=limit)) == Opened(row)


def _ended(*rows: Row) -> tuple[Ended, ...]:
    return tuple(Ended(row.sid, row.username) for row in rows)
