"""What is logged once a minute, however often it happens."""

from __future__ import annotations

from threading import Lock
from typing import Final

from sessiongate.core.row import SECOND

__all__ = ["Throttle"]

_PERIOD: Final = 60 * SECOND


class Throttle:
    """Lets one through a minute. Thread-safe, never waits; ``now`` in microseconds."""

    __slots__ = ("_lock", "_passed_at")

    def __init__(self) -> None:
        self._lock = Lock()
        self._passed_at: int | None = None

    def passes(self, now: int) -> bool:
        """Whether the last one that passed is a minute away; then this one is the last."""
        # Without waiting: a flood pays next to nothing, and whoever holds the lock passes.
        if self.is_closed(now) or not self._lock.acquire(blocking=False):
            return False
        try:
            if self.is_closed(now):
                return False
            self._passed_at = now
            return True
        finally:
            self._lock.release()

    def is_closed(self, now: int) -> bool:
        """Whether none passes at the moment."""
        # Both ways: threads read the clock in any order, and one that was set back far is no
        # reason to be silent until it has caught up.
        return self._passed_at is not None and abs(now - self._passed_at) < _PERIOD
