"""The verbs of a store in SQL, once for all engines: one table, and no decision in it.

A verb yields ``(sql, arguments)`` and is sent the rows, or how many were changed. A command such as
``COMMIT`` has ``None`` for arguments, and its answer does not matter.
"""

# ruff: noqa: S608 - names of our own

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, Final, cast

from sessiongate.core.row import FOREVER, SECOND, Page, Record, Renewed
from sessiongate.errors import ConfigurationError, StoreError
from sessiongate.stores.engine import EngineStore, Verb

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sessiongate.stores.base import Begin, Live, Records, Seen

__all__ = ["VERSION", "SQLStore", "check_version"]

VERSION: Final = 3
"""Of the tables."""

_FEW: Final = 16
"""Expired records that are removed along with each new one."""


class SQLStore(EngineStore):
    """The text of the verbs. A subclass brings connections and the words of its engine.

    Args:
        schema: What stands before the names of the tables, its dot included.
    """

    _run: Any
    _arun: Any
    _list: Any
    """Makes a value of some sids."""
    _renew: Any
    """The verb that swaps for a renewed record, and tells of it: whether it did."""
    _begin: Any
    """The verb that begins a transaction, and locks a user and the total until its end."""
    _placeholder = "?"
    _one_of: str
    """How to choose the rows whose ``sid`` is in the value that ``_list`` makes."""
    _inside: Mapping[str, str] = {"commit": "_change"}
    """What is done for a verb inside of a transaction, where it is not the same as alone."""
    _limited = "sid IN ({})"
    """How to choose the rows of a query that has a limit."""
    _locked = ""
    """How to lock the rows of a query in one order, so that nobody waits in a circle."""
    _where = "WHERE"
    """Begins the condition of each look: an engine may have one of its own."""
    _rows: str
    """How many rows there are: an engine counts a table by reading all of it."""

    _as_far = "LIMIT CASE WHEN {rows} > ? THEN {rows} - ? ELSE 0 END"
    """How far the expired are counted for a limit: a night may leave millions of them."""

    def __init__(self, schema: str = "") -> None:
        session = f"{schema}session"
        record = "SELECT sid, username, expires_at, data"
        expired = f"SELECT sid FROM {session} WHERE expires_at <= ? ORDER BY expires_at LIMIT ?"
        live = f"{self._rows} - (SELECT count(*) FROM {session} {self._where} expires_at <= ?)"

        def sql(text: str) -> str:
            return text.format(schema=schema).replace("?", self._placeholder)

        self._select = sql(f"SELECT data FROM {session} {self._where} sid = ?")
        self._update = sql(
            f"UPDATE {session} SET expires_at = ?, data = ? WHERE sid = ? AND data = ?"
        )
        self._delete = sql(f"DELETE FROM {session} WHERE sid = ? AND data = ?")
        self._lock_some = sql(
            f"SELECT sid, data FROM {session} WHERE {self._one_of} {self._locked}"
        )
        self._delete_some = sql(f"DELETE FROM {session} WHERE {self._one_of}")
        self._insert = sql(
            f"INSERT INTO {session} (sid, username, expires_at, data) VALUES (?, ?, ?, ?)"
        )
        self._select_user = sql(
            f"{record} FROM {session} {self._where} username = ? ORDER BY opened"
        )
        # The sum keeps an engine from another index, after which it would have to sort.
        self._select_live = sql(
            f"{record}, opened FROM {session} {self._where} expires_at + 0 > ? AND opened > ? "
            "ORDER BY opened LIMIT ?"
        )
        self._any_expired = sql(f"SELECT 1 FROM {session} {self._where} expires_at <= ? LIMIT 1")
        self._expire = sql(
            f"DELETE FROM {session} WHERE expires_at <= ? AND {self._limited.format(expired)}"
        )
        self._select_count = sql(f"SELECT {live}")
        # To be joined, for two statements look at two moments.
        self._set_now = sql(f"SELECT sid, NULL FROM {session} WHERE username = ?")
        as_far = self._as_far.format(rows=self._rows)
        counted = f"SELECT 1 FROM {session} {self._where} expires_at <= ? {as_far}"
        self._live_now = sql(
            f"SELECT NULL, {self._rows} - (SELECT count(*) FROM ({counted}) AS expired)"
        )

    def _add(self, new: Record, expired: Sequence[object]) -> Verb[None]:
        """Add a record, after a few that are ``expired`` were removed."""
        yield self._expire, expired
        yield self._insert, new

    # The verbs.

    def _read(self, sid: str) -> Verb[Any]:
        rows = yield self._select, (sid,)
        return rows[0][0] if rows else None

    def _swap(self, old: Record, new: Record | None, now: int) -> Verb[Any]:  # noqa: ARG002 - of the protocol
        if new is None:
            done = yield self._delete, (old.sid, old.data)
        elif isinstance(new, Renewed):
            done = cast("int", (yield from self._renew(old, new)))
        else:
            done = yield self._update, (new.expires_at, new.data, old.sid, old.data)
        # A second statement: the first one sees no more than there was before it waited.
        return True if done else (yield from self._read(old.sid))

    def _of_user(self, username: str) -> Verb[tuple[Seen, Sequence[Record]]]:
        records = [Record(*row) for row in (yield self._select_user, (username,))]
        return frozenset(record.sid for record in records), records

    def _live(self, now: int, most: int, after: int | None = None) -> Verb[Page]:
        rows = yield self._select_live, (now, -1 if after is None else after, _bounded(most))
        place = rows[-1][4] if rows and len(rows) == most else None
        return Page([Record(*row[:4]) for row in rows], place)

    def _count(self, now: int) -> Verb[int]:
        ((live,),) = yield self._select_count, (now,)
        return int(live)

    def _sweep(self, now: int, most: int) -> Verb[int]:
        if not (yield self._any_expired, (now,)):
            return 0  # nobody has waited to write
        return (yield self._expire, (now, now, _bounded(most)))  # type: ignore[no-any-return]

    def _commit(
        self, username: str, out: Records, new: Record | None, seen: Seen, live: Live, now: int
    ) -> Verb[bool]:
        change = self._change(username, out, new, seen, live, now)
        only_looks = not out and new is None
        only_adds = not out and seen is None and live is None
        if only_looks or only_adds:
            return (yield from change)
        yield from self._begin(None if seen is None else username, total=live is not None)
        done = yield from change
        yield "COMMIT", None
        return done

    def _together(self, username: str | None, total: bool, begin: Begin) -> Verb[Any]:  # noqa: FBT001 - of the protocol
        yield from self._begin(username, total=total)
        step, answer, failed = begin(), None, None
        try:
            while True:
                verb, *arguments = step.send(answer) if failed is None else step.throw(failed)
                if failed is not None:
                    continue  # what came before is undone, so nothing may follow
                name = self._inside.get(verb, f"_{verb}")
                try:
                    answer = yield from getattr(self, name)(*arguments)  # pyright: ignore[reportUnknownVariableType]
                except StoreError as error:
                    failed = error
        except StopIteration as stop:
            if failed is not None:
                raise failed from failed.__cause__
            yield "COMMIT", None
            return stop.value

    def _change(
        self, username: str, out: Records, new: Record | None, seen: Seen, live: Live, now: int
    ) -> Verb[bool]:
        """Look first, then change: ``False`` has changed nothing.

        What was looked at is locked. Others may still end sessions: later, as it were.
        """
        looks: dict[str, tuple[object, ...]] = {} if seen is None else {self._set_now: (username,)}
        added = (new is not None) - sum(now < old.expires_at for old in out)
        if live is not None:
            # Nothing is less than none; else one too few tells as much as many.
            told = _bounded((live[0] - 1 if live[0] > 0 else live[1]) - added)
            looks[self._live_now] = (now, *[told] * self._as_far.count("?"))
        if looks:
            rows = yield " UNION ALL ".join(looks), tuple(chain.from_iterable(looks.values()))
            if seen not in (None, frozenset(sid for sid, _ in rows if sid is not None)):
                return False
            if live is not None:
                (number,) = (int(number) for _, number in rows if number is not None)
                if not live[0] <= number + added <= live[1]:
                    return False
        if len(out) == 1:
            if not (yield self._delete, (out[0].sid, out[0].data)):
                return False
        elif out:
            held = {old.sid: old.data for old in out}
            if dict((yield self._lock_some, (self._list(list(held)),))) != held:
                return False
            yield self._delete_some, (self._list(list(held)),)
        if new is not None:
            dead = now - SECOND  # for any clock near ``now``
            yield from self._add(new, (dead, dead, _FEW))
        return True

    def together(self, username: str | None, total: bool, begin: Begin) -> Any:  # noqa: FBT001
        return self._run(self._together(username, total, begin))

    async def atogether(self, username: str | None, total: bool, begin: Begin) -> Any:  # noqa: FBT001
        return await self._arun(self._together(username, total, begin))


def check_version(argument: str, value: str, version: int) -> None:
    """Refuse tables that this version of the package does not know."""
    if version == VERSION:
        return
    age, remedy = ("a newer", "upgrade sessiongate, or ") if version > VERSION else ("an older", "")
    msg = (
        f"{argument}: {value!r} was made by {age} sessiongate (tables of version {version}, this "
        f"one knows {VERSION}) and is left as it is: {remedy}give another {argument}"
    )
    raise ConfigurationError(msg)


def _bounded(most: int) -> int:
    """Return a number of rows that every engine can express."""
    return min(max(most, 0), FOREVER)
