"""A store that counts what it is asked."""

from __future__ import annotations

from collections import Counter
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sessiongate.core.commands import Command, Outcome
    from sessiongate.stores.base import Store

__all__ = ["CountingStore"]


class CountingStore:
    """Hands every command to another store and counts it, failed ones as well.

    Each command is one round trip, so ``calls`` is what the requests of a test
    have cost. Safe for threads.

    Args:
        store: The store that does the work.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = Lock()
        self._counts: Counter[str] = Counter()
        self.shared = store.shared
        self.touch_every = store.touch_every

    def __repr__(self) -> str:
        return f"CountingStore({self._store!r})"

    @property
    def calls(self) -> int:
        """How many commands there were since the start, or the last ``reset``."""
        with self._lock:
            return self._counts.total()

    @property
    def by_command(self) -> Mapping[str, int]:
        """The same by name of the command, such as ``{"Touch": 3}``; a copy."""
        with self._lock:
            return dict(self._counts)

    def reset(self) -> None:
        """Count from zero again."""
        with self._lock:
            self._counts.clear()

    def execute(self, command: Command) -> Outcome:
        """Count and carry out a command."""
        self._count(command)
        return self._store.execute(command)

    async def aexecute(self, command: Command) -> Outcome:
        """Count and carry out a command."""
        self._count(command)
        return await self._store.aexecute(command)

    def close(self) -> None:
        """Close the store that does the work."""
        self._store.close()

    async def aclose(self) -> None:
        """Close the store that does the work."""
        await self._store.aclose()

    def _count(self, command: Command) -> None:
        with self._lock:
            self._counts[type(command).__name__] += 1
