"""Stores behind a network: their clients, and the first look at what is stored there."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from sessiongate.errors import StoreError
from sessiongate.stores.engine import EngineStore, Verb, result_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

__all__ = ["Clients", "NetworkStore"]

T = TypeVar("T")
C = TypeVar("C", bound="Client")
Loop = asyncio.AbstractEventLoop


class Client(Protocol):
    """What a process, or an event loop, has of a driver."""

    async def open(self) -> None: ...

    async def close(self, *, loop_ended: bool = False) -> None: ...


class Clients(Generic[C]):
    """A client for the threads of a process and one for each event loop, made when needed.

    After a fork the parent's stay as they are, unused, and new ones are made: closing a connection
    in the child would close it for the parent. No lock guards that: one that is held during a fork
    would stay locked in the child for ever.
    """

    def __init__(self, make: Callable[[Loop | None], C]) -> None:
        self._make = make
        # Not weakly, because an open connection refers to its loop anyway.
        self._made: dict[tuple[int, Loop | None], tuple[C, Callable[[], Any]]] = {}

    async def of(self, loop: Loop | None) -> C:
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

            async def close() -> None:
                await client.close()
                await life.aclose()

            if self._made.setdefault(key, (client, close))[0] is not client:
                await close()  # another thread was faster
        return self._made[key][0]

    async def _until_the_loop_ends(self, client: C) -> AsyncGenerator[None, None]:
        """Close the client then: ``asyncio.run`` closes all generators that it has seen.

        It refers to ``self``, so that it is there until then even if the store is not.
        """
        try:
            yield
        finally:
            await client.close(loop_ended=True)

    def close(self) -> None:
        """Close all, also what is in use; what belongs to a running loop there, soon."""
        for key in [key for key in tuple(self._made) if key[0] == os.getpid()]:
            _, close = self._made.pop(key)
            if key[1] is None:
                result_of(close())
            elif key[1].is_running():
                asyncio.run_coroutine_threadsafe(close(), key[1])

    async def aclose(self) -> None:
        """Close all, and await it for this loop."""
        _, close = self._made.pop((os.getpid(), asyncio.get_running_loop()), (None, None))
        if close is not None:
            await close()
        await asyncio.to_thread(self.close)


class NetworkStore(EngineStore):
    """Verbs for any number of threads and event loops, and after ``fork``."""

    _clients: Any
    _ready = False
    """What is stored there is known to be of this version."""
    _closed = False

    def _prepare(self) -> Verb[None]:
        """Check what is stored there."""
        raise NotImplementedError

    def _prepared(self, verb: Verb[T]) -> Verb[T]:
        yield from self._prepare()
        self._ready = True
        return (yield from verb)

    def _run(self, verb: Verb[T]) -> T:
        return result_of(self._ask(None, verb))

    async def _arun(self, verb: Verb[T]) -> T:
        return await self._ask(asyncio.get_running_loop(), verb)

    async def _ask(self, loop: Loop | None, verb: Verb[T]) -> T:
        if self._closed:
            raise self._was_closed()
        client = await self._clients.of(loop)
        return await self._carry_out(client, verb if self._ready else self._prepared(verb))

    def _was_closed(self) -> StoreError:
        return StoreError(f"this {type(self).__name__} was closed; make a new one")

    def close(self) -> None:
        """Close all connections, those of a running event loop soon; not a given client."""
        self._closed = True
        self._clients.close()

    async def aclose(self) -> None:
        """``close``, to await for the connections of this event loop."""
        self._closed = True
        await self._clients.aclose()
