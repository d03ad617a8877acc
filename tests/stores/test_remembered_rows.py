"""A stored row that was understood is remembered; what was not is judged anew each time."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from sessiongate.stores._stored import FORMAT, restored
from sessiongate.testing.contract._material import session

if TYPE_CHECKING:
    from sessiongate.core.row import Row


def record(row: Row) -> tuple[object, ...]:
    return (FORMAT, *row)


def test_a_row_is_understood_again_after_a_look_that_had_no_room() -> None:
    nested = "[" * 12 + "]" * 12
    row = session("deep")._replace(scopes_and_claims=f'{{"scopes":[],"claims":{{"a":{nested}}}}}')

    def look(depth: int) -> Row | None:
        return look(depth - 1) if depth else restored(record(row))

    seen = []
    for depth in range(sys.getrecursionlimit(), 0, -1):
        with suppress(RecursionError):
            seen.append(look(depth))
    assert seen[0] is None, "no look failed for want of room"
    assert seen[-1] == row


def test_what_differs_in_anything_is_not_taken_for_what_is_remembered() -> None:
    row = session("known")
    assert restored(record(row)) == row
    assert restored((FORMAT + 1, *row)) is None
    assert restored(record(row._replace(generation=-1))) is None
    assert restored(record(row)[:-1]) is None
    assert restored(record(row)) == row
