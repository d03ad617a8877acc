"""How the verbs of an engine are carried out: one text, for callers and for those who await.

A verb is a generator. It yields statements, tuples of arguments for ``send`` of a connection, and
is sent the answers, or thrown the ``StoreError`` of what failed.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import suppress
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from sessiongate.core.row import SECOND
from sessiongate.errors import StoreError
from sessiongate.stores import codec
from sessiongate.stores.base import Store

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

__all__ = ["EngineStore", "Verb", "answer_of", "failure", "result_of"]

T = TypeVar("T")

Verb: TypeAlias = Generator[tuple[Any, ...], Any, T]

_SECRET: Final = re.compile(
    r"(?<=://)[^@/\s]+(?=@)"  # the user and password of a URL
    r"|(?<![\w-])(?:sg_[\w.-]+|[\w-]{22})(?![\w-])"  # tokens and session ids
    r"|(?<=\{0\}:)\S+"  # the rest of a key in Redis
    r"|\nDETAIL:.*|,? with args beginning with.*",  # a server quotes what was sent
    re.DOTALL,
)


class EngineStore(Store):
    """A store of bytes that other processes see as well.

    ``_carry_out`` takes connections from a source: ``await source.borrow(statement)``,
    ``await connection.send(*statement)``, ``await connection.undo(usable=…)`` after a failure,
    ``await source.give_back(connection)``. Those of a source to call suspend nothing.
    """

    shared = True
    touch_every = 300 * SECOND
    blocking = True
    codec = codec

    _errors: tuple[type[Exception], ...]
    """What the driver raises."""

    def _run(self, verb: Verb[T]) -> T:
        """Carry out a verb by calling."""
        raise NotImplementedError

    async def _arun(self, verb: Verb[T]) -> T:
        """Carry out a verb by awaiting."""
        raise NotImplementedError

    def _failure(self, error: Exception) -> Exception:
        """Return what is raised of an error of the driver."""
        raise NotImplementedError

    async def _carry_out(self, source: Any, verb: Verb[T]) -> T:
        """Borrow a connection, send it the statements, and give it back, whatever happens."""
        connection: Any = None
        try:
            statement = next(verb)
            while True:
                try:
                    if connection is None:
                        connection = await source.borrow(statement)
                    found = await connection.send(*statement)
                except self._errors as error:
                    statement = verb.throw(self._failure(error))
                else:
                    statement = verb.send(found)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return] # of the generator
        except BaseException as error:
            if connection is not None:
                with suppress(*self._errors):
                    await connection.undo(usable=isinstance(error, Exception))
            raise
        finally:
            if connection is not None:
                await source.give_back(connection)


def result_of(done: Coroutine[Any, Any, T]) -> T:
    """Return the result of a coroutine that waits for nothing."""
    try:
        done.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return] # of the coroutine
    msg = "it waits"
    raise AssertionError(msg)


async def answer_of(called: Any) -> Any:
    """Return the answer of a driver that has a face to call and one to await."""
    return await called if isinstance(called, CoroutineType) else called  # pyright: ignore[reportUnknownVariableType]


def failure(engine: str, error: Exception, hidden: Iterable[str] = ()) -> StoreError:
    """Return a ``StoreError`` with the driver's words, less what is secret in them.

    The driver's error is its cause only if there was nothing secret in it.
    """
    said = str(error)
    clean = _SECRET.sub(lambda found: "" if found[0][0] in "\n, " else "...", said)
    for secret in hidden:
        clean = clean.replace(secret, "...")
    words = " ".join(clean.split()) or "no answer in time"
    made = StoreError(f"{engine} failed: {type(error).__name__}: {words}")
    made.__cause__ = error if clean == said else None
    return made
