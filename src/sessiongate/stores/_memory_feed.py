"""The news of a store in memory, for other managers of the same process."""

from __future__ import annotations

from collections import deque
from threading import Event
from typing import TYPE_CHECKING, Final

from sessiongate.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sessiongate.stores.base import News

_MOST: Final = 100_000
_TOO_MANY: Final = "the news of the store in memory came faster than it was read"


class MemoryFeed:
    """One listener. ``tell`` is for any thread, the rest for one."""

    def __init__(self, feeds: list[MemoryFeed]) -> None:
        self._feeds = feeds
        self._waiting: deque[News | None] = deque(maxlen=_MOST)
        self._came = Event()
        feeds.append(self)

    def tell(self, news: News | None) -> None:
        """Bring news, or the proof."""
        self._waiting.append(news)
        self._came.set()

    def probe(self) -> None:
        self.tell(None)

    def wait(self, seconds: float) -> Sequence[News | None]:
        self._came.wait(seconds)
        self._came.clear()
        if len(self._waiting) == _MOST:
            raise StoreError(_TOO_MANY)
        return [self._waiting.popleft() for _ in range(len(self._waiting))]

    def close(self) -> None:
        if self in self._feeds:
            self._feeds.remove(self)
