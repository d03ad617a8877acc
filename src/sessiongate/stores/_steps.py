"""What each command does to rows, for the stores that decide in Python.

A step runs under the store's lock or in its transaction, so it is atomic
without knowing it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from sessiongate.core.admission import Admitted, admit
from sessiongate.core.commands import (
    Close,
    CloseUser,
    Count,
    Ended,
    Existing,
    LimitReached,
    List,
    Open,
    Opened,
    Read,
    Replayed,
    Rotated,
    Sweep,
    Touch,
)
from sessiongate.core.rotation import close, present
from sessiongate.core.row import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sessiongate.core.admission import Shelf
    from sessiongate.core.commands import Outcome

__all__ = ["STEPS", "StoredRows"]

_BITE: Final = 16
"""Expired rows removed along with each login."""


class StoredRows(Protocol):
    """Rows that can be found and changed; without a judgement of their own."""

    def live(self, sid: str, now: int) -> Row | None:
        """The row, if it is live; an expired one is removed on sight."""
        ...

    def listed(self, username: str | None, now: int) -> Sequence[Row]:
        """The live rows of a user, or of all, oldest first."""
        ...

    def count(self, now: int) -> int:
        """How many rows are live."""
        ...

    def shelf(self, now: int) -> Shelf:
        """The rows as ``admission`` looks at them."""
        ...

    def insert(self, row: Row) -> None:
        """Add a row as the newest."""
        ...

    def replace(self, old: Row, new: Row) -> None:
        """Change a row in its place."""
        ...

    def remove(self, row: Row) -> None:
        """Remove a row."""
        ...

    def remove_user(self, username: str, keep: str | None) -> Iterable[Row]:
        """Remove all rows of a user but one: which they were, oldest first."""
        ...

    def expire(self, now: int, limit: int) -> int:
        """Remove up to ``limit`` expired rows: how many there were."""
        ...


def _open(rows: StoredRows, command: Open) -> Opened | Existing | LimitReached:
    rows.expire(command.now, _BITE)
    decision = admit(command, rows.shelf(command.now))
    if isinstance(decision, Existing):
        rows.replace(decision.row, decision.row)
    if not isinstance(decision, Admitted):
        return decision
    for row in decision.out:
        rows.remove(row)
    rows.insert(command.row)
    return Opened(command.row, tuple(Ended(row.sid, row.username) for row in decision.out))


def _touch(rows: StoredRows, command: Touch) -> Row | Rotated | Replayed | None:
    sid, generation, now, policy, rotation = command
    row = rows.live(sid, now)
    if row is None:
        return None
    answer = present(row, generation, now, policy, rotation)
    if type(answer) is Row:
        if answer is not row:
            rows.replace(row, answer)
    elif type(answer) is Rotated:
        rows.replace(row, answer.row)
    elif type(answer) is Replayed:
        rows.remove(row)
    return answer


def _read(rows: StoredRows, command: Read) -> Row | None:
    return rows.live(command.sid, command.now)


def _close(rows: StoredRows, command: Close) -> Ended | Replayed | None:
    row = rows.live(command.sid, command.now)
    if row is None:
        return None
    answer = close(row, command)
    if answer is not None:
        rows.remove(row)
    return answer


def _close_user(rows: StoredRows, command: CloseUser) -> tuple[Ended, ...]:
    gone = rows.remove_user(command.username, command.keep)
    return tuple(Ended(row.sid, row.username) for row in gone if command.now < row.expires_at)


def _sweep(rows: StoredRows, command: Sweep) -> int:
    return rows.expire(command.now, command.limit)


def _list(rows: StoredRows, command: List) -> tuple[Row, ...]:
    return tuple(rows.listed(command.username, command.now))


def _count(rows: StoredRows, command: Count) -> int:
    return rows.count(command.now)


STEPS: Final[Mapping[type, Callable[[Any, Any], Outcome]]] = {
    Open: _open,
    Touch: _touch,
    Read: _read,
    Close: _close,
    CloseUser: _close_user,
    Sweep: _sweep,
    List: _list,
    Count: _count,
}
