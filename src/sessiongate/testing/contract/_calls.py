"""How the suite calls a store: alone or all at once, by calling or by awaiting."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier
from typing import TYPE_CHECKING, Any, Concatenate, Final, TypeAlias

import pytest

from sessiongate.admission.rules import Login
from sessiongate.core.row import Page
from sessiongate.testing.commands import aexecute, execute
from sessiongate.testing.contract._exact import exact

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from sessiongate.stores.base import Store
    from sessiongate.testing.commands import Command

__all__ = ["RACERS", "Call", "Race", "Verb", "calling", "racing", "verbs", "without_total"]

RACERS: Final = 32
"""How many take part in a race."""

_PATIENCE: Final = 30.0
"""Seconds until a race that does not start is a failure."""

_SHORTEST: Final = 1e-6
"""Seconds between two turns of threads."""

Call: TypeAlias = Callable[["Command"], Any]
Verb: TypeAlias = Callable[Concatenate[str, ...], Any]
"""``verb("swap", old, new, now)``."""


@contextmanager
def calling(store: Store, colour: str) -> Generator[Call]:
    """One of the two faces of a store, ``"sync"`` or ``"async"``, as a function."""
    if colour == "sync":
        yield lambda command: exact(execute(store, _fit(store, command)))
        return
    with asyncio.Runner() as runner:
        try:
            yield lambda command: exact(runner.run(aexecute(store, _fit(store, command))))
        finally:
            runner.run(store.aclose())


def without_total(store: Any, command: Command) -> Command:
    """The same without a limit over all users, where a store cannot keep one."""
    if getattr(store, "sharded", False) and isinstance(command, Login):
        return command._replace(limit=None)
    return command


def _fit(store: Any, command: Command) -> Command:
    if without_total(store, command) != command:
        pytest.skip("a sharded store keeps no limit over all users")
    return command


@contextmanager
def verbs(store: Any, colour: str) -> Generator[Verb]:
    """Each verb of one of the two faces of a store; a list for each sequence that comes back."""

    def fit(name: str, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        if name == "commit" and arguments[4] is not None and getattr(store, "sharded", False):
            pytest.skip("a sharded store keeps no limit over all users")
        return arguments

    if colour == "sync":
        yield lambda name, *arguments: _as_lists(getattr(store, name)(*fit(name, arguments)))
        return
    with asyncio.Runner() as runner:
        try:
            yield lambda name, *arguments: _as_lists(
                runner.run(getattr(store, f"a{name}")(*fit(name, arguments)))
            )
        finally:
            runner.run(store.aclose())


def _as_lists(outcome: Any) -> Any:
    match outcome:
        case Page(records, place):
            return Page(list(records), place)
        case (first, second) if type(outcome) is tuple and not isinstance(second, str):
            return first, list(second)
        case _:
            return outcome


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
        return exact(execute(self.store, command))

    def __call__(self, commands: Sequence[Command]) -> list[Any]:
        """Carry out all commands at once: their outcomes in the same order."""
        return [outcome for (outcome,) in self.stories([[command] for command in commands])]

    def stories(self, stories: Sequence[Sequence[Command]]) -> list[list[Any]]:
        """Carry out several commands each, one after the other, all at once: their outcomes."""
        for story in stories:
            for command in story:
                _fit(self.store, command)
        places = range(1, len(stories) + 1)
        by_thread = [
            story for place, story in zip(places, stories, strict=True) if place % self._every == 0
        ]
        by_task = [
            story for place, story in zip(places, stories, strict=True) if place % self._every
        ]
        start = Barrier(len(by_thread) + 1)
        futures = [self._threads.submit(self._thread, start, story) for story in by_thread]
        in_tasks = iter(self._runner.run(self._tasks(start, by_task)))
        in_threads = iter([future.result(_PATIENCE) for future in futures])
        return [next(in_tasks if place % self._every else in_threads) for place in places]

    def _thread(self, start: Barrier, story: Sequence[Command]) -> list[Any]:
        start.wait(_PATIENCE)
        return [exact(execute(self.store, command)) for command in story]

    async def _tasks(self, start: Barrier, stories: Sequence[Sequence[Command]]) -> list[list[Any]]:
        start.wait(_PATIENCE)
        return await asyncio.gather(*map(self._task, stories))

    async def _task(self, story: Sequence[Command]) -> list[Any]:
        return [exact(await aexecute(self.store, command)) for command in story]


@contextmanager
def racing(store: Store, colour: str) -> Generator[Race]:
    """A ``Race`` with threads and an event loop of its own."""
    interval = sys.getswitchinterval()
    with ThreadPoolExecutor(RACERS) as threads, asyncio.Runner() as runner:
        try:
            # Threads take turns as often as they can: a short step is hardly ever interrupted else.
            # But a tracer (coverage) must be let into each new thread uninterrupted.
            if sys.gettrace() is None:
                sys.setswitchinterval(_SHORTEST)
            yield Race(store, colour, threads, runner)
        finally:
            sys.setswitchinterval(interval)
            runner.run(store.aclose())
