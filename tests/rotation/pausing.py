"""A store that can be held between its decision and its reply."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import TYPE_CHECKING, Any

from tests.stores.passing import PassingStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from sessiongate.stores import Store

_LONG = 30
"""Seconds, after which a test that hangs is a test that fails."""


class PausingStore(PassingStore):
    """The first change after ``hold`` is done, and its reply kept back."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._decided = Event()
        self._released = Event()
        self._armed = False

    def after(self, name: str) -> None:
        if name in {"swap", "commit"} and self._armed:
            self._armed = False
            self._decided.set()
            assert self._released.wait(_LONG), "nobody released the reply"

    @contextmanager
    def held(self, request: Callable[[], Any]) -> Iterator[Future[Any]]:
        """Run a request up to the store's decision; its reply comes when the block is left."""
        self._decided.clear()
        self._released.clear()
        self._armed = True
        with ThreadPoolExecutor(1) as thread:
            future = thread.submit(request)
            try:
                assert self._decided.wait(_LONG), "the request did not ask the store"
                yield future
            finally:
                self._released.set()
