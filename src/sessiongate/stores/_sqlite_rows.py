"""Rows in SQLite. They know SQL and no rule; ``_steps`` knows the rules and no SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sessiongate.core.row import Row
from sessiongate.stores._stored import FORMAT, restored

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

__all__ = ["MustWrite", "SQLiteRows"]

_FIELDS: Final = ", ".join(Row._fields)
_SELECT: Final = f"SELECT format, {_FIELDS} FROM session"  # noqa: S608 - names of our own
_OF_SID: Final = f"{_SELECT} WHERE sid = ?"
_OF_USER: Final = f"{_SELECT} WHERE username = ? ORDER BY opened"
_INSERT: Final = (
    f"INSERT INTO session (format, {_FIELDS}) "  # noqa: S608 - names of our own
    f"VALUES ({FORMAT}{', ?' * len(Row._fields)})"
)
_UPDATE: Final = (
    "UPDATE session SET last_accessed = ?, expires_at = ?, generation = ?, rotated_at = ?,"
    " previous_until = ?, oldest_accepted = ?, revoked_below = ?, shared = ? WHERE sid = ?"
)
# The plus keeps SQLite from sorting by the index on expires_at: the table itself is in order.
_LIVE: Final = f"{_SELECT} WHERE +expires_at > ? ORDER BY opened"
_EXPIRED: Final = "SELECT opened FROM session WHERE expires_at <= ? LIMIT ?"


class MustWrite(Exception):  # noqa: N818 - a signal, not an error
    """A step that was only to look has found something to write."""

    def __init__(self, instead: Row | None = None) -> None:
        super().__init__()
        self.instead = instead
        """What may be answered if the write has to be left out."""


class SQLiteRows:
    """The rows as one connection sees them; with ``writable`` in a transaction.

    Without it a write raises ``MustWrite``: the caller begins a transaction
    and takes the whole step again, from reading on.
    """

    def __init__(self, connection: sqlite3.Connection, *, writable: bool) -> None:
        self._connection = connection
        self._writable = writable

    def live(self, sid: str, now: int) -> Row | None:
        record = self._connection.execute(_OF_SID, (sid,)).fetchone()
        row = None if record is None else restored(record)
        if row is not None and row.expires_at <= now:
            self.remove(row)
            return None
        return row

    def listed(self, username: str | None, now: int) -> Sequence[Row]:
        if username is None:
            return list(self.oldest(now))
        return [row for row in self._of_user(username) if now < row.expires_at]

    def oldest(self, now: int) -> Iterator[Row]:
        return _rows(self._connection.execute(_LIVE, (now,)))

    def total(self) -> int:
        """How many rows there are, the expired ones included; no search."""
        return self._number("SELECT sessions FROM tally")

    def count(self, now: int) -> int:
        return self._number(
            "SELECT sessions - (SELECT count(*) FROM session WHERE expires_at <= ?) FROM tally", now
        )

    def shelf(self, now: int) -> _Shelf:
        return _Shelf(self, now)

    def insert(self, row: Row) -> None:
        self._write(_INSERT, row)

    def replace(self, old: Row, new: Row) -> None:
        # last_accessed may lag behind. Nothing else may.
        instead = old if new == old.accessed(new.last_accessed) else None
        self._write(_UPDATE, (new.last_accessed, new.expires_at, *new[6:12], old.sid), instead)

    def remove(self, row: Row) -> None:
        self._write("DELETE FROM session WHERE sid = ?", (row.sid,))

    def remove_user(self, username: str, keep: str | None) -> list[Row]:
        records = self._of_user(username)
        which = (username, keep)
        if self._number("SELECT count(*) FROM session WHERE username = ? AND sid IS NOT ?", *which):
            # The unreadable ones as well: nothing of this user is to be left.
            self._write("DELETE FROM session WHERE username = ? AND sid IS NOT ?", which)
        return [row for row in records if row.sid != keep]

    def expire(self, now: int, limit: int) -> int:
        found = self._connection.execute(_EXPIRED, (now, max(limit, 0))).fetchall()
        for opened in found:
            self._write("DELETE FROM session WHERE opened = ?", opened)
        return len(found)

    def _of_user(self, username: str) -> list[Row]:
        return list(_rows(self._connection.execute(_OF_USER, (username,))))

    def _number(self, sql: str, *arguments: object) -> int:
        (number,) = self._connection.execute(sql, arguments).fetchone()
        return number  # type: ignore[no-any-return] # a count

    def _write(self, sql: str, arguments: Sequence[object], instead: Row | None = None) -> None:
        if not self._writable:
            raise MustWrite(instead)
        self._connection.execute(sql, arguments)


class _Shelf:
    """What ``admission`` may look at: the rows that are live at one instant."""

    def __init__(self, rows: SQLiteRows, now: int) -> None:
        self._rows = rows
        self._now = now

    def of_user(self, username: str) -> Sequence[Row]:
        return self._rows.listed(username, self._now)

    def find(self, sid: str) -> Row | None:
        return self._rows.live(sid, self._now)

    def count(self, enough: int) -> int:
        """Only near the limit the expired are counted, along their index; the live never."""
        total = self._rows.total()
        return total if total < enough else self._rows.count(self._now)

    def oldest(self) -> Iterator[Row]:
        return self._rows.oldest(self._now)


def _rows(records: sqlite3.Cursor) -> Iterator[Row]:
    return (row for row in map(restored, records) if row is not None)
