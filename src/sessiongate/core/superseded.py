"""Which tokens, decided a moment ago, must not be sent any more.

A request may be on its way, with a rotated token to deliver, while another one
ends the session or refreshes it. The late token would be dead; sending it
would also overwrite the cookie that the client has by now. This process knows
for as long as such a response may still be sent. Of other processes it cannot
without a second call of the store: a slow response of theirs may bring a dead
token, within the grace, and the browser has to log in again.
"""

from __future__ import annotations

from typing import Final

from sessiongate.core.locks import ForkSafeLock
from sessiongate.core.row import SECOND

__all__ = ["LATE", "Superseded"]

LATE: Final = SECOND
"""How late, at least, a rotated token may still be sent, in microseconds."""

_MOST: Final = 16_384
"""Sessions that are kept, and as many older ones: some megabytes at the most."""


class Superseded:
    """Sids with the generation below which nothing is sent. Thread-safe.

    Args:
        keep: Microseconds for which an entry is kept at least, unless very
            many come; no clock makes it grow.
    """

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._lock = ForkSafeLock()
        self._newer: dict[str, int] = {}
        self._older: dict[str, int] = {}
        self._since = 0
        """When the newer ones were begun."""

    def __len__(self) -> int:
        return len(self._newer.keys() | self._older.keys())

    def add(self, sid: str, generation: int, now: int) -> None:
        """Send nothing of that session below the generation from now on."""
        with self._lock:
            # The clock may have been set back: then it is a new beginning as well.
            if len(self._newer) >= _MOST or abs(now - self._since) >= self._keep:
                self._older, self._newer, self._since = self._newer, {}, now
            # A logout may have overtaken the rotation that reports now.
            self._newer[sid] = max(generation, self._known(sid))

    def covers(self, sid: str, generation: int) -> bool:
        """Whether a token of this generation is not to be sent."""
        return generation < self._known(sid)

    def _known(self, sid: str) -> int:
        # Newer first: what is begun anew meanwhile has moved to the older ones.
        known = self._newer.get(sid)
        return self._older.get(sid, 0) if known is None else known
