"""How times are taken: many short rounds of a group's cases in turn, minimum and median of each.

A round is shorter than the slice that a busy machine gives to a process, so
that the best of many was interrupted by nobody; and all that is compared takes
turns, so that a slow minute hits it alike. Microseconds of two runs are not
comparable: only ratios within one are.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from inspect import iscoroutinefunction
from typing import Any, Final, Literal, cast

__all__ = ["Case", "interleaved"]

ROUNDS: Final = 300
ROUND: Final = 0.002
"""Seconds."""

Once = Callable[[], Any]
Kind = Literal["bare", "floor", "ours", "rival"]


@dataclass
class Case:
    """One row of a table: a name, and what is done once, by calling or by awaiting."""

    name: str
    once: Once
    kind: Kind = "rival"
    repeats: int = 1
    times: list[float] = field(default_factory=list)

    @property
    def minimum(self) -> float:
        """Microseconds, of the best round."""
        return min(self.times)

    @property
    def median(self) -> float:
        """Microseconds, of the middle round."""
        return statistics.median(self.times)

    async def run(self) -> float:
        """Do it ``repeats`` times: seconds."""
        repeated = _awaited if iscoroutinefunction(self.once) else _called
        return await repeated(self.once, self.repeats)

    async def calibrate(self) -> None:
        """Warm up, and find out how often it fits into a round."""
        while (took := min([await self.run() for _ in range(5)])) < ROUND / 2:
            self.repeats = max(self.repeats * 2, int(self.repeats * ROUND / 2 / max(took, 1e-9)))


async def _called(once: Once, repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        once()
    return time.perf_counter() - start


async def _awaited(once: Once, repeats: int) -> float:
    awaited = cast(Callable[[], Awaitable[Any]], once)
    start = time.perf_counter()
    for _ in range(repeats):
        await awaited()
    return time.perf_counter() - start


async def interleaved(cases: list[Case], rounds: int = ROUNDS) -> None:
    """Run the cases of a group in turn."""
    for case in cases:
        await case.calibrate()
    gc.collect()
    gc.freeze()  # what is there stays: it is not looked through while somebody is timed
    for _ in range(rounds):
        for case in cases:
            case.times.append(await case.run() / case.repeats * 1e6)
    gc.unfreeze()
