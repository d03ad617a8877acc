"""Websockets and event streams of ASGI, which end with their session. No task is kept for each."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from sessiongate.feed.watch import in_loop

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Send

    from sessiongate.feed.watch import Watch

SESSION_ENDED: Final = "session ended"
"""The reason of the close, which a client can tell from a lost network."""
_CLOSE: Final = {"type": "websocket.close", "code": 1008, "reason": SESSION_ENDED}
_DISCONNECT: Final = {"type": "websocket.disconnect", "code": 1008, "reason": SESSION_ENDED}
_LAST: Final = {"type": "http.response.body", "body": b"", "more_body": False}


class SessionEndedError(OSError):
    """What ``send`` raises after the end, as ASGI asks of a server whose client has gone."""


class OpenStream:
    """A websocket, or an event stream that has begun, of a request. For its event loop alone.

    At the end of the session the client is told at once. The app sees that its client has gone: in
    ``receive``, or at its next ``send``; an event stream is cancelled where it waits.
    """

    __slots__ = ("_callback", "_farewell", "_loop", "_message", "_send", "_task", "_watch", "ended")

    patience: float = 5.0
    """Seconds that the client may take to read its close."""

    def __init__(
        self, watch: Watch, send: Send, *, task: asyncio.Task[object] | None = None
    ) -> None:
        self.ended: bool = False
        self._watch = watch
        self._send = send
        self._task = task
        """What waits, and is to be interrupted."""
        self._message = _CLOSE if task is None else _LAST
        self._farewell: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._callback = in_loop(self._loop, self._end)
        watch.call(self._callback)

    def _end(self) -> None:
        self.ended = True
        self._farewell = self._loop.create_task(self._tell())
        if self._task is not None:
            self._task.cancel()

    async def _tell(self) -> None:
        with suppress(Exception):  # the client, or the app, was faster
            await self._send(self._message)

    async def receive(self, receive: Receive) -> Message:
        """``receive`` of a websocket: what came, or that the client has gone."""
        if self.ended:
            return _DISCONNECT
        task = self._task = asyncio.current_task()
        try:
            message = await receive()
        except asyncio.CancelledError:
            if self._swallows(task):
                return _DISCONNECT
            raise
        finally:
            self._task = None
        return _DISCONNECT if self.ended else message

    async def send(self, message: Message) -> None:
        """``send``, until the end.

        Raises:
            SessionEndedError: The session has ended.
        """
        if self.ended:
            raise SessionEndedError(SESSION_ENDED)
        await self._send(message)

    def _swallows(self, task: asyncio.Task[object] | None) -> bool:
        """Whether a cancellation was ours alone; then it is over."""
        return self.ended and task is not None and task.uncancel() == 0

    def is_ours(self, error: BaseException) -> bool:
        """Whether the app ended because of this end."""
        if isinstance(error, asyncio.CancelledError):
            return self._swallows(self._task)
        return self.ended and isinstance(error, SessionEndedError)

    async def close(self) -> None:
        """Wait until the client was told: a server drops what an app leaves open.

        Not for long: the client may have stopped to read.
        """
        self._watch.forget(self._callback)
        self._task = None
        if self._farewell is not None:
            _, unread = await asyncio.wait((self._farewell,), timeout=self.patience)
            for task in unread:
                task.cancel()
