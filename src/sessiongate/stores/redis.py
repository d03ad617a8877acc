"""Sessions in Redis or Valkey, for any number of processes and machines."""

from __future__ import annotations

import asyncio
import re
import time
from hashlib import sha1
from importlib.resources import files
from math import ceil
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn, TypeVar

from sessiongate.core.arguments import check_count, microseconds
from sessiongate.core.row import FOREVER, SECOND
from sessiongate.errors import ConfigurationError, StoreError
from sessiongate.stores import codec as json_codec
from sessiongate.stores._twins import twins
from sessiongate.stores.base import Page, Record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis import Redis
    from redis.asyncio import Redis as AsyncRedis

    from sessiongate.core.arguments import Seconds
    from sessiongate.stores._twins import Verb
    from sessiongate.stores.base import RowCodec, Seen

__all__ = ["RedisStore"]

T = TypeVar("T")

_LAYOUT: Final = b"2"
"""How the keys are named and what is in them. The layout before had no number."""
_BATCH: Final = 250
"""Sessions that one script looks at: a millisecond or two, in which Redis does nothing else."""
_SLACK: Final = 3_600_000
"""Milliseconds. Redis' own expiry only collects garbage. It runs on another clock than the
manager, so it comes late, by an hour."""

_SCRIPT: Final = (files("sessiongate.stores") / "redis.lua").read_text("utf-8")
_DIGEST: Final = sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()

_MISSING: Final = "RedisStore needs the redis package: pip install 'sessiongate[redis]'"
_CLOSED: Final = "this RedisStore was closed; make a new one"

_UNKNOWN: Final = object()
"""The answer of a server that has not got the script."""


class RedisStore:
    """The store for several machines: Redis 6.2 or later, or Valkey; no Redis Cluster.

    A check is one ``GET``. Each change is one Lua script and one round trip; the
    first one after the server started (or ``SCRIPT FLUSH``) is two, for it sends
    the text of the script. The first call also looks at the layout of the keys.

    Safe for any number of threads and event loops, and after ``fork``. Each
    loop has connections of its own; ``asyncio.run`` closes them at its end.
    Nothing is retried: after a lost answer the change may have been made. Only
    an idle connection that the server has closed is replaced unnoticed.

    Every call ends within ``connect_timeout`` plus three times ``timeout``,
    unless the name of the host resolves slowly or to several addresses that do
    not answer. What survives a crash of the server is what its persistence
    settings say; a session that it drops for want of memory ends early.

    Args:
        url: ``redis://…``, ``rediss://…`` or ``unix://…``, as redis-py reads
            it. A password in it appears in no message and in no ``repr``.
            Options in it (``?timeout=1``) count before the keywords.
        client: A ``redis.Redis`` to use instead of the URL. Its own timeouts
            and retries count, so make them short; it is not closed here.
        async_client: The same for the async verbs: a ``redis.asyncio.Redis``,
            for the one event loop that it belongs to.
        prefix: What the names of all keys begin with.
        connect_timeout: Seconds to connect, for each address of the host.
        timeout: Seconds to wait for each answer.
        max_connections: For the threads of a process together, and for each
            event loop. Further callers wait in turn, for twice ``timeout``.

    Raises:
        ConfigurationError: The ``redis`` package is missing, the URL is no
            Redis URL, or a client is of the other kind. Nothing is connected
            yet. Also raised by the first call, where the keys are in the
            layout of another version.
        ValueError, TypeError: Another argument is unfit.
    """

    shared = True
    touch_every = 300 * SECOND
    blocking = True
    codec: RowCodec = json_codec

    def __init__(
        self,
        url: str = "redis://localhost:6379/0",
        *,
        client: Redis | None = None,
        async_client: AsyncRedis | None = None,
        prefix: str = "sessiongate:",
        connect_timeout: Seconds = 0.25,
        timeout: Seconds = 0.25,
        max_connections: int = 50,
    ) -> None:
        try:
            # Here, so that the other stores do without.
            from redis.exceptions import NoScriptError, RedisError  # noqa: PLC0415

            from sessiongate.stores._redis_clients import GivenClients, OwnClients  # noqa: PLC0415
        except ImportError as error:
            raise ConfigurationError(_MISSING) from error
        self._unknown_script: type[Exception] = NoScriptError
        self._failures: tuple[type[Exception], ...] = (RedisError, OSError)
        connecting = microseconds(connect_timeout, "connect_timeout", positive=True) / SECOND
        answering = microseconds(timeout, "timeout", positive=True) / SECOND
        connections = check_count(max_connections, "max_connections") or 1
        self._clients = (
            OwnClients(url, connecting, answering, connections)
            if client is None and async_client is None
            else GivenClients(client, async_client, connecting + 3 * answering)
        )
        self._budget = self._clients.budget
        self._prefix = prefix
        # All keys in one slot. In a Redis Cluster each user would have one of many, which the sid
        # names as well, and there could be no limit over all users.
        base = prefix + "{0}:"
        self._layout = _bytes(base + "layout")
        self._sessions = _bytes(base + "session:")
        self._sent = re.compile(rf"{re.escape(base)}\S*|,? with args beginning with.*", re.DOTALL)
        self._closed = False
        self._ready = False  # open, and the layout is known to be ours

    def __repr__(self) -> str:
        return f"<RedisStore at {self._clients.location}>"

    # Most requests make no call but this one, so it is written out, without a generator.

    def read(self, sid: str) -> bytes | None:
        if not self._ready:
            self._run(self._open())
        try:
            return self._clients.for_process().execute_command(  # type: ignore[no-any-return]
                "GET", self._sessions + _bytes(sid), NEVER_DECODE=True
            )
        except Exception as error:  # noqa: BLE001
            return self._unreadable(error)

    async def aread(self, sid: str) -> bytes | None:
        if not self._ready:
            await self._arun(self._open())
        try:
            client = await self._clients.for_loop()
            return await client.execute_command(  # type: ignore[no-any-return]
                "GET", self._sessions + _bytes(sid), NEVER_DECODE=True
            )
        except Exception as error:  # noqa: BLE001
            return self._unreadable(error)

    def _unreadable(self, error: Exception) -> bytes:
        """Return what no codec can read where the key holds no string."""
        return b"" if str(error).startswith("WRONGTYPE") else self._fail(error)

    def _swap(
        self, old: Record, new: Record | None, now: int
    ) -> Verb[Literal[True] | bytes | None]:
        if new is None:
            change: tuple[Any, ...] = b"", b"", b""
        elif new.expires_at == old.expires_at:
            change = new.data, b"", b""
        else:
            change = new.data, new.expires_at, _time_to_live(new, now)
        found = yield from self._call("swap", _name(old), old.data, *change)
        return True if found == 1 else found

    def _of_user(self, username: str) -> Verb[tuple[Seen, Sequence[Record]]]:
        found: list[tuple[bytes, Record]] = []
        place: int | None = 0
        while place is not None:
            more, place = yield from self._look(b"user:" + _bytes(username), place, _BATCH)
            found += more
        return b"\n".join(name for name, _ in found), [record for _, record in found]

    def _commit(
        self,
        username: str,
        out: Sequence[Record],
        new: Record | None,
        seen: Seen | None,
        live: tuple[int, int] | None,
        now: int,
    ) -> Verb[bool]:
        added: tuple[Any, ...] = b"", b"", b"", b""
        change = -sum(now < old.expires_at for old in out)
        if new is not None:
            added = _name(new), new.data, new.expires_at, _time_to_live(new, now)
            change += now < new.expires_at
        bounds = (b"", b"") if live is None else (live[0] - change, live[1] - change)
        mark = b"any" if seen is None else seen
        removed = (part for record in out for part in (_name(record), record.data))
        done = yield from self._call(
            "commit", now, _bytes(username), mark, *bounds, *added, *removed
        )
        return done == 1  # type: ignore[no-any-return]

    def _live(self, now: int, most: int, after: int | None = None) -> Verb[Page]:
        records: list[Record] = []
        place = after or 0
        while len(records) < most:
            asked = min(most - len(records), _BATCH)
            found, further = yield from self._look(b"order", place, asked)
            records += [record for _, record in found if now < record.expires_at]
            if further is None:
                return Page(records, None)
            place = further
        return Page(records, place)

    def _count(self, now: int) -> Verb[int]:
        return (yield from self._call("count", now))  # type: ignore[no-any-return]

    def _sweep(self, now: int, most: int) -> Verb[int]:
        removed = 0
        while removed < most:
            asked = min(most - removed, _BATCH)
            some = yield from self._call("sweep", now, asked)
            removed += some
            if some < asked:
                break
        return removed

    swap, aswap = twins(_swap)
    of_user, aof_user = twins(_of_user)
    commit, acommit = twins(_commit)
    live, alive = twins(_live)
    count, acount = twins(_count)
    sweep, asweep = twins(_sweep)

    def close(self) -> None:
        """Close all connections, those of a running event loop soon; not a given client."""
        self._closed, self._ready = True, False
        self._clients.close()

    async def aclose(self) -> None:
        """``close``, to await for the connections of this event loop."""
        self._closed, self._ready = True, False
        await self._clients.aclose()

    def _look(
        self, index: bytes, after: int, most: int
    ) -> Verb[tuple[list[tuple[bytes, Record]], int | None]]:
        """Return the records that an index names, and the place to go on; ``None``: no more."""
        last, *found = yield from self._call("look", index, after, most)
        named: list[tuple[bytes, Record]] = []
        for name, end, data in found:
            sid, _, username = name.decode("utf-8", "surrogateescape").partition(":")
            named.append((name, Record(sid, username, _whole(end or b"inf"), data)))
        place = FOREVER if last is None else _whole(last)
        return named, None if place == FOREVER else place

    def _call(self, *arguments: Any) -> Verb[Any]:
        """Call a function of the script; a server that does not know it has done nothing."""
        if not self._ready:
            yield from self._open()
        answer = yield "EVALSHA", _DIGEST, 1, self._layout, *arguments
        if answer is _UNKNOWN:
            answer = yield "EVAL", _SCRIPT, 1, self._layout, *arguments
        return answer

    def _open(self) -> Verb[None]:
        """Check that the keys are in the layout of this version."""
        if self._closed:
            raise StoreError(_CLOSED)
        layout = yield "HGET", self._layout, "layout"
        if layout is None:
            old = yield "EXISTS", *(_bytes(self._prefix + name) for name in ("expiry", "order"))
            layout = b"1" if old else _LAYOUT
        if layout != _LAYOUT:
            age = "an older" if layout == b"1" else "a newer"
            msg = (
                f"the keys {self._prefix}* in Redis were written by {age} version of sessiongate "
                f"(layout {layout.decode(errors='replace')}, this one is {_LAYOUT.decode()}); "
                "nothing was changed: take another prefix, as in RedisStore(url, prefix='new:')"
            )
            raise ConfigurationError(msg)
        self._ready = not self._closed

    def _run(self, verb: Verb[T]) -> T:
        give_up = time.monotonic() + self._budget
        try:
            client = self._clients.for_process()
            request = verb.send(None)
            while True:
                if time.monotonic() > give_up:
                    raise TimeoutError  # noqa: TRY301 - like one of the driver
                try:
                    answer = client.execute_command(*request, NEVER_DECODE=True)
                except self._unknown_script:
                    answer = _UNKNOWN
                request = verb.send(answer)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        except Exception as error:  # noqa: BLE001
            self._fail(error)

    async def _arun(self, verb: Verb[T]) -> T:
        try:
            async with asyncio.timeout(self._budget):
                client = await self._clients.for_loop()
                request = verb.send(None)
                while True:
                    try:
                        answer = await client.execute_command(*request, NEVER_DECODE=True)
                    except self._unknown_script:
                        answer = _UNKNOWN
                    request = verb.send(answer)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        except Exception as error:  # noqa: BLE001
            self._fail(error)

    def _fail(self, error: Exception) -> NoReturn:
        """Raise the driver's class and words, without what was sent."""
        if self._closed:
            # A connection that was closed in the middle fails with anything.
            raise StoreError(_CLOSED) from None
        if not isinstance(error, self._failures):
            raise error
        said = str(error)
        clean = self._sent.sub("…", said)
        words = " ".join(clean.split()) or "no answer in time"
        msg = f"Redis at {self._clients.location} failed: {type(error).__name__}: {words}"
        raise StoreError(msg) from (error if clean == said else None)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _name(record: Record) -> bytes:
    return _bytes(f"{record.sid}:{record.username}")


def _whole(score: bytes) -> int:
    """Return a score, which is a whole number unless somebody else wrote it."""
    return ceil(max(0, min(float(score), FOREVER)))


def _time_to_live(record: Record, now: int) -> int:
    return max(record.expires_at - now, 0) // 1000 + _SLACK
