"""What stands between a process and its store, and can cut, freeze, delay or refuse."""

from __future__ import annotations

import socket
import threading
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

__all__ = ["Proxy", "Way"]

Way: TypeAlias = Literal["feed", "commands"]
_LISTENS: Final = (b"SUBSCRIBE", b'LISTEN "')
"""What a client of Redis or PostgreSQL says on the connection of a feed alone."""


@dataclass(eq=False)
class _Link:
    client: socket.socket
    server: socket.socket
    way: Way = "commands"

    def cut(self) -> None:
        for end in (self.client, self.server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


class Proxy:
    """Passes bytes on to a port of this machine. Knows the feed by what is said on it."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._links: set[_Link] = set()
        self._changed = threading.Condition()
        self._frozen: set[Way] = set()
        self._delays: dict[Way, float] = {}
        self._refuses = self._closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    # The faults.

    def cut(self, *ways: Way) -> None:
        """End the connections of these ways; new ones may be made."""
        for link in self._links.copy():
            if link.way in ways:
                link.cut()

    def freeze(self, *ways: Way) -> None:
        """Hold all bytes back, until ``heal``."""
        self._frozen.update(ways)

    def delay(self, way: Way, seconds: float) -> None:
        """Hold what the server says back for so long, until ``heal``."""
        self._delays[way] = seconds

    def refuse(self) -> None:
        """End all connections and take no new ones, until ``heal``."""
        self._refuses = True
        self.cut("feed", "commands")

    def heal(self) -> None:
        with self._changed:
            self._frozen.clear()
            self._delays.clear()
            self._refuses = False
            self._changed.notify_all()

    def close(self) -> None:
        self._closed = True
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # which wakes who accepts
        self._listener.close()
        self.heal()
        self.cut("feed", "commands")

    # The work.

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                if self._refuses:
                    raise ConnectionRefusedError
                server = socket.create_connection(("127.0.0.1", self._to), timeout=2)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            link = _Link(client, server)
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._links.add(link)
            threading.Thread(target=self._pump, args=(link,), daemon=True).start()

    def _pump(self, link: _Link) -> None:
        with closing(link.client), closing(link.server):
            back = threading.Thread(target=self._pass, args=(link, link.server, link.client))
            back.daemon = True
            back.start()
            self._pass(link, link.client, link.server)
            back.join()
        self._links.discard(link)

    def _pass(self, link: _Link, source: socket.socket, target: socket.socket) -> None:
        forth = source is link.client
        with suppress(OSError):
            while data := source.recv(65536):
                if forth and any(word in data for word in _LISTENS):
                    link.way = "feed"
                with self._changed:
                    self._changed.wait_for(lambda: link.way not in self._frozen)
                    delay = 0.0 if forth else self._delays.get(link.way, 0.0)
                    if delay:
                        self._changed.wait_for(lambda: link.way not in self._delays, delay)
                target.sendall(data)
        link.cut()
