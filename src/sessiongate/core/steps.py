"""Two drivers of a flow: one calls, one awaits; nothing else differs.

A flow is a generator. It yields calls of the store, such as ``("read", sid)``, and events for the
listeners. It is sent what the verb returned, or thrown the ``StoreError`` that it raised, and
returns its result. All rules live in the flows; a driver knows none.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any, Final, TypeAlias, TypeVar

from sessiongate.errors import StoreError
from sessiongate.events import Event

T = TypeVar("T")

Call: TypeAlias = tuple[Any, ...]
"""The name of a verb, and its arguments."""

Step: TypeAlias = Generator[Call, Any, T]
"""A decision: a flow without events, so a store may run it in a transaction, more than once."""

Flow: TypeAlias = Generator[Call | Event, Any, T]

TRIES: Final = 256
"""How often a step decides anew. Each time, somebody else has succeeded."""

CROWDED: Final = "others changed the sessions each time before this step could"


def no_listener(_event: Event) -> None:
    """For a step, which has no events."""


async def no_async_listener(_event: Event) -> None:
    """``no_listener``, to await."""


def run(
    flow: Flow[T], ask: Callable[[Call], Any], emit: Callable[[Event], None] = no_listener
) -> T:
    """Run a flow to its end by calling."""
    value = failure = None
    try:
        while True:
            request = flow.send(value) if failure is None else flow.throw(failure)
            value = failure = None
            if type(request) is Event:
                emit(request)
                continue
            try:
                value = ask(request)
            except StoreError as error:
                failure = error
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]


async def arun(
    flow: Flow[T],
    ask: Callable[[Call], Awaitable[Any]],
    emit: Callable[[Event], Awaitable[None]] = no_async_listener,
) -> T:
    """``run``, to await."""
    value = failure = None
    try:
        while True:
            request = flow.send(value) if failure is None else flow.throw(failure)
            value = failure = None
            if type(request) is Event:
                await emit(request)
                continue
            try:
                value = await ask(request)
            except StoreError as error:
                failure = error
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]


def ask(store: Any, call: Call) -> Any:
    """Call a verb of the store; one without ``together`` has its step run as it is."""
    verb, *arguments = call
    if verb == "together" and getattr(store, verb, None) is None:
        return run(arguments[-1](), lambda inner: ask(store, inner))
    return getattr(store, verb)(*arguments)


async def aask(store: Any, call: Call) -> Any:
    """``ask``, to await."""
    verb, *arguments = call
    if verb == "together" and getattr(store, "atogether", None) is None:
        return await arun(arguments[-1](), lambda inner: aask(store, inner))
    return await getattr(store, f"a{verb}")(*arguments)


def locked(username: str | None, total: bool, begin: Callable[[], Step[Any]]) -> Step[Any]:  # noqa: FBT001 - as the verb has it
    """Run a step under the locks of the user and of the total, in a store that has locks.

    ``None`` from the step: something changed meanwhile, so it decides anew.

    Raises:
        StoreError: It did so too often.
    """
    for _ in range(TRIES):
        answer = yield "together", username, total, begin
        if answer is not None:
            return answer
    raise StoreError(CROWDED)
