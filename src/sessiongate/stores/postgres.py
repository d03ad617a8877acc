"""Sessions in PostgreSQL, for any number of processes and machines."""

# ruff: noqa: S608 - the one name in the statements is checked

from __future__ import annotations

import os
import re
import time
from hashlib import blake2b
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from sessiongate.core.arguments import check_count, microseconds
from sessiongate.core.row import SECOND
from sessiongate.errors import ConfigurationError
from sessiongate.stores.engine import NetworkStore, Verb, failure
from sessiongate.stores.sql import VERSION, SQLStore, check_version

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sessiongate.core.arguments import Seconds
    from sessiongate.core.row import Record, Renewed
    from sessiongate.stores._postgres_feed import PostgresFeed
    from sessiongate.stores.base import Facts

__all__ = ["PostgresStore"]

_MISSING: Final = "PostgresStore needs psycopg and its pool: pip install 'sessiongate[postgres]'"
_FACTS: Final = (
    "SELECT current_setting('server_version'), current_setting('fsync'), "
    "current_setting('synchronous_commit'), extract(epoch FROM clock_timestamp())"
)
_REMEDIES: Final = {
    "read-only": (
        "a standby is never believed, for it lags: let url name the primary, or all servers as in "
        "postgresql://user@a,b/database, of which the primary is found"
    ),
    "unsupported startup parameter": (
        "a pooler refuses what it does not know: set ignore_startup_parameters = options in "
        "pgbouncer.ini, or let url go past the pooler"
    ),
    "in statement pooling mode": "set pool_mode = transaction, or session, in pgbouncer.ini",
}
_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,40}")


class PostgresStore(NetworkStore, SQLStore):
    """The store for several machines that already run PostgreSQL 12 or later.

    A check is one prepared statement, in one round trip; so is a logout, and a login without
    limits. The first call of a process also looks for the tables, and makes them where there are
    none; a role that may not is told what to do.

    Safe for any number of threads and event loops, and after ``fork``. Each loop has a pool of its
    own; ``asyncio.run`` closes it at its end. Nothing is retried: after a lost answer the change
    may have been made. A server that is read-only, or a standby, is an error; of several in ``url``
    the primary is found. Behind a pooler, statements are not prepared.

    Args:
        url: A connection URI or string, as libpq reads it. A password in it appears in no message
            and in no ``repr``.
        schema: Where the tables are.
        connect_timeout: Seconds that opening a connection may take.
        timeout: Seconds that each call may take, beside its wait for a connection. A login that
            must wait for others may take two and a half times as long.
        max_size: Connections of a process, and of each event loop. Few suffice: each call takes a
            millisecond, and opening one costs the server more than ten calls.
        create: Make the tables where there are none; ``False``: they must be there.

    Raises:
        ConfigurationError: psycopg is missing, or ``schema`` is no plain name. At the first use:
            the role may not make the tables, they are older or newer than this package, or not
            there with ``create=False``.
        ValueError, TypeError: Another argument is unfit.
    """

    system = "postgresql"
    _placeholder = "%s"
    _one_of = "sid = ANY (?)"
    _locked = "ORDER BY sid FOR UPDATE"
    # An array is made once, a subquery perhaps for each row. Who holds a row has just extended it.
    _limited = "sid = ANY (ARRAY({} FOR UPDATE SKIP LOCKED))"
    # Behind a pooler a standby may come in the place of the primary, which no answer would show. So
    # it divides by zero there, and before the first row: no trip more.
    _where = "WHERE (SELECT 1 / (1 - pg_is_in_recovery()::integer)) = 1 AND"
    _rows = "(SELECT coalesce(sum(sessions), 0) FROM {schema}tally)"

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

            from sessiongate.stores._postgres_connections import pools  # noqa: PLC0415
        except ImportError as error:
            raise ConfigurationError(_MISSING) from error
        try:
            where = conninfo_to_dict(url)
        except Error:
            msg = "url must be a PostgreSQL URI, such as postgresql://user@host:5432/database"
            raise ConfigurationError(msg) from None  # the cause may quote a password
        super().__init__(f"{_check_schema(schema)}.")
        self._location = f"{where.get('host', 'localhost')}/{where.get('dbname', '')}"
        password = str(where.get("password") or "")
        self._hidden = {password, quote(password, safe="")} - {""}
        self._schema = schema
        self._create = create
        self._errors = (Error, OSError)
        self._forbidden = errors.InsufficientPrivilege
        self._divided = errors.DivisionByZero
        self._missing = (errors.UndefinedTable, errors.InvalidSchemaName)
        self._clients, self._busy, self._connect = pools(
            url,
            str(where.get("options") or os.environ.get("PGOPTIONS", "")),
            microseconds(connect_timeout, "connect_timeout", positive=True) / SECOND,
            microseconds(timeout, "timeout", positive=True) / SECOND,
            check_count(max_size, "max_size") or 1,
        )
        self._channel = f"sessiongate_{schema}"
        self._update_and_tell = self._telling(self._update, " || ' ' || %s")
        self._delete = self._telling(self._delete)
        self._delete_some = self._telling(self._delete_some)
        self._insert_few = f"WITH gone AS ({self._expire}) {self._insert}"

    def __repr__(self) -> str:
        return f"<PostgresStore at {self._location}>"

    @staticmethod
    def schema(name: str = "sessiongate") -> str:
        """Return the SQL that makes the tables, for a role that may; idempotent."""
        text = (files("sessiongate.stores") / "postgres.sql").read_text("utf-8")
        return text.format(
            schema=_check_schema(name), version=VERSION, lock=_lock_number(name, "schema")
        )

    def facts(self) -> Sequence[Facts]:
        """Say what the server is and how it is set."""

        def verb() -> Verb[Any]:
            return (yield _FACTS, ())

        before = time.time()
        ((version, syncs, commits, clock),) = self._run(verb())
        survives: Any = "all" if (syncs, commits != "off") == ("on", True) else "seconds"
        ahead = float(clock) - (before + time.time()) / 2
        return [{"version": version, "survives": survives, "ahead": ahead}]

    def feed(self) -> PostgresFeed:
        """Open the news of ended and renewed sessions: one more connection."""
        from sessiongate.stores._postgres_feed import PostgresFeed  # noqa: PLC0415 - with the driver

        self._check_open()
        return PostgresFeed(self._connect, self._channel, self._notify, self._failure)

    def _notify(self, payload: str) -> None:
        def verb() -> Verb[None]:
            yield "SELECT pg_notify(%s, %s)", (self._channel, payload)

        self._run(verb())

    # The words of PostgreSQL.

    def _telling(self, change: str, more: str = "") -> str:
        """Return the statement that also tells of each row that it has changed."""
        told = f"pg_notify('{self._channel}', sid{more})"
        return f"WITH changed AS ({change} RETURNING sid) SELECT {told} FROM changed"

    def _renew(self, old: Record, new: Renewed) -> Verb[int]:
        changed = new.expires_at, new.data, old.sid, old.data, new.generation
        return (yield self._update_and_tell, changed)  # type: ignore[no-any-return]

    def _begin(self, username: str | None, *, total: bool) -> Verb[None]:
        waits = [_lock_number(self._schema, "total")] if total else []
        if username is not None:
            waits.append(_lock_number(self._schema, f"user:{username}"))
        texts = ["BEGIN"]
        if waits:
            # The queue is fair, so the wait for a turn may take all the time that there is.
            texts += [
                f"SET LOCAL statement_timeout = {round(1000 * self._busy)}",
                *(f"SELECT pg_advisory_xact_lock({number})" for number in waits),
                "SET LOCAL statement_timeout TO DEFAULT",
            ]
        # Before the first look, in a statement of its own: a look sees what was committed then.
        yield "; ".join(texts), None

    def _add(self, new: Record, expired: Sequence[object]) -> Verb[None]:
        yield self._insert_few, (*expired, *new)

    def _list(self, sids: Sequence[str]) -> object:
        return sids

    def _prepare(self) -> Verb[None]:
        schema = self._schema
        yield "BEGIN", None  # it may have to wait for others who make the tables
        ((there,),) = yield "SELECT to_regclass(%s)::text", (f"{schema}.meta",)
        version = 0
        if there is not None:
            ((version,),) = yield f"SELECT coalesce(max(version), 0) FROM {schema}.meta", ()
        if version:
            check_version("schema", schema, version)
            yield "COMMIT", None
        elif not self._create:
            msg = (
                f"url: schema {schema!r} at {self._location} has no tables of this version, "
                "and none are to be made (create=False)"
            )
            raise ConfigurationError(msg)
        else:
            yield self.schema(schema), None

    def _failure(self, error: Exception) -> Exception:
        if isinstance(error, self._missing):
            self._ready = False  # somebody has dropped the tables: the next call makes them
        if isinstance(error, self._forbidden) and not self._ready:
            return ConfigurationError(
                f"the role of url may not make or use schema {self._schema!r}: let one that may "
                "apply PostgresStore.schema(), and grant this one the use of what it makes"
            )
        if isinstance(error, self._divided):
            error = ConnectionError("a standby has answered, which is read-only")
        hints = (remedy for words, remedy in _REMEDIES.items() if words in str(error))
        return failure("PostgreSQL", error, self._hidden, next(hints, ""))


def _check_schema(schema: str) -> str:
    if not _NAME.fullmatch(schema):
        msg = "schema must be a plain lower-case name, such as 'sessiongate'"
        raise ConfigurationError(msg)
    return schema


def _lock_number(schema: str, what: str) -> int:
    """Return the advisory lock of something in a schema, one of 64 bits for a whole database."""
    digest = blake2b(f"sessiongate {schema} {what}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
