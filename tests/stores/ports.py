"""Ports for servers that a test stops and starts again."""

from __future__ import annotations

import os
import socket
from itertools import count
from typing import Final

__all__ = ["free_port"]

_FIRST: Final = 20_000
_MANY: Final = 12_000
_APART: Final = 331
"""Ports between two processes that were started one after the other."""
_numbers: Final = count()


def free_port() -> int:
    """A port that nobody uses, below those that the system gives to connections.

    One of those could be taken by somebody's connection while the server is down. No two processes
    that test at the same time begin at the same place.
    """
    while True:
        port = _FIRST + (os.getpid() * _APART + next(_numbers)) % _MANY
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
