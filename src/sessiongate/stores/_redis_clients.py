"""The clients of ``RedisStore``: redis-py's, whose callers get a free connection in turn."""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import Future
from functools import partial
from math import inf
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import unquote, urlsplit

import redis
import redis.asyncio
import redis.asyncio.sentinel
import redis.sentinel
from redis.backoff import NoBackoff
from redis.exceptions import MaxConnectionsError

from sessiongate.errors import ConfigurationError
from sessiongate.stores.engine import Clients, answer_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from sessiongate.stores.engine import Loop

__all__ = ["explained", "given_clients", "own_clients"]

_PAUSE: Final = 0.01
"""Seconds; no server is gone and back in less."""
_NO_URL: Final = (
    "url is no Redis URL: it must look like redis://localhost:6379/0, rediss://…, unix://…, "
    "redis+sentinel://host:26379,host:26379/SERVICE/0 or redis+cluster://host:6379,host:6379, "
    "with options that redis-py knows, and with the password percent-encoded"
)
_BOTH: Final = (
    "pass client=redis.Redis(…) for the sync verbs, and async_client=redis.asyncio.Redis(…) "
    "for those to await"
)
_HINTS: Final = {
    "MOVED ": "this server is a node of a Redis Cluster: take redis+cluster://… as the URL",
    "Cluster mode is not enabled": "this server is no Redis Cluster: take redis://… as the URL",
    "No master found": "the URL must name the service as the sentinels do: "
    "redis+sentinel://host:26379/SERVICE/0",
    "unknown command 'SENTINEL'": "this server is no sentinel: take redis://… as the URL",
}
"""What to do about an error, by a sign of it."""
_ASK_EVERY: Final = 1.0
"""Seconds after which the sentinels are asked again: a primary that they have replaced may go on
for a while, and would never tell."""
_NOT_FOUND: Final = (redis.sentinel.MasterNotFoundError, redis.asyncio.sentinel.MasterNotFoundError)
_NO_PRIMARY: Final = "this server is not the primary, whatever the sentinels say"


_OPTIONS: Final[dict[str, Any]] = {
    "health_check_interval": 0,
    # With RESP3, redis-py 7 and 8 do not look whether an idle connection is still open.
    "protocol": 2,
}
_TIMES: Final = ("socket_timeout", "socket_connect_timeout")


def explained(error: Exception) -> tuple[Exception, str]:
    """Return an error of the driver, and what to do about it."""
    if isinstance(error, _NOT_FOUND) and " : " in str(error):
        # What redis-py says of a sentinel that does not answer shows all its settings.
        shown, _, reason = str(error).rpartition("> - ")
        error = redis.ConnectionError(f"no sentinel names the primary: {shown and reason}")
    said = f"{type(error).__name__.replace('MovedError', 'MOVED ')}: {error}"
    return error, next((hint for sign, hint in _HINTS.items() if sign in said), "")


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


class SentinelClient(Client):
    """A client whose connections are given up when the sentinels name another primary."""

    _asked_at = 0.0

    async def borrow(self, _: object) -> Client:
        await super().borrow(_)
        now = monotonic()
        if now - self._asked_at > _ASK_EVERY:
            self._asked_at = now
            try:
                await answer_of(self.client.connection_pool.get_master_address())
            except redis.RedisError:
                """The primary is asked itself: that works or is an error."""
            except BaseException:
                await self.give_back()
                raise
        return self

    async def close(self, *, loop_ended: bool = False) -> None:
        await super().close(loop_ended=loop_ended)
        for client in self.client.connection_pool.sentinel_manager.sentinels:
            await answer_of(client.aclose() if self._awaits else client.close())


class ClusterClient(Client):
    """A client of a cluster, which asks for the nodes at its first use: one for all that wait."""

    def __init__(self, make: Callable[[], Any], **options: Any) -> None:
        super().__init__(None, **options)
        self._make = make
        self._opening, self._aopening = Lock(), asyncio.Lock()
        self._knows_nodes = False

    async def close(self, *, loop_ended: bool = False) -> None:
        if self.client is not None:
            await super().close(loop_ended=loop_ended)

    async def borrow(self, _: object) -> Client:
        await super().borrow(_)
        try:
            if not self._knows_nodes and self._awaits:
                async with asyncio.timeout(self._limit), self._aopening:
                    self.client = self.client or self._make()
                    await self.client.initialize()
                    self._knows_nodes = True
            elif not self._knows_nodes:
                if not self._opening.acquire(timeout=self._limit):
                    raise TimeoutError  # noqa: TRY301 - as for those that await
                try:
                    self.client = self.client or self._make()
                    self._knows_nodes = True
                finally:
                    self._opening.release()
        except BaseException:
            await self.give_back()
            raise
        return self

    async def send(self, *command: Any) -> Any:
        try:
            return await super().send(*command)
        except redis.ConnectionError as error:
            # The async client does not look whether an idle connection is still open. A change that
            # was made all the same is not made twice: the record is another one by now.
            if not self._awaits or isinstance(error, MaxConnectionsError):
                raise
            return await super().send(*command)


def given_clients(client: Any, async_client: Any, budget: float) -> tuple[Clients, str, float]:
    """Return the clients that the user made, like ``own_clients``."""
    awaited = redis.asyncio.Redis, redis.asyncio.RedisCluster
    if isinstance(client, awaited) or isinstance(async_client, (redis.Redis, redis.RedisCluster)):
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
        if hasattr(given, "nodes_manager"):
            return ClusterClient(lambda: given, awaits=loop is not None, limit=budget)
        return Client(given, awaits=loop is not None, limit=budget)

    return Clients(make), "the given client's server", budget


class _Address(NamedTuple):
    """What a URL says of where to connect."""

    kind: str
    """``""``, ``"sentinel"`` or ``"cluster"``."""
    nodes: list[tuple[str, int]]
    service: str
    url: str
    """The same as one of a single server, for redis-py to read the rest."""


def _address_of(url: str) -> _Address:
    """Read a URL. Raises ``ValueError`` where it names no nodes, or a sentinel no service."""
    scheme, _, rest = url.partition("://")
    scheme, several, kind = scheme.partition("+")
    if not several:
        return _Address("", [], "", url)
    place, mark, query = rest.partition("?")
    netloc, _, path = place.partition("/")
    login, at, hosts = netloc.rpartition("@")
    service, port = "", 6379
    if kind == "sentinel":
        service, _, path = path.partition("/")
        port = 26379
    parts = [urlsplit(f"//{host}") for host in hosts.split(",")]
    nodes = [(part.hostname or "", part.port or port) for part in parts]
    known = {"sentinel": service != "", "cluster": path in {"", "0"}}
    is_whole = all(host for host, _ in nodes) and "@" not in place.removeprefix(netloc)
    if scheme not in {"redis", "rediss"} or not known.get(kind) or not is_whole:
        raise ValueError(kind)
    first = hosts.partition(",")[0]
    url = f"{scheme}://{login}{at}{first}/{path}{mark}{query}"
    return _Address(kind, nodes, unquote(service), url)


def own_clients(
    url: str, connect_timeout: float, timeout: float, max_connections: int
) -> tuple[Clients, str, float]:
    """Return clients, where they connect to, and the seconds in which a call may begin commands.

    The last one begins when there is still time for its answer.
    """
    # redis-py's own defaults would wait and retry for seconds.
    options = {
        "max_connections": max_connections,
        "timeout": 2 * timeout,
        "socket_timeout": timeout,
        **_OPTIONS,
    }
    if not url.startswith("unix:"):
        options["socket_connect_timeout"] = connect_timeout

    def pool_of(kind: Any) -> tuple[Any, dict[str, Any], dict[str, Any]]:
        retry = kind.retry.Retry(NoBackoff(), 0)
        pool = kind.ConnectionPool.from_url(address.url, retry=retry, **options)
        said = pool.connection_kwargs  # what the URL says counts
        ours = ("timeout", "sentinel_username", "sentinel_password")
        return pool, said, {name: said.pop(name) for name in ours if name in said}

    def make(loop: Loop | None) -> Client:
        kind: Any = redis if loop is None else redis.asyncio
        pool, _, ours = pool_of(kind)
        turns: dict[str, Any] = {
            "awaits": loop is not None,
            "limit": limit,
            "wait": ours["timeout"],
        }
        turns["places"] = pool.max_connections
        if address.kind == "cluster":
            return ClusterClient(partial(_cluster_of, kind, address, pool), **turns)
        if address.kind == "sentinel":
            pool = _sentinel_pool(kind, address, pool, ours)
            return SentinelClient(kind.Redis.from_pool(pool), **turns)
        return Client(kind.Redis.from_pool(pool), **turns)

    try:
        address = _address_of(url)
        pool, said, ours = pool_of(redis)
        pool.connection_class(**said)  # unconnected; checks them
        if ours["timeout"] < 0:
            raise ValueError  # noqa: TRY301 - refused like the others
    except (ValueError, TypeError):
        raise ConfigurationError(_NO_URL) from None  # the cause may quote a password
    places = [f"{host}:{port}" for host, port in address.nodes]
    places = places or [f"{said.get('host', 'localhost')}:{said.get('port', 6379)}"]
    place = ",".join(places) + (address.service and f"/{address.service}")
    connecting: float = said.get("socket_connect_timeout") or 0
    limit = connecting + (said["socket_timeout"] or timeout)
    if address.kind:
        limit *= 2  # the first of those who know where to ask may not answer
    return Clients(make), said.get("path") or place, ours["timeout"] + connecting


def _said(pool: Any, url: str) -> dict[str, Any]:
    """What was asked of connections, less what redis-py adds for a pool of its own."""
    query = url.partition("?")[2].split("&")
    names = {
        "username",
        "password",
        "retry",
        *_OPTIONS,
        *_TIMES,
        *(one.partition("=")[0] for one in query),
    }
    names -= {"max_connections", "db"}
    return {name: value for name, value in pool.connection_kwargs.items() if name in names}


def _cluster_of(kind: Any, address: _Address, pool: Any) -> Any:
    made = kind.RedisCluster(
        startup_nodes=[kind.cluster.ClusterNode(*node) for node in address.nodes],
        max_connections=pool.max_connections,
        **_said(pool, address.url),
        **({"ssl": True} if address.url.startswith("rediss") else {}),
    )
    made.cluster_error_retry_attempts = 0  # of redis-py 5
    return made


def _sentinel_pool(kind: Any, address: _Address, pool: Any, ours: dict[str, Any]) -> Any:
    said, is_tls = _said(pool, address.url), address.url.startswith("rediss")
    login = {name: ours.get(f"sentinel_{name}") for name in ("username", "password")}
    sentinel = kind.Sentinel(address.nodes, sentinel_kwargs={**said, **login, "ssl": is_tls})
    return kind.SentinelConnectionPool(
        address.service,
        sentinel,
        ssl=is_tls,
        db=pool.connection_kwargs.get("db", 0),
        max_connections=pool.max_connections,
        redis_connect_func=_greet if kind is redis else _agreet,
        **said,
    )


def _greet(connection: Any) -> None:
    """Begin a connection: sentinels that were cut off may name a primary that is none any more."""
    connection.on_connect()
    connection.send_command("HELLO")
    _check_role(connection.read_response())


async def _agreet(connection: Any) -> None:
    await connection.on_connect()
    await connection.send_command("HELLO")
    _check_role(await connection.read_response())


def _words(said: Any) -> set[Any]:
    words: Any = said.values() if isinstance(said, dict) else said  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    return {word for word in words if isinstance(word, (bytes, str))}


def _check_role(said: Any) -> None:
    if not {b"master", "master"} & _words(said):
        raise redis.ConnectionError(_NO_PRIMARY)
