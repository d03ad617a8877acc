"""Which tokens, decided a moment ago, must not be sent any more.

A request may be on its way, with a rotated token to deliver, while another one
ends the session or refreshes it. The late token would be dead; sending it
would also overwrite the cookie that the client has by now. This process knows
for as long as such a response may still be sent. Of other processes it cannot
without a second call of the store: a slow response of theirs may bring a dead
token, within the grace, and the browser has to log in again.
"""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import NamedTuple

__all__ = ["Superseded"]


class _Entry(NamedTuple):
    generation: int
    until: int


class Superseded:
    """Sids with the generation below which nothing is sent. Thread-safe."""

    def __init__(self, grace: int) -> None:
        self._grace = grace
        self._lock = Lock()
        self._entries: OrderedDict[str, _Entry] = OrderedDict()

    def add(self, sid: str, generation: int, now: int) -> None:
        with self._lock:
            while self._entries and next(iter(self._entries.values())).until < now:
                self._entries.popitem(last=False)
            known = self._entries.pop(sid, None)
            if known is not None:  # a logout may have overtaken the rotation that reports now
                generation = max(generation, known.generation)
            self._entries[sid] = _Entry(generation, now + self._grace)

    def covers(self, sid: str, generation: int) -> bool:
        """Whether a token of this generation is not to be sent."""
        entry = self._entries.get(sid)
        return entry is not None and generation < entry.generation
