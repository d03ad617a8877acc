"""The clients of ``RedisStore``: redis-py's, whose callers get a free connection in turn."""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import Future
from math import inf
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import redis
import redis.asyncio
from redis.backoff import NoBackoff

from sessiongate.errors import ConfigurationError
from sessiongate.stores.engine import Clients, answer_of

if TYPE_CHECKING:
    from sessiongate.stores.engine import Loop

__all__ = ["given_clients", "own_clients"]

_PAUSE: Final = 0.01
"""Seconds; no server is gone and back in less."""
_NO_URL: Final = (
    "url is no Redis URL: it must look like redis://localhost:6379/0, rediss://… or unix://…, "
    "with options that redis-py knows, and with the password percent-encoded"
)
_BOTH: Final = (
    "pass client=redis.Redis(…) for the sync verbs, and async_client=redis.asyncio.Redis(…) "
    "for those to await"
)


class Client:
    """A client whose callers wait for a connection in the order in which they came.

    In redis-py's blocking pools newcomers get ahead of those that wait.

    Args:
        client: Of redis-py.
        awaits: Whether it is one to await.
        limit: Seconds that a command may take if it is awaited: some clients have no timeouts, and
            redis-py 5 connects one after the other.
        wait: Seconds to wait for a turn.
        places: How many may be at it at a time; all, if the user made it, and will close it.
    """

    def __init__(
        self, client: Any, *, awaits: bool, limit: float, wait: float = 0, places: float = inf
    ) -> None:
        self.client = client
        self._awaits, self._limit, self._wait, self._free = awaits, limit, wait, places
        self._is_given = places == inf
        self._waiting: deque[Future[None]] = deque()
        self._lock = Lock()
        self._used_at = 0.0

    async def open(self) -> None:
        """Connect nothing yet."""

    async def close(self, *, loop_ended: bool = False) -> None:  # noqa: ARG002 - of the protocol
        if not self._is_given:
            await answer_of(self.client.aclose() if self._awaits else self.client.close())

    async def borrow(self, _: object) -> Client:
        with self._lock:
            turn = None if self._free else Future[None]()
            if turn is None:
                self._free -= 1
            else:
                self._waiting.append(turn)
        try:
            if turn is not None and not self._awaits:
                turn.result(self._wait)
            elif turn is not None:
                async with asyncio.timeout(self._wait):
                    await asyncio.wrap_future(turn)
            if self._awaits and monotonic() - self._used_at > _PAUSE:
                # Let the loop notice which connections the server has closed. It would not have if
                # it was stopped or blocked meanwhile. Two rounds: in the first one, this task may
                # go on before the news arrives.
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            self._used_at = monotonic()
        except BaseException as error:
            if turn is None or not turn.cancel():  # the connection came too late
                await self.give_back()
            if isinstance(error, TimeoutError):
                msg = "No connection available."  # as redis-py says it
                raise ConnectionError(msg) from None
            raise
        return self

    async def send(self, *command: Any) -> Any:
        asked = self.client.execute_command(*command, NEVER_DECODE=True)
        if not self._awaits:
            return asked
        async with asyncio.timeout(self._limit):
            return await asked

    async def give_back(self, *_: object) -> None:
        with self._lock:
            while self._waiting:
                turn = self._waiting.popleft()
                if turn.set_running_or_notify_cancel():
                    turn.set_result(None)
                    return
            self._free += 1


def given_clients(client: Any, async_client: Any, budget: float) -> tuple[Clients, str, float]:
    """Return the clients that the user made, like ``own_clients``."""
    if isinstance(client, redis.asyncio.Redis) or isinstance(async_client, redis.Redis):
        msg = f"client or async_client is of the other kind: {_BOTH}"
        raise ConfigurationError(msg)
    loops: list[Loop] = []

    def make(loop: Loop | None) -> Client:
        given = client if loop is None else async_client
        if given is None:
            msg = f"RedisStore has no {'client' if loop is None else 'async_client'}=: {_BOTH}"
            raise ConfigurationError(msg)
        if loop is not None:
            loops.append(loop)
        if loop not in {None, *loops[:1]}:
            msg = (
                "the async_client of this RedisStore belongs to another event loop; "
                "pass a URL instead, or make a store for each loop"
            )
            raise ConfigurationError(msg)
        return Client(given, awaits=loop is not None, limit=budget)

    return Clients(make), "the given client's server", budget


def own_clients(
    url: str, connect_timeout: float, timeout: float, max_connections: int
) -> tuple[Clients, str, float]:
    """Return clients, where they connect to, and the seconds in which a call may begin commands.

    The last one begins when there is still time for its answer.
    """
    # redis-py's own defaults would wait and retry for seconds.
    options: dict[str, Any] = {
        "max_connections": max_connections,
        "timeout": 2 * timeout,
        "socket_timeout": timeout,
        "health_check_interval": 0,
        # With RESP3, redis-py 7 and 8 do not look whether an idle connection is still open.
        "protocol": 2,
    }
    if not url.startswith("unix:"):
        options["socket_connect_timeout"] = connect_timeout

    def pool_of(kind: Any) -> tuple[Any, dict[str, Any], float]:
        retry = kind.retry.Retry(NoBackoff(), 0)
        pool = kind.ConnectionPool.from_url(url, retry=retry, **options)
        said = pool.connection_kwargs  # what the URL says counts
        return pool, said, said.pop("timeout")

    def make(loop: Loop | None) -> Client:
        kind: Any = redis if loop is None else redis.asyncio
        pool, _, wait = pool_of(kind)
        places, client, awaits = pool.max_connections, kind.Redis.from_pool(pool), loop is not None
        return Client(client, awaits=awaits, limit=limit, wait=wait, places=places)

    try:
        pool, said, wait = pool_of(redis)
        pool.connection_class(**said)  # unconnected; checks them
        if wait < 0:
            raise ValueError  # noqa: TRY301 - refused like the others
    except (ValueError, TypeError):
        raise ConfigurationError(_NO_URL) from None  # the cause may quote a password
    address = f"{said.get('host', 'localhost')}:{said.get('port', 6379)}"
    connecting: float = said.get("socket_connect_timeout") or 0
    limit = connecting + (said["socket_timeout"] or timeout)
    return Clients(make), said.get("path") or address, wait + connecting
