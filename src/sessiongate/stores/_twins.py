"""One text for both colours: a verb is a generator that yields requests and is sent the answers."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeAlias, TypeVar

__all__ = ["Verb", "twins"]

P = ParamSpec("P")
S = TypeVar("S", bound="_Runs")
T = TypeVar("T")

Verb: TypeAlias = Generator[Any, Any, T]


class _Runs(Protocol):
    """A store that can carry out its verbs."""

    def _run(self, verb: Verb[T]) -> T: ...
    async def _arun(self, verb: Verb[T]) -> T: ...


def twins(
    verb: Callable[Concatenate[S, P], Verb[T]],
) -> tuple[Callable[Concatenate[S, P], T], Callable[Concatenate[S, P], Coroutine[Any, Any, T]]]:
    """Return the method that carries out a verb by calling, and the one that awaits it."""

    @wraps(verb)
    def called(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._run(verb(self, *args, **kwargs))

    @wraps(verb)
    async def awaited(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._arun(verb(self, *args, **kwargs))

    return called, awaited
