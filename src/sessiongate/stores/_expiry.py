"""Which sessions end when: found in the order of time, forgotten in one step."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING

from sessiongate.core.row import SECOND

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ExpiryIndex"]


class ExpiryIndex:
    """Sids, each with a number, by the second in which they expire; the seconds in a heap.

    A session that ends early leaves nothing behind but, at most, its second,
    until that has passed.
    """

    __slots__ = ("_seconds", "_sids")

    def __init__(self) -> None:
        self._sids: dict[int, dict[str, int]] = {}
        self._seconds: list[int] = []

    def __len__(self) -> int:
        return sum(map(len, self._sids.values()))

    def add(self, sid: str, expires_at: int, number: int) -> None:
        second = expires_at // SECOND
        sids = self._sids.get(second)
        if sids is None:
            self._sids[second] = {sid: number}
            heappush(self._seconds, second)
        else:
            sids[sid] = number

    def pop(self, sid: str, expires_at: int) -> int:
        """Forget a session: its number."""
        return self._sids[expires_at // SECOND].pop(sid)

    def begun(self, now: int) -> Iterator[tuple[bool, dict[str, int]]]:
        """Each second that has begun: whether it is over, and its sids. In no order."""
        places = [0]
        while places:
            place = places.pop()
            if place < len(self._seconds) and (second := self._seconds[place]) * SECOND <= now:
                yield (second + 1) * SECOND <= now, self._sids[second]
                places += 2 * place + 1, 2 * place + 2

    def candidates(self, now: int) -> Iterator[str]:
        """Sids whose second has begun, earliest first; forget each before the next."""
        while self._seconds and self._seconds[0] * SECOND <= now:
            second = self._seconds[0]
            yield from tuple(self._sids[second])
            if self._sids[second]:
                return  # the second is not over, or the bite was
            del self._sids[heappop(self._seconds)]
