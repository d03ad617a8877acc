"""Few log lines for what happens often: a store that is down, what others send."""

from __future__ import annotations

import math
from typing import Final

from sessiongate.core.locks import fork_safe_lock
from sessiongate.core.row import SECOND

_PERIOD: Final = 60 * SECOND


class Throttle:
    """Passes once a minute. Thread-safe; ``now`` in microseconds."""

    __slots__ = ("_lock", "_passed_at")

    def __init__(self) -> None:
        self._lock = fork_safe_lock()
        self._passed_at = -math.inf

    def passes(self, now: int) -> bool:
        """Whether the last pass is a minute away; then this is the last one."""
        if self.is_closed(now):  # all that a flood costs
            return False
        with self._lock:
            if self.is_closed(now):
                return False
            self._passed_at = now
            return True

    def is_closed(self, now: int) -> bool:
        """Whether none passes at the moment."""
        # In both directions: threads read the clock in any order, and a clock that was set back
        # must not silence the log until it has caught up.
        return -_PERIOD < now - self._passed_at < _PERIOD


class Outages:
    """Counts the failures of one manager's store, for few log lines. Thread-safe.

    The first failure is logged at once, then one line a minute at most, with the count, and one
    line when the store answers again. A store that comes and goes leaves two lines a minute at
    most. ``now`` in microseconds.
    """

    def __init__(self) -> None:
        self.pending: bool = False
        """True while a log line is pending: "answers again", or a failure count."""
        self._lock = fork_safe_lock()
        self._throttle = Throttle()
        self._down = False
        self._unlogged = 0

    def failed(self, now: int) -> int:
        """The failures to log, this one included; 0: no line for the moment."""
        with self._lock:
            self._unlogged += 1
            self.pending = True
            if not self._throttle.passes(now):
                return 0
            self._down = True
            return self._take_count()

    def answered(self, now: int) -> int | None:
        """The failures since the last line, if it is time to log that the store answers."""
        with self._lock:
            if not self._down and not (self._unlogged and self._throttle.passes(now)):
                return None
            self._down = self.pending = False
            return self._take_count()

    def _take_count(self) -> int:
        count, self._unlogged = self._unlogged, 0
        return count
