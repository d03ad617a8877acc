"""Checks under load, while the server behind a store is replaced."""

from __future__ import annotations

import asyncio
import time
from threading import Event, Thread
from typing import TYPE_CHECKING

from sessiongate.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sessiongate import SessionManager

__all__ = ["Checks"]


class Checks:
    """Checks tokens in a thread and in a task, as fast as they can, and notes what is wrong."""

    def __init__(self, manager: SessionManager, kept: list[str], ended: list[str]) -> None:
        self._manager, self._kept, self._ended = manager, kept, ended
        self.errors: list[Exception] = []
        self.wrong: set[str] = set()
        self.slowest = 0.0
        self.served = Event()
        self._stopping = Event()
        self._threads = [
            Thread(target=lambda: asyncio.run(self._check(self._called))),
            Thread(target=lambda: asyncio.run(self._check(manager.asession_username))),
        ]
        for thread in self._threads:
            thread.start()

    def go_on(self) -> None:
        """Return when the store has answered once more."""
        self.served.clear()
        assert self.served.wait(60), self.errors[-1:]

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    async def _called(self, token: str) -> str | None:
        return self._manager.session_username(token)

    async def _check(self, username_of: Callable[[str], Awaitable[str | None]]) -> None:
        while not self._stopping.is_set():
            started = time.monotonic()
            try:
                if await username_of(self._kept[len(self.errors) % 20]) != "alice":
                    self.wrong.add("a session is lost")
                if await username_of(self._ended[len(self.errors) % 20]) is not None:
                    self.wrong.add("an ended session is accepted")
                self.served.set()
                await asyncio.sleep(0)
            except StoreError as error:
                self.errors.append(error)
                self.slowest = max(self.slowest, time.monotonic() - started)
                await asyncio.sleep(0.02)
