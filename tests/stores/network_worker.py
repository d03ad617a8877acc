"""What the tests of shared stores have other processes do."""

from __future__ import annotations

import os
import sys
from itertools import count
from typing import TYPE_CHECKING, Final

from sessiongate import stores
from sessiongate.testing.commands import Close, execute
from sessiongate.testing.contract._material import START, login, named, session
from sessiongate.testing.outcomes import Opened

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sessiongate.stores import Store

PATIENCE: Final = 60


def open_store(url: str) -> Store:
    if url.startswith("redis"):
        return stores.RedisStore(url, connect_timeout=PATIENCE, timeout=PATIENCE)
    return stores.PostgresStore(url, connect_timeout=PATIENCE, timeout=PATIENCE)


def say(*words: object) -> None:
    """One line in one write, so that a killed process has said it or has not."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def logins(url: str, name: str, times: str, limit: str) -> None:
    """Log in so many times and say how often it worked."""
    store = open_store(url)
    say("ready")
    sys.stdin.readline()
    rows = [session(f"{name}-{number}", name) for number in range(int(times))]
    say(sum(isinstance(execute(store, login(row, limit=int(limit))), Opened) for row in rows))
    store.close()


def churn(url: str, name: str) -> None:
    """Log in and out until killed; say what is tried and what was acknowledged."""
    store = open_store(url)
    for number in count():
        sid = named(f"{name}-{number}")
        execute(store, login(session(f"{name}-{number}")))
        say("in", sid)
        if number % 2:
            say("leaving", sid)
            execute(store, Close(sid, START))
            say("out", sid)


TASKS: Final[Mapping[str, Callable[..., None]]] = {"churn": churn, "logins": logins}

if __name__ == "__main__":
    TASKS[sys.argv[1]](*sys.argv[2:])
