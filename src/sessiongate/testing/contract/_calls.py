"""How the suite calls a store: alone or all at once, by calling or by awaiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sessiongate.commands import Command
    from sessiongate.stores.base import Store

__all__ = ["RACERS", "Call", "Race", "calling", "racing"]

RACERS: Final = 32
"""How many take part in a race."""

_PATIENCE: Final = 30.0
"""Seconds until a race that does not start is a failure."""

Call: TypeAlias = Callable[["Command"], Any]


@contextmanager
def calling(store: Store, colour: str) -> Iterator[Call]:
    """One of the two faces of a store, ``"sync"`` or ``"async"``, as a function."""
    if colour == "sync":
        yield store.execute
        return
    with asyncio.Runner() as runner:
        try:
            yield lambda command: runner.run(store.aexecute(command))
        finally:
            runner.run(store.aclose())


class Race:
    """Runs commands against each other; all start at one barrier.

    Args:
        store: The store under test.
        colour: ``"threads"``, ``"tasks"`` of one event loop, or ``"both"``:
            every other command in a thread, the rest in tasks.
        threads: Where the threads come from; at least ``RACERS`` of them.
        runner: The event loop of the tasks.
    """

    def __init__(
        self, store: Store, colour: str, threads: ThreadPoolExecutor, runner: asyncio.Runner
    ) -> None:
        self.store = store
        self.colour = colour
        self._every = {"threads": 1, "tasks": RACERS + 1, "both": 2}[colour]
        self._threads = threads
        self._runner = runner

    def alone(self, command: Command) -> Any:
        """Carry out one command with nothing beside it."""
        return self.store.execute(command)

    def __call__(self, commands: Sequence[Command]) -> list[Any]:
        """Carry out all commands at once: their outcomes in the same order."""
        places = range(1, len(commands) + 1)
        by_thread = [
            command
            for place, command in zip(places, commands, strict=True)
            if place % self._every == 0
        ]
        by_task = [
            command for place, command in zip(places, commands, strict=True) if place % self._every
        ]
        start = Barrier(len(by_thread) + 1)
        futures = [self._threads.submit(self._thread, start, command) for command in by_thread]
        in_tasks = iter(self._runner.run(self._tasks(start, by_task)))
        in_threads = iter([future.result(_PATIENCE) for future in futures])
        return [next(in_tasks if place % self._every else in_threads) for place in places]

    def _thread(self, start: Barrier, command: Command) -> Any:
        start.wait(_PATIENCE)
        return self.store.execute(command)

    async def _tasks(self, start: Barrier, commands: Sequence[Command]) -> list[Any]:
        start.wait(_PATIENCE)
        return await asyncio.gather(*(self.store.aexecute(command) for command in commands))


@contextmanager
def racing(store: Store, colour: str) -> Iterator[Race]:
    """A ``Race`` with threads and an event loop of its own."""
    with ThreadPoolExecutor(RACERS) as threads, asyncio.Runner() as runner:
        try:
            yield Race(store, colour, threads, runner)
        finally:
            runner.run(store.aclose())
