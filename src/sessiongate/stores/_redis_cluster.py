"""``RedisStore`` on a Redis Cluster: each user in a bucket, with all the keys of a single server.

A slot may be on its way to another node. So each script names every key that it touches, and a key
that no index names any more is not taken for one that Redis has dropped.
"""

from __future__ import annotations

from itertools import groupby
from math import inf
from typing import TYPE_CHECKING, Any, Final

from sessiongate.core.buckets import BUCKETS, WIDTH, bucket_names, bucket_of
from sessiongate.core.row import FOREVER, Page, Record
from sessiongate.errors import ConfigurationError
from sessiongate.stores.redis import BATCH, RedisStore, name_of, place_of, record_of, to_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sessiongate.stores.base import Live, Records, Seen
    from sessiongate.stores.engine import Verb

__all__ = ["RedisClusterStore"]

_FEW: Final = 16
"""Expired sessions that a login sweeps along."""
_CLAIMED: Final = 1000
"""Milliseconds in which no other login may end a session of another bucket."""


class RedisClusterStore(RedisStore):
    """What ``RedisStore`` makes for a cluster; see there."""

    sharded = True
    feed: Any = None
    """None: news that one node tells may be lost on its way to another, and nothing would show."""
    system = "redis"

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if "{" in self._prefix:
            msg = "prefix must not contain { on a Redis Cluster: all keys would be in one slot"
            raise ConfigurationError(msg)
        self._layout = self._key(bucket_names()[0], "layout")
        self._busy = inf  # each answer is bounded; a look at all buckets has many

    def _key(self, bucket: str, name: str | bytes) -> bytes:
        name = to_bytes(name) if isinstance(name, str) else name
        return b"%b{%b}:%b" % (to_bytes(self._prefix), bucket.encode(), name)

    def _key_of(self, sid: str) -> bytes:
        return self._key(sid[:WIDTH] or "0", f"session:{sid}")

    def _keys(self, username: str, *records: Record) -> Sequence[bytes]:
        bucket = records[0].sid[:WIDTH] if records else bucket_of(username)
        users = dict.fromkeys((username, *(record.username for record in records)))
        names = ("layout", "expiry", "order", *(f"user:{name}" for name in users))
        sessions = (f"session:{record.sid}" for record in records)
        return [self._key(bucket, name) for name in (*names, *sessions)]

    def _swap(self, old: Record, new: Record | None, now: int) -> Verb[Any]:
        if new is None or new.expires_at != old.expires_at:
            return (yield from super()._swap(old, new, now))
        # Only this key is touched, which is on one of two nodes, wherever the others are.
        change = "", old.data, new.data
        found = yield from self._call("swap", name_of(old), *change, keys=[self._key_of(old.sid)])
        return True if found == 1 else found

    def _commit(
        self, username: str, out: Records, new: Record | None, seen: Seen, live: Live, now: int
    ) -> Verb[bool]:
        """Those of other buckets are claimed and looked at before, and removed after."""
        if live is not None or (new is not None and new.sid[:WIDTH] != bucket_of(username)):
            msg = "a Redis Cluster has no limit over all users, and a sid begins with its bucket"
            raise ConfigurationError(msg)
        claimed: list[bytes] = []
        done = yield from self._claim(username, out, new, seen, now, claimed)
        for claim in claimed:
            yield "DEL", claim
        return done

    def _claim(
        self,
        username: str,
        out: Records,
        new: Record | None,
        seen: Seen,
        now: int,
        claimed: list[bytes],
    ) -> Verb[bool]:
        bucket = bucket_of(username)
        elsewhere = [record for record in out if record.sid[:WIDTH] != bucket]
        for record in elsewhere:
            claim = self._key(record.sid[:WIDTH], f"claim:{record.sid}")
            if not (yield "SET", claim, "", "NX", "PX", _CLAIMED):
                return False
            claimed.append(claim)
            if (yield from self._read(record.sid)) != record.data:
                return False
        if new is not None:
            yield from self._sweep_bucket(bucket, now, _FEW)
        mine = [record for record in out if record.sid[:WIDTH] == bucket]
        if not (yield from super()._commit(username, mine, new, seen, None, now)):
            return False
        for record in elsewhere:
            while type(found := (yield from self._swap(record, None, now))) is bytes:
                record = record._replace(data=found)  # noqa: PLW2901 - it was used meanwhile
        return True

    def _look(self, username: str | None, after: int, most: int) -> Verb[Any]:
        bucket = bucket_of(username or "")
        found = yield from self._names(self._key(bucket, f"user:{username}"), after, most)
        names = [name for _, name in found]
        last = found[-1][0] if len(found) == most else None
        records = yield from self._fetch(bucket, names)
        return last, names, [record for record in records if record is not None]

    def _live(self, now: int, most: int, after: int | None = None) -> Verb[Page]:
        records: list[Record] = []
        place: int | None = after or 0
        while place is not None and (left := most - len(records)) > 0:
            place, found = yield from self._page(place, left)
            records += (record for record in found if now < record.expires_at)
        return Page(records, place)

    def _page(self, after: int, most: int) -> Verb[tuple[int | None, list[Record]]]:
        """Return where to go on, and what was opened next, a few of each bucket.

        A place is one in a bucket and the number of that bucket: clocks of nodes may tell the same.
        """
        few = _FEW + most // _FEW
        found: list[tuple[int, str, bytes]] = []
        horizon = inf  # up to here, all are among those found
        for number, bucket in enumerate(bucket_names()):
            start = (after - number) // BUCKETS
            some = yield from self._names(self._key(bucket, "order"), start, few)
            found += ((BUCKETS * place + number, bucket, name) for place, name in some)
            if len(some) == few:
                horizon = min(horizon, found[-1][0])
        found = sorted(one for one in found if one[0] <= horizon)
        page = found[:most]
        records: dict[bytes, Record | None] = {}
        for bucket, group in groupby(sorted(page, key=_bucket), _bucket):
            names = [name for _, _, name in group]
            records.update(zip(names, (yield from self._fetch(bucket, names)), strict=True))
        is_last = len(page) == len(found) and horizon == inf
        there = (records[name] for _, _, name in page)
        return None if is_last else page[-1][0], [record for record in there if record is not None]

    def _count(self, now: int) -> Verb[int]:
        total = 0
        for bucket in bucket_names():
            total += yield "ZCOUNT", self._key(bucket, "expiry"), f"({now}", "+inf"
        return total

    def _sweep(self, now: int, most: int) -> Verb[int]:
        removed = 0
        for bucket in bucket_names():
            some = min(most - removed, BATCH)
            while some:
                swept = yield from self._sweep_bucket(bucket, now, some)
                removed += swept
                some = min(most - removed, BATCH) if swept == some else 0
        return removed

    def _sweep_bucket(self, bucket: str, now: int, most: int) -> Verb[int]:
        expiry = self._key(bucket, "expiry")
        names = yield "ZRANGEBYSCORE", expiry, "-inf", now, "LIMIT", 0, most
        if not names:
            return 0
        named = (name.decode("utf-8", "surrogateescape").partition(":") for name in names)
        records = [Record(sid, username, 0, b"") for sid, _, username in named]
        keys = self._keys(records[0].username, *records)
        forgotten: int = yield from self._call("forget", now, *names, keys=keys)
        return forgotten

    def _names(self, index: bytes, after: int, most: int) -> Verb[list[tuple[int, bytes]]]:
        """Return places and names in an index, in the order of opening."""
        limits = "WITHSCORES", "LIMIT", 0, most
        found = yield "ZRANGEBYSCORE", index, f"({after}", "+inf", *limits
        places = (place_of(score) or FOREVER for score in found[1::2])
        return list(zip(places, found[::2], strict=True))

    def _fetch(self, bucket: str, names: Sequence[bytes]) -> Verb[list[Record | None]]:
        """Return the records of these names, ``None`` for one that is not there."""
        if not names:
            return []
        sessions = (b"session:" + name.partition(b":")[0] for name in names)
        keys = [self._key(bucket, name) for name in (b"expiry", *sessions)]
        found = yield from self._call("fetch", *names, keys=keys)
        pairs = zip(names, found, strict=True)
        return [None if data is None else record_of(name, end, data) for name, (end, data) in pairs]


def _bucket(found: tuple[int, str, bytes]) -> str:
    return found[1]
