"""What this process has seen lately, within bounds. It holds no session and no answer of a store.

Three memories keep what a pure function of the key has found:

* ``core.operations``: what a verified token says. It saves the check of the signature: one
  microsecond for an opaque token, some 80 for a JWT.
* ``http.credentials``: what a ``Cookie`` or ``Authorization`` field says. It saves the parsing,
  a third of a check in memory.
* ``stores.codec``: the row that bytes stand for. It saves the parsing and checking of JSON.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from sessiongate.core.locks import fork_safe_lock

if TYPE_CHECKING:
    from collections.abc import Callable

K = TypeVar("K")
V = TypeVar("V")

BATCH: Final = 2048
"""As many are kept, and as many older ones: what a busy process sees. Some megabytes, or some tens
of them where tokens, cookies and claims are as large as they may be.
"""
SUPERSEDED: Final = 16_384
"""The same for superseded tokens: some megabytes at the most."""


class Recent(dict[K, V | None]):
    """A mapping that forgets what was not used lately. Safe for any number of threads.

    ``recent[key]`` is ``None`` for what is not known.
    """

    __slots__ = ("_batch", "_older")

    def __init__(self, batch: int = BATCH) -> None:
        super().__init__()
        self._batch = batch
        self._older: dict[K, V | None] = {}

    def __repr__(self) -> str:
        return f"<Recent: {self.size}>"

    @property
    def size(self) -> int:
        """All entries that are kept, the older ones too."""
        return len(self) + len(self._older)

    def __missing__(self, key: K) -> V | None:
        value = self._older.get(key)
        if value is not None:
            self.keep(key, value)
        return value

    def keep(self, key: K, value: V) -> None:
        if len(self) >= self._batch:
            self._older = self.copy()
            self.clear()
        self[key] = value


def remembering(function: Callable[[K], V | None]) -> Callable[[K], V | None]:
    """Cache what a function of its argument alone returns, but never a ``None``."""
    recent: Recent[K, V] = Recent()

    def remembered(key: K) -> V | None:
        value = recent[key]
        if value is None:
            value = function(key)
            if value is not None:
                recent.keep(key, value)
        return value

    return remembered


class Superseded:
    """Sessions that ended or were renewed: what this process did, and what a feed told it.

    Thread-safe, bounded. While one request has a rotated token to deliver, another one may end or
    refresh the session. The late token is dead, and would overwrite the newer cookie of the client.
    This saves a second store call on each response.
    """

    def __init__(self) -> None:
        self._lock = fork_safe_lock()
        self._oldest_sent: Recent[str, int] = Recent(SUPERSEDED)
        self.news: int = 0
        """How many additions there were."""
        self.tell: Callable[[str, int], object] | None = None
        """Who is told of each, in the thread that brings it."""

    def __len__(self) -> int:
        return self._oldest_sent.size

    def add(self, sid: str, generation: int) -> None:
        """Send no token of that session below the generation from now on."""
        with self._lock:
            # A logout may have overtaken the rotation that reports now.
            self._oldest_sent.keep(sid, max(generation, self._oldest_sent[sid] or 0))
            self.news += 1
        if self.tell is not None:
            self.tell(sid, generation)

    def covers(self, sid: str, generation: int) -> bool:
        """Whether a token of this generation must not be sent."""
        with self._lock:  # a look keeps what it finds, and must not undo an addition
            return generation < (self._oldest_sent[sid] or 0)
