"""How times are taken: rounds of all cases in turn, minimum and median of each."""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ROUNDS = 9


@dataclass
class Case:
    """One row of a table: a name, and what is done once."""

    name: str
    once: Callable[[], object]
    repeats: int = 5_000
    times: list[float] = field(default_factory=list)

    @property
    def minimum(self) -> float:
        """Microseconds, of the best round."""
        return min(self.times)

    @property
    def median(self) -> float:
        """Microseconds, of the middle round."""
        return statistics.median(self.times)

    def run(self) -> None:
        """Take one round."""
        once, repeats = self.once, self.repeats
        start = time.perf_counter()
        for _ in range(repeats):
            once()
        self.times.append((time.perf_counter() - start) / repeats * 1e6)


@dataclass
class AsyncCase(Case):
    """A case to await."""

    async def arun(self) -> None:
        """Take one round."""
        once: Callable[[], Awaitable[object]] = self.once  # type: ignore[assignment]
        repeats = self.repeats
        start = time.perf_counter()
        for _ in range(repeats):
            await once()
        self.times.append((time.perf_counter() - start) / repeats * 1e6)


async def interleaved(cases: list[Case]) -> None:
    """Run all cases in turn, so that a slow moment of the machine hits them alike."""
    for _ in range(ROUNDS):
        for case in cases:
            gc.collect()
            if isinstance(case, AsyncCase):
                await case.arun()
            else:
                case.run()
            await asyncio.sleep(0)
