"""Each verb of a store by itself: what it finds, what it changes, and what it leaves alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sessiongate.core.row import FOREVER, Record
from sessiongate.testing.contract._material import HOUR, START, session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sessiongate.core.row import Row
    from sessiongate.stores.base import Store
    from sessiongate.testing.contract._calls import Verb

END = START + HOUR


class Verbs:
    # Reading and swapping.

    def test_read_finds_what_was_committed_and_nothing_else(self, store: Store, verb: Verb) -> None:
        one, two = _added(store, verb, session(1), session(2, "bob"))
        assert verb("read", one.sid) == one.data
        assert verb("read", two.sid) == two.data
        assert verb("read", session(3).sid) is None
        assert verb("read", "") is None

    def test_swap_replaces_what_is_still_the_same(self, store: Store, verb: Verb) -> None:
        row = session()
        (old,) = _added(store, verb, row)
        new = _record(store, replace(row, expires_at=END + HOUR, generation=1))
        assert verb("swap", old, new, START) is True
        assert verb("read", old.sid) == new.data
        assert verb("of_user", "alice")[1] == [new], "the user's list shows another record"
        assert verb("live", END, 10).records == [new], "its new expiry is not known everywhere"
        assert verb("sweep", END, 10) == 0

    def test_swap_changes_nothing_of_what_is_another_by_now(self, store: Store, verb: Verb) -> None:
        row = session()
        (first,) = _added(store, verb, row)
        second = _record(store, replace(row, last_accessed=START + 1))
        third = _record(store, replace(row, last_accessed=START + 2))
        assert verb("swap", first, second, START) is True
        for new in (third, None, first):
            assert verb("swap", first, new, START) == second.data, "not what is there now"
            assert verb("read", first.sid) == second.data
        assert verb("swap", second, third, START) is True
        assert verb("read", first.sid) == third.data

    def test_swap_never_inserts(self, store: Store, verb: Verb) -> None:
        row = session()
        old, new = _record(store, row), _record(store, replace(row, generation=1))
        assert verb("swap", old, new, START) is None
        assert verb("read", row.sid) is None
        (old,) = _added(store, verb, row)
        assert verb("swap", old, None, START) is True
        assert verb("swap", old, new, START) is None
        assert verb("swap", old, None, START) is None
        assert verb("read", row.sid) is None
        assert verb("of_user", "alice")[1] == []
        assert verb("live", START, 10).records == []

    def test_swap_takes_the_expired_as_well(self, store: Store, verb: Verb) -> None:
        (old,) = _added(store, verb, session(), session(2, expires_at=FOREVER))[:1]
        if verb("read", old.sid) is not None:  # an engine may have forgotten it by itself
            assert verb("swap", old, None, END) is True
        assert verb("read", old.sid) is None

    # The sessions of a user.

    def test_of_user_is_in_the_order_of_opening(self, store: Store, verb: Verb) -> None:
        mine = _added(store, verb, *(session(name) for name in "zaybx"))
        theirs = _added(store, verb, session("c", "bob"))
        assert verb("of_user", "alice")[1] == mine
        later = mine[0]._replace(data=_data(store, session("z", last_accessed=START + 5)))
        assert verb("swap", mine[0], later, START) is True
        assert verb("of_user", "alice")[1] == [later, *mine[1:]], "a swap changed the order"
        assert verb("of_user", "bob")[1] == theirs
        assert verb("of_user", "carol")[1] == []

    def test_the_mark_tells_another_set_from_this_one(self, store: Store, verb: Verb) -> None:
        one, two = _added(store, verb, session(1), session(2))
        seen, _ = verb("of_user", "alice")
        assert verb("commit", "alice", (), None, seen, None, START) is True
        (theirs,) = _added(store, verb, session("b", "bob"))
        assert verb("commit", "alice", (), None, seen, None, START) is True, "somebody else's"
        # As many as before, and yet others.
        assert verb("swap", one, None, START) is True
        assert verb("commit", "alice", (), None, seen, None, START) is False
        _added(store, verb, session(3))
        new = _record(store, session(4))
        assert verb("commit", "alice", (), new, seen, None, START) is False
        assert verb("commit", "alice", [two], None, seen, None, START) is False
        assert verb("read", new.sid) is None
        assert verb("read", two.sid) == two.data
        nobody, _ = verb("of_user", "dave")
        assert verb("commit", "dave", [theirs], None, nobody, None, START) is True
        nobody, _ = verb("of_user", "bob")
        _added(store, verb, session(5, "bob"))
        assert verb("commit", "bob", (), None, nobody, None, START) is False

    # Committing.

    def test_commit_removes_and_adds_as_a_whole(self, store: Store, verb: Verb) -> None:
        one, two, three = _added(store, verb, session(1), session(2, "bob"), session(3))
        new = _record(store, session(4))
        assert verb("commit", "alice", [one, two], new, None, None, START) is True
        assert verb("live", START, 10).records == [three, new]
        assert verb("of_user", "alice")[1] == [three, new]
        assert verb("of_user", "bob")[1] == []
        assert (verb("read", one.sid), verb("read", two.sid)) == (None, None)

    def test_commit_does_nothing_if_one_that_is_to_go_is_another(
        self, store: Store, verb: Verb
    ) -> None:
        one, two = _added(store, verb, session(1), session(2, "bob"))
        changed = _record(store, session(2, "bob", last_accessed=START + 1))
        gone, new = _record(store, session(9)), _record(store, session(4))
        for out in ([one, changed], [changed, one], [one, gone], [gone]):
            assert verb("commit", "alice", out, new, None, None, START) is False
            assert verb("commit", "alice", out, None, None, None, START) is False
        assert verb("live", START, 10).records == [one, two], "half of it was done"
        assert verb("read", new.sid) is None

    def test_commit_keeps_the_number_of_the_live_within_its_bounds(
        self, store: Store, verb: Verb
    ) -> None:
        one, _ = _added(store, verb, session(1), session(2, "bob"))
        new = _record(store, session(4))
        for out, live in (((), (0, 2)), ((), (4, 9)), ([one], (0, 1)), ([one], (3, FOREVER))):
            assert verb("commit", "alice", out, new, None, live, START) is False, (out, live)
        for live, holds in (((2, 2), True), ((0, 1), False), ((3, FOREVER), False)):
            assert verb("commit", "alice", (), None, None, live, START) is holds
        assert verb("count", START) == 2
        assert verb("commit", "alice", [one], new, None, (2, 2), START) is True
        assert verb("commit", "alice", (), _record(store, session(5)), None, (3, 3), START) is True
        assert verb("count", START) == 3

    def test_commit_does_not_count_the_expired(self, store: Store, verb: Verb) -> None:
        old = session(1)
        _added(store, verb, old, session(2, "bob", expires_at=END + 1))
        new = _record(store, session(3, expires_at=END + HOUR))
        assert verb("commit", "alice", (), new, None, (0, 2), END - 1) is False
        assert verb("commit", "alice", (), None, None, (1, 1), END) is True
        assert verb("commit", "alice", (), new, None, (2, 2), END) is True
        assert verb("count", END) == 2

    # All of them.

    def test_pages_follow_each_other_whatever_ends_meanwhile(
        self, store: Store, verb: Verb
    ) -> None:
        rows = [session(name, f"user {name % 3}") for name in range(11)]
        rows[4] = replace(rows[4], expires_at=START + 1)
        now = START + 1
        records = _added(store, verb, *rows)
        first = verb("live", now, 3)
        assert first.records == records[:3]
        for gone in records[1:4]:  # the place itself, before it, and after it
            assert verb("swap", gone, None, now) is True
        late = _record(store, session("late"))
        assert verb("commit", "alice", (), late, None, None, now) is True
        second = verb("live", now, 3, first.place)
        assert second.records == records[5:8], "the expired are not live"
        third = verb("live", now, 3, second.place)
        last = verb("live", now, 3, third.place)
        assert (third.records, last.records) == (records[8:], [late])
        assert last.place is None
        assert verb("live", now, 100) == ([records[0], *records[5:], late], None)

    def test_a_page_that_is_just_full(self, store: Store, verb: Verb) -> None:
        records = _added(store, verb, session(1), session(2))
        page = verb("live", START, 2)
        assert page.records == records
        assert page.place is None or verb("live", START, 2, page.place) == ([], None)
        assert verb("live", END, 2) == ([], None)

    def test_count_and_live_are_of_the_same(self, store: Store, verb: Verb) -> None:
        rows = [session(name, f"user {name}", expires_at=END + name) for name in range(4)]
        records = _added(store, verb, *rows)
        for later in range(4):
            assert verb("count", END + later) == 3 - later
            assert verb("live", END + later, 9).records == records[later + 1 :]

    def test_sweep_takes_what_is_expired_and_as_much_as_it_may(
        self, store: Store, verb: Verb
    ) -> None:
        _added(store, verb, *(session(name) for name in range(5)))
        (kept,) = _added(store, verb, session("kept", expires_at=END + 1))
        assert verb("sweep", END - 1, 10) == 0
        assert verb("sweep", END, 0) == 0
        assert [verb("sweep", END, 2) for _ in range(4)] == [2, 2, 1, 0]
        assert verb("live", START, 10).records == [kept]
        assert verb("of_user", "alice")[1] == [kept]


def _data(store: Store, row: Row) -> Any:
    return store.codec.encode(row)


def _record(store: Store, row: Row) -> Record:
    return Record(row.sid, row.username, row.expires_at, _data(store, row))


def _added(store: Store, verb: Verb, *rows: Row) -> Sequence[Record]:
    records = [_record(store, row) for row in rows]
    for record in records:
        assert verb("commit", record.username, (), record, None, None, START) is True
    return records
