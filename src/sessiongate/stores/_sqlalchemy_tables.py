"""The tables of ``SQLAlchemyStore``: what they are, made where they are missing, and checked."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    func,
    inspect,
    select,
)
from sqlalchemy.dialects.mysql import MEDIUMBLOB, VARBINARY
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, ProgrammingError
from sqlalchemy.schema import BLANK_SCHEMA

from sessiongate.errors import ConfigurationError
from sessiongate.stores.sql import VERSION, check_version

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["check_name", "describe", "lock_of", "prepare"]

_NAME: Final = re.compile(r"(?:([a-z_][a-z0-9_]{0,60})\.)?([a-z_][a-z0-9_]{0,40})")
_LOCKS: Final = 64
"""Rows to be locked: one for all sessions, and each of the others for some users."""
_MYSQL: Final = "mysql", "mariadb"


def check_name(name: str) -> tuple[str | None, str]:
    """Return the schema of the tables, and what their names begin with."""
    found = _NAME.fullmatch(name)
    if found is None:
        msg = "name must be a plain lower-case name, such as 'sessiongate' or 'auth.sessiongate'"
        raise ConfigurationError(msg)
    return found[1], found[2]


def describe(metadata: MetaData, name: str) -> Table:
    """Add the tables, and return that of the sessions."""
    schema, base = check_name(name)
    if f"{name}_session" in metadata.tables:
        return metadata.tables[f"{name}_session"]
    # Bytes, for a collation takes "alice " or "Alice" for "alice".
    key = LargeBinary(64).with_variant(VARBINARY(64), *_MYSQL)
    username = LargeBinary(1024).with_variant(VARBINARY(1024), *_MYSQL)
    options: Any = {
        "schema": schema or BLANK_SCHEMA,
        "mysql_engine": "InnoDB",
        "mariadb_engine": "InnoDB",
    }
    Table(
        f"{base}_lock",
        metadata,
        Column("id", Integer, primary_key=True, autoincrement=False),
        Column("version", Integer, nullable=False),
        **options,
    )
    return Table(
        f"{base}_session",
        metadata,
        Column("opened", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True),
        Column("sid", key, nullable=False),
        Column("username", username, nullable=False),
        Column("expires_at", BigInteger, nullable=False),
        Column("data", LargeBinary().with_variant(MEDIUMBLOB(), *_MYSQL), nullable=False),
        Index(f"{base}_by_sid", "sid", unique=True),
        Index(f"{base}_of_user", "username", "opened"),
        Index(f"{base}_by_expiry", "expires_at"),
        sqlite_autoincrement=True,
        **options,
    )


def lock_of(username: str | None) -> int:
    """Return the row to be locked for a user; ``None``: for all sessions together."""
    if username is None:
        return 0
    return 1 + blake2b(username.encode(), digest_size=1).digest()[0] % (_LOCKS - 1)


def prepare(connection: Connection, name: str, *, create: bool) -> None:
    """Ensure that the tables are there, of this version and able to keep what is promised."""
    metadata = MetaData()
    sessions = describe(metadata, name)
    locks = metadata.tables[f"{name}_lock"]
    version = _version(connection, locks)
    if version is None:
        if create:
            _make(connection, sessions, locks)
        else:
            _check_all_there(connection, sessions, locks)
        version = VERSION
        rows = [{"id": number, "version": version} for number in range(_LOCKS)]
        try:
            connection.execute(locks.insert().values(rows))  # at once, in autocommit as well
            connection.commit()
        except IntegrityError:
            connection.rollback()  # somebody else was faster
    check_version("name", name, version)
    if connection.dialect.name in _MYSQL:  # elsewhere bytes are compared with bytes, or not at all
        _check(connection, sessions)


def _version(connection: Connection, locks: Table) -> int | None:
    try:
        version: int | None = connection.scalar(select(func.max(locks.c.version)))
    except (OperationalError, ProgrammingError) as error:
        if error.connection_invalidated:
            raise
        version = None  # there is no such table
    connection.rollback()
    return version


def _make(connection: Connection, sessions: Table, locks: Table) -> None:
    """Make what is not there. Others may do so at the same time, or have stopped half way."""
    parts: list[Any] = [sessions, *sessions.indexes, locks]
    for part in parts:
        if _is_there(connection, part):
            continue
        try:
            part.create(connection, checkfirst=False)
            connection.commit()
        except DBAPIError:
            connection.rollback()
            if not _is_there(connection, part):
                raise


def _is_there(connection: Connection, part: Table | Index) -> bool:
    inspector = inspect(connection)
    if isinstance(part, Table):
        found = inspector.has_table(part.name, part.schema)
    else:
        table: Any = part.table
        found = inspector.has_index(table.name, str(part.name), table.schema)
    connection.rollback()  # a transaction that has read may not write, in SQLite
    return found


def _check_all_there(connection: Connection, *tables: Table) -> None:
    for table in tables:
        if not _is_there(connection, table):
            msg = (
                f"name: there is no table {table.fullname!r}, and none is to be made "
                "(create=False): apply the migration that Alembic makes of a metadata with "
                "SQLAlchemyStore.tables(metadata), or leave out create=False"
            )
            raise ConfigurationError(msg)


def _check(connection: Connection, sessions: Table) -> None:
    """Refuse a table that somebody has made in another way, and that would break a promise."""
    inspector, schema, name = inspect(connection), sessions.schema, sessions.name
    found = {column["name"]: column["type"] for column in inspector.get_columns(name, schema)}
    for column in sessions.columns:
        kind = found.get(column.name)
        if kind is None or kind.python_type is not column.type.python_type:
            wanted = column.type.compile(connection.dialect)
            msg = (
                f"name: the column {column.name!r} of {name!r} is {kind!r} and not {wanted}; a "
                "collation would take 'alice ' or 'Alice' for 'alice': ALTER the table, or give "
                "another name"
            )
            raise ConfigurationError(msg)
    options = inspector.get_table_options(name, schema)
    engine = options.get(f"{connection.dialect.name}_engine", "InnoDB")
    if engine != "InnoDB":
        msg = f"name: {name!r} is kept by {engine}, without transactions: ALTER it to InnoDB"
        raise ConfigurationError(msg)
