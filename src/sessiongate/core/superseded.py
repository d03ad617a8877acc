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
from sessiongate.core.recent import Recent

_BATCH: Final = 16_384
"""Sessions that are kept, and as many older ones: some megabytes at the most."""


class Superseded:
    """Sids with the generation below which no token is sent. Thread-safe, bounded."""

    def __init__(self) -> None:
        self._lock = ForkSafeLock()
        self._oldest_sent: Recent[str, int] = Recent(_BATCH)

    def __len__(self) -> int:
        return self._oldest_sent.size

    def add(self, sid: str, generation: int) -> None:
        """Send no token of that session below the generation from now on."""
        with self._lock:
            # A logout may have overtaken the rotation that reports now.
            known = self._oldest_sent[sid] or 0
            self._oldest_sent.keep(sid, max(generation, known))

    def covers(self, sid: str, generation: int) -> bool:
        """Whether a token of this generation must not be sent."""
        with self._lock:  # a look keeps what it finds, and must not undo an addition
            return generation < (self._oldest_sent[sid] or 0)
