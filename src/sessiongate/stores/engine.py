"""How the verbs of an engine are carried out: one text, for callers and for those who await.

A verb is a generator. It yields statements, tuples of arguments for ``send`` of a connection, and
is sent the answers, or thrown the ``StoreError`` of what failed.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterable
from math import inf
from time import monotonic
from types import CoroutineType
from typing import Any, Final, TypeAlias, TypeVar

from sessiongate.core.row import SECOND
from sessiongate.errors import StoreError
from sessiongate.stores import codec
from sessiongate.stores.base import Store

__all__ = ["Clients", "EngineStore", "NetworkStore", "Verb", "answer_of", "failure", "result_of"]

T = TypeVar("T")
Verb: TypeAlias = Generator[tuple[Any, ...], Any, T]
Loop: TypeAlias = asyncio.AbstractEventLoop

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
    ``await connection.send(*statement)``, ``await source.give_back(connection, failed)``: with
    ``True`` or ``False``, if it may be in the middle of an answer or not, else ``None``. Those of a
    source to call suspend nothing.
    """

    shared = True
    touch_every = 300 * SECOND
    blocking = True
    codec = codec

    _errors: tuple[type[Exception], ...]
    """What the driver raises."""
    _failure: Any
    """Returns what is raised of an error of the driver."""
    _busy: float = inf
    """Seconds in which a verb may send statements."""
    _closed = False

    async def _carry_out(self, source: Any, verb: Verb[T]) -> T:
        """Borrow a connection, send it the statements, and give it back, whatever happens."""
        connection, failed, due = None, None, monotonic() + self._busy
        try:
            statement = next(verb)
            while True:
                try:
                    if connection is None:
                        connection = await source.borrow(statement)
                    elif monotonic() > due:
                        raise TimeoutError
                    found = await connection.send(*statement)
                except self._errors as error:
                    statement = verb.throw(self._failure(error))
                else:
                    statement = verb.send(found)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return] # of the generator
        except BaseException as error:
            failed = not isinstance(error, Exception)
            raise
        finally:
            if connection is not None:
                await source.give_back(connection, failed)

    def _check_open(self) -> None:
        if self._closed:
            msg = f"this {type(self).__name__} was closed; make a new one"
            raise StoreError(msg) from None


class NetworkStore(EngineStore):
    """Verbs for any number of threads and event loops, and after ``fork``."""

    _clients: Clients
    _prepare: Any
    """The verb that looks at what is stored there, and whether it is of this version."""
    _ready = False

    def _prepared(self, verb: Verb[T]) -> Verb[T]:
        yield from self._prepare()
        self._ready = True
        return (yield from verb)

    def _run(self, verb: Verb[T]) -> T:
        return result_of(self._ask(None, verb))

    async def _arun(self, verb: Verb[T]) -> T:
        return await self._ask(asyncio.get_running_loop(), verb)

    async def _ask(self, loop: Loop | None, verb: Verb[T]) -> T:
        self._check_open()
        client = await self._clients.of(loop)
        return await self._carry_out(client, verb if self._ready else self._prepared(verb))

    def close(self) -> None:
        """Close all connections, those of a running event loop soon; not a given client."""
        self._closed = True
        self._clients.close()

    async def aclose(self) -> None:
        """``close``, to await for the connections of this event loop."""
        self._closed = True
        await self._clients.close_of(asyncio.get_running_loop())
        await asyncio.to_thread(self._clients.close)


class Clients:
    """A client for the threads of a process and one for each event loop, made when needed.

    After a fork the parent's stay as they are, unused, and new ones are made: closing a connection
    in the child would close it for the parent. No lock guards that: one that is held during a fork
    would stay locked in the child for ever.

    ``make(loop)`` returns one, to be awaited if ``loop`` is given: it has ``open()`` and
    ``close(loop_ended)``.
    """

    def __init__(self, make: Callable[[Loop | None], Any]) -> None:
        self._make = make
        # Not weakly, because an open connection refers to its loop anyway.
        self._made: dict[tuple[int, Loop | None], tuple[Any, AsyncGenerator[None, None]]] = {}

    def another(self) -> Any:
        """Return a client of its own, for the one thread that asks: it closes it as well."""
        return self._make(None)

    async def of(self, loop: Loop | None) -> Any:
        """Return the client of a loop that runs here, or with ``None`` of the threads."""
        key = os.getpid(), loop
        if key not in self._made:
            for other in tuple(self._made):
                if other[1] is not None and other[1].is_closed():
                    self._made.pop(other, None)
            client = self._make(loop)
            await client.open()
            life = self._until_the_loop_ends(client)
            if loop is not None:
                await anext(life)
            if self._made.setdefault(key, (client, life))[0] is not client:
                await client.close()  # another thread was faster
        return self._made[key][0]

    async def _until_the_loop_ends(self, client: Any) -> AsyncGenerator[None, None]:
        """Close the client then: ``asyncio.run`` closes all generators that it has seen.

        It refers to ``self``, so that it is there until then even if the store is not.
        """
        try:
            yield
        finally:
            await client.close(loop_ended=True)

    async def close_of(self, loop: Loop | None) -> None:
        """Close the client of a loop that runs here, or with ``None`` of the threads."""
        client, life = self._made.pop((os.getpid(), loop), (None, None))
        if client is not None and life is not None:
            await client.close()
            await life.aclose()

    def close(self) -> None:
        """Close all, also what is in use; what belongs to a running loop there, soon."""
        for pid, loop in tuple(self._made):
            if pid == os.getpid() and loop is None:
                result_of(self.close_of(None))
            elif pid == os.getpid() and loop is not None and loop.is_running():
                asyncio.run_coroutine_threadsafe(self.close_of(loop), loop)


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


def failure(
    engine: str, error: Exception, hidden: Iterable[str] = (), hint: str = ""
) -> StoreError:
    """Return a ``StoreError`` with the driver's words, less what is secret in them; and a hint.

    The driver's error is its cause only if there was nothing secret in it.
    """
    said = str(error)
    clean = _SECRET.sub(lambda found: "" if found[0][0] in "\n, " else "...", said)
    for secret in hidden:
        clean = clean.replace(secret, "...")
    words = " ".join(clean.split()) or "no answer in time"
    words += hint and f": {hint}"
    made = StoreError(f"{engine} failed: {type(error).__name__}: {words}")
    made.__cause__ = error if clean == said else None
    return made
