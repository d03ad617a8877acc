"""The two ways to run a flow: one calls, one awaits; nothing else differs.

A flow is a generator. It yields calls of the store, such as ``("read", sid)``,
and events for the listeners. It is sent what the verb returned, or thrown the
``StoreError`` that it raised, and returns its result. All rules live in the
flows; a driver knows none.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeAlias, TypeVar

from sessiongate.errors import StoreError
from sessiongate.events import Event

__all__ = ["Call", "Flow", "Step", "aask", "arun", "ask", "run"]

T = TypeVar("T")

Call: TypeAlias = tuple[Any, ...]
"""The name of a verb, and its arguments."""

Step: TypeAlias = Generator[Call, Any, T]
"""A decision: a flow without events, so a store may run it in a transaction, more than once."""

Flow: TypeAlias = Generator[Call | Event, Any, T]


def run(flow: Flow[T], ask: Callable[[Call], Any], emit: Callable[[Event], None]) -> T:
    """Run a flow to its end by calling."""
    try:
        request = flow.send(None)
        while True:
            if type(request) is Event:
                emit(request)
                request = flow.send(None)
                continue
            try:
                outcome = ask(request)
            except StoreError as error:
                request = flow.throw(error)
            else:
                request = flow.send(outcome)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]


async def arun(
    flow: Flow[T],
    ask: Callable[[Call], Awaitable[Any]],
    emit: Callable[[Event], Awaitable[None]],
) -> T:
    """Run a flow to its end by awaiting."""
    try:
        request = flow.send(None)
        while True:
            if type(request) is Event:
                await emit(request)
                request = flow.send(None)
                continue
            try:
                outcome = await ask(request)
            except StoreError as error:
                request = flow.throw(error)
            else:
                request = flow.send(outcome)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]


def ask(store: Any, call: Call) -> Any:
    """Call a verb of the store; one that does not lock has the step run as it is."""
    verb, *arguments = call
    if verb == "together" and getattr(store, verb, None) is None:
        return run(arguments[-1](), lambda inner: ask(store, inner), _no_listener)
    return getattr(store, verb)(*arguments)


async def aask(store: Any, call: Call) -> Any:
    """``ask``, to await."""
    verb, *arguments = call
    if verb == "together" and getattr(store, "atogether", None) is None:
        return await arun(arguments[-1](), lambda inner: aask(store, inner), _no_async_listener)
    return await getattr(store, f"a{verb}")(*arguments)


def _no_listener(_event: Event) -> None:
    """A step has no events."""


async def _no_async_listener(_event: Event) -> None:
    """A step has no events."""
