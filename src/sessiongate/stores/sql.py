"""The verbs of a store in SQL, once for all engines: one table, and no decision in it.

A verb is a generator of statements. It yields ``(sql, arguments)`` and is sent
the rows, or the number of rows that were changed. Where the arguments are
``None`` it is a command such as ``COMMIT``, whose answer does not matter. An
engine has two drivers that carry it out, one that calls and one that awaits.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar, cast

from sessiongate.core.record import Page, Record
from sessiongate.core.row import FOREVER, SECOND
from sessiongate.errors import StoreError
from sessiongate.stores import codec

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence

    from sessiongate.stores.base import RowCodec, Seen, Step

__all__ = ["FEW", "SQLStore", "Statement", "Statements", "bounded", "failure"]

T = TypeVar("T")

Statement: TypeAlias = "tuple[str, Sequence[object] | None]"
Statements: TypeAlias = "Generator[Statement, Any, T]"

FEW: Final = 16
"""Expired records that are removed along with each new one."""

_COMMIT: Final = "COMMIT", None
_ROLLBACK: Final = "ROLLBACK", None
_MARK: Final = "SAVEPOINT step", None
_BACK: Final = "ROLLBACK TO SAVEPOINT step", None

_SECRET: Final = re.compile(
    r"(?<=://)[^@/\s]+(?=@)"  # the user and password of a URL
    r"|(?<![\w-])(?:sg_[\w.-]+|[\w-]{22})(?![\w-])"  # tokens and session ids
)


class SQLStore:
    """The text of the verbs. A subclass brings a driver and the words of its engine.

    Args:
        schema: What stands before the names of the tables, its dot included.
    """

    shared = True
    touch_every = 300 * SECOND
    blocking = True
    codec: RowCodec = codec

    # The words of the engine.

    _mark = "?"
    _shard = "0"
    """Which row of the tally is changed: of a single row each change waits for the last one."""
    _some_expired = "sid IN ({})"
    """How to find the rows of a query that has a limit."""

    def __init__(self, schema: str = "") -> None:
        def say(text: str) -> str:
            text = text.format(session=f"{schema}session", tally=f"{schema}tally")
            return text.replace("?", self._mark)

        record = "SELECT sid, username, expires_at, data"
        self._select = say("SELECT data FROM {session} WHERE sid = ?")
        self._update = say(
            "UPDATE {session} SET expires_at = ?, data = ? WHERE sid = ? AND data = ?"
        )
        self._delete = say("DELETE FROM {session} WHERE sid = ? AND data = ?")
        self._insert = say(
            "INSERT INTO {session} (sid, username, expires_at, data) VALUES (?, ?, ?, ?)"
        )
        self._select_user = say(record + " FROM {session} WHERE username = ? ORDER BY opened")
        # The sum keeps the engine from sorting: in the order of opening only few are passed over.
        self._select_live = say(
            record + ", opened FROM {session} WHERE expires_at + 0 > ? AND opened > ? "
            "ORDER BY opened LIMIT ?"
        )
        self._select_expired = say("SELECT 1 FROM {session} WHERE expires_at <= ? LIMIT 1")
        some = self._some_expired.format(
            "SELECT sid FROM {session} WHERE expires_at <= ? ORDER BY expires_at LIMIT ?"
        )
        self._expire = say("DELETE FROM {session} WHERE expires_at <= ? AND " + some)
        # Engines count a table by reading all of it. So the number of rows is kept beside it.
        self._grow = say("UPDATE {tally} SET sessions = sessions + ? WHERE shard = " + self._shard)
        live = (
            "(SELECT sum(sessions) FROM {tally})"
            " - (SELECT count(*) FROM {session} WHERE expires_at <= ?)"
        )
        self._select_count = say(f"SELECT {live}")
        # To be joined: two statements would look at two moments.
        self._set_now = say("SELECT sid, NULL FROM {session} WHERE username = ?")
        self._live_now = say(f"SELECT NULL, {live}")

    def _begin(self, username: str | None, *, total: bool) -> Statements[None]:
        """Begin a transaction, and lock a user and the total until its end."""
        raise NotImplementedError

    def _remove_all(self, out: Sequence[Record]) -> Statements[int]:
        """Remove those that have the same data, in an order that lets nobody wait in a circle."""
        removed = 0
        for old in sorted(out):
            removed += yield self._delete, (old.sid, old.data)
        return removed

    # The verbs.

    def _read(self, sid: str) -> Statements[Any]:
        rows = yield self._select, (sid,)
        return rows[0][0] if rows else None

    def _swap(self, old: Record, new: Record | None, now: int) -> Statements[Any]:
        if new is None:
            done = yield from self._remove_one(old)
        else:
            done = yield self._update, (new.expires_at, new.data, old.sid, old.data)
        # A second statement: the first one sees no more than there was before it waited.
        return True if done else (yield from self._read(old.sid))

    def _of_user(self, username: str) -> Statements[tuple[Seen, Sequence[Record]]]:
        rows = yield self._select_user, (username,)
        records = [Record(*row) for row in rows]
        return frozenset(record.sid for record in records), records

    def _live(self, now: int, most: int, after: int | None = None) -> Statements[Page]:
        most = bounded(most)
        rows = yield self._select_live, (now, -1 if after is None else after, most)
        place = rows[-1][4] if rows and len(rows) == most else None
        return Page([Record(*row[:4]) for row in rows], place)

    def _count(self, now: int) -> Statements[int]:
        ((live,),) = yield self._select_count, (now,)
        return int(live)

    def _sweep(self, now: int, most: int) -> Statements[int]:
        if not (yield self._select_expired, (now,)):
            return 0
        yield from self._begin(None, total=False)
        removed: int = yield self._expire, (now, now, bounded(most))
        yield from self._end(-removed)
        return removed

    def _commit(
        self,
        username: str,
        out: Sequence[Record],
        new: Record | None,
        seen: Seen | None,
        live: tuple[int, int] | None,
        now: int,
    ) -> Statements[bool]:
        if not out and new is None:
            return (yield from self._holds(username, seen, live, now, 0))
        if seen is None and live is None:
            if new is None and len(out) == 1:
                return (yield from self._remove_one(out[0]))
            if new is not None and not out:
                return (yield from self._add_one(new, now))
        locked = None if seen is None else username
        change = self._change(username, out, new, seen, live, now)
        return (yield from self._alone(change, locked, total=live is not None))

    def _remove_one(self, old: Record) -> Statements[bool]:
        return self._alone(self._change(old.username, (old,), None, None, None, 0))

    def _add_one(self, new: Record, now: int) -> Statements[bool]:
        return self._alone(self._change(new.username, (), new, None, None, now))

    def _alone(
        self, change: Statements[int | None], username: str | None = None, *, total: bool = False
    ) -> Statements[bool]:
        """Make a change in a transaction of its own."""
        yield from self._begin(username, total=total)
        grown = yield from change
        if grown is None:
            yield _ROLLBACK
            return False
        yield from self._end(grown)
        return True

    def _change(
        self,
        username: str,
        out: Sequence[Record],
        new: Record | None,
        seen: Any,
        live: tuple[int, int] | None,
        now: int,
        grown: int = 0,
    ) -> Statements[int | None]:
        """Change first and look afterwards, for then the rows are locked.

        Return by how many rows the transaction has grown the table, ``None`` if
        the change must be undone.
        """
        if out and (yield from self._remove_all(out)) != len(out):
            return None
        grown -= len(out)
        if new is not None:
            yield self._insert, new
            grown += 1
        if seen is not None:
            seen = seen - {old.sid for old in out}
            if new is not None and new.username == username:
                seen |= {new.sid}
        if not (yield from self._holds(username, seen, live, now, grown)):
            return None
        if new is not None:
            grown -= yield self._expire, (now, now, FEW)
        return grown

    def _holds(
        self, username: str, seen: Seen | None, live: tuple[int, int] | None, now: int, grown: int
    ) -> Statements[bool]:
        """Check the set of the user and the number of the live, at one moment."""
        texts: list[str] = []
        arguments: list[object] = []
        if seen is not None:
            texts.append(self._set_now)
            arguments.append(username)
        if live is not None:
            texts.append(self._live_now)
            arguments.append(now)
        if not texts:
            return True
        rows = yield " UNION ALL ".join(texts), arguments
        if live is not None:
            _, number = rows.pop()
            if not live[0] <= int(number) + grown <= live[1]:
                return False
        return seen is None or frozenset(sid for sid, _ in rows) == seen

    def _end(self, grown: int) -> Statements[None]:
        """Commit. The tally is last: whoever holds it waits for nothing else."""
        if grown:
            yield self._grow, (grown,)
        yield _COMMIT

    def _together(self, username: str | None, total: bool, begin: Callable[[], Step]) -> Statements[Any]:  # noqa: E501, FBT001 - the protocol's
        yield from self._begin(username, total=total)
        step = begin()
        grown = 0
        failed: StoreError | None = None
        try:
            verb, *arguments = next(step)
            while True:
                try:
                    if failed is not None:
                        raise failed
                    outcome, more = yield from self._inside(verb, arguments, grown)
                    grown += more
                except StoreError as error:
                    failed = error
                    verb, *arguments = step.throw(error)
                else:
                    verb, *arguments = step.send(outcome)
        except StopIteration as stop:
            if failed is not None:
                raise failed from None  # what was changed before is undone
            yield from self._end(grown)
            return stop.value

    def _inside(self, verb: str, arguments: Sequence[Any], grown: int) -> Statements[tuple[Any, int]]:
        """Carry out a verb in a transaction: what it returns, and the rows that it added."""
        if verb == "swap" and arguments[1] is None:
            old, _, now = arguments
            verb, arguments = "commit", (old.username, (old,), None, None, None, now)
            done, more = yield from self._inside(verb, arguments, grown)
            return (True if done else (yield from self._read(old.sid))), more
        if verb == "sweep":
            now, most = arguments
            removed = yield self._expire, (now, now, bounded(most))
            return removed, -removed
        if verb == "commit" and (arguments[1] or arguments[2] is not None):
            yield _MARK
            after = yield from self._change(*arguments, grown=grown)
            if after is None:
                yield _BACK
                return False, 0
            return True, after - grown
        if verb == "commit":
            username, _, _, seen, live, now = arguments
            return (yield from self._holds(username, seen, live, now, grown)), 0
        outcome = yield from getattr(self, f"_{verb}")(*arguments)
        return (outcome + grown if verb == "count" else outcome), 0

    # Both drivers.

    def _run(self, steps: Statements[T]) -> T:
        """Carry out a verb by calling."""
        raise NotImplementedError

    async def _arun(self, steps: Statements[T]) -> T:
        """Carry out a verb by awaiting."""
        raise NotImplementedError

    def read(self, sid: str) -> Any | None:
        """See ``Store``, as for all verbs."""
        return self._run(self._read(sid))

    async def aread(self, sid: str) -> Any | None:
        return await self._arun(self._read(sid))

    def swap(self, old: Record, new: Record | None, now: int) -> Literal[True] | Any | None:
        return self._run(self._swap(old, new, now))

    async def aswap(self, old: Record, new: Record | None, now: int) -> Literal[True] | Any | None:
        return await self._arun(self._swap(old, new, now))

    def of_user(self, username: str) -> tuple[Seen, Sequence[Record]]:
        return self._run(self._of_user(username))

    async def aof_user(self, username: str) -> tuple[Seen, Sequence[Record]]:
        return await self._arun(self._of_user(username))

    def commit(
        self,
        username: str,
        out: Sequence[Record],
        new: Record | None,
        seen: Seen | None,
        live: tuple[int, int] | None,
        now: int,
    ) -> bool:
        return self._run(self._commit(username, out, new, seen, live, now))

    async def acommit(
        self,
        username: str,
        out: Sequence[Record],
        new: Record | None,
        seen: Seen | None,
        live: tuple[int, int] | None,
        now: int,
    ) -> bool:
        return await self._arun(self._commit(username, out, new, seen, live, now))

    def live(self, now: int, most: int, after: int | None = None) -> Page:
        return self._run(self._live(now, most, after))

    async def alive(self, now: int, most: int, after: int | None = None) -> Page:
        return await self._arun(self._live(now, most, after))

    def count(self, now: int) -> int:
        return self._run(self._count(now))

    async def acount(self, now: int) -> int:
        return await self._arun(self._count(now))

    def sweep(self, now: int, most: int) -> int:
        return self._run(self._sweep(now, most))

    async def asweep(self, now: int, most: int) -> int:
        return await self._arun(self._sweep(now, most))

    def together(self, username: str | None, total: bool, begin: Callable[[], Step]) -> Any:  # noqa: FBT001
        return self._run(self._together(username, total, begin))

    async def atogether(self, username: str | None, total: bool, begin: Callable[[], Step]) -> Any:  # noqa: FBT001
        return await self._arun(self._together(username, total, begin))


def failure(engine: str, error: Exception, hidden: Iterable[str] = ()) -> StoreError:
    """Return the error of a verb, with the words of the driver and without what they may quote.

    The driver's error is its cause only if that text is clean as well.
    """
    said = str(error)
    clean = _SECRET.sub("...", said)
    for secret in hidden:
        clean = clean.replace(secret, "...")
    words = " ".join(clean.partition("\nDETAIL:")[0].split())
    made = StoreError(f"{engine} failed: {type(error).__name__}: {words}")
    made.__cause__ = error if clean == said else None
    made.__suppress_context__ = True
    return made


def bounded(most: int) -> int:
    """Return a number of rows that every engine can express."""
    return min(max(most, 0), FOREVER)
