"""What work costs the processor, told in a way that no slow or busy machine changes."""

from __future__ import annotations

from time import thread_time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MILLISECOND", "yardsticks"]

MILLISECOND: Final = 1.0
"""About that is a yardstick, on the machines that the promises were written for."""

_STEPS: Final = 14_000
_TRIES: Final = 12


def _yardstick() -> None:
    """Do what Python does most: calls, sums and small objects."""
    total, seen = 0, {}
    for number in range(_STEPS):
        seen[number & 63] = (total, number)
        total += len(seen)


def _seconds(work: Callable[[], object]) -> float:
    """The processor's seconds of this thread."""
    began = thread_time()
    work()
    return thread_time() - began


def yardsticks(work: Callable[[], object], *, enough: float) -> float:
    """Return how many yardsticks a call of ``work`` takes, at best.

    Each try has a yardstick right before and right after it, so both meet the same machine. Others
    who use its caches make a try dear, never cheap: it is over as soon as one takes ``enough`` at
    most.
    """
    least = float("inf")
    for _ in range(_TRIES):
        before, spent, after = _seconds(_yardstick), _seconds(work), _seconds(_yardstick)
        least = min(least, spent / max(before, after))
        if least <= enough:
            break
    return least
