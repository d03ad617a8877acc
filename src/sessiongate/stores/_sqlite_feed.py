"""News by a table of its own, which each change writes to and the feed looks at."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from sessiongate.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sessiongate.stores.base import News

_PAUSE: Final = 0.02
"""Seconds between two looks."""
_MOST: Final = 1000
_GAP: Final = "there was more news in the SQLite file than is kept"

_NEWS: Final = (  # with the newest number that was ever given, which tells of rows that are gone
    "SELECT newest, id, sid, generation "
    "FROM (SELECT coalesce(max(seq), 0) AS newest FROM sqlite_sequence WHERE name = 'news') "
    "LEFT JOIN (SELECT * FROM news WHERE id > ? ORDER BY id LIMIT ?) ON 1 ORDER BY id"
)


class SQLiteFeed:
    """What comes after the newest there is now. One read sees all that was committed before it.

    Args:
        query: Carries out a query of the store.
        sleep: Waits for some seconds.
    """

    def __init__(
        self,
        query: Callable[[str, tuple[Any, ...]], Sequence[Any]],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._query, self._sleep = query, sleep
        ((self._last, *_),) = query(_NEWS, (0, 0))
        self._is_asked = False

    def probe(self) -> None:
        self._is_asked = True

    def wait(self, seconds: float) -> Sequence[News | None]:
        asked, self._is_asked = self._is_asked, False
        if not asked:
            self._sleep(min(seconds, _PAUSE))
        rows = self._query(_NEWS, (self._last, _MOST))
        newest, first, *_ = rows[0]
        if first is None:
            rows, first = (), newest + 1
        if first != self._last + 1:
            raise StoreError(_GAP)
        if rows:
            self._last = rows[-1][1]
        found: list[News | None] = [(sid, generation) for _, _, sid, generation in rows]
        if asked and len(rows) < _MOST:
            found.append(None)
        elif asked:
            self._is_asked = True
        return found

    def close(self) -> None:
        """Nothing is kept open."""
