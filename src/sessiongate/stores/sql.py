"""The verbs of a store in SQL, once for all engines: one table, and no decision in it.

A verb is a generator of statements. It yields ``(sql, arguments)`` and is sent
the rows, or how many were changed. A command such as ``COMMIT`` has ``None``
for arguments, and its answer does not matter.
"""

# ruff: noqa: S608 - names of our own

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from sessiongate.core.row import FOREVER, SECOND, Page, Record
from sessiongate.errors import ConfigurationError, StoreError
from sessiongate.stores import codec
from sessiongate.stores.base import Store

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

    from sessiongate.stores.base import Begin, Seen

__all__ = ["VERSION", "SQLStore", "Statements", "check_version", "failure", "result_of"]

T = TypeVar("T")

Statements: TypeAlias = Generator[tuple[str, Sequence[object] | None], Any, T]

VERSION: Final = 3
"""Of the tables."""

_FEW: Final = 16
"""Expired records that are removed along with each new one."""

_SECRET: Final = re.compile(
    r"(?<=://)[^@/\s]+(?=@)"  # the user and password of a URL
    r"|(?<![\w-])(?:sg_[\w.-]+|[\w-]{22})(?![\w-])"  # tokens and session ids
)


class SQLStore(Store):
    """The text of the verbs. A subclass brings connections and the words of its engine.

    Args:
        schema: What stands before the names of the tables, its dot included.
    """

    shared = True
    touch_every = 300 * SECOND
    blocking = True
    codec = codec

    _errors: tuple[type[Exception], ...] = ()
    """What the driver raises."""
    _placeholder = "?"
    _limited = "sid IN ({})"
    """How to choose the rows of a query that has a limit."""
    _for_update = ""
    """How to lock the rows of a query."""
    _rows: str
    """How many rows there are: an engine counts a table by reading all of it."""

    def __init__(self, schema: str = "") -> None:
        session = f"{schema}session"
        record = "SELECT sid, username, expires_at, data"
        expired = f"SELECT sid FROM {session} WHERE expires_at <= ? ORDER BY expires_at LIMIT ?"
        live = f"{self._rows} - (SELECT count(*) FROM {session} WHERE expires_at <= ?)"

        def sql(text: str) -> str:
            return text.format(schema=schema).replace("?", self._placeholder)

        self._select = sql(f"SELECT data FROM {session} WHERE sid = ?")
        self._lock_row = f"{self._select} {self._for_update}"
        self._update = sql(
            f"UPDATE {session} SET expires_at = ?, data = ? WHERE sid = ? AND data = ?"
        )
        self._delete = sql(f"DELETE FROM {session} WHERE sid = ? AND data = ?")
        self._insert = sql(
            f"INSERT INTO {session} (sid, username, expires_at, data) VALUES (?, ?, ?, ?)"
        )
        self._select_user = sql(f"{record} FROM {session} WHERE username = ? ORDER BY opened")
        # The sum keeps an engine from another index, after which it would have to sort.
        self._select_live = sql(
            f"{record}, opened FROM {session} WHERE expires_at + 0 > ? AND opened > ? "
            "ORDER BY opened LIMIT ?"
        )
        self._any_expired = sql(f"SELECT 1 FROM {session} WHERE expires_at <= ? LIMIT 1")
        self._expire = sql(
            f"DELETE FROM {session} WHERE expires_at <= ? AND {self._limited.format(expired)}"
        )
        self._select_count = sql(f"SELECT {live}")
        # To be joined, for two statements look at two moments.
        self._set_now = sql(f"SELECT sid, NULL FROM {session} WHERE username = ?")
        self._live_now = sql(f"SELECT NULL, {live}")

    def _begin(self, username: str | None, *, total: bool) -> Statements[None]:
        """Begin a transaction, and lock a user and the total until its end."""
        raise NotImplementedError

    def _remove(self, records: Sequence[Record]) -> Statements[bool]:
        """Remove all that have the same data, or none."""
        if len(records) > 1:
            for old in sorted(records):  # in one order, so that nobody waits in a circle
                if (yield self._lock_row, (old.sid,)) != [(old.data,)]:
                    return False
        for old in records:
            if not (yield self._delete, (old.sid, old.data)):
                return False
        return True

    def _add(self, new: Record, expired: Sequence[object]) -> Statements[None]:
        """Add a record, after a few that are ``expired`` were removed."""
        yield self._expire, expired
        yield self._insert, new

    # The verbs.

    def _read(self, sid: str) -> Statements[Any]:
        rows = yield self._select, (sid,)
        return rows[0][0] if rows else None

    def _swap(self, old: Record, new: Record | None, now: int) -> Statements[Any]:  # noqa: ARG002 - of the protocol
        if new is None:
            done = yield self._delete, (old.sid, old.data)
        else:
            done = yield self._update, (new.expires_at, new.data, old.sid, old.data)
        # A second statement: the first one sees no more than there was before it waited.
        return True if done else (yield from self._read(old.sid))

    def _of_user(self, username: str) -> Statements[tuple[Seen, Sequence[Record]]]:
        records = [Record(*row) for row in (yield self._select_user, (username,))]
        return frozenset(record.sid for record in records), records

    def _live(self, now: int, most: int, after: int | None = None) -> Statements[Page]:
        rows = yield self._select_live, (now, -1 if after is None else after, _bounded(most))
        place = rows[-1][4] if rows and len(rows) == most else None
        return Page([Record(*row[:4]) for row in rows], place)

    def _count(self, now: int) -> Statements[int]:
        ((live,),) = yield self._select_count, (now,)
        return int(live)

    def _sweep(self, now: int, most: int) -> Statements[int]:
        if not (yield self._any_expired, (now,)):
            return 0  # nobody has waited to write
        return (yield self._expire, (now, now, _bounded(most)))  # type: ignore[no-any-return]

    def _commit(
        self,
        username: str,
        out: Sequence[Record],
        new: Record | None,
        seen: Seen | None,
        live: tuple[int, int] | None,
        now: int,
    ) -> Statements[bool]:
        change = self._change(username, out, new, seen, live, now)
        only_looks = not out and new is None
        only_adds = not out and seen is None and live is None
        if only_looks or only_adds:
            return (yield from change)
        yield from self._begin(None if seen is None else username, total=live is not None)
        done = yield from change
        yield "COMMIT", None
        return done

    def _together(self, username: str | None, total: bool, begin: Begin) -> Statements[Any]:  # noqa: FBT001 - of the protocol
        yield from self._begin(username, total=total)
        step, answer, failed = begin(), None, None
        try:
            while True:
                verb, *arguments = step.send(answer) if failed is None else step.throw(failed)
                if failed is not None:
                    continue  # what came before is undone, so nothing may follow
                name = "_change" if verb == "commit" else f"_{verb}"
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
        self,
        username: str,
        out: Sequence[Record],
        new: Record | None,
        seen: Seen | None,
        live: tuple[int, int] | None,
        now: int,
    ) -> Statements[bool]:
        """Look first, then change: ``False`` has changed nothing.

        What was looked at is locked. Others may still end sessions: later, as it were.
        """
        looks: list[tuple[str, object]] = []
        if seen is not None:
            looks.append((self._set_now, username))
        if live is not None:
            looks.append((self._live_now, now))
        if looks:
            texts, values = zip(*looks, strict=True)
            rows = yield " UNION ALL ".join(texts), values
            if seen not in (None, frozenset(sid for sid, _ in rows if sid is not None)):
                return False
            if live is not None:
                (number,) = (int(number) for _, number in rows if number is not None)
                number += (new is not None) - sum(now < old.expires_at for old in out)
                if not live[0] <= number <= live[1]:
                    return False
        if out and not (yield from self._remove(out)):
            return False
        if new is not None:
            dead = now - SECOND  # for any clock near ``now``
            yield from self._add(new, (dead, dead, _FEW))
        return True

    def together(self, username: str | None, total: bool, begin: Begin) -> Any:  # noqa: FBT001
        return self._run(self._together(username, total, begin))

    async def atogether(self, username: str | None, total: bool, begin: Begin) -> Any:  # noqa: FBT001
        return await self._arun(self._together(username, total, begin))

    # The drivers.

    def _run(self, steps: Statements[T]) -> T:
        """Carry out a verb by calling."""
        raise NotImplementedError

    async def _arun(self, steps: Statements[T]) -> T:
        """Carry out a verb by awaiting."""
        raise NotImplementedError

    def _failure(self, error: Exception) -> Exception:
        """Return what is raised of an error of the driver."""
        raise NotImplementedError

    async def _carry_out(self, source: Any, steps: Statements[T]) -> T:
        """Borrow a connection, send it the statements, and give it back, whatever happens.

        The text of both colours: of a source to call nothing suspends, see ``result_of``.
        """
        connection: Any = None
        try:
            statement = next(steps)
            while True:
                try:
                    if connection is None:
                        connection = await source.borrow(statement)
                    found = await connection.send(*statement)
                except self._errors as error:
                    statement = steps.throw(self._failure(error))
                else:
                    statement = steps.send(found)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return] # of the generator
        except BaseException as error:
            if connection is not None:
                with suppress(*self._errors):
                    await connection.undo(usable=isinstance(error, Exception))
            raise
        finally:
            if connection is not None:
                await source.give_back(connection)


def result_of(done: Coroutine[Any, Any, T]) -> T:
    """Return the result of a coroutine that waits for nothing."""
    try:
        done.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return] # of the coroutine
    msg = "it waits"
    raise AssertionError(msg)


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
