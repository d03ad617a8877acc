"""A store that counts what it is asked."""

from __future__ import annotations

from collections import Counter
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sessiongate.core.record import RowCodec
    from sessiongate.stores.base import Store

__all__ = ["CountingStore"]

_VERBS: Final = ("read", "swap", "of_user", "commit", "live", "count", "sweep", "together")


class CountingStore:
    """Hands every call to another store and counts it, failed ones as well.

    Each call of a verb is one trip, and so is a whole ``together``: ``calls``
    is what the requests of a test have cost. Safe for threads.

    Args:
        store: The store that does the work.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = Lock()
        self._counts: Counter[str] = Counter()
        self.shared = store.shared
        self.touch_every = store.touch_every
        self.codec: RowCodec = store.codec

    def __repr__(self) -> str:
        return f"CountingStore({self._store!r})"

    def __getattr__(self, name: str) -> Any:
        # Whatever verbs the store has, sync and async.
        verb = name.removeprefix("a")
        if name == "replace":  # of a store that waits for nothing: no trip, so it is not counted
            return getattr(self._store, name)
        method = getattr(self._store, name, None) if verb in _VERBS else None
        if method is None:
            raise AttributeError(name)
        return partial(self._counted, verb, method)

    @property
    def calls(self) -> int:
        """How many trips there were since the start, or the last ``reset``."""
        with self._lock:
            return self._counts.total()

    @property
    def by_verb(self) -> Mapping[str, int]:
        """The same by verb, such as ``{"read": 3, "swap": 1}``; a copy."""
        with self._lock:
            return dict(self._counts)

    def reset(self) -> None:
        """Count from zero again."""
        with self._lock:
            self._counts.clear()

    def close(self) -> None:
        """Close the store that does the work."""
        self._store.close()

    async def aclose(self) -> None:
        """Close the store that does the work."""
        await self._store.aclose()

    def _counted(self, verb: str, method: Any, *arguments: Any, **keywords: Any) -> Any:
        with self._lock:
            self._counts[verb] += 1
        return method(*arguments, **keywords)
