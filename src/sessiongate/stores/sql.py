"""The verbs of a store in SQL, once for all engines: one table, and no decision in it.

A verb is a generator of statements. It yields ``(sql, arguments)`` and is sent
the rows, or how many were changed. A command such as ``COMMIT`` has ``None``
for arguments, and its answer does not matter. An engine has two drivers that
carry a verb out: one calls, one awaits.
"""

# ruff: noqa: S608 - names of our own

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from sessiongate.core.record import Page, Record
from sessiongate.core.row import FOREVER, SECOND
from sessiongate.errors import ConfigurationError, StoreError
from sessiongate.stores import codec
from sessiongate.stores.base import Store

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sessiongate.stores.base import Begin, Seen

__all__ = ["SAVEPOINT", "VERSION", "SQLStore", "Statements", "check_version", "failure"]

T = TypeVar("T")

Statements: TypeAlias = Generator[tuple[str, Sequence[object] | None], Any, T]

VERSION: Final = 2
"""Of the tables."""
SAVEPOINT: Final = "SAVEPOINT step"

_FEW: Final = 16
"""Expired records that are removed along with each new one."""

_SECRET: Final = re.compile(
    r"(?<=://)[^@/\s]+(?=@)"  # the user and password of a URL
    r"|(?<![\w-])(?:sg_[\w.-]+|[\w-]{22})(?![\w-])"  # tokens and session ids
)


class SQLStore(Store):
    """The text of the verbs. A subclass brings the drivers and the words of its engine.

    An engine counts a table by reading all of it. So triggers keep the number
    of rows in the table ``tally``.

    Args:
        schema: What stands before the names of the tables, its dot included.
    """

    shared = True
    touch_every = 300 * SECOND
    blocking = True
    codec = codec

    _placeholder = "?"
    _limited = "sid IN ({})"
    """How to choose the rows of a query that has a limit."""
    _adds_at_once = False
    """Whether ``_add`` is one statement, which needs no transaction."""

    def __init__(self, schema: str = "") -> None:
        session = f"{schema}session"
        record = "SELECT sid, username, expires_at, data"
        expired = f"SELECT sid FROM {session} WHERE expires_at <= ? ORDER BY expires_at LIMIT ?"
        live = (
            f"(SELECT coalesce(sum(sessions), 0) FROM {schema}tally)"
            f" - (SELECT count(*) FROM {session} WHERE expires_at <= ?)"
        )
        expire = f"DELETE FROM {session} WHERE expires_at <= ? AND {self._limited.format(expired)}"

        def sql(text: str) -> str:
            return text.replace("?", self._placeholder)

        self._select = sql(f"SELECT data FROM {session} WHERE sid = ?")
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
        self._expire = sql(expire)
        self._expire_few = sql(f"{expire} AND username <> ?")
        self._select_count = sql(f"SELECT {live}")
        # To be joined, for two statements look at two moments.
        self._set_now = sql(f"SELECT sid, NULL FROM {session} WHERE username = ?")
        self._live_now = sql(f"SELECT NULL, {live}")

    def _run(self, steps: Statements[T]) -> T:
        """Carry out a verb by calling."""
        raise NotImplementedError

    async def _arun(self, steps: Statements[T]) -> T:
        """Carry out a verb by awaiting."""
        raise NotImplementedError

    def _begin(
        self, username: str | None, *, total: bool, savepoint: bool = False
    ) -> Statements[None]:
        """Begin a transaction, and lock a user and the total until its end."""
        raise NotImplementedError

    def _remove(self, records: Sequence[Record]) -> Statements[int]:
        """Remove those that still have the same data: how many."""
        removed = 0
        for old in records:
            removed += yield self._delete, (old.sid, old.data)
        return removed

    def _add(self, new: Record, expired: Sequence[object]) -> Statements[None]:
        """Add a record, and remove a few that are ``expired``."""
        yield self._insert, new
        yield self._expire_few, expired

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
        changes_nothing = not out and new is None
        only_adds = not out and seen is None and live is None
        if changes_nothing or (only_adds and self._adds_at_once):
            return (yield from change)
        yield from self._begin(None if seen is None else username, total=live is not None)
        done = yield from change
        yield "COMMIT" if done else "ROLLBACK", None
        return done

    def _together(self, username: str | None, total: bool, begin: Begin) -> Statements[Any]:  # noqa: FBT001 - of the protocol
        yield from self._begin(username, total=total, savepoint=True)
        step, changed, failed = begin(), False, None
        try:
            verb, *arguments = next(step)
            while True:
                try:
                    if failed is not None:
                        raise failed
                    if verb == "commit" and changed:
                        yield SAVEPOINT, None
                    changed = changed or verb in {"commit", "swap", "sweep"}
                    name = "_change" if verb == "commit" else f"_{verb}"
                    outcome = yield from getattr(self, name)(*arguments)
                    if verb == "commit" and not outcome:
                        yield f"ROLLBACK TO {SAVEPOINT}", None
                except StoreError as error:
                    failed = error
                    verb, *arguments = step.throw(error)
                else:
                    verb, *arguments = step.send(outcome)
        except StopIteration as stop:
            if failed is not None:
                raise failed from None  # for what came before it is undone
            yield "COMMIT", None
            return stop.value

    def _change(
        self,
        username: str,
        out: Sequence[Record],
        new: Record | None,
        seen: Any,
        live: tuple[int, int] | None,
        now: int,
    ) -> Statements[bool]:
        """Change first, which locks the rows, and look afterwards; ``False``: to be undone."""
        # In one order, so that nobody waits in a circle.
        if out and (yield from self._remove(sorted(out))) != len(out):
            return False
        if new is not None:
            # Those long dead for any clock near ``now``; and the set that was seen must not
            # become another one by the way.
            dead = now - SECOND
            yield from self._add(new, (dead, dead, _FEW, "" if seen is None else username))
        looks: list[tuple[str, object]] = []
        if seen is not None:
            seen -= {old.sid for old in out}
            seen |= {new.sid} if new is not None and new.username == username else set()
            looks.append((self._set_now, username))
        if live is not None:
            looks.append((self._live_now, now))
        if not looks:
            return True
        rows = yield " UNION ALL ".join(text for text, _ in looks), [value for _, value in looks]
        numbers = [int(number) for _, number in rows if number is not None]
        return (live is None or live[0] <= numbers[0] <= live[1]) and (
            seen is None or seen == {sid for sid, _ in rows if sid is not None}
        )

    def together(self, username: str | None, total: bool, begin: Begin) -> Any:  # noqa: FBT001
        return self._run(self._together(username, total, begin))

    async def atogether(self, username: str | None, total: bool, begin: Begin) -> Any:  # noqa: FBT001
        return await self._arun(self._together(username, total, begin))


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
