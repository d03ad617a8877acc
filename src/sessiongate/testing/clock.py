"""A clock that stands still until it is moved."""

from __future__ import annotations

from datetime import timedelta
from threading import Lock

__all__ = ["ManualClock"]


class ManualClock:
    """The ``clock=`` of a manager under test: time passes when the test says so.

    Safe for threads.

    Args:
        start: The first time shown, in Unix seconds.
    """

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._lock = Lock()
        self._now = float(start)

    def __call__(self) -> float:
        """The time in Unix seconds."""
        return self._now

    def __repr__(self) -> str:
        return f"ManualClock({self._now!r})"

    def advance(self, seconds: float | timedelta) -> float:
        """Let seconds pass, negative ones to set the clock back; the new time."""
        if isinstance(seconds, timedelta):
            seconds = seconds.total_seconds()
        with self._lock:
            self._now += seconds
            return self._now

    def set(self, seconds: float) -> None:
        """Show this time, in Unix seconds."""
        with self._lock:
            self._now = float(seconds)
