"""The verbs of a store in SQL, once for all engines: one table, and no decision in it.

A verb is a generator of statements. It yields ``(sql, arguments)`` and is sent
the rows, or how many were changed. A command such as ``COMMIT`` has ``None``
for arguments, and its answer does not matter. An engine has two drivers that
carry a verb out: one calls, one awaits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Generator, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeAlias, TypeVar

from sessiongate.core.record import Page, Record
from sessiongate.core.row import FOREVER, SECOND
from sessiongate.errors import StoreError
from sessiongate.stores import codec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sessiongate.core.record import RowCodec
    from sessiongate.stores.base import Begin, Seen

__all__ = ["FEW", "MARK", "SQLStore", "Statements", "bounded", "failure"]

P = ParamSpec("P")
S = TypeVar("S", bound="SQLStore")
T = TypeVar("T")

Statements: TypeAlias = Generator[tuple[str, Sequence[object] | None], Any, T]

FEW: Final = 16
"""Expired records that are removed along with each new one."""

_MANY: Final = 100_000
"""Rows that are counted to correct the tally, in some milliseconds."""
_LOOK_EVERY: Final = 10.0
"""Seconds."""

_COMMIT: Final = "COMMIT", None
_ROLLBACK: Final = "ROLLBACK", None
MARK: Final = "SAVEPOINT step"
_BACK: Final = "ROLLBACK TO SAVEPOINT step", None

_SECRET: Final = re.compile(
    r"(?<=://)[^@/\s]+(?=@)"  # the user and password of a URL
    r"|(?<![\w-])(?:sg_[\w.-]+|[\w-]{22})(?![\w-])"  # tokens and session ids
)


def _both(
    verb: Callable[Concatenate[S, P], Statements[T]],
) -> tuple[Callable[Concatenate[S, P], T], Callable[Concatenate[S, P], Coroutine[Any, Any, T]]]:
    """Make the verb and its twin of the generator that a subclass may have replaced."""
    name = verb.__name__

    def called(self: S, *args: P.args, **kwargs: P.kwargs) -> T:
        steps: Statements[T] = getattr(self, name)(*args, **kwargs)
        return self._run(steps)

    async def awaited(self: S, *args: P.args, **kwargs: P.kwargs) -> T:
        steps: Statements[T] = getattr(self, name)(*args, **kwargs)
        return await self._arun(steps)

    return called, awaited  # type: ignore[return-value] # of the name of self alone


class SQLStore:
    """The text of the verbs. A subclass brings the drivers and the words of its engine.

    Args:
        schema: What stands before the names of the tables, its dot included.
    """

    shared = True
    touch_every = 300 * SECOND
    blocking = True
    codec: RowCodec = codec

    _mark = "?"
    """What stands for an argument."""
    _some = "sid IN ({})"
    """How to choose the rows of a query that has a limit."""
    _shard = "0"
    """Which row of the tally to change: of a single one each change waits for the last."""

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
        # The sum keeps an engine from another index, after which it would have to sort.
        self._select_live = say(
            record + ", opened FROM {session} WHERE expires_at + 0 > ? AND opened > ? "
            "ORDER BY opened LIMIT ?"
        )
        self._any_expired = say("SELECT 1 FROM {session} WHERE expires_at <= ? LIMIT 1")
        expired = "SELECT sid FROM {session} WHERE expires_at <= ? ORDER BY expires_at LIMIT ?"
        some = self._some.format(expired)
        self._expire = say("DELETE FROM {session} WHERE expires_at <= ? AND " + some)
        self._expire_few = f"{self._expire} AND username <> {self._mark}"
        # An engine counts a table by reading all of it. So the number of rows is kept beside it.
        self._grow = say("UPDATE {tally} SET sessions = sessions + ? WHERE shard = " + self._shard)
        live = (
            "(SELECT sum(sessions) FROM {tally})"
            " - (SELECT count(*) FROM {session} WHERE expires_at <= ?)"
        )
        self._select_count = say(f"SELECT {live}")
        self._compare = say(
            "SELECT (SELECT count(*) FROM (SELECT 1 FROM {session} LIMIT ?) AS rows_there), "
            "(SELECT sum(sessions) FROM {tally})"
        )
        self._next_look = 0.0
        # To be joined, for two statements look at two moments.
        self._set_now = say("SELECT sid, NULL FROM {session} WHERE username = ?")
        self._live_now = say(f"SELECT NULL, {live}")

    def _run(self, steps: Statements[T]) -> T:
        """Carry out a verb by calling."""
        raise NotImplementedError

    async def _arun(self, steps: Statements[T]) -> T:
        """Carry out a verb by awaiting."""
        raise NotImplementedError

    def _begin(
        self, username: str | None, *, total: bool, marked: bool = False
    ) -> Statements[None]:
        """Begin a transaction, lock a user and the total until its end, and mark the place."""
        raise NotImplementedError

    def _remove_all(self, out: Sequence[Record]) -> Statements[int]:
        """Remove those that still have the same data, so that nobody waits in a circle."""
        removed = 0
        for old in sorted(out):
            removed += yield self._delete, (old.sid, old.data)
        return removed

    def _add(self, new: Record, now: int, untouched: str) -> Statements[int]:
        """Add a record, and remove a few expired ones of all users but one: how many."""
        yield self._insert, new
        removed: int = yield self._expire_few, (now, now, FEW, untouched)
        return removed

    def _remove_one(self, old: Record) -> Statements[bool]:
        return self._alone(self._change(old.username, (old,), None, None, None, 0))

    def _add_one(self, new: Record, now: int) -> Statements[bool]:
        return self._alone(self._change(new.username, (), new, None, None, now))

    # The verbs.

    def _read(self, sid: str) -> Statements[Any]:
        rows = yield self._select, (sid,)
        return rows[0][0] if rows else None

    def _swap(self, old: Record, new: Record | None, now: int) -> Statements[Any]:  # noqa: ARG002 - of the protocol
        if new is None:
            done = yield from self._remove_one(old)
        else:
            done = yield self._update, (new.expires_at, new.data, old.sid, old.data)
        # A second statement: the first one sees no more than there was before it waited.
        return True if done else (yield from self._read(old.sid))

    def _of_user(self, username: str) -> Statements[tuple[Seen, Sequence[Record]]]:
        records = [Record(*row) for row in (yield self._select_user, (username,))]
        return frozenset(record.sid for record in records), records

    def _live(self, now: int, most: int, after: int | None = None) -> Statements[Page]:
        rows = yield self._select_live, (now, -1 if after is None else after, bounded(most))
        place = rows[-1][4] if rows and len(rows) == most else None
        return Page([Record(*row[:4]) for row in rows], place)

    def _count(self, now: int) -> Statements[int]:
        ((live,),) = yield self._select_count, (now,)
        return int(live)

    def _sweep(self, now: int, most: int) -> Statements[int]:
        if not (yield self._any_expired, (now,)):
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
        change = self._change(username, out, new, seen, live, now)
        locked = None if seen is None else username
        done = yield from self._alone(change, locked, total=live is not None)
        if not done and live is not None and self._is_time_to_look():
            yield from self._alone(self._drift(0), total=True)
        return done

    def _together(self, username: str | None, total: bool, begin: Begin) -> Statements[Any]:  # noqa: FBT001 - of the protocol
        yield from self._begin(username, total=total, marked=True)
        step, grown, failed = begin(), None, None
        try:
            call = next(step)
            while True:
                try:
                    if failed is not None:
                        raise failed
                    outcome, grown = yield from self._inside(grown, *call)
                except StoreError as error:
                    failed = error
                    call = step.throw(error)
                else:
                    call = step.send(outcome)
        except StopIteration as stop:
            if failed is not None:
                raise failed from None  # for what came before it is undone
            yield from self._end(grown or 0)
            return stop.value

    # What they have in common.

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

    def _inside(
        self, grown: int | None, verb: str, *arguments: Any
    ) -> Statements[tuple[Any, int | None]]:
        """Carry out a verb in a transaction, which has grown the table by so many rows already.

        ``None``: it has changed nothing since its mark.
        """
        if verb == "swap" and arguments[1] is None:
            old, _, now = arguments
            commit = "commit", old.username, (old,), None, None, None, now
            done, grown = yield from self._inside(grown, *commit)
            return (True if done else (yield from self._read(old.sid))), grown
        if verb == "sweep":
            now, most = arguments
            removed = yield self._expire, (now, now, bounded(most))
            return removed, (grown or 0) - removed
        if verb == "commit":
            if grown is not None:
                yield MARK, None
            after = yield from self._change(*arguments, grown=grown or 0)
            if after is not None:
                return True, after
            yield _BACK
            if arguments[4] is not None and self._is_time_to_look():
                grown = yield from self._drift(grown or 0)
            return False, grown
        outcome = yield from getattr(self, f"_{verb}")(*arguments)
        if verb == "count":
            return outcome + (grown or 0), grown
        return outcome, (grown or 0) if verb == "swap" else grown

    def _change(
        self,
        username: str,
        out: Sequence[Record],
        new: Record | None,
        seen: Any,
        live: tuple[int, int] | None,
        now: int,
        *,
        grown: int = 0,
    ) -> Statements[int | None]:
        """Change first, which locks the rows, and look afterwards.

        Return by how many rows the transaction has grown the table by now;
        ``None``: the change must be undone.
        """
        if out and (yield from self._remove_all(out)) != len(out):
            return None
        grown -= len(out)
        if new is not None:
            # The set that was seen must not become another one by the way.
            untouched = "" if seen is None else username
            grown += 1 - (yield from self._add(new, now, untouched))
        if seen is not None:
            seen -= {old.sid for old in out}
            seen |= {new.sid} if new is not None and new.username == username else set()
        holds = yield from self._holds(username, seen, live, now, grown)
        return grown if holds else None

    def _holds(
        self, username: str, seen: Seen | None, live: tuple[int, int] | None, now: int, grown: int
    ) -> Statements[bool]:
        """Check the set of the user and the number of the live, at one moment."""
        asked: list[tuple[str, object]] = []
        if seen is not None:
            asked.append((self._set_now, username))
        if live is not None:
            asked.append((self._live_now, now))
        if not asked:
            return True
        rows = yield " UNION ALL ".join(text for text, _ in asked), [value for _, value in asked]
        if live is not None:
            number = int(next(number for _, number in rows if number is not None)) + grown
            if not live[0] <= number <= live[1]:
                return False
        return seen is None or seen == frozenset(sid for sid, _ in rows if sid is not None)

    def _is_time_to_look(self) -> bool:
        """Whether a limit that stands in the way may be one of a wrong tally."""
        now = monotonic()
        due = now >= self._next_look
        if due:
            self._next_look = now + _LOOK_EVERY
        return due

    def _drift(self, grown: int) -> Statements[int]:
        """Correct the tally, if somebody else has removed rows: ``grown``, less what it is wrong.

        The total must be locked, for two that correct it would do so twice.
        """
        ((rows, tally),) = yield self._compare, (_MANY,)
        return grown if rows >= _MANY else int(rows) - int(tally)

    def _end(self, grown: int) -> Statements[None]:
        """Commit. The tally is last: whoever has locked it waits for nothing else."""
        if grown:
            yield self._grow, (grown,)
        yield _COMMIT

    read, aread = _both(_read)
    swap, aswap = _both(_swap)
    of_user, aof_user = _both(_of_user)
    live, alive = _both(_live)
    count, acount = _both(_count)
    sweep, asweep = _both(_sweep)
    commit, acommit = _both(_commit)
    together, atogether = _both(_together)


def failure(engine: str, error: Exception, hidden: Iterable[str] = ()) -> StoreError:
    """Return a ``StoreError`` with the driver's words, less what is secret in them.

    The driver's error is its cause only if there was nothing secret in it.
    """
    said = str(error)
    # The details of a server quote what was sent.
    clean = _SECRET.sub("...", said.partition("\nDETAIL:")[0])
    for secret in hidden:
        clean = clean.replace(secret, "...")
    words = " ".join(clean.split())
    made = StoreError(f"{engine} failed: {type(error).__name__}: {words}")
    made.__cause__ = error if clean == said else None
    return made


def bounded(most: int) -> int:
    """Return a number of rows that every engine can express."""
    return min(max(most, 0), FOREVER)
