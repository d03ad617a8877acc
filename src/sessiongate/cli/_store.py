"""The store that a command is about, what is asked of it, and the options for both.

Commands go to the store itself: reading and ending sessions takes no key.
"""

from __future__ import annotations

import time
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from sessiongate.administration.flows import Administration
from sessiongate.administration.listing import BATCH_SIZE
from sessiongate.core.decisions import Decisions
from sessiongate.core.row import SECOND
from sessiongate.core.steps import ask, no_listener, run
from sessiongate.errors import ConfigurationError
from sessiongate.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from sessiongate.core.row import Row
    from sessiongate.core.steps import Flow
    from sessiongate.events import Event
    from sessiongate.stores import Store

T = TypeVar("T")


_BEGINNING: Final = 0
"""A time at which nothing has expired: a look then removes nothing, and sees what has ended."""

URL = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="URL",
        envvar="SESSIONGATE_STORE",
        help="Where the sessions or API tokens are: sqlite:///sessions.db, redis://…, "
        "postgresql://… A password belongs in the variable: arguments are visible to other users.",
    ),
]
Timeout = Annotated[
    float,
    typer.Option(
        min=0.05, max=600, metavar="SECONDS", help="How long the store may take for each answer."
    ),
]

AsJSON = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def checked(check: Callable[..., T], value: Any, *arguments: Any) -> T | None:
    """An option that was given, as ``check`` returns it; what it refuses is a wrong call."""
    try:
        return None if value is None else check(value, *arguments)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


class Sessions:
    """The sessions in a store, at one moment."""

    def __init__(self, store: Store) -> None:
        self.now = round(time.time() * SECOND)
        self.store = store
        self._decisions = Decisions(store.codec)
        self._many = Administration(self._decisions)

    def find(self, handle: str) -> Row | None:
        """A session, the expired included; nothing is touched or removed."""
        return self._run(self._decisions.look(_BEGINNING, handle))

    def of(self, username: str) -> tuple[Row, ...]:
        """The live sessions of a user, oldest first."""
        return self._run(self._many.listing.of_user(self.now, username))

    def pages(self) -> Iterator[tuple[Row, ...]]:
        """All live sessions, oldest first, in bites that keep no store from its other work."""
        after = None
        while rows := self._run(self._many.listing.page(self.now, BATCH_SIZE, after)):
            yield rows
            after = rows[-1].sid

    def first(self) -> tuple[Row, ...]:
        """The oldest live session, if there is one."""
        return self._run(self._many.listing.page(self.now, 1, None))

    def counts(self) -> tuple[int, int]:
        """How many are live, and how many have expired and wait for the next purge."""
        live = self.store.count(self.now)
        return live, max(self.store.count(_BEGINNING) - live, 0)

    def end(self, handle: str) -> list[Event]:
        """End one session, whosesoever: the event of its end, if there was one."""
        return self._ended(self._decisions.close(self.now, handle))

    def end_user(self, username: str, keep: str | None) -> list[Event]:
        """End all sessions of a user but one: the event of each end."""
        return self._ended(self._many.close_user(self.now, username, keep))

    def _ended(self, flow: Flow[Any]) -> list[Event]:
        events: list[Event] = []
        self._run(flow, events.append)
        return events

    def _run(self, flow: Flow[T], emit: Callable[[Event], None] = no_listener) -> T:
        return run(flow, partial(ask, self.store), emit)

    def purge(self) -> Iterator[int]:
        """Remove what has expired, in bites: how many each removed."""
        removed = BATCH_SIZE
        while removed >= BATCH_SIZE:
            removed = self.store.sweep(self.now, BATCH_SIZE)
            yield removed


@contextmanager
def sessions_at(url: str | None, timeout: float) -> Generator[Sessions]:
    """The sessions at a URL. There must be a store: looking makes none."""
    if not url:
        msg = "no store: give --store URL, or set SESSIONGATE_STORE"
        raise ConfigurationError(msg)
    with closing(open_store(url, create=False, timeout=timeout)) as store:
        yield Sessions(store)
