"""Every live session, page by page, and no token among them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.managers.verbs import Make, Verbs

    from sessiongate.testing import ManualClock

ROW = {"handle", "username", "created_at", "last_accessed", "expires_at", "scopes", "device"}


def fill(m: Verbs, clock: ManualClock, number: int) -> list[str]:
    tokens = []
    for place in range(number):
        clock.advance(1)
        tokens.append(m.create_session(f"user{place % 3}", existing="new"))
    return tokens


def everybody(m: Verbs, **options: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    after = None
    while page := m.list_sessions(after=after, **options):
        rows += page
        after = page[-1]["handle"]
    return rows


def test_each_row_says_what_an_administrator_needs(make_many: Make, clock: ManualClock) -> None:
    m = make_many()
    token = m.create_session("alice", scopes=("read",), device={"name": "laptop"})
    (row,) = m.list_sessions()
    assert row.keys() == ROW
    assert (row["username"], row["scopes"], row["device"]) == (
        "alice",
        ["read"],
        {"name": "laptop"},
    )
    assert row["created_at"] == datetime.fromtimestamp(clock(), UTC)
    assert token not in repr(row)
    assert m.validate_session(row["handle"]) is None, "a handle opens nothing"
    assert m.user_sessions("alice") == [{k: v for k, v in row.items() if k != "username"}]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 10, 11, 100])
def test_pages_are_the_whole_in_the_order_of_opening(
    make_many: Make, clock: ManualClock, limit: int
) -> None:
    m = make_many(max_concurrent_sessions=None)
    fill(m, clock, 10)
    rows = everybody(m, limit=limit)
    assert [row["username"] for row in rows] == [f"user{place % 3}" for place in range(10)]
    assert len({row["handle"] for row in rows}) == 10
    assert len(m.list_sessions(limit=limit)) == min(limit, 10)


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_those_of_one_user(make_many: Make, clock: ManualClock, limit: int) -> None:
    m = make_many(max_concurrent_sessions=None)
    fill(m, clock, 9)
    rows = everybody(m, username="user1", limit=limit)
    assert [row["username"] for row in rows] == ["user1"] * 3
    assert rows == sorted(rows, key=lambda row: row["created_at"])
    assert m.list_sessions(username="nobody") == []


@pytest.mark.parametrize("username", [None, "user0"])
def test_a_session_that_ends_still_marks_its_place(
    make_many: Make, clock: ManualClock, username: str | None
) -> None:
    m = make_many(max_concurrent_sessions=None)
    fill(m, clock, 12)
    options = {"username": username, "limit": 2}
    every = everybody(m, **options)
    page = m.list_sessions(**options)
    for row in page:
        assert m.invalidate_user_session(row["username"], row["handle"])
    rest = m.list_sessions(after=page[-1]["handle"], **options)
    assert [row["handle"] for row in rest] == [row["handle"] for row in every[2:4]]


def test_what_was_opened_since_comes_after_the_last(make_many: Make, clock: ManualClock) -> None:
    m = make_many(max_concurrent_sessions=None)
    fill(m, clock, 3)
    last = m.list_sessions()[-1]["handle"]
    assert m.list_sessions(after=last) == []
    m.create_session("late", existing="new")
    assert [row["username"] for row in m.list_sessions(after=last)] == ["late"]


def test_expired_sessions_are_not_listed(make_many: Make, clock: ManualClock) -> None:
    m = make_many(60)
    fill(m, clock, 3)
    clock.advance(58)
    assert len(m.list_sessions()) == 2
    clock.advance(60)
    assert m.list_sessions() == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"limit": 0}, "limit must be 1 or more"),
        ({"limit": None}, "limit must be"),
        ({"limit": "10"}, "limit must be"),
        ({"limit": True}, "limit must be"),
        ({"after": 7}, "after must be"),
        ({"after": "no handle!"}, "after must be"),
        ({"username": ""}, "username must"),
        ({"username": 7}, "username must"),
    ],
)
def test_unfit_arguments(make_many: Make, options: dict[str, Any], words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        make_many().list_sessions(**options)


def test_a_place_that_nobody_knows(make_many: Make) -> None:
    m = make_many()
    m.create_session("alice")
    with pytest.raises(ValueError, match="start again without after="):
        m.list_sessions(after="A" * 22)
