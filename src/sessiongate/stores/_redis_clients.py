"""The clients of ``RedisStore``: one for the threads of a process, one for each event loop."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from concurrent.futures import Future
from contextlib import nullcontext
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

import redis
import redis.asyncio
from redis.backoff import NoBackoff

from sessiongate.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

_PAUSE: Final = 0.01
"""Seconds; no server is gone and back in less."""
_NO_URL: Final = (
    "url is no Redis URL: it must look like redis://localhost:6379/0, rediss://… or unix://…, "
    "with options that redis-py knows, and with the password percent-encoded"
)
_EXHAUSTED: Final = "No connection available."
"""As redis-py says it."""
_BOTH: Final = (
    "pass client=redis.Redis(…) for the sync verbs, and async_client=redis.asyncio.Redis(…) "
    "for those to await"
)
_OTHER_LOOP: Final = (
    "the async_client of this RedisStore belongs to another event loop; "
    "pass a URL instead, or make a store for each loop"
)


class GivenClients:
    """The clients that the user made, and will close."""

    location = "the given client's server"

    def __init__(self, client: Any, async_client: Any, budget: float) -> None:
        if isinstance(client, redis.asyncio.Redis) or isinstance(async_client, redis.Redis):
            msg = f"client or async_client is of the other kind: {_BOTH}"
            raise ConfigurationError(msg)
        self._client = client
        self._async_client = async_client
        self._loop: asyncio.AbstractEventLoop | None = None
        self.budget = budget

    def for_process(self) -> Any:
        if self._client is None:
            msg = f"RedisStore has no client=: {_BOTH}"
            raise ConfigurationError(msg)
        return self._client

    async def for_loop(self) -> GivenClients:
        if self._async_client is None:
            msg = f"RedisStore has no async_client=: {_BOTH}"
            raise ConfigurationError(msg)
        self._loop = self._loop or asyncio.get_running_loop()
        if self._loop is not asyncio.get_running_loop():
            raise ConfigurationError(_OTHER_LOOP)
        return self

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Ask the async client, which may have no timeouts of its own."""
        async with asyncio.timeout(self.budget):
            return await self._async_client.execute_command(*args, **options)

    def close(self) -> None:
        """Close nothing: the user does."""

    async def aclose(self) -> None:
        """Close nothing."""


class _ThreadsClient:
    """A client whose callers get a free connection in turn.

    In redis-py's blocking pools newcomers get ahead of those that wait.
    """

    def __init__(self, client: Any, wait: float) -> None:
        self.client = client
        self.loops: dict[asyncio.AbstractEventLoop, _LoopClient] = {}
        self._wait = wait
        self._lock = Lock()
        self._free: int = client.connection_pool.max_connections
        self._waiting: deque[Future[None]] = deque()

    def execute_command(self, *args: Any, **options: Any) -> Any:
        self._acquire()
        try:
            return self.client.execute_command(*args, **options)
        finally:
            self._release()

    def _acquire(self) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                return
            turn: Future[None] = Future()
            self._waiting.append(turn)
        try:
            turn.result(self._wait)
        except BaseException as error:
            if not turn.cancel():  # the connection came too late
                self._release()
            if isinstance(error, TimeoutError):
                raise ConnectionError(_EXHAUSTED) from None
            raise

    def _release(self) -> None:
        with self._lock:
            while self._waiting:
                turn = self._waiting.popleft()
                if turn.set_running_or_notify_cancel():
                    turn.set_result(None)
                    return
            self._free += 1


class _LoopClient:
    """The same for the tasks of an event loop, for as long as it lives."""

    def __init__(self, client: Any, wait: float) -> None:
        self.client = client
        self.lifetime = self._live()
        self.used_at = 0.0
        self._wait = wait
        self._free = asyncio.Semaphore(client.connection_pool.max_connections)

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        try:
            async with asyncio.timeout(self._wait) if self._free.locked() else nullcontext():
                await self._free.acquire()
        except TimeoutError:
            raise ConnectionError(_EXHAUSTED) from None
        try:
            return await self.client.execute_command(*args, **options)
        finally:
            self._free.release()

    async def _live(self) -> AsyncGenerator[None, None]:
        """Close the client when its loop ends: ``asyncio.run`` closes generators then."""
        try:
            yield
        finally:
            await self.client.aclose()


class OwnClients:
    """Clients made from a URL when they are first needed; times in seconds.

    After a fork the parent's clients stay as they are, unused, and new ones
    are made. No lock guards that: one held during a fork would stay locked in
    the child for ever.
    """

    def __init__(
        self, url: str, connect_timeout: float, timeout: float, max_connections: int
    ) -> None:
        self._url = url
        # redis-py's own defaults would wait and retry for seconds.
        self._options: dict[str, Any] = {
            "max_connections": max_connections,
            "timeout": 2 * timeout,
            "socket_timeout": timeout,
            "health_check_interval": 0,
            # With RESP3, redis-py 7 and 8 do not look whether an idle connection is still open.
            "protocol": 2,
        }
        if not url.startswith("unix:"):
            self._options["socket_connect_timeout"] = connect_timeout
        try:
            client, wait = self._connect(redis)
            options = client.connection_pool.connection_kwargs
            client.connection_pool.connection_class(**options)  # unconnected; checks them
            if wait < 0:
                raise ValueError  # noqa: TRY301 - refused like the others
        except (ValueError, TypeError):
            raise ConfigurationError(_NO_URL) from None  # the cause may quote a password
        address = f"{options.get('host', 'localhost')}:{options.get('port', 6379)}"
        self.location: str = options.get("path") or address
        # What the URL says counts.
        limits = options.get("socket_connect_timeout"), options["socket_timeout"]
        self.budget: float = wait + sum(limit or 0 for limit in limits)
        self._clients = {os.getpid(): _ThreadsClient(client, wait)}

    def for_process(self) -> _ThreadsClient:
        pid = os.getpid()
        # Of two threads that come here at once, both get what the first one made.
        return self._clients.get(pid) or self._clients.setdefault(
            pid, _ThreadsClient(*self._connect(redis))
        )

    async def for_loop(self) -> _LoopClient:
        loop = asyncio.get_running_loop()
        # Not weakly, because an open connection refers to its loop anyway.
        loops = self.for_process().loops
        client = loops.get(loop)
        if client is None:
            for closed in [other for other in tuple(loops) if other.is_closed()]:
                loops.pop(closed, None)
            client = loops[loop] = _LoopClient(*self._connect(redis.asyncio))
            await anext(client.lifetime)
        now = loop.time()
        if now - client.used_at > _PAUSE:
            # Let the loop notice which connections the server has closed. It would not have if
            # it was stopped or blocked meanwhile. Two rounds: in the first one, this task may go
            # on before the news arrives.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        client.used_at = now
        return client

    def close(self) -> None:
        """Close all, also what is in use; what belongs to a running loop there, soon."""
        client = self._clients.pop(os.getpid(), None)
        if client is not None:
            client.client.close()
            for loop, other in tuple(client.loops.items()):
                if loop.is_running():
                    asyncio.run_coroutine_threadsafe(other.lifetime.aclose(), loop)

    async def aclose(self) -> None:
        """Close all, and await it for this loop."""
        client = self._clients.get(os.getpid())
        kept = None if client is None else client.loops.pop(asyncio.get_running_loop(), None)
        self.close()
        if kept is not None:
            await kept.lifetime.aclose()

    def _connect(self, kind: Any) -> tuple[Any, float]:
        """Return a client that connects when it is used, and how long to wait for its turn."""
        retry = kind.retry.Retry(NoBackoff(), 0)
        pool = kind.ConnectionPool.from_url(self._url, retry=retry, **self._options)
        wait: float = pool.connection_kwargs.pop("timeout")
        return kind.Redis.from_pool(pool), wait
