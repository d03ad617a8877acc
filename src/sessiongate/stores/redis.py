"""Sessions in Redis or Valkey, for any number of processes and machines."""

# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from hashlib import sha1
from importlib.resources import files
from math import ceil
from typing import TYPE_CHECKING, Any, Final, Self, cast

from sessiongate.core.arguments import check_count, microseconds
from sessiongate.core.row import FOREVER, SECOND, Page, Record, Renewed
from sessiongate.errors import ConfigurationError, StoreError
from sessiongate.stores.engine import NetworkStore, Verb, failure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis import Redis, RedisCluster
    from redis.asyncio import Redis as AsyncRedis
    from redis.asyncio import RedisCluster as AsyncRedisCluster

    from sessiongate.core.arguments import Seconds
    from sessiongate.stores._redis_feed import RedisFeed
    from sessiongate.stores.base import Facts, Live, Records, Seen

__all__ = ["RedisStore"]

_LAYOUT: Final = b"2"
"""How the keys are named and what is in them. The layout before had no number."""
BATCH: Final = 250
"""Sessions that one script looks at: a millisecond or two, in which Redis does nothing else."""
_SLACK: Final = 3_600_000
"""Milliseconds. Redis' own expiry only collects garbage. It runs on another clock than the
manager, so it comes late, by an hour."""

_SCRIPT: Final = (files("sessiongate.stores") / "redis.lua").read_text("utf-8")
_DIGEST: Final = sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()

_MISSING: Final = "RedisStore needs the redis package: pip install 'sessiongate[redis]'"


class RedisStore(NetworkStore):
    """The store for several machines: Redis 6.2 or later, or Valkey; with Sentinel, or a Cluster.

    A check is one ``GET``. Each change is one Lua script and one round trip; the first one after
    the server started (or ``SCRIPT FLUSH``) is two, for it sends the text of the script. The first
    call also looks at the layout of the keys.

    Safe for any number of threads and event loops, and after ``fork``. Each loop has connections of
    its own; ``asyncio.run`` closes them at its end. Nothing is retried: after a lost answer the
    change may have been made. Only an idle connection that the server has closed is replaced
    unnoticed.

    Every call ends within ``connect_timeout`` plus three times ``timeout``, unless the name of the
    host resolves slowly or to several addresses that do not answer. What survives a crash of the
    server is what its persistence settings say; a session that it drops for want of memory ends
    early.

    With Sentinel, all goes to the primary, and each new connection makes sure that it is one. While
    it is being replaced, calls fail. What its replica had not heard of by then is lost, an end of
    a session as well: ``min-replicas-to-write 1`` keeps a primary that was cut off from going on.

    On a Redis Cluster, all keys of a user are in one slot. A limit over all users cannot be kept:
    pass ``max_concurrent_sessions=None`` to the manager. There is no feed. Calls of many users look
    at 256 buckets, one after the other. While a slot moves, logins of its users may fail. A session
    of another user that a login replaces is ended right after it, not in the same moment.

    Args:
        url: ``redis://…``, ``rediss://…`` or ``unix://…``, as redis-py reads it;
            ``redis+sentinel://host:26379,host:26379/SERVICE/0`` or
            ``redis+cluster://host:6379,host:6379``, with ``rediss+…`` for TLS. A password in it is
            that of the Redis servers, and appears in no message and in no ``repr``. Options in it
            (``?timeout=1``) count before the keywords; ``sentinel_username`` and
            ``sentinel_password`` are those of the sentinels.
        client: A ``redis.Redis`` or ``redis.RedisCluster`` to use instead of the URL. Its own
            timeouts and retries count, so make them short; it is not closed here. For Sentinel
            take ``Sentinel(…).master_for(…)``, never a replica.
        async_client: The same for the async verbs, of ``redis.asyncio``, for the one event loop
            that it belongs to.
        prefix: What the names of all keys begin with.
        connect_timeout: Seconds to connect, for each address of the host.
        timeout: Seconds to wait for each answer.
        max_connections: For the threads of a process together, and for each event loop. Further
            callers wait in turn, for twice ``timeout``.

    Raises:
        ConfigurationError: The ``redis`` package is missing, the URL is no Redis URL, or a client
            is of the other kind. Nothing is connected yet. Also raised by the first call, where the
            keys are in the layout of another version.
        ValueError, TypeError: Another argument is unfit.
    """

    sharded = False

    _errors = (Exception,)

    def __new__(cls, url: str = "", *_: Any, **options: Any) -> Self:
        """Make the store of a cluster, if the URL or a client is of one."""
        clients = options.get("client"), options.get("async_client")
        of_cluster = any(hasattr(client, "nodes_manager") for client in clients)
        if cls is RedisStore and (of_cluster or str(url).partition(":")[0].endswith("+cluster")):
            from sessiongate.stores._redis_cluster import RedisClusterStore  # noqa: PLC0415

            return cast("Self", object.__new__(RedisClusterStore))
        return object.__new__(cls)

    def __init__(
        self,
        url: str = "redis://localhost:6379/0",
        *,
        client: Redis | RedisCluster | None = None,
        async_client: AsyncRedis | AsyncRedisCluster | None = None,
        prefix: str = "sessiongate:",
        connect_timeout: Seconds = 0.25,
        timeout: Seconds = 0.25,
        max_connections: int = 50,
    ) -> None:
        try:
            # Here, so that the other stores do without.
            from redis.exceptions import RedisClusterException, RedisError  # noqa: PLC0415

            from sessiongate.stores import _redis_clients as clients  # noqa: PLC0415
        except ImportError as error:
            raise ConfigurationError(_MISSING) from error
        self._driver_errors = (RedisError, RedisClusterException, OSError)
        self._explain = clients.explained
        connecting = microseconds(connect_timeout, "connect_timeout", positive=True) / SECOND
        answering = microseconds(timeout, "timeout", positive=True) / SECOND
        connections = check_count(max_connections, "max_connections") or 1
        if client is None and async_client is None:
            made = clients.own_clients(url, connecting, answering, connections)
        else:
            made = clients.given_clients(client, async_client, connecting + 3 * answering)
        self._clients, self._location, self._busy = made
        self._prefix = prefix
        self._layout = to_bytes(prefix + "{0}:layout")
        self._sessions = to_bytes(prefix + "{0}:session:")

    def __repr__(self) -> str:
        return f"<RedisStore at {self._location}>"

    def _key_of(self, sid: str) -> bytes:
        return self._sessions + to_bytes(sid)

    def _read(self, sid: str) -> Verb[bytes | None]:
        try:
            return (yield "GET", self._key_of(sid))
        except StoreError as error:
            if str(error.__cause__).startswith("WRONGTYPE"):
                return b""  # nothing that a codec can read
            raise

    def _keys(self, username: str, *records: Record) -> Sequence[bytes]:  # noqa: ARG002 - of a cluster
        """What a script is called with, to touch these records and the index of that user."""
        return (self._layout,)

    def _swap(self, old: Record, new: Record | None, now: int) -> Verb[Any]:
        news = "ended" if new is None else new.generation if isinstance(new, Renewed) else ""
        change: list[Any] = [] if new is None else [new.data]
        if new is not None and new.expires_at != old.expires_at:
            change += new.expires_at, _time_to_live(new, now)
        keys = self._keys(old.username, old)
        found = yield from self._call("swap", name_of(old), news, old.data, *change, keys=keys)
        return True if found == 1 else found

    def _of_user(self, username: str) -> Verb[tuple[Seen, Sequence[Record]]]:
        names: list[bytes] = []
        records: list[Record] = []
        place: int | None = 0
        while place is not None:
            place, some, found = yield from self._look(username, place, BATCH)
            names += some
            records += found
        return b"\n".join(names), records

    def _commit(
        self, username: str, out: Records, new: Record | None, seen: Seen, live: Live, now: int
    ) -> Verb[bool]:
        added: tuple[Any, ...] = "", "", "", ""
        change = -sum(now < old.expires_at for old in out)
        if new is not None:
            added = name_of(new), new.data, new.expires_at, _time_to_live(new, now)
            change += now < new.expires_at
        bounds = ("", "") if live is None else (live[0] - change, live[1] - change)
        look = now, to_bytes(username), "any" if seen is None else seen, *bounds
        removed = (part for record in out for part in (name_of(record), record.data))
        keys = self._keys(username, *out, *(() if new is None else (new,)))
        return (yield from self._call("commit", *look, *added, *removed, keys=keys)) == 1

    def _live(self, now: int, most: int, after: int | None = None) -> Verb[Page]:
        records: list[Record] = []
        place: int | None = after or 0
        while place is not None and (left := most - len(records)) > 0:
            place, _, found = yield from self._look(None, place, min(left, BATCH))
            records += (record for record in found if now < record.expires_at)
        return Page(records, place)

    def _count(self, now: int) -> Verb[int]:
        return (yield from self._call("count", now))

    def _sweep(self, now: int, most: int) -> Verb[int]:
        removed, some = 0, BATCH
        while removed < most and some == BATCH:
            some = yield from self._call("sweep", now, min(most - removed, BATCH))
            removed += some
        return removed

    def _look(self, username: str | None, after: int, most: int) -> Verb[Any]:
        """Return the place to go on (``None``: no more), and names and records of that index."""
        index = b"order" if username is None else b"user:" + to_bytes(username)
        last, *found = yield from self._call("look", index, after, most)
        names = [name for name, _, _ in found]
        return place_of(last), names, [record_of(*one) for one in found]

    def _call(self, *arguments: Any, keys: Sequence[bytes] = ()) -> Verb[Any]:
        """Call a function of the script; a server that does not know it has done nothing."""
        keys = keys or (self._layout,)
        try:
            return (yield "EVALSHA", _DIGEST, len(keys), *keys, *arguments)
        except StoreError as error:
            if type(error.__cause__).__name__ != "NoScriptError":
                raise
            return (yield "EVAL", _SCRIPT, len(keys), *keys, *arguments)

    def feed(self) -> RedisFeed:
        """Open the news of ended and renewed sessions: one more connection."""
        from sessiongate.stores._redis_feed import RedisFeed  # noqa: PLC0415 - with the driver

        self._check_open()
        return RedisFeed(self._clients.another(), self._prefix + "{0}:", self._echo, self._failure)

    def facts(self) -> Sequence[Facts]:
        """Say what the servers are and how they are set."""
        from sessiongate.stores._redis_facts import facts_of  # noqa: PLC0415 - with the driver

        try:
            return facts_of(self._clients.another())
        except self._driver_errors as error:
            raise self._failure(error) from None

    def _echo(self, channel: str, number: int, term: str) -> None:
        self._run(self._call("echo", channel, number, term))

    def _prepare(self) -> Verb[None]:
        layout = yield "HGET", self._layout, "layout"
        if layout is None:
            layout = _LAYOUT
            for name in () if self.sharded else ("expiry", "order"):
                if (yield "EXISTS", to_bytes(self._prefix + name)):
                    layout = b"1"
        if layout != _LAYOUT:
            age = "an older" if layout == b"1" else "a newer"
            msg = (
                f"the keys {self._prefix}* in Redis were written by {age} version of sessiongate "
                f"(layout {layout.decode(errors='replace')}, this one is {_LAYOUT.decode()}); "
                "nothing was changed: take another prefix, as in RedisStore(url, prefix='new:')"
            )
            raise ConfigurationError(msg)

    def _failure(self, error: Exception) -> Exception:
        self._check_open()  # a connection that was closed in the middle fails with anything
        if isinstance(error, self._driver_errors):
            error, hint = self._explain(error)
            return failure(f"Redis at {self._location}", error, hint=hint)
        return error


def to_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def name_of(record: Record) -> bytes:
    return to_bytes(f"{record.sid}:{record.username}")


def place_of(last: bytes | None) -> int | None:
    """Where to go on after a score, ``None``: there is no more."""
    place = FOREVER if last is None else _whole(last)
    return None if place == FOREVER else place


def record_of(name: bytes, end: bytes | None, data: bytes) -> Record:
    """The record that an index names so."""
    sid, _, username = name.decode("utf-8", "surrogateescape").partition(":")
    return Record(sid, username, _whole(end or b"inf"), data)


def _whole(score: bytes) -> int:
    """Return a score, which is a whole number unless somebody else wrote it."""
    return ceil(max(0, min(float(score), FOREVER)))


def _time_to_live(record: Record, now: int) -> int:
    return max(record.expires_at - now, 0) // 1000 + _SLACK
