"""The SQLite file: its tables, its version, its mode."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from sessiongate.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["connect", "is_busy"]

_VERSION: Final = 1
"""Of the tables, kept in ``PRAGMA user_version``."""

_APPLICATION: Final = 0x53474154
"""Tells our file from another application's (``PRAGMA application_id``): "SGAT"."""

_STRICT: Final = "STRICT" if sqlite3.sqlite_version_info >= (3, 37) else ""

_TABLES: Final = (
    # The key grows with each login, which makes it the order of opening. What else
    # is looked for has an index: a user's rows (in that order) and the expired ones.
    f"""CREATE TABLE session (
        opened INTEGER PRIMARY KEY,
        format INTEGER NOT NULL,
        sid TEXT NOT NULL UNIQUE,
        username TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        last_accessed INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        lifetime_ends_at INTEGER NOT NULL,
        generation INTEGER NOT NULL,
        rotated_at INTEGER NOT NULL,
        previous_until INTEGER NOT NULL,
        oldest_accepted INTEGER NOT NULL,
        revoked_below INTEGER NOT NULL,
        shared INTEGER NOT NULL,
        scopes_and_claims TEXT NOT NULL,
        device TEXT NOT NULL
    ) {_STRICT}""",
    "CREATE INDEX session_of_user ON session (username)",
    "CREATE INDEX session_by_expiry ON session (expires_at)",
    # How many rows there are, because SQLite counts a table by reading all of it.
    f"CREATE TABLE tally (sessions INTEGER NOT NULL) {_STRICT}",
    "INSERT INTO tally VALUES (0)",
    """CREATE TRIGGER session_in AFTER INSERT ON session
       BEGIN UPDATE tally SET sessions = sessions + 1; END""",
    """CREATE TRIGGER session_out AFTER DELETE ON session
       BEGIN UPDATE tally SET sessions = sessions - 1; END""",
    f"PRAGMA application_id = {_APPLICATION}",
    f"PRAGMA user_version = {_VERSION}",
)

_PAUSE: Final = 0.005
"""Seconds between two attempts to change a new file over to WAL."""


def connect(path: Path, timeout: float) -> sqlite3.Connection:
    """Open the file, and make it first where there is none.

    Raises ``ConfigurationError`` for a file that is not ours or is newer than
    this package, ``sqlite3.Error`` or ``OSError`` for all that fails.
    """
    with suppress(FileExistsError):
        # Made here, because SQLite would ask the umask. It gives -wal and -shm the same mode.
        # An existing file is not opened: closing it again would drop SQLite's locks on it.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    connection = sqlite3.connect(
        path, timeout=timeout, isolation_level=None, check_same_thread=False
    )
    try:
        # What is not UTF-8 must be seen as corrupt, and not fail a whole list.
        connection.text_factory = partial(str, encoding="utf-8", errors="surrogateescape")
        # In WAL mode a commit is handed to the operating system before it is acknowledged:
        # it survives the death of the process. Only a power cut may take the last ones back.
        connection.execute("PRAGMA synchronous = NORMAL")
        if not _is_ready(connection, path):
            with _transaction(connection, "BEGIN"):
                _is_to_be_made(connection, path)  # or it is not ours, and stays as it is
            _use_wal(connection, path, timeout)
            with _transaction(connection, "BEGIN IMMEDIATE"):
                if _is_to_be_made(connection, path):
                    for statement in _TABLES:
                        connection.execute(statement)
    except BaseException:
        connection.close()
        raise
    return connection


def is_busy(error: sqlite3.Error) -> bool:
    """Whether somebody else held the lock; the connection itself is sound."""
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) == sqlite3.SQLITE_BUSY


def _is_ready(connection: sqlite3.Connection, path: Path) -> bool:
    # One commit wrote both: where the first is seen, the second is.
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application == _APPLICATION and version > _VERSION:
        msg = (
            f"path: {str(path)!r} was written by a newer sessiongate (tables of version {version}, "
            f"this one knows {_VERSION}): upgrade sessiongate, or give another path"
        )
        raise ConfigurationError(msg)
    return bool(application == _APPLICATION)


def _is_to_be_made(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether the file is empty; in a transaction, so that no other process comes between."""
    if _is_ready(connection, path):
        return False
    if connection.execute("SELECT 1 FROM sqlite_master").fetchone():
        msg = (
            f"path: {str(path)!r} is the database of another application: "
            "give SQLiteStore a file of its own"
        )
        raise ConfigurationError(msg)
    return True


def _use_wal(connection: sqlite3.Connection, path: Path, timeout: float) -> None:
    """With WAL nobody who reads waits for one who writes; the file remembers it.

    While two processes change a new file over, SQLite fails one of them at
    once, without its busy timeout.
    """
    give_up = time.monotonic() + timeout
    while True:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() > give_up:
                raise
            time.sleep(_PAUSE)
        else:
            break
    if mode != "wal":
        msg = f"path: {str(path)!r} is on a file system without WAL: give one on a local disk"
        raise ConfigurationError(msg)


@contextmanager
def _transaction(connection: sqlite3.Connection, begin: str) -> Iterator[None]:
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise
