"""Event streams, which end with the session of their request."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator

    from sessiongate.http.request_session import RequestSession


def end_with(session: RequestSession, response: Any) -> None:
    """Have the chunks of a streaming response end when the session does.

    Under ASGI at once; under WSGI between two chunks.
    """
    chunks = response.streaming_content
    wrap = _auntil if response.is_async else _until
    response.streaming_content = wrap(chunks, session)


def _until(chunks: Iterable[bytes], session: RequestSession) -> Iterator[bytes]:
    ended = session.ended
    try:
        for chunk in chunks:
            if ended.is_set():
                return
            yield chunk
    finally:
        session.settings.manager.hub.unwatch(ended)


async def _auntil(chunks: AsyncIterable[bytes], session: RequestSession) -> AsyncIterator[bytes]:
    watch = session.ended
    ended = asyncio.ensure_future(watch.wait())
    iterator, step = aiter(chunks), None
    try:
        while True:
            step = asyncio.ensure_future(_next(iterator))
            await asyncio.wait((ended, step), return_when=asyncio.FIRST_COMPLETED)
            chunk = None if ended.done() else step.result()
            if chunk is None:
                return
            yield chunk
    finally:
        ended.cancel()
        if step is not None:
            step.cancel()
        session.settings.manager.hub.unwatch(watch)


async def _next(iterator: AsyncIterator[bytes]) -> bytes | None:
    """The next chunk; ``None`` at the end."""
    return await anext(iterator, None)
