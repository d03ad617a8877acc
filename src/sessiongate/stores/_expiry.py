"""Which sessions end when: found in the order of time, forgotten in one step."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING

from sessiongate.core.row import SECOND

if TYPE_CHECKING:
    from collections.abc import Iterator


class ExpiryIndex:
    """Sids by the second in which they expire; the seconds in a heap.

    A session that is closed early leaves nothing behind but, at most, the
    number of its second.
    """

    __slots__ = ("_seconds", "_sids")

    def __init__(self) -> None:
        self._sids: dict[int, set[str]] = {}
        self._seconds: list[int] = []

    def add(self, sid: str, expires_at: int) -> None:
        second = expires_at // SECOND
        sids = self._sids.get(second)
        if sids is None:
            self._sids[second] = {sid}
            heappush(self._seconds, second)
        else:
            sids.add(sid)

    def discard(self, sid: str, expires_at: int) -> None:
        second = expires_at // SECOND
        sids = self._sids.get(second)
        if sids is not None:
            sids.discard(sid)
            if not sids:
                del self._sids[second]

    def candidates(self, now: int) -> Iterator[str]:
        """Sids whose second has begun, earliest first; discard between steps."""
        while self._seconds and self._seconds[0] * SECOND <= now:
            sids = self._sids.get(self._seconds[0])
            if not sids:
                heappop(self._seconds)
                continue
            yield from tuple(sids)
            if self._sids.get(self._seconds[0]) is sids:
                return
