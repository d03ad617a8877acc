"""Records in memory, with the indexes that they are found by. No lock of its own."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final, Literal

from sessiongate.core.record import Page, Record
from sessiongate.core.row import SECOND
from sessiongate.stores._expiry import ExpiryIndex

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sessiongate.core.row import Row

__all__ = ["Records"]

_BITE: Final = 16
"""Expired records removed along with each login."""

_CHUNK: Final = 9
"""Bits of a number below those of its chunk: 512 sessions are in one."""


class Records:
    """The verbs of a store, over rows that stay as they are: a row is its own data.

    In few bytes, for a million sessions: rows are found by sid, sids by
    username (a user with one session has no tuple), and by the number that each
    gets when it is opened, in chunks, so that a page may begin anywhere.
    """

    __slots__ = ("_by_number", "_by_user", "_expiry", "_next", "rows")

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self._by_user: dict[str, str | tuple[str, ...]] = {}
        self._by_number: dict[int, dict[int, str]] = {}
        self._expiry = ExpiryIndex()
        self._next = 0

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def entries(self) -> int:
        """All that is kept, in all indexes."""
        numbers = sum(map(len, self._by_number.values()))
        return len(self.rows) + len(self._by_user) + numbers + len(self._expiry)

    def read(self, sid: str) -> Row | None:
        return self.rows.get(sid)

    def replace(self, old: Row, new: Row) -> bool:
        if self.rows.get(old.sid) != old:
            return False
        self.rows[old.sid] = new
        if new.expires_at != old.expires_at:
            number = self._expiry.pop(old.sid, old.expires_at)
            self._expiry.add(old.sid, new.expires_at, number)
        return True

    def swap(self, old: Record, new: Record | None, now: int) -> Literal[True] | Row | None:  # noqa: ARG002
        found = self.rows.get(old.sid)
        if found is None or found != old.data:
            return found
        if new is None:
            self._remove([found])
        else:
            self.replace(found, new.data)
        return True

    def of_user(self, username: str) -> tuple[tuple[str, ...], list[Record]]:
        sids = self._sids_of(username)
        return sids, [_record(self.rows[sid]) for sid in sids]

    def commit(
        self,
        username: str,
        out: Sequence[Record],
        new: Record | None,
        seen: tuple[str, ...] | None,
        live: tuple[int, int] | None,
        now: int,
    ) -> bool:
        if any(self.rows.get(old.sid) != old.data for old in out):
            return False
        if new is not None and new.sid in self.rows:
            return False
        if seen is not None and self._sids_of(username) != seen:
            return False
        if live is not None:
            added = (new is not None) - sum(now < old.data.expires_at for old in out)
            # Below the limit the expired need not be told from the live.
            if live[0] or len(self.rows) + added > live[1]:
                after = self.count(now) + added
                if not live[0] <= after <= live[1]:
                    return False
        if out:
            self._remove([old.data for old in out])
        if new is not None:
            self._add(new.data)
            # Of seconds that are over: then none of theirs is looked at in vain.
            self.sweep(now - SECOND + 1, _BITE)
        return True

    def live(self, now: int, most: int, after: int | None = None) -> Page:
        start = -1 if after is None else after
        ahead = (
            (number, row)
            for number, sid in self._numbered(start)
            if now < (row := self.rows[sid]).expires_at
        )
        found = list(islice(ahead, most + 1))
        records = [_record(row) for _, row in found[:most]]
        return Page(records, found[most - 1][0] if len(found) > most else None)

    def count(self, now: int) -> int:
        expired = 0
        for over, sids in self._expiry.begun(now):
            expired += len(sids) if over else sum(self.rows[s].expires_at <= now for s in sids)
        return len(self.rows) - expired

    def sweep(self, now: int, most: int) -> int:
        removed = 0
        for sid in self._expiry.candidates(now) if most > 0 else ():
            row = self.rows[sid]
            if row.expires_at <= now:
                self._remove([row])
                removed += 1
                if removed >= most:
                    break
        return removed

    def _sids_of(self, username: str) -> tuple[str, ...]:
        sids = self._by_user.get(username, ())
        return (sids,) if isinstance(sids, str) else sids

    def _numbered(self, start: int) -> Iterator[tuple[int, str]]:
        """Numbers and sids in the order of opening, from after a number on."""
        first = start >> _CHUNK
        for chunk, sids in self._by_number.items():
            if chunk > first:
                yield from sids.items()
            elif chunk == first:
                yield from (item for item in sids.items() if item[0] > start)

    def _add(self, row: Row) -> None:
        sid, username, number = row.sid, row.username, self._next
        self._next = number + 1
        self.rows[sid] = row
        others = self._sids_of(username)
        self._by_user[username] = (*others, sid) if others else sid
        self._by_number.setdefault(number >> _CHUNK, {})[number] = sid
        self._expiry.add(sid, row.expires_at, number)

    def _remove(self, rows: Sequence[Row]) -> None:
        """Remove rows; the sids of each user are listed anew once, however many go."""
        for row in rows:
            del self.rows[row.sid]
            number = self._expiry.pop(row.sid, row.expires_at)
            chunk = self._by_number[number >> _CHUNK]
            del chunk[number]
            if not chunk:
                del self._by_number[number >> _CHUNK]
        for username in {row.username for row in rows}:
            others = tuple(sid for sid in self._sids_of(username) if sid in self.rows)
            if others:
                self._by_user[username] = others if len(others) > 1 else others[0]
            else:
                del self._by_user[username]


def _record(row: Row) -> Record:
    return Record(row.sid, row.username, row.expires_at, row)
