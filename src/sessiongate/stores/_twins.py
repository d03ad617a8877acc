"""Each verb once, as a generator that yields requests and is sent the answers."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar

__all__ = ["Verb", "twins"]

P = ParamSpec("P")
S = TypeVar("S")
T = TypeVar("T")

Verb: TypeAlias = Generator[Any, Any, T]


def twins(
    verb: Callable[Concatenate[S, P], Verb[T]],
) -> tuple[Callable[Concatenate[S, P], T], Callable[Concatenate[S, P], Coroutine[Any, Any, T]]]:
    """Return the method that carries out a verb by calling, and the one that awaits it.

    The store brings two drivers, ``_run`` and ``_arun``. The generator is looked up by its
    name, so a subclass may replace it.
    """
    name = verb.__name__

    @wraps(verb)
    def called(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        return self._run(getattr(self, name)(*args, **kwargs))

    @wraps(verb)
    async def awaited(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        return await self._arun(getattr(self, name)(*args, **kwargs))

    return called, awaited
