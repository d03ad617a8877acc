"""Sessions in PostgreSQL, for any number of processes and machines."""

# ruff: noqa: S608 - the one name in the statements is checked

from __future__ import annotations

import os
import re
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import quote

from sessiongate.core.arguments import check_count, microseconds
from sessiongate.core.row import SECOND
from sessiongate.errors import ConfigurationError, StoreError
from sessiongate.stores.sql import MARK, SQLStore, bounded, failure, few_expired

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sessiongate.core.arguments import Seconds
    from sessiongate.core.record import Record
    from sessiongate.stores.sql import Statements

__all__ = ["PostgresStore"]

T = TypeVar("T")

_VERSION: Final = 2
"""Of the tables, kept in the table ``meta``."""
_MISSING: Final = "PostgresStore needs psycopg and its pool: pip install 'sessiongate[postgres]'"
_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,40}")

_SCHEMA: Final = """\
-- The tables of PostgresStore. Idempotent; applied again, it also counts the rows anew, which is
-- needed where somebody else has removed some.
BEGIN;
SET LOCAL statement_timeout = 0;
SELECT pg_advisory_xact_lock({lock});
CREATE SCHEMA IF NOT EXISTS {schema};
CREATE TABLE IF NOT EXISTS {schema}.meta (version integer NOT NULL);
DO $$
BEGIN
    IF EXISTS (SELECT FROM {schema}.meta WHERE version > {version}) THEN
        RAISE 'schema {schema} was made by a newer sessiongate: apply what that one prints';
    ELSIF EXISTS (SELECT FROM {schema}.meta WHERE version < {version}) THEN
        RAISE 'schema {schema} was made by an older sessiongate: give this one another schema';
    END IF;
END
$$;
-- Names are compared as bytes: that is cheaper, and no other version of the system's rules of
-- sorting makes an index of them wrong.
CREATE TABLE IF NOT EXISTS {schema}.session (
    sid text COLLATE "C" PRIMARY KEY,
    username text COLLATE "C" NOT NULL,
    expires_at bigint NOT NULL,
    data bytea NOT NULL,
    opened bigint GENERATED ALWAYS AS IDENTITY
) WITH (fillfactor = 90);
CREATE INDEX IF NOT EXISTS session_of_user ON {schema}.session (username, opened);
CREATE INDEX IF NOT EXISTS session_by_expiry ON {schema}.session (expires_at);
CREATE INDEX IF NOT EXISTS session_in_order ON {schema}.session (opened);
-- How many rows there are: the sum of many numbers, so that a login rarely waits for another one.
CREATE TABLE IF NOT EXISTS {schema}.tally (
    shard integer PRIMARY KEY,
    sessions integer NOT NULL
) WITH (fillfactor = 50);
LOCK TABLE {schema}.session IN SHARE MODE;
DELETE FROM {schema}.tally;
INSERT INTO {schema}.tally SELECT shard,
    CASE shard WHEN 0 THEN (SELECT count(*) FROM {schema}.session) ELSE 0 END
FROM generate_series(0, 63) shard;
INSERT INTO {schema}.meta SELECT {version} WHERE NOT EXISTS (SELECT FROM {schema}.meta);
COMMIT;
"""


class PostgresStore(SQLStore):
    """The store for several machines that already run PostgreSQL 12 or later.

    A check is one prepared statement, in one round trip; so is a logout, and a
    login without limits. The first call of a process also looks for the tables,
    and makes them where there are none; a role that may not is told what to do.

    Safe for any number of threads and event loops, and after ``fork``. Each
    loop has a pool of its own; ``asyncio.run`` closes it at its end. Nothing is
    retried: after a lost answer the change may have been made. A server that
    is read-only, or a replica, is an error.

    Args:
        url: A connection URI or string, as libpq reads it. A password in it
            appears in no message and in no ``repr``.
        schema: Where the tables are.
        connect_timeout: Seconds that opening a connection may take.
        timeout: Seconds to wait for a turn at the pool, and for each call.
        max_size: Connections of a process, and of each event loop. Few suffice: each call
            takes a millisecond, and opening one costs the server more than ten calls.
        create: Make the tables where there are none; ``False``: they must be there.

    Raises:
        ConfigurationError: psycopg is missing, or ``schema`` is no plain name.
            At the first use: the role may not make the tables, they are older
            or newer than this package, or not there with ``create=False``.
        ValueError, TypeError: Another argument is unfit.
    """

    _mark = "%s"
    _shard = "mod(pg_backend_pid(), 64)"
    # An array is made once, a subquery perhaps for each row. Who holds a row has just extended it.
    _some = "sid = ANY (ARRAY({} FOR UPDATE SKIP LOCKED))"

    def __init__(
        self,
        url: str,
        *,
        schema: str = "sessiongate",
        connect_timeout: Seconds = 0.25,
        timeout: Seconds = 0.25,
        max_size: int = 5,
        create: bool = True,
    ) -> None:
        try:
            # Here, so that the other stores do without.
            from psycopg import Error, errors  # noqa: PLC0415
            from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415

            from sessiongate.stores._postgres_connections import (  # noqa: PLC0415
                Connections,
                Settings,
            )
        except ImportError as error:
            raise ConfigurationError(_MISSING) from error
        try:
            where = conninfo_to_dict(url)
        except Error:
            msg = "url must be a PostgreSQL URI, such as postgresql://user@host:5432/database"
            raise ConfigurationError(msg) from None  # the cause may quote a password
        super().__init__(f"{_checked(schema)}.")
        self._place = f"{where.get('host', 'localhost')}/{where.get('dbname', '')}"
        password = str(where.get("password") or "")
        self._hidden = {password, quote(password, safe="")} - {""}
        self._schema = schema
        self._create = create
        self._forbidden = errors.InsufficientPrivilege
        self._missing = (errors.UndefinedTable, errors.InvalidSchemaName)
        settings = Settings(
            url,
            str(where.get("options") or os.environ.get("PGOPTIONS", "")),
            microseconds(connect_timeout, "connect_timeout", positive=True) / SECOND,
            microseconds(timeout, "timeout", positive=True) / SECOND,
            check_count(max_size, "max_size") or 1,
        )
        # Seconds that a call may take at the most, its wait for a connection included.
        self._budget = settings.connect_timeout + 2.2 * settings.timeout
        self._connections = Connections(settings, self._failure)
        self._ready = False
        self._closed = False
        # One statement where one row is removed or added, for then it needs no transaction.
        kept = (
            f"kept AS (UPDATE {schema}.tally SET sessions = sessions + {{0}} "
            f"WHERE shard = {self._shard} AND EXISTS (SELECT FROM done)) SELECT count(*) FROM {{1}}"
        ).format
        less = kept("- (SELECT count(*) FROM done)", "done")
        self._delete_one = f"WITH done AS ({self._delete} RETURNING 1), {less}"
        self._expire_some = f"WITH done AS ({self._expire} RETURNING 1), {less}"
        added = (
            f"WITH gone AS ({self._expire_few} RETURNING 1), done AS ({self._insert} RETURNING 1)"
        )
        self._insert_few = f"{added} SELECT count(*) FROM gone"
        self._insert_one = f"{added}, {kept('1 - (SELECT count(*) FROM gone)', 'gone')}"
        self._lock_some = (
            f"SELECT sid FROM {schema}.session WHERE sid = ANY (%s) ORDER BY sid FOR UPDATE"
        )
        self._delete_some = (
            f"DELETE FROM {schema}.session WHERE (sid, data) IN "
            "(SELECT * FROM unnest(%s::text[], %s::bytea[]))"
        )

    def __repr__(self) -> str:
        return f"<PostgresStore at {self._place}>"

    @staticmethod
    def schema(name: str = "sessiongate") -> str:
        """Return the SQL that makes the tables, for a role that may; idempotent."""
        return _SCHEMA.format(schema=_checked(name), version=_VERSION, lock=_number(name, "schema"))

    def close(self) -> None:
        """Close all connections, those of a running event loop soon."""
        self._closed = True
        self._connections.close()

    async def aclose(self) -> None:
        """The same, to await for the connections of this event loop."""
        self._closed = True
        await self._connections.aclose()

    # The words of PostgreSQL.

    def _begin(
        self, username: str | None, *, total: bool, marked: bool = False
    ) -> Statements[None]:
        locks = [_number(self._schema, "total")] if total else []
        if username is not None:
            locks.append(_number(self._schema, f"user:{username}"))
        # Before the first look, in a statement of its own: a look sees what was committed then.
        texts = ["BEGIN", *(f"SELECT pg_advisory_xact_lock({number})" for number in locks)]
        yield "; ".join([*texts, MARK] if marked else texts), None

    def _remove_one(self, old: Record) -> Statements[bool]:
        ((removed,),) = yield self._delete_one, (old.sid, old.data)
        return bool(removed)

    def _add_one(self, new: Record, now: int) -> Statements[bool]:
        yield self._insert_one, (*few_expired(now), *new)
        return True

    def _add(self, new: Record, now: int, untouched: str) -> Statements[int]:
        ((removed,),) = yield self._insert_few, (*few_expired(now, untouched), *new)
        return int(removed)

    def _remove_all(self, out: Sequence[Record]) -> Statements[int]:
        if len(out) == 1:
            return (yield from super()._remove_all(out))
        sids = [old.sid for old in out]
        yield self._lock_some, (sids,)
        removed: int = yield self._delete_some, (sids, [old.data for old in out])
        return removed

    def _sweep(self, now: int, most: int) -> Statements[int]:
        ((removed,),) = yield self._expire_some, (now, now, bounded(most))
        return int(removed)

    # The drivers, and the first use: are the tables there?

    def _run(self, steps: Statements[T]) -> T:
        return self._connections.run(steps, self._first())

    async def _arun(self, steps: Statements[T]) -> T:
        return await self._connections.arun(steps, self._first())

    def _first(self) -> Statements[None] | None:
        if self._closed:
            msg = "this PostgresStore was closed; make a new one"
            raise StoreError(msg)
        return None if self._ready else self._preparation()

    def _preparation(self) -> Statements[None]:
        schema = self._schema
        ((there,),) = yield "SELECT to_regclass(%s)::text", (f"{schema}.meta",)
        version = 0
        if there is not None:
            ((version,),) = yield f"SELECT coalesce(max(version), 0) FROM {schema}.meta", ()
        if version not in {0, _VERSION}:
            age, remedy = (
                ("a newer", "upgrade sessiongate, or ") if version > _VERSION else ("an older", "")
            )
            msg = (
                f"schema: {schema!r} was made by {age} sessiongate (version {version}, this one "
                f"knows {_VERSION}) and is left as it is: {remedy}give another schema"
            )
            raise ConfigurationError(msg)
        if version == 0 and not self._create:
            msg = (
                f"url: schema {schema!r} at {self._place} has no tables of this version, "
                "and none are to be made (create=False)"
            )
            raise ConfigurationError(msg)
        if version == 0:
            yield self.schema(schema), None
        self._ready = True

    def _failure(self, error: Exception) -> Exception:
        if isinstance(error, self._missing):
            self._ready = False  # somebody has dropped the tables: the next call makes them
        if isinstance(error, self._forbidden) and not self._ready:
            return ConfigurationError(
                f"the role of url may not make or use schema {self._schema!r}: let one that may "
                "apply PostgresStore.schema(), and grant this one the use of what it makes"
            )
        return failure("PostgreSQL", error, self._hidden)


def _checked(schema: str) -> str:
    if not _NAME.fullmatch(schema):
        msg = "schema must be a plain lower-case name, such as 'sessiongate'"
        raise ConfigurationError(msg)
    return schema


def _number(schema: str, what: str) -> int:
    """Return the advisory lock of something in a schema, one of 64 bits for a whole database."""
    digest = blake2b(f"sessiongate {schema} {what}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
