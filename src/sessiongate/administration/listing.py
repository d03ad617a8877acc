"""Live sessions, all at once or page by page; nothing is touched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from sessiongate.core.recent import Recent
from sessiongate.core.row import row_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sessiongate.core.row import Record, Row, RowCodec
    from sessiongate.core.steps import Flow

BATCH_SIZE: Final = 500
"""Records that a store lists or sweeps in one call: a few milliseconds on each."""

_UNKNOWN: Final = "the session that after= names has ended: start again without after="


class _Place(NamedTuple):
    """Where a page goes on, also if its last session has ended meanwhile."""

    start: int | None
    """After which place of the store to read."""
    seen: frozenset[str]
    """The sids that come again there."""


class Listing:
    """The flows that list, for the records of one codec.

    What it keeps of the pages is bounded, and of this process: another one searches for
    the session ``after`` from the start.
    """

    def __init__(self, codec: RowCodec) -> None:
        self._codec = codec
        self._places: Recent[str, _Place] = Recent()
        self._opened: Recent[str, tuple[int, str]] = Recent()

    def of_user(self, now: int, username: str) -> Flow[tuple[Row, ...]]:
        """The live rows of a user, in the order of opening."""
        _, records = yield "of_user", username
        return tuple(self._rows(records, now))

    def all(self, now: int) -> Flow[tuple[Row, ...]]:
        """All live rows, in the order of opening."""
        rows: list[Row] = []
        place = None
        while True:
            records, place = yield "live", now, BATCH_SIZE, place
            rows += self._rows(records, now)
            if place is None:
                return tuple(rows)

    def page(self, now: int, limit: int, after: str | None) -> Flow[tuple[Row, ...]]:
        """Up to ``limit`` live rows from behind the session ``after``, in the order of opening."""
        start, seen = None, frozenset[str]()
        if after is not None:
            start, seen = self._places[after] or (yield from self._find(now, after))
        found: list[Row] = []
        while True:
            most = min(limit + len(seen) - len(found), BATCH_SIZE)
            records, following = yield "live", now, most, start
            rows = [row for row in self._rows(records, now) if row.sid not in seen]
            rows = rows[: limit - len(found)]
            if rows:
                found += rows
                place = _Place(following, frozenset())
                if following is None or rows[-1].sid != records[-1].sid:
                    place = _place_behind(rows[-1].sid, records, start)
                self._places.keep(rows[-1].sid, place)
            if following is None or len(found) >= limit:
                return tuple(found)
            start = following

    def page_of_user(
        self, now: int, username: str, limit: int, after: str | None
    ) -> Flow[tuple[Row, ...]]:
        """``page`` of the sessions of one user, by the time of opening."""
        rows = sorted((yield from self.of_user(now, username)), key=_opened)
        if after is not None:
            known = next((_opened(row) for row in rows if row.sid == after), self._opened[after])
            if known is None:
                raise ValueError(_UNKNOWN)
            rows = [row for row in rows if _opened(row) > known]
        for row in rows[:limit][-1:]:
            self._opened.keep(row.sid, _opened(row))
        return tuple(rows[:limit])

    def _find(self, now: int, sid: str) -> Flow[_Place]:
        start = None
        while True:
            records, following = yield "live", now, BATCH_SIZE, start
            if any(record.sid == sid for record in records):
                return _place_behind(sid, records, start)
            if following is None:
                raise ValueError(_UNKNOWN)
            start = following

    def _rows(self, records: Iterable[Record], now: int) -> Iterable[Row]:
        found = (row_of(record, self._codec) for record in records if now < record.expires_at)
        return (row for row in found if row is not None)


def _place_behind(sid: str, records: Sequence[Record], start: int | None) -> _Place:
    sids = [record.sid for record in records]
    return _Place(start, frozenset(sids[: sids.index(sid) + 1]))


def _opened(row: Row) -> tuple[int, str]:
    return row.created_at, row.sid
