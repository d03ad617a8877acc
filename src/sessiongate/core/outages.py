"""What a log is told of an outage: that it began, how many failures there were, that it ended.

During an outage every request fails, so a line for each would flood the log.
The first failure is told at once; then one line a minute at most, with the
count; and one line when the store answers again. No thread waits for that: a
store that comes and goes leaves two lines a minute at most.
"""

from __future__ import annotations

from typing import Final

from sessiongate.core.locks import ForkSafeLock
from sessiongate.core.row import SECOND

__all__ = ["Outages"]

_PERIOD: Final = 60 * SECOND


class Outages:
    """The failures of one manager's store, counted. Thread-safe; ``now`` in microseconds."""

    def __init__(self) -> None:
        self.pending = False
        """Whether something is still to be told: an end, or a count."""
        self._lock = ForkSafeLock()
        self._down = False
        self._untold = 0
        self._told_at: int | None = None

    def failed(self, now: int) -> int:
        """The failures to tell of, this one included; 0: nothing for the moment."""
        with self._lock:
            self._untold += 1
            self.pending = True
            if self._told_lately(now):
                return 0
            self._down = True
            return self._tell(now)

    def answered(self, now: int) -> int | None:
        """The failures since the last line, if it is time to tell that the store answers."""
        with self._lock:
            if self._down:
                self._down = False
                count, self._untold = self._untold, 0
            elif self._untold and not self._told_lately(now):
                count = self._tell(now)
            else:
                return None
            self.pending = False
            return count

    def _told_lately(self, now: int) -> bool:
        # Both ways: threads read the clock in any order, and one that was set back far is no
        # reason to be silent until it has caught up.
        return self._told_at is not None and abs(now - self._told_at) < _PERIOD

    def _tell(self, now: int) -> int:
        self._told_at = now
        count, self._untold = self._untold, 0
        return count
