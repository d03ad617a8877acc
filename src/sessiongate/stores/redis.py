"""Sessions in Redis or Valkey, for any number of processes and machines."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from sessiongate.core.arguments import check_count, microseconds
from sessiongate.core.row import SECOND
from sessiongate.errors import ConfigurationError, StoreError
from sessiongate.stores._redis_clients import GivenClients, OwnClients, Settings
from sessiongate.stores._redis_dialect import Dialect

if TYPE_CHECKING:
    from sessiongate.core.arguments import Seconds
    from sessiongate.core.commands import Command, Outcome
    from sessiongate.stores._redis_clients import AsyncClient, Client, Clients

__all__ = ["RedisStore"]

_MISSING: Final = "RedisStore needs the redis package: pip install 'sessiongate[redis]'"
_CLOSED: Final = "this RedisStore was closed; make a new one"


class RedisStore:
    """The store for several machines: Redis 6.2 or later, or Valkey; no Redis Cluster.

    Each command is one Lua script and one round trip. The exception is the
    first call of a script after the server started (or ``SCRIPT FLUSH``): the
    server does not know the script, has therefore done nothing, and is sent
    its text.

    Safe for any number of threads and event loops, and after ``fork``. Each
    loop has connections of its own; ``asyncio.run`` closes them at its end.
    Nothing is retried: after a lost answer the command may have been carried
    out. Only an idle connection that the server has closed is replaced
    unnoticed.

    Every call ends within ``connect_timeout`` plus three times ``timeout``,
    one second by default, unless the name of the host resolves slowly or to
    several addresses that do not answer. What survives a crash of the server
    is what its persistence settings say; a row that it drops for want of
    memory is a session that ends early.

    Args:
        url: ``redis://…``, ``rediss://…`` or ``unix://…``, as redis-py reads
            it. A password in it appears in no message and in no ``repr``.
            Options in it (``?timeout=1``) count before the keywords.
        client: A ``redis.Redis`` whose connections to use instead of the URL.
            Its own timeouts count, so make them short; it is not closed here.
        async_client: The same for the async verbs: a ``redis.asyncio.Redis``,
            for the one event loop that it belongs to.
        prefix: What the names of all keys begin with.
        connect_timeout: Seconds to connect, for each address of the host.
        timeout: Seconds to wait for a free connection, and for each answer.
        max_connections: For the threads of a process together, and for each
            event loop; further callers wait for ``timeout``.

    Raises:
        ConfigurationError: The ``redis`` package is missing, or the URL is no
            Redis URL. Nothing is connected yet.
        ValueError, TypeError: Another argument is unfit.
    """

    shared = True
    touch_every = 60 * SECOND

    def __init__(
        self,
        url: str = "redis://localhost:6379/0",
        *,
        client: Client | None = None,
        async_client: AsyncClient | None = None,
        prefix: str = "sessiongate:",
        connect_timeout: Seconds = 0.25,
        timeout: Seconds = 0.25,
        max_connections: int = 50,
    ) -> None:
        try:
            # Here, so that the other stores do without.
            from redis.exceptions import NoScriptError, RedisError  # noqa: PLC0415
        except ImportError as error:
            raise ConfigurationError(_MISSING) from error
        self._unknown_script: type[Exception] = NoScriptError
        self._failures: tuple[type[Exception], ...] = (RedisError, OSError)
        settings = Settings(
            url,
            microseconds(connect_timeout, "connect_timeout", positive=True) / SECOND,
            microseconds(timeout, "timeout", positive=True) / SECOND,
            check_count(max_connections, "max_connections") or 1,
        )
        self._timeout = settings.timeout
        # To get a connection, to open it, to greet, and an answer.
        self._budget = settings.connect_timeout + 3 * settings.timeout
        self._dialect = Dialect(prefix)
        self._closed = False
        self._clients: Clients = (
            OwnClients(settings)
            if client is None and async_client is None
            else GivenClients(client, async_client, self._budget - self._timeout)
        )

    def __repr__(self) -> str:
        return f"<RedisStore at {self._clients.place}>"

    def execute(self, command: Command) -> Outcome:
        """Carry out a command; see ``Store``."""
        if self._closed:
            raise StoreError(_CLOSED)
        request = self._dialect.by_digest(command)
        try:
            pool = self._clients.for_thread().connection_pool
            connection = pool.get_connection()
            try:
                connection.send_packed_command((request,))
                try:
                    reply = connection.read_response(disable_decoding=True)
                except self._unknown_script:
                    request = self._dialect.by_text(command)
                    connection.send_packed_command((request,))
                    reply = connection.read_response(disable_decoding=True)
            finally:
                pool.release(connection)
        except self._failures as error:
            raise self._failure(error) from error
        return self._dialect.outcome(command, reply)

    async def aexecute(self, command: Command) -> Outcome:
        """Carry out a command without blocking the event loop; see ``Store``."""
        if self._closed:
            raise StoreError(_CLOSED)
        request = self._dialect.by_digest(command)
        try:
            lender = await self._clients.for_loop()
            connection = await lender.take()
            try:
                async with asyncio.timeout(self._timeout):
                    await connection.send_packed_command((request,))
                    try:
                        reply = await connection.read_response(disable_decoding=True)
                    except self._unknown_script:
                        request = self._dialect.by_text(command)
                        await connection.send_packed_command((request,))
                        reply = await connection.read_response(disable_decoding=True)
            finally:
                await lender.give_back(connection)
        except self._failures as error:
            raise self._failure(error) from error
        return self._dialect.outcome(command, reply)

    def close(self) -> None:
        """Close all connections, those of a running event loop soon; not a given client."""
        self._closed = True
        self._clients.close()

    async def aclose(self) -> None:
        """The same, to await for the connections of this event loop."""
        self._closed = True
        await self._clients.aclose()

    def _failure(self, error: Exception) -> StoreError:
        # Without the driver's text, which may quote what was sent; it is the error's cause.
        return StoreError(f"Redis at {self._clients.place} failed: {type(error).__name__}")
