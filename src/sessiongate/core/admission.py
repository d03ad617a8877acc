"""Who may open a session: reuse, replacement and limits, decided in one place.

Stores that decide in Python (memory, SQLite) call ``admit`` inside their
atomic step; the others say the same in their own language, and the contract
suite holds them to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from sessiongate.core.commands import Existing, LimitReached, Open
from sessiongate.core.rotation import share

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sessiongate.core.row import Row

__all__ = ["Admitted", "Shelf", "admit"]


class Shelf(Protocol):
    """What the decision may look at; all of it live at ``command.now``."""

    def of_user(self, username: str) -> Sequence[Row]:
        """The user's rows, oldest first."""
        ...

    def find(self, sid: str) -> Row | None:
        """The row of this sid."""
        ...

    def count(self, enough: int) -> int:
        """How many rows there are; below ``enough`` an overcount will do."""
        ...

    def oldest(self) -> Iterable[Row]:
        """All rows, oldest first; read only as far as needed."""
        ...


class Admitted(NamedTuple):
    """The new row may go in once these are out."""

    out: tuple[Row, ...]


def admit(command: Open, shelf: Shelf) -> Admitted | Existing | LimitReached:
    """Decide an ``Open``; the caller carries it out in the same atomic step."""
    mine = shelf.of_user(command.row.username) if command.looks_at_user else ()
    if command.existing == "reuse":
        for row in reversed(mine):
            if row.scopes_and_claims == command.row.scopes_and_claims:
                return Existing(share(row, command.now))
    replaced = None if command.replaces is None else shelf.find(command.replaces)
    out = {} if replaced is None else {replaced.sid: replaced}
    if command.existing == "replace":
        out.update((row.sid, row) for row in mine)
    if command.user_limit is not None:
        staying = [row for row in mine if row.sid not in out]
        excess = len(staying) + 1 - command.user_limit
        if excess > 0 and not command.evict:
            return LimitReached("user")
        out.update((row.sid, row) for row in staying[: max(excess, 0)])
    if command.limit is not None:
        excess = shelf.count(command.limit) - len(out) + 1 - command.limit
        if excess > 0 and not command.evict:
            return LimitReached("total")
        for row in shelf.oldest() if excess > 0 else ():
            if row.sid not in out:
                out[row.sid] = row
                excess -= 1
            if excess <= 0:
                break
    return Admitted(tuple(out.values()))
