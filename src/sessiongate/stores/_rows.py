"""Rows in memory, with the two indexes they are found by. No lock of its own."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from sessiongate.stores._expiry import ExpiryIndex

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sessiongate.core.row import Row

__all__ = ["LiveRows", "Rows"]


class Rows:
    """All rows in the order of opening, the expired ones until they are swept."""

    __slots__ = ("_by_sid", "_by_user", "_expiry")

    def __init__(self) -> None:
        self._by_sid: dict[str, Row] = {}
        # Tuples, because nearly every user has one session, and a million users have a million.
        self._by_user: dict[str, tuple[str, ...]] = {}
        self._expiry = ExpiryIndex()

    def __len__(self) -> int:
        return len(self._by_sid)

    def __iter__(self) -> Iterator[Row]:
        return iter(self._by_sid.values())

    def get(self, sid: str) -> Row | None:
        return self._by_sid.get(sid)

    def of_user(self, username: str) -> list[Row]:
        return [self._by_sid[sid] for sid in self._by_user.get(username, ())]

    def listed(self, username: str | None, now: int) -> list[Row]:
        rows = self if username is None else self.of_user(username)
        return [row for row in rows if now < row.expires_at]

    def count(self, now: int) -> int:
        return self.shelf(now).count(0)

    def shelf(self, now: int) -> LiveRows:
        return LiveRows(self, now)

    def insert(self, row: Row) -> None:
        self._by_sid[row.sid] = row
        self._by_user[row.username] = (*self._by_user.get(row.username, ()), row.sid)
        self._expiry.add(row.sid, row.expires_at)

    def replace(self, old: Row, new: Row) -> None:
        self._by_sid[new.sid] = new
        if new.expires_at != old.expires_at:
            self._expiry.discard(old.sid, old.expires_at)
            self._expiry.add(new.sid, new.expires_at)

    def remove(self, row: Row) -> None:
        self._forget([row])

    def remove_user(self, username: str, keep: str | None) -> list[Row]:
        gone = [row for row in self.of_user(username) if row.sid != keep]
        if gone:
            self._forget(gone)
        return gone

    def _forget(self, rows: Sequence[Row]) -> None:
        """Remove rows of one user; their list is made anew once, however many they are."""
        for row in rows:
            del self._by_sid[row.sid]
            self._expiry.discard(row.sid, row.expires_at)
        username = rows[0].username
        others = tuple(sid for sid in self._by_user[username] if sid in self._by_sid)
        if others:
            self._by_user[username] = others
        else:
            del self._by_user[username]

    def live(self, sid: str, now: int) -> Row | None:
        """The row, if it is live; an expired one is removed on sight."""
        row = self._by_sid.get(sid)
        if row is not None and row.expires_at <= now:
            self.remove(row)
            return None
        return row

    def expire(self, now: int, limit: int) -> int:
        """Remove up to ``limit`` expired rows: how many there were."""
        expired = (
            row
            for row in map(self._by_sid.__getitem__, self._expiry.candidates(now))
            if row.expires_at <= now
        )
        removed = 0
        for row in islice(expired, max(limit, 0)):
            self.remove(row)
            removed += 1
        return removed


class LiveRows:
    """What ``admission`` may look at: the rows that are live at one instant."""

    __slots__ = ("_now", "_rows")

    def __init__(self, rows: Rows, now: int) -> None:
        self._rows = rows
        self._now = now

    def of_user(self, username: str) -> list[Row]:
        return self._rows.listed(username, self._now)

    def find(self, sid: str) -> Row | None:
        return self._rows.live(sid, self._now)

    def count(self, enough: int) -> int:
        self._rows.expire(self._now, len(self._rows) + 1 - enough)
        return len(self._rows)

    def oldest(self) -> Iterator[Row]:
        return (row for row in self._rows if self._now < row.expires_at)
