"""The clients of ``RedisStore``: one for the threads of a process, one for each event loop."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sessiongate.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

__all__ = ["GivenClients", "OwnClients", "Settings"]

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


class GivenClients:
    """The clients that the user made, and will close."""

    location = "the given client's server"

    def __init__(self, client: Any, async_client: Any, budget: float) -> None:
        import redis.asyncio  # noqa: PLC0415 - an optional package

        for name, given, other in (
            ("client", client, redis.asyncio.Redis),
            ("async_client", async_client, redis.Redis),
        ):
            if isinstance(given, other):
                msg = f"{name} is of the other kind: {_BOTH}"
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

    async def for_loop(self) -> Any:
        if self._async_client is None:
            msg = f"RedisStore has no async_client=: {_BOTH}"
            raise ConfigurationError(msg)
        loop = asyncio.get_running_loop()
        self._loop = self._loop or loop
        if loop is not self._loop:
            msg = (
                "the async_client of this RedisStore belongs to another event loop; "
                "pass a URL instead, or make a store for each loop"
            )
            raise ConfigurationError(msg)
        return self._async_client

    def close(self) -> None:
        """Nothing of ours to close."""

    async def aclose(self) -> None:
        """Nothing of ours to close."""


class Settings(NamedTuple):
    """How to connect; times in seconds."""

    url: str
    connect_timeout: float
    timeout: float
    max_connections: int


class _LoopClient:
    """A client for as long as its event loop lives.

    Its callers wait here for a free connection, in turn: in redis-py's blocking
    pool newcomers get ahead of those that wait, and it takes longer over a
    connection, by a tenth of a check.
    """

    __slots__ = ("_free", "_patience", "client", "lifetime", "used_at")

    def __init__(self, client: Any, lifetime: AsyncGenerator[Any, None]) -> None:
        self.client = client
        self.lifetime = lifetime
        self.used_at = 0.0
        self._free = asyncio.Semaphore(client.connection_pool.max_connections)
        self._patience: float = client.connection_pool.timeout

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        if self._free.locked():
            try:
                async with asyncio.timeout(self._patience):
                    await self._free.acquire()
            except TimeoutError:
                raise ConnectionError(_EXHAUSTED) from None
        else:
            await self._free.acquire()
        try:
            return await self.client.execute_command(*args, **options)
        finally:
            self._free.release()


class OwnClients:
    """Clients made from a URL when they are first needed.

    After a fork the parent's clients stay as they are, unused, and new ones
    are made. No lock guards that: one held during a fork would stay locked in
    the child for ever.
    """

    def __init__(self, settings: Settings) -> None:
        import redis  # noqa: PLC0415 - an optional package

        self._settings = settings
        try:
            client = self._connect(redis, redis.BlockingConnectionPool)
            pool = client.connection_pool
            where = pool.connection_kwargs
            pool.connection_class(**where)  # unconnected; checks the options
            if pool.timeout < 0:
                raise ValueError  # noqa: TRY301 - told like the others
        except (ValueError, TypeError):
            raise ConfigurationError(_NO_URL) from None  # the cause may quote a password
        address = f"{where.get('host', 'localhost')}:{where.get('port', 6379)}"
        self.location: str = where.get("path") or address
        # To wait for a connection, to open it, and for an answer. What the URL says counts.
        times = pool.timeout, where.get("socket_connect_timeout"), where["socket_timeout"]
        self.budget: float = sum(time or 0 for time in times)
        self._clients = {os.getpid(): client}
        # Not weakly, because an open connection refers to its loop anyway.
        self._loops: dict[tuple[int, asyncio.AbstractEventLoop], _LoopClient] = {}

    def for_process(self) -> Any:
        pid = os.getpid()
        client = self._clients.get(pid)
        if client is None:
            import redis  # noqa: PLC0415 - an optional package

            # Of two threads that come here at once, both get what the first one made.
            client = self._clients.setdefault(
                pid, self._connect(redis, redis.BlockingConnectionPool)
            )
        return client

    async def for_loop(self) -> Any:
        loop = asyncio.get_running_loop()
        key = os.getpid(), loop
        kept = self._loops.get(key)
        if kept is None:
            for other in [other for other in tuple(self._loops) if other[1].is_closed()]:
                self._loops.pop(other, None)
            lifetime = self._lifetime(key)
            kept = self._loops[key] = _LoopClient(await anext(lifetime), lifetime)
        now = loop.time()
        if now - kept.used_at > _PAUSE:
            # Let the loop notice which connections the server has closed. It would not have if
            # it was stopped or blocked meanwhile. Two rounds: in the first one, this task may go
            # on before the news arrives.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        kept.used_at = now
        return kept

    async def _lifetime(
        self, key: tuple[int, asyncio.AbstractEventLoop]
    ) -> AsyncGenerator[Any, None]:
        """A client until its loop ends: ``asyncio.run`` closes all generators that it has seen."""
        import redis.asyncio  # noqa: PLC0415 - an optional package

        class Pool(redis.asyncio.ConnectionPool):  # type: ignore[misc, type-arg, unused-ignore]
            def __init__(self, *, timeout: float, **options: Any) -> None:
                super().__init__(**options)
                self.timeout = timeout

        client = self._connect(redis.asyncio, Pool)
        try:
            yield client
        finally:
            self._loops.pop(key, None)
            await client.aclose()

    def close(self) -> None:
        """Close all; what belongs to a running loop is closed there, soon."""
        pid = os.getpid()
        client = self._clients.pop(pid, None)
        if client is not None:
            client.close()
        for key in tuple(self._loops):
            if key[0] == pid and key[1].is_running():
                kept = self._loops.pop(key, None)
                if kept is not None:
                    asyncio.run_coroutine_threadsafe(_aclose(kept), key[1])

    async def aclose(self) -> None:
        """Close all, and await it for this loop."""
        kept = self._loops.pop((os.getpid(), asyncio.get_running_loop()), None)
        self.close()
        if kept is not None:
            await _aclose(kept)

    def _connect(self, kind: Any, pool: Any) -> Any:
        """A client that connects when it is used; ``kind`` is ``redis`` or ``redis.asyncio``."""
        from redis.backoff import NoBackoff  # noqa: PLC0415 - an optional package

        url, connect_timeout, timeout, max_connections = self._settings
        # redis-py's own defaults would wait and retry for seconds.
        options: dict[str, Any] = {
            "max_connections": max_connections,
            "timeout": timeout,
            "socket_timeout": timeout,
            "retry": kind.retry.Retry(NoBackoff(), 0),
            "health_check_interval": 0,
            # With RESP3, redis-py 7 and 8 do not look whether an idle connection is still open.
            "protocol": 2,
        }
        if not url.startswith("unix:"):
            options["socket_connect_timeout"] = connect_timeout
        return kind.Redis.from_pool(pool.from_url(url, **options))


async def _aclose(kept: _LoopClient) -> None:
    await kept.lifetime.aclose()
