"""What may happen between a browser and a site: requests at once, answers that get lost."""

from __future__ import annotations

import asyncio
import socket
from threading import Barrier, Event
from typing import Any, Final

__all__ = ["Road"]

_LONG: Final = 60
"""Seconds, after which a test that hangs is a test that fails."""


class Road:
    """Leads to one path of an app of either kind, on the servers of ``tests.servers.running``."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._meeting: Barrier | None = None
        self._lost = Event()
        self.broken = False
        """Whether answers get lost, after all was decided and written down."""

    def meet(self, number: int) -> None:
        """Let so many requests wait for each other, before any of them is judged."""
        self._meeting = Barrier(number)

    def wait_for_loss(self) -> None:
        """Return when an answer is lost."""
        assert self._lost.wait(_LONG)
        self._lost.clear()

    def open(self) -> None:
        """Let everything through again."""
        self._meeting, self.broken = None, False

    def wsgi(self, app: Any) -> Any:
        """Where an answer is lost the connection breaks, as by a network."""

        def passing(environ: dict[str, Any], start_response: Any) -> Any:
            if environ["PATH_INFO"] != self._path:
                return app(environ, start_response)
            if self._meeting is not None:
                self._meeting.wait(_LONG)
            answer = app(environ, start_response)
            if self.broken:
                environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
                self._lost.set()
            return answer

        return passing

    def asgi(self, app: Any) -> Any:
        """Where an answer is lost it waits until the browser has gone, as by a closed tab."""

        async def passing(scope: Any, receive: Any, send: Any) -> None:
            here = scope["type"] == "http" and scope["path"] == self._path
            if here and self._meeting is not None:
                await asyncio.to_thread(self._meeting.wait, _LONG)
            if not (here and self.broken):
                await app(scope, receive, send)
                return
            await app(scope, receive, _keep_back)
            self._lost.set()
            while (await receive())["type"] != "http.disconnect":
                pass

        return passing


async def _keep_back(_message: Any) -> None:
    pass
