"""Tokens that a slow response must not send any more.

One request has a rotated token to deliver; meanwhile another one ends or
refreshes the session. The late token is dead, and it would overwrite the newer
cookie of the client. This memory saves a second store call on each response. It
knows nothing of other processes: a slow response of theirs may still bring a
dead token, within the grace, and the browser has to log in again.
"""

from __future__ import annotations

from typing import Final

from sessiongate.core.locks import ForkSafeLock
from sessiongate.core.row import SECOND

LATE: Final = SECOND
"""How late, at least, a rotated token may still be sent, in microseconds."""

_MOST: Final = 16_384
"""Sessions that are kept, and as many older ones: some megabytes at the most."""


class Superseded:
    """Sids with the generation below which no token is sent. Thread-safe, bounded.

    Args:
        keep: Microseconds for which an entry is kept, unless very many come.
    """

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._lock = ForkSafeLock()
        self._newer: dict[str, int] = {}
        self._older: dict[str, int] = {}
        self._since = 0

    def __len__(self) -> int:
        return len(self._newer.keys() | self._older.keys())

    def add(self, sid: str, generation: int, now: int) -> None:
        """Send no token of that session below the generation from now on."""
        with self._lock:
            # Begin anew also when the clock was set back.
            if len(self._newer) >= _MOST or abs(now - self._since) >= self._keep:
                self._older, self._newer, self._since = self._newer, {}, now
            # A logout may have overtaken the rotation that reports now.
            self._newer[sid] = max(generation, self._known(sid))

    def covers(self, sid: str, generation: int) -> bool:
        """Whether a token of this generation must not be sent."""
        return generation < self._known(sid)

    def _known(self, sid: str) -> int:
        # Newer first, because a thread may move the newer ones to the older meanwhile.
        known = self._newer.get(sid)
        return self._older.get(sid, 0) if known is None else known
