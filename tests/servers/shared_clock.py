"""A clock that stands still until it is moved, for several processes."""

from __future__ import annotations

import mmap
import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["SharedClock"]

_TIME: Final = struct.Struct("d")
_START: Final = 1_700_000_000.0


class SharedClock:
    """The ``clock=`` of managers in several processes: all look at one file.

    Whoever comes first makes the file. One process moves the clock, while the others are idle.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(_TIME.pack(_START))
        with path.open("r+b") as file:
            self._face = mmap.mmap(file.fileno(), _TIME.size)

    def __call__(self) -> float:
        """The time in Unix seconds."""
        now: float = _TIME.unpack_from(self._face)[0]
        return now

    def advance(self, seconds: float) -> None:
        """Let seconds pass for everybody."""
        _TIME.pack_into(self._face, 0, self() + seconds)
