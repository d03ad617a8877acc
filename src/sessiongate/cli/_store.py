"""The store that a command is about, and what is asked of it.

Commands go to the store itself: reading and ending sessions takes no key.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple, TypeVar

import typer

from sessiongate.core.decisions import BATCH_SIZE, Decisions
from sessiongate.core.row import SECOND
from sessiongate.core.steps import ask, no_listener, run
from sessiongate.errors import ConfigurationError
from sessiongate.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sessiongate.core.row import Row
    from sessiongate.core.steps import Flow
    from sessiongate.events import Event
    from sessiongate.stores import Store

__all__ = ["URL", "AsJSON", "Counts", "Scan", "Sessions", "Timeout", "sessions_at"]

T = TypeVar("T")

_MANY: Final = 10_000
"""Sessions that are read in one answer without asking: Redis answers nobody else meanwhile."""

_BEGINNING: Final = 0
"""A time at which nothing has expired: a look then removes nothing, and sees what has ended."""

URL = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="URL",
        envvar="SESSIONGATE_STORE",
        help="Where the sessions are: sqlite:///sessions.db, redis://…, postgresql://… "
        "A password belongs in the variable: arguments are visible to other users.",
    ),
]
Timeout = Annotated[
    float,
    typer.Option(
        min=0.05, max=600, metavar="SECONDS", help="How long the store may take for each answer."
    ),
]
Scan = Annotated[
    bool, typer.Option("--scan", help=f"Read all sessions, even if they are more than {_MANY}.")
]
AsJSON = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


class Counts(NamedTuple):
    live: int
    expired: int
    """Still there: the next purge removes them."""


class Sessions:
    """The sessions in a store, at one moment."""

    def __init__(self, store: Store) -> None:
        self.now = round(time.time() * SECOND)
        self._store = store
        self._decisions = Decisions(store.codec)

    def __str__(self) -> str:
        return repr(self._store)

    def find(self, handle: str) -> Row | None:
        """A session, the expired included; nothing is touched or removed."""
        return self._run(self._decisions.look(_BEGINNING, handle))

    def of(self, username: str) -> tuple[Row, ...]:
        """The live sessions of a user, oldest first."""
        return self._list(username)

    def all(self, *, scan: bool) -> tuple[Row, ...]:
        """All live sessions, oldest first; very many only with ``scan``."""
        live = 0 if scan else self.count()
        if live > _MANY:
            msg = (
                f"there are {live} sessions, and all would be read at once, during which Redis "
                "answers nobody else: name a user, or add --scan (and --timeout) if you mean it"
            )
            raise ConfigurationError(msg)
        return self._list(None)

    def count(self) -> int:
        """How many are live."""
        return self._store.count(self.now)

    def counts(self) -> Counts:
        """How many are live, and how many have expired."""
        live = self.count()
        total = self._store.count(_BEGINNING)
        return Counts(live, max(total - live, 0))

    def _list(self, username: str | None) -> tuple[Row, ...]:
        return self._run(self._decisions.list(self.now, username))

    def end(self, handle: str) -> list[Event]:
        """End one session, whosesoever: the event of its end, if there was one."""
        events: list[Event] = []
        self._run(self._decisions.close(self.now, handle), events.append)
        return events

    def end_user(self, username: str, keep: str | None) -> list[Event]:
        """End all sessions of a user but one: the event of each end."""
        events: list[Event] = []
        self._run(self._decisions.close_user(self.now, username, keep), events.append)
        return events

    def _run(self, flow: Flow[T], emit: Callable[[Event], None] = no_listener) -> T:
        return run(flow, partial(ask, self._store), emit)

    def purge(self) -> Iterator[int]:
        """Remove what has expired, in bites: how many each removed."""
        removed = BATCH_SIZE
        while removed >= BATCH_SIZE:
            removed = self._store.sweep(self.now, BATCH_SIZE)
            yield removed


@contextmanager
def sessions_at(url: str | None, timeout: float) -> Iterator[Sessions]:
    """The sessions at a URL. There must be a store: looking makes none."""
    if not url:
        msg = "no store: give --store URL, or set SESSIONGATE_STORE"
        raise ConfigurationError(msg)
    store = open_store(url, create=False, timeout=timeout)
    try:
        yield Sessions(store)
    finally:
        store.close()
