"""Where ``RedisStore`` gets its clients from: one for the threads, one for each event loop."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from sessiongate.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

__all__ = ["AsyncClient", "Client", "Clients", "GivenClients", "OwnClients", "Settings"]


_PAUSE: Final = 0.01
"""Seconds; no server is gone and back in less."""


class Client(Protocol):
    """What is needed of a ``redis.Redis``."""

    connection_pool: Any

    def close(self) -> None: ...


class AsyncClient(Protocol):
    """What is needed of a ``redis.asyncio.Redis``."""

    connection_pool: Any

    async def aclose(self) -> None: ...


class Lender(Protocol):
    """Has connections for one event loop."""

    async def take(self) -> Any:
        """A connection to use, in the time it takes to wait for one, to open it, and to greet."""

    async def give_back(self, connection: Any) -> None: ...


class Clients(Protocol):
    """Both kinds of clients, for whoever asks."""

    place: str
    """Which server that is; no part of a credential."""

    def for_thread(self) -> Client: ...
    async def for_loop(self) -> Lender: ...
    def close(self) -> None: ...
    async def aclose(self) -> None: ...


class GivenClients:
    """The clients that the user made, and will close."""

    place = "the given client's server"

    def __init__(
        self, client: Client | None, async_client: AsyncClient | None, patience: float
    ) -> None:
        self._client = client
        self._lender = (
            None if async_client is None else _Lender(async_client.connection_pool, patience)
        )
        self._loop: asyncio.AbstractEventLoop | None = None

    def for_thread(self) -> Client:
        if self._client is None:
            msg = "RedisStore has only an async_client; pass client= as well for the sync verbs"
            raise ConfigurationError(msg)
        return self._client

    async def for_loop(self) -> Lender:
        if self._lender is None:
            msg = "RedisStore has only a client; pass async_client= as well for the async verbs"
            raise ConfigurationError(msg)
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        if loop is not self._loop:
            msg = (
                "the async_client of this RedisStore belongs to another event loop; "
                "pass a URL instead, or make a store for each loop"
            )
            raise ConfigurationError(msg)
        return self._lender

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


class _Lender:
    """The connections of a given client, from its own pool."""

    __slots__ = ("_patience", "_pool")

    def __init__(self, pool: Any, patience: float) -> None:
        self._pool = pool
        self._patience = patience

    async def take(self) -> Any:
        async with asyncio.timeout(self._patience):  # its own may be far longer
            return await self._pool.get_connection()

    async def give_back(self, connection: Any) -> None:
        await self._pool.release(connection)


class _Lease:
    """A client for as long as its event loop lives, and its connections.

    They are kept here between two uses, for the pool of redis-py takes longer
    over one than the server does over an answer. To the pool they are in use
    until it is closed.
    """

    __slots__ = ("_free", "_idle", "_patience", "client", "life", "used_at")

    def __init__(self, client: AsyncClient, life: AsyncGenerator[AsyncClient, None]) -> None:
        self.client = client
        self.life = life
        self.used_at = 0.0
        self._patience: float = client.connection_pool.timeout
        self._free = asyncio.Semaphore(client.connection_pool.max_connections)
        self._idle: list[Any] = []

    async def take(self) -> Any:
        if self._free.locked():  # or others wait: first come, first served
            async with asyncio.timeout(self._patience):
                await self._free.acquire()
        else:
            await self._free.acquire()
        pool = self.client.connection_pool
        try:
            connection = self._idle.pop() if self._idle else pool.get_available_connection()
        except BaseException:
            self._free.release()
            raise
        try:
            await pool.ensure_connection(connection)  # that it is open, or is opened again
        except BaseException:
            await self.give_back(connection)
            raise
        return connection

    async def give_back(self, connection: Any) -> None:
        self._idle.append(connection)
        self._free.release()


class OwnClients:
    """Clients made from a URL when they are first needed.

    After a fork the parent's clients stay as they are, unused, and new ones
    are made. No lock guards that: one held during a fork would stay locked in
    the child for ever.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        client, self.place = _connect(settings)
        self._clients = {os.getpid(): client}
        # Not weakly, because an open connection refers to its loop anyway.
        self._leases: dict[tuple[int, asyncio.AbstractEventLoop], _Lease] = {}

    def for_thread(self) -> Client:
        pid = os.getpid()
        client = self._clients.get(pid)
        if client is None:
            # Of two threads that come here at once, both get what the first one made.
            client = self._clients.setdefault(pid, _connect(self._settings)[0])
        return client

    async def for_loop(self) -> _Lease:
        loop = asyncio.get_running_loop()
        key = os.getpid(), loop
        lease = self._leases.get(key)
        if lease is None:
            for pid, other in tuple(self._leases):
                if other.is_closed():
                    self._leases.pop((pid, other), None)
            life = self._life(key)
            lease = self._leases[key] = _Lease(await anext(life), life)
        now = loop.time()
        if now - lease.used_at > _PAUSE:
            # Let the loop notice which connections the server has closed. It would not have if
            # it was stopped or blocked meanwhile. Two rounds: in the first one, this task may go
            # on before the news arrives.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        lease.used_at = now
        return lease

    async def _life(
        self, key: tuple[int, asyncio.AbstractEventLoop]
    ) -> AsyncGenerator[AsyncClient, None]:
        """A client until its loop ends: ``asyncio.run`` closes all generators that it has seen."""
        client = _connect_async(self._settings)
        try:
            yield client
        finally:
            self._leases.pop(key, None)
            await client.aclose()

    def close(self) -> None:
        """Close all; what belongs to a running loop is closed there, soon."""
        pid = os.getpid()
        client = self._clients.pop(pid, None)
        if client is not None:
            client.close()
        for key in tuple(self._leases):
            if key[0] == pid and key[1].is_running():
                lease = self._leases.pop(key, None)
                if lease is not None:
                    asyncio.run_coroutine_threadsafe(_aclose(lease), key[1])

    async def aclose(self) -> None:
        """Close all, and await it for this loop."""
        lease = self._leases.pop((os.getpid(), asyncio.get_running_loop()), None)
        self.close()
        if lease is not None:
            await _aclose(lease)


async def _aclose(lease: _Lease) -> None:
    await lease.life.aclose()


def _connect(settings: Settings) -> tuple[Client, str]:
    """A client that connects when it is used, and the place of its server."""
    from redis import BlockingConnectionPool, Redis  # noqa: PLC0415 - an optional package
    from redis.backoff import NoBackoff  # noqa: PLC0415
    from redis.retry import Retry  # noqa: PLC0415

    try:
        pool = BlockingConnectionPool.from_url(
            settings.url, retry=Retry(NoBackoff(), 0), **_options(settings)
        )
        pool.connection_class(**pool.connection_kwargs)  # unconnected; checks the options
        if pool.timeout < 0:
            raise ValueError  # noqa: TRY301 - told like the others
    except (ValueError, TypeError):
        msg = (
            "url is no Redis URL: it must look like redis://localhost:6379/0, "
            "rediss://… or unix://…, with options that redis-py knows, and with the password "
            "percent-encoded"
        )
        raise ConfigurationError(msg) from None  # the cause may quote a password
    where = pool.connection_kwargs
    place = where.get("path") or f"{where.get('host', 'localhost')}:{where.get('port', 6379)}"
    return Redis.from_pool(pool), place


def _connect_async(settings: Settings) -> AsyncClient:
    from redis.asyncio import BlockingConnectionPool, Redis  # noqa: PLC0415 - as above
    from redis.asyncio.retry import Retry  # noqa: PLC0415
    from redis.backoff import NoBackoff  # noqa: PLC0415
    from redis.exceptions import TimeoutError as SlowGreeting  # noqa: PLC0415

    async def greet(connection: Any) -> None:
        try:
            async with asyncio.timeout(settings.timeout):
                await connection.on_connect()
        except TimeoutError as error:  # as redis-py's own, after which it closes the connection
            raise SlowGreeting from error

    pool = BlockingConnectionPool.from_url(
        settings.url,
        retry=Retry(NoBackoff(), 0),
        # Answers are bounded here. redis-py would start a task for each request.
        **(_options(settings) | {"socket_timeout": None, "redis_connect_func": greet}),
    )
    return Redis.from_pool(pool)


def _options(settings: Settings) -> dict[str, Any]:
    """What both pools take. The defaults of redis-py would wait and retry for seconds."""
    options: dict[str, Any] = {
        "max_connections": settings.max_connections,
        "timeout": settings.timeout,
        "socket_timeout": settings.timeout,
        "health_check_interval": 0,
        # With RESP3 redis-py does not notice, before it uses an idle connection, that a
        # late answer is waiting in it; and it says HELLO on each new one.
        "protocol": 2,
    }
    if not settings.url.startswith("unix:"):
        options["socket_connect_timeout"] = settings.connect_timeout
    return options
