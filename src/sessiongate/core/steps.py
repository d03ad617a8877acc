"""The two ways to run a flow: one calls, one awaits; nothing else differs.

A flow is a generator. It yields commands for the store and events for the
listeners, gets the store's outcome back, and returns its result. All rules
live in the flows; a driver knows none.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from sessiongate.core.commands import Command
from sessiongate.events import Event

if TYPE_CHECKING:
    from sessiongate.core.commands import Outcome

__all__ = ["Flow", "arun", "run"]

T = TypeVar("T")

Flow: TypeAlias = Generator[Command | Event, Any, T]


def run(flow: Flow[T], ask: Callable[[Command], Outcome], emit: Callable[[Event], None]) -> T:
    """Run a flow to its end by calling."""
    outcome: Outcome = None
    try:
        while True:
            step = flow.send(outcome)
            if type(step) is Event:
                emit(step)
                outcome = None
            else:
                outcome = ask(step)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]


async def arun(
    flow: Flow[T],
    ask: Callable[[Command], Awaitable[Outcome]],
    emit: Callable[[Event], Awaitable[None]],
) -> T:
    """Run a flow to its end by awaiting."""
    outcome: Outcome = None
    try:
        while True:
            step = flow.send(outcome)
            if type(step) is Event:
                await emit(step)
                outcome = None
            else:
                outcome = await ask(step)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
