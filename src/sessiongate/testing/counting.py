"""A store that counts what it is asked."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from sessiongate.core.locks import fork_safe_lock

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping, Sequence

    from sessiongate.core.row import Page, Record, RowCodec
    from sessiongate.stores.base import Seen, Store

__all__ = ["CountingStore"]


class CountingStore:
    """Hands every call to another store and counts it, failed ones as well.

    Each call of a verb is one trip, and so is a whole ``together``: ``calls``
    is what the requests of a test have cost. Safe for threads.

    Args:
        store: The store that does the work.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = fork_safe_lock()
        self._counts: Counter[str] = Counter()
        self.shared: bool = store.shared
        self.touch_every: int = store.touch_every
        self.codec: RowCodec = store.codec
        self.sharded: bool = getattr(store, "sharded", False)
        feed = getattr(store, "feed", None)
        if feed is not None:
            self.feed = feed

    def __repr__(self) -> str:
        return f"CountingStore({self._store!r})"

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

    def read(self, sid: str) -> Any | None:
        return self._counted("read").read(sid)

    def aread(self, sid: str) -> Coroutine[Any, Any, Any | None]:
        return self._counted("read").aread(sid)

    def swap(self, old: Record, new: Record | None, now: int) -> Literal[True] | Any | None:
        return self._counted("swap").swap(old, new, now)

    def aswap(
        self, old: Record, new: Record | None, now: int
    ) -> Coroutine[Any, Any, Literal[True] | Any | None]:
        return self._counted("swap").aswap(old, new, now)

    def of_user(self, username: str) -> tuple[Seen, Sequence[Record]]:
        return self._counted("of_user").of_user(username)

    def aof_user(self, username: str) -> Coroutine[Any, Any, tuple[Seen, Sequence[Record]]]:
        return self._counted("of_user").aof_user(username)

    def commit(
        self,
        username: str,
        out: Sequence[Record],
        new: Record | None,
        seen: Seen | None,
        live: tuple[int, int] | None,
        now: int,
    ) -> bool:
        return self._counted("commit").commit(username, out, new, seen, live, now)

    def acommit(
        self,
        username: str,
        out: Sequence[Record],
        new: Record | None,
        seen: Seen | None,
        live: tuple[int, int] | None,
        now: int,
    ) -> Coroutine[Any, Any, bool]:
        return self._counted("commit").acommit(username, out, new, seen, live, now)

    def live(self, now: int, most: int, after: int | None = None) -> Page:
        return self._counted("live").live(now, most, after)

    def alive(self, now: int, most: int, after: int | None = None) -> Coroutine[Any, Any, Page]:
        return self._counted("live").alive(now, most, after)

    def count(self, now: int) -> int:
        return self._counted("count").count(now)

    def acount(self, now: int) -> Coroutine[Any, Any, int]:
        return self._counted("count").acount(now)

    def sweep(self, now: int, most: int) -> int:
        return self._counted("sweep").sweep(now, most)

    def asweep(self, now: int, most: int) -> Coroutine[Any, Any, int]:
        return self._counted("sweep").asweep(now, most)

    def close(self) -> None:
        self._store.close()

    async def aclose(self) -> None:
        await self._store.aclose()

    def __getattr__(self, name: str) -> Any:
        """The verbs that a store may have or not."""
        if name == "replace":  # of a store that waits for nothing: no trip, so it is not counted
            return getattr(self._store, name)
        if name in {"together", "atogether"}:
            return partial(self._optional, getattr(self._store, name))
        raise AttributeError(name)

    def _optional(self, verb: Any, *arguments: Any, **keywords: Any) -> Any:
        self._counted("together")
        return verb(*arguments, **keywords)

    def _counted(self, verb: str) -> Store:
        with self._lock:
            self._counts[verb] += 1
        return self._store
