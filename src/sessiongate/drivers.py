"""The two ways to run a flow: one calls, one awaits; nothing else differs.

A flow is a generator. It yields commands for the store and events for the
listeners, gets the store's outcome back, and returns its result. All rules
live in the flows; a driver knows none.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from sessiongate.commands import Command
from sessiongate.errors import StoreError
from sessiongate.events import Event
from sessiongate.records import moment

if TYPE_CHECKING:
    from sessiongate.commands import Outcome
    from sessiongate.stores.base import Store

__all__ = ["Flow", "arun", "run"]

T = TypeVar("T")

Flow: TypeAlias = Generator[Command | Event, Any, T]


def run(flow: Flow[T], store: Store, tell: Callable[[Event], None]) -> T:
    """Run a flow to its end by calling."""
    outcome: Outcome = None
    try:
        while True:
            step = flow.send(outcome)
            if isinstance(step, Event):
                tell(step)
                outcome = None
                continue
            try:
                outcome = store.execute(step)
            except StoreError:
                tell(_failed(step))
                raise
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]


async def arun(flow: Flow[T], store: Store, tell: Callable[[Event], Awaitable[None]]) -> T:
    """Run a flow to its end by awaiting."""
    outcome: Outcome = None
    try:
        while True:
            step = flow.send(outcome)
            if isinstance(step, Event):
                await tell(step)
                outcome = None
                continue
            try:
                outcome = await store.aexecute(step)
            except StoreError:
                await tell(_failed(step))
                raise
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]


def _failed(command: Command) -> Event:
    return Event("store_failed", moment(command.now), reason=type(command).__name__.lower())
