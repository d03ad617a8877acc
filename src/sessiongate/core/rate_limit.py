"""Log lines that a flood must not repeat."""

from __future__ import annotations

from threading import Lock
from typing import Final

from sessiongate.core.row import SECOND

__all__ = ["OncePerMinute"]

_PERIOD: Final = 60 * SECOND


class OncePerMinute:
    """Allows one line a minute. Thread-safe; ``now`` in microseconds."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._last: int | None = None

    def allows(self, now: int) -> bool:
        """Whether a line may be written now; a clock that was set back silences nothing."""
        with self._lock:
            if self._last is not None and 0 <= now - self._last < _PERIOD:
                return False
            self._last = now
            return True
