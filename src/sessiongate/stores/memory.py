"""Sessions in this process, gone with it."""

from __future__ import annotations

from threading import Lock
from types import coroutine
from typing import TYPE_CHECKING

from sessiongate.core.commands import Sweep
from sessiongate.stores._rows import Rows
from sessiongate.stores._steps import STEPS

if TYPE_CHECKING:
    from collections.abc import Generator

    from sessiongate.core.commands import Command, Outcome

__all__ = ["MemoryStore"]


@coroutine
def _turn() -> Generator[None, None, None]:
    """Let others have theirs: many bites in a row would hold up the event loop."""
    yield


class MemoryStore:
    """The default store: dictionaries and one lock.

    The lock is held for microseconds, so the async face takes it as well and
    never leaves the loop. Safe for threads; not shared between processes.
    """

    shared = False
    touch_every = 0
    blocking = False

    def __init__(self) -> None:
        self._lock = Lock()
        self._rows = Rows()

    def __repr__(self) -> str:
        return f"<MemoryStore: {len(self._rows)} rows>"

    def execute(self, command: Command) -> Outcome:
        """Carry out a command under the lock."""
        return self._step(command)

    async def aexecute(self, command: Command) -> Outcome:
        """Carry out a command; nothing in it waits."""
        if type(command) is Sweep:
            await _turn()
        return self._step(command)

    def _step(self, command: Command) -> Outcome:
        self._lock.acquire()  # `with` takes twice as long, on every request
        try:
            return STEPS[type(command)](self._rows, command)
        finally:
            self._lock.release()

    def close(self) -> None:
        """Nothing to release."""

    async def aclose(self) -> None:
        """Nothing to release."""
