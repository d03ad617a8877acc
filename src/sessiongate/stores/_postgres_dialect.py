"""Commands as SQL with arguments, and records as outcomes. No I/O, no driver."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sessiongate.core.commands import (
    Close,
    CloseUser,
    Count,
    Ended,
    Existing,
    LimitReached,
    List,
    Open,
    Opened,
    Read,
    Replayed,
    Rotated,
    Sweep,
    Touch,
)
from sessiongate.core.row import FOREVER, Row
from sessiongate.errors import ConfigurationError, StoreError
from sessiongate.stores._stored import FORMAT, restored

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sessiongate.core.commands import Command, Outcome

__all__ = ["VERSION", "Dialect", "Statement", "schema_text"]

VERSION: Final = 1
"""Of the tables and functions in schema.sql."""

_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,40}")
_COLUMNS: Final = ("format", *Row._fields)
_FIELDS: Final = ", ".join(_COLUMNS)
_FOUND: Final = ", ".join(f"(found_).{name}" for name in _COLUMNS)
_NEW: Final = ", ".join(f"${number}" for number in range(1, 1 + len(_COLUMNS)))

Record = tuple[Any, ...]


class Statement(NamedTuple):
    """One statement: one round trip."""

    sql: bytes
    """The same object each time: psycopg knows it again, which is much of what it costs."""
    arguments: Sequence[object] = ()


@cache
def schema_text(schema: str) -> str:
    """The text of schema.sql, for a schema of that name."""
    if not _NAME.fullmatch(schema):
        msg = "schema must be a plain lower-case name, such as 'sessiongate'"
        raise ConfigurationError(msg)
    text = (files("sessiongate.stores") / "schema.sql").read_text(encoding="utf-8")
    return re.sub(r"\bsessiongate\b", schema, text)


class Dialect:
    """The commands in the language of PostgreSQL, for one schema. Immutable."""

    def __init__(self, schema: str) -> None:
        schema_text(schema)  # checks the name, which is part of each statement
        self._schema = schema
        call = f"SELECT kind, {_FOUND} FROM {schema}"  # noqa: S608 - a checked name
        opened = f"ROW({_NEW}, NULL)::{schema}.session"
        self._open = f"{call}.open({opened}, $16, $17, $18, $19, $20, $21)".encode()
        # Mostly the current token of a live row is presented, and nothing is to be done but to
        # answer the row; a function takes half as long again. It decides anew on all others.
        self._touch = (
            "SELECT CASE WHEN expires_at > $3 AND generation = $2 "  # noqa: S608 - as above
            f"AND {schema}.wanted(s, true, $3, $4, $6, $8) = 'nothing' THEN NULL "
            f"ELSE to_json({schema}.touch($1, $2, $3, $4, $5, $6, $7, $8, $9)) END, {_FIELDS} "
            f"FROM {schema}.session s WHERE sid = $1"
        ).encode()
        self._read = f"{call}.read($1, $2)".encode()
        self._close = f"{call}.close($1, $2, $3, $4)".encode()
        self._sweep = f"SELECT {schema}.sweep($1, $2)".encode()
        live = f"FROM {schema}.session WHERE expires_at > $1"
        self._count = f"SELECT {schema}.count($1)".encode()
        self._list = f"SELECT {_FIELDS} {live} ORDER BY opened".encode()
        self._list_user = f"SELECT {_FIELDS} {live} AND username = $2 ORDER BY opened".encode()
        self._close_user = (
            f"WITH gone AS (DELETE FROM {schema}.session WHERE sid = ANY (ARRAY("  # noqa: S608 - as above
            f"SELECT sid FROM {schema}.session WHERE username = $1 AND sid IS DISTINCT FROM $2 "
            "ORDER BY opened FOR UPDATE)) RETURNING sid, username, expires_at, opened) "
            "SELECT sid, username FROM gone WHERE expires_at > $3 ORDER BY opened"
        ).encode()
        self.exists = Statement(f"SELECT to_regclass('{schema}.meta')".encode())
        self.version = Statement(f"SELECT coalesce(max(version), 0) FROM {schema}.meta".encode())  # noqa: S608
        # The caller has its own bound for this; a connection's other one is too short.
        text = f"SET LOCAL statement_timeout = 0; {schema_text(schema)}"
        self.create = Statement(text.encode())
        self._statements: Mapping[type, Callable[[Any], Statement]] = {
            Open: self._opening,
            Touch: lambda c: Statement(
                self._touch, (c.sid, c.generation, c.now, c.rotation, *c.policy)
            ),
            Read: lambda c: Statement(self._read, c),
            Close: lambda c: Statement(self._close, c),
            CloseUser: lambda c: Statement(self._close_user, c),
            Sweep: lambda c: Statement(self._sweep, (c.now, _bigint(c.limit))),
            List: self._listing,
            Count: lambda c: Statement(self._count, c),
        }

    def statement(self, command: Command) -> Statement:
        """What to ask of the server."""
        return self._statements[type(command)](command)

    def outcome(self, command: Command, records: list[Record]) -> Outcome:
        """What the server's records mean."""
        return _OUTCOMES[type(command)](command, records)

    def _opening(self, command: Open) -> Statement:
        *_, limit, user_limit, evict = command
        limits = _bigint(limit), _bigint(user_limit), evict
        return Statement(self._open, (FORMAT, *command.row, *command[1:4], *limits))

    def _listing(self, command: List) -> Statement:
        if command.username is None:
            return Statement(self._list, (command.now,))
        return Statement(self._list_user, (command.now, command.username))


def _bigint(limit: int | None) -> int | None:
    """A limit that nobody reaches may be larger than the server's numbers."""
    return limit if limit is None else min(limit, FOREVER)


def _touched(command: Touch, records: list[Record]) -> Row | Rotated | Replayed | Ended | None:
    """The row as it was, or in its place what ``touch`` did with it."""
    if not records:
        return None
    [record] = records
    touched = record[0]
    if touched is None:
        return restored(record[1:])
    found = touched["found_"] or {}
    return _judged(command, [(touched["kind"], *map(found.get, _COLUMNS))])


def _judged(_: Command, records: list[Record]) -> Row | Rotated | Replayed | Ended | None:
    """The answer of ``touch``, ``read`` and ``close``."""
    [record] = records
    kind = record[0]
    row = None if kind is None else restored(record[1:])
    if row is None:
        return None
    match kind:
        case "rotated":
            return Rotated(row)
        case "replayed":
            return Replayed(row.sid, row.username)
        case "ended":
            return Ended(row.sid, row.username)
    return row


def _opened(command: Open, records: list[Record]) -> Opened | Existing | LimitReached:
    record, *ended = records
    kind = record[0]
    if kind in {"total", "user"}:
        return LimitReached(kind)
    if kind == "opened":
        return Opened(command.row, tuple(Ended(one[2], one[3]) for one in ended))
    row = restored(record[1:])
    if row is None:  # what the server takes for sound and Python does not
        msg = "PostgreSQL answered with a corrupt session"
        raise StoreError(msg)
    return Existing(row)


def _rows(_: List, records: list[Record]) -> tuple[Row, ...]:
    return tuple(row for row in map(restored, records) if row is not None)


def _all_ended(_: CloseUser, records: list[Record]) -> tuple[Ended, ...]:
    return tuple(Ended(*record) for record in records)


def _number(_: Command, records: list[Record]) -> int:
    return int(records[0][0])


_OUTCOMES: Final[Mapping[type, Callable[[Any, list[Record]], Outcome]]] = {
    Open: _opened,
    Touch: _touched,
    Read: _judged,
    Close: _judged,
    CloseUser: _all_ended,
    Sweep: _number,
    List: _rows,
    Count: _number,
}
