"""Processes that are stopped for a while, as a machine that is overloaded would stop them."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = ["stop_now"]

_STILL: Final = frozenset("TtZX")
"""Stopped, traced, or ended."""


def stop_now(*pids: int) -> None:
    """Stop processes, and return when all their threads have: until then one could still answer."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    for pid in pids:
        for thread in Path(f"/proc/{pid}/task").glob("*/stat"):
            with suppress(OSError):  # it has ended
                while thread.read_text().rpartition(")")[2].split()[0] not in _STILL:
                    os.sched_yield()
