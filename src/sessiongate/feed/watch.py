"""Whether the session of a request has ended: ``.ended``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sessiongate.core.locks import fork_safe_lock
from sessiongate.core.row import FOREVER

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from threading import Lock


class Watch:
    """Tells when a session ends: by a logout or a replay anywhere, an eviction, or its lifetime.

    Once set it stays so. Safe for any number of threads, tasks and event loops. One that watches
    nobody is never set.
    """

    __slots__ = ("__weakref__", "_callbacks", "_is_set", "_lock", "expires_at", "sid")

    def __init__(self, sid: str, expires_at: int, lock: Lock) -> None:
        self.sid: str = sid
        self.expires_at: int = expires_at
        self._lock = lock
        self._is_set = False
        self._callbacks: tuple[Callable[[], object], ...] = ()

    @classmethod
    def of_nobody(cls) -> Watch:
        """One that is never set."""
        return cls("", FOREVER, fork_safe_lock())

    def __repr__(self) -> str:
        return f"<Watch: {'ended' if self._is_set else 'not ended'}>"

    def is_set(self) -> bool:
        """Whether the session has ended, as far as this process knows; asks no store."""
        return self._is_set

    async def wait(self) -> None:
        """Wait until the session has ended."""
        import asyncio  # noqa: PLC0415 - loaded where a loop runs anyway

        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()

        def tell() -> None:
            if not ended.done():
                ended.set_result(None)

        callback = in_loop(loop, tell)
        self.call(callback)
        try:
            await ended
        finally:
            self.forget(callback)

    def call(self, callback: Callable[[], object]) -> None:
        """Have this called, once, in whatever thread learns of the end; at once if it has come."""
        with self._lock:
            if not self._is_set:
                self._callbacks += (callback,)
                return
        callback()

    def forget(self, callback: Callable[[], object]) -> None:
        """Have that not called any more."""
        with self._lock:
            self._callbacks = tuple(one for one in self._callbacks if one is not callback)

    def end(self) -> None:
        """Note that the session has ended, and tell everybody."""
        with self._lock:
            callbacks, self._callbacks = self._callbacks, ()
            self._is_set = True
        for callback in callbacks:
            callback()


def in_loop(loop: asyncio.AbstractEventLoop, function: Callable[[], object]) -> Callable[[], None]:
    """The function, to be called from any thread; a loop that is closed does not hear of it."""

    def call() -> None:
        if not loop.is_closed():
            try:
                loop.call_soon_threadsafe(function)
            except RuntimeError:  # it was closed just now
                return

    return call
