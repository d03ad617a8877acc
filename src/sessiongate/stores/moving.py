"""From one store to another, without logging anybody out."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from sessiongate.core.row import Page
from sessiongate.errors import ConfigurationError
from sessiongate.stores.base import Store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sessiongate.stores.base import Live, Record, Records, Seen

__all__ = ["MovingStore"]

T = TypeVar("T")
Verb: TypeAlias = Generator[tuple[Any, ...], Any, T]
"""Yields calls, ``(store, verb, *arguments)``, and is sent the answers."""

_BATCH: Final = 500


class MovingStore(Store):
    """Two stores as one: sessions of the old go on there, and each login goes to the new one.

    A record never moves while the app runs, so each change is made by one store, at one moment.
    Only a login that ends old sessions changes both, the new one first: if that stops half way, it
    is a ``StoreError``, and an old session may be left. A limit is never exceeded, but who logs in
    at the moment when an old session ends may be refused, or evict one more. Of a crowd of logins
    of one user some may be a ``StoreError``.

    Beside processes with ``MovingStore(new, old)`` a logout is final in all of them, but logins at
    one moment may exceed a limit: that of a user by one session, ``max_concurrent_sessions`` by as
    many as log in then. Where it must hold, stop all processes between the two.

    The check of an old session is one read more. There is no ``feed``.

    Safe as both stores are.

    Args:
        old: Where the sessions are.
        new: Where logins go from now on.

    Raises:
        ConfigurationError: The stores are one, or do not keep the same bytes, as ``MemoryStore``
            does not.
    """

    shared = True

    def __init__(self, old: Store, new: Store) -> None:
        if old is new or old.codec is not new.codec:
            msg = (
                "new must be another store than old, and both must keep the same bytes: sessions "
                "in memory cannot move"
            )
            raise ConfigurationError(msg)
        self._old, self._new = old, new
        self.codec: Any = new.codec
        self.touch_every: int = max(old.touch_every, new.touch_every)
        self.sharded: bool = getattr(new, "sharded", False)

    def __repr__(self) -> str:
        return f"<MovingStore from {self._old!r} to {self._new!r}>"

    def move_rest(self, now: int) -> int:
        """Move all live sessions that are left, and return how many.

        Only while no process of the app runs: a logout at the same time would be undone. It may be
        stopped and begun again.

        Args:
            now: Microseconds since the Unix epoch.

        Raises:
            ConfigurationError: The new store is a Redis Cluster and the old one is none: their
                sids differ. Nothing was moved.
            StoreError: One of them failed.
        """
        if self.sharded and not getattr(self._old, "sharded", False):
            msg = (
                "sessions of another store cannot be moved to a Redis Cluster: let them end, with "
                "MovingStore(old, new) until then"
            )
            raise ConfigurationError(msg)
        moved, place = 0, None
        while True:
            page = self._old.live(now, _BATCH, place)
            for record in page.records:
                if self._new.read(record.sid) is None:
                    self._new.commit(record.username, (), record, None, None, now)
                self._old.swap(record, None, now)
                moved += 1
            place = page.place
            if place is None:
                return moved

    def close(self) -> None:
        """Close both."""
        self._old.close()
        self._new.close()

    async def aclose(self) -> None:
        """``close``, to await."""
        await self._old.aclose()
        await self._new.aclose()

    # The verbs, once for both colours.

    def _run(self, verb: Verb[T]) -> T:
        answer = None
        while True:
            try:
                store, name, *arguments = verb.send(answer)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return] # of the generator
            answer = getattr(store, name)(*arguments)

    async def _arun(self, verb: Verb[T]) -> T:
        answer = None
        while True:
            try:
                store, name, *arguments = verb.send(answer)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return] # of the generator
            answer = await getattr(store, f"a{name}")(*arguments)

    def _read(self, sid: str) -> Verb[Any]:
        data = yield self._new, "read", sid
        return (yield self._old, "read", sid) if data is None else data

    def _swap(self, old: Record, new: Record | None, now: int) -> Verb[Any]:
        outcome = yield self._new, "swap", old, new, now
        return (yield self._old, "swap", old, new, now) if outcome is None else outcome

    def _of_user(self, username: str) -> Verb[tuple[Seen, Sequence[Record]]]:
        seen, records = yield self._old, "of_user", username
        newer, others = yield self._new, "of_user", username
        return (seen, newer), [*records, *others]

    def _commit(
        self, username: str, out: Records, new: Record | None, seen: Seen, live: Live, now: int
    ) -> Verb[bool]:
        ended: list[Record] = []  # in the old store
        for record in out:
            data = yield self._old, "read", record.sid
            if data == record.data:
                ended.append(record)
        if seen is not None:
            marks: Any = seen  # as of_user has made them
            if (yield self._old, "of_user", username)[0] != marks[0]:
                return False
            seen = marks[1]
        if live is not None:
            # Nobody adds to them, so there are as many at the most when the new store looks.
            others = yield self._old, "count", now
            others -= sum(now < record.expires_at for record in ended)
            live = live[0] - others, live[1] - others
        rest = [record for record in out if record not in ended]
        if not (yield self._new, "commit", username, rest, new, seen, live, now):
            return False
        for record in ended:
            outcome = yield self._old, "swap", record, None, now
            while outcome not in (True, None):  # it was renewed meanwhile
                outcome = yield self._old, "swap", record._replace(data=outcome), None, now
        return True

    def _live(self, now: int, most: int, after: int | None = None) -> Verb[Page]:
        # An even place is one of the old store, an odd one of the new; -1 is its beginning.
        records: list[Record] = []
        if after is None or after % 2 == 0:
            start = None if after is None else after // 2
            records, place = yield self._old, "live", now, most, start
            if place is not None:
                return Page(records, 2 * place)
            after = -1
        start = None if after == -1 else after // 2
        if len(records) == most:
            return Page(records, after)
        others, place = yield self._new, "live", now, most - len(records), start
        return Page([*records, *others], None if place is None else 2 * place + 1)

    def _count(self, now: int) -> Verb[int]:
        return (yield self._old, "count", now) + (yield self._new, "count", now)  # type: ignore[no-any-return]

    def _sweep(self, now: int, most: int) -> Verb[int]:
        removed = yield self._old, "sweep", now, most
        return removed + (yield self._new, "sweep", now, most - removed)  # type: ignore[no-any-return]
