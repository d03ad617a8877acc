"""Records in memory, with the indexes that they are found by. No lock of its own."""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Literal

from sessiongate.core.recent import Recent
from sessiongate.core.row import SECOND, Page, Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sessiongate.core.row import Row

_FEW: Final = 16
"""Expired records that are removed along with each new one."""
_CHUNK: Final = 9
"""Bits of a number below those of its chunk: 512 sessions are in one."""


class Records:
    """The verbs of a store, over rows that stay as they are: a row is its own data.

    In few bytes, for a million sessions: rows are found by sid, sids by
    username (a user with one session has no dictionary), and by the number that each
    gets when it is opened, in chunks, so that a page may begin anywhere. The
    second in which a session expires has its sid and its number; these seconds
    are in a heap.
    """

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self._by_user: dict[str, str | dict[str, None]] = {}
        self._by_number: dict[int, dict[int, str]] = {}
        self._by_second: dict[int, dict[str, int]] = {}
        self._seconds: list[int] = []
        self._next = 0
        self.ended: Recent[str, str] = Recent()
        """Sids that were removed of late: they tell an ended session from one of elsewhere."""

    def read(self, sid: str) -> Row | None:
        return self.rows.get(sid)

    def replace(self, old: Row, new: Row) -> None:
        self.rows[old.sid] = new
        if new.expires_at != old.expires_at:
            self._expire_at(new, self._by_second[old.expires_at // SECOND].pop(old.sid))

    def swap(self, old: Record, new: Record | None, now: int) -> Literal[True] | Row | None:  # noqa: ARG002
        found = self.rows.get(old.sid)
        if found is None or found != old.data:
            return found
        if new is None:
            self._remove(found)
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
        seen: Any,
        live: tuple[int, int] | None,
        now: int,
    ) -> bool:
        if any(self.rows.get(old.sid) != old.data for old in out):
            return False
        if new is not None and new.sid in self.rows:
            return False
        if seen is not None and self._sids_of(username) != seen:
            return False
        added = (new is not None) - sum(now < old.data.expires_at for old in out)
        if live is not None:
            # Below the limit it does not matter which of them are expired.
            exact = live[0] > 0 or len(self.rows) + added > live[1]
            if exact and not live[0] <= self.count(now) + added <= live[1]:
                return False
        for old in out:
            self._remove(old.data)
        if new is not None:
            self._add(new.data)
            # Only of seconds that are over: all in them are expired.
            self.sweep(now - SECOND + 1, _FEW)
        return True

    def live(self, now: int, most: int, after: int | None = None) -> Page:
        place = -1 if after is None else after
        records: list[Record] = []
        for number, sid in self._numbered(place):
            row = self.rows[sid]
            if now < row.expires_at:
                if len(records) >= most:
                    return Page(records, place)
                records.append(_record(row))
                place = number
        return Page(records, None)

    def count(self, now: int) -> int:
        expired, places = 0, [0]
        while places:  # down the heap, as far as the seconds have begun
            place = places.pop()
            if place < len(self._seconds) and (second := self._seconds[place]) * SECOND <= now:
                sids = self._by_second[second]
                over = (second + 1) * SECOND <= now
                expired += len(sids) if over else sum(self.rows[s].expires_at <= now for s in sids)
                places += 2 * place + 1, 2 * place + 2
        return len(self.rows) - expired

    def sweep(self, now: int, most: int) -> int:
        removed = 0
        while removed < most and self._seconds and self._seconds[0] * SECOND <= now:
            sids = self._by_second[self._seconds[0]]
            expired = (row for sid in sids if (row := self.rows[sid]).expires_at <= now)
            for row in list(islice(expired, most - removed)):
                self._remove(row)
                removed += 1
            if sids:
                break
            del self._by_second[heappop(self._seconds)]
        return removed

    def _sids_of(self, username: str) -> tuple[str, ...]:
        sids = self._by_user.get(username, ())
        return (sids,) if isinstance(sids, str) else tuple(sids)

    def _numbered(self, start: int) -> Iterator[tuple[int, str]]:
        """Numbers and sids in the order of opening, from after a number on."""
        first = start >> _CHUNK
        for chunk, sids in self._by_number.items():
            if chunk > first:
                yield from sids.items()
            elif chunk == first:
                yield from (item for item in sids.items() if item[0] > start)

    def _add(self, row: Row) -> None:
        self.rows[row.sid] = row
        others = self._by_user.setdefault(row.username, row.sid)
        if isinstance(others, dict):
            others[row.sid] = None
        elif others != row.sid:
            self._by_user[row.username] = {others: None, row.sid: None}
        self._by_number.setdefault(self._next >> _CHUNK, {})[self._next] = row.sid
        self._expire_at(row, self._next)
        self._next += 1

    def _expire_at(self, row: Row, number: int) -> None:
        second = row.expires_at // SECOND
        if second not in self._by_second:
            self._by_second[second] = {}
            heappush(self._seconds, second)
        self._by_second[second][row.sid] = number

    def _remove(self, row: Row) -> None:
        del self.rows[row.sid]
        self.ended.keep(row.sid, row.sid)
        number = self._by_second[row.expires_at // SECOND].pop(row.sid)
        chunk = self._by_number[number >> _CHUNK]
        del chunk[number]
        if not chunk:
            del self._by_number[number >> _CHUNK]
        sids = self._by_user[row.username]
        if isinstance(sids, str):
            del self._by_user[row.username]
        else:
            del sids[row.sid]
            if len(sids) == 1:
                (self._by_user[row.username],) = sids


def _record(row: Row) -> Record:
    return Record(row.sid, row.username, row.expires_at, row)
