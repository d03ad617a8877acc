"""The file of a ``SQLiteStore``."""

# ruff: noqa: S608 - numbers of our own

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from sessiongate.core.row import FOREVER
from sessiongate.errors import ConfigurationError, StoreError
from sessiongate.stores.sql import VERSION, check_version

__all__ = ["File"]

_APPLICATION: Final = 0x53474154
"""Tells our file from another application's (``PRAGMA application_id``): "SGAT"."""
_KEPT_NEWS: Final = 4096
_STRICT: Final = "STRICT" if sqlite3.sqlite_version_info >= (3, 37) else ""
_NEWS: Final = (
    # The newest few, for who looks often: a gap in the numbers shows him what he has missed.
    f"""CREATE TABLE IF NOT EXISTS news (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        sid TEXT NOT NULL,
        generation INTEGER NOT NULL
    ) {_STRICT}""",
    f"""CREATE TRIGGER IF NOT EXISTS session_ended AFTER DELETE ON session
        BEGIN INSERT INTO news (sid, generation) VALUES (old.sid, {FOREVER}); END""",
    f"""CREATE TRIGGER IF NOT EXISTS news_kept AFTER INSERT ON news
        BEGIN DELETE FROM news WHERE id <= new.id - {_KEPT_NEWS}; END""",
)
_TABLES: Final = (
    # No number is used twice: the next page of a list begins where the last one ended, and the
    # highest number less the removed rows is how many there are.
    f"""CREATE TABLE session (
        opened INTEGER PRIMARY KEY AUTOINCREMENT,
        sid TEXT NOT NULL UNIQUE,
        username TEXT NOT NULL,
        expires_at INTEGER NOT NULL,
        data BLOB NOT NULL
    ) {_STRICT}""",
    "CREATE INDEX session_of_user ON session (username)",
    "CREATE INDEX session_by_expiry ON session (expires_at)",
    f"CREATE TABLE tally (removed INTEGER NOT NULL) {_STRICT}",
    "INSERT INTO tally VALUES (0)",
    """CREATE TRIGGER session_removed AFTER DELETE ON session
        BEGIN UPDATE tally SET removed = removed + 1; END""",
    *_NEWS,
    f"PRAGMA application_id = {_APPLICATION}",
    f"PRAGMA user_version = {VERSION}",
)

_PAUSE: Final = 0.005
"""Seconds between two looks at what tells nobody that it is over."""


class File:
    """Opens connections to what ``path`` named at first; the arguments are a ``SQLiteStore``'s."""

    identity: tuple[int, ...] = ()
    """Of the file, once it was opened."""

    def __init__(self, path: str | os.PathLike[str], timeout: float, *, create: bool) -> None:
        text = os.fspath(path)
        if not isinstance(text, str):
            msg = f"path must be a str or a Path, not {type(text).__name__}"
            raise TypeError(msg)
        if text in {"", ":memory:"}:
            msg = f"path must name a file, not {text!r}; for sessions in memory take MemoryStore()"
            raise ValueError(msg)
        if "://" in text:
            msg = "path must name a file, not a URL; open_store(url) makes the store of any URL"
            raise ValueError(msg)
        # Absolute, so that a server which changes its directory keeps its sessions.
        file = Path(text).absolute()
        if not file.parent.is_dir():
            msg = f"path: the directory {str(file.parent)!r} does not exist; make it first"
            raise ConfigurationError(msg)
        if not create and not file.is_file():
            msg = f"path: there is no file {str(file)!r}, and none is to be made (create=False)"
            raise ConfigurationError(msg)
        self.path = str(file)
        self.timeout = timeout
        self._encoded_path = os.fsencode(file)  # as the system takes it, sooner

    def check_identity(self, opened: tuple[int, ...]) -> None:
        """Ensure that the path names the file that was opened: in each check."""
        if self._identity_now() != opened:
            msg = (
                f"SQLite failed: the file {self.path!r} was removed or replaced while it was "
                "open: put it back, or restart the app to use what is there now"
            )
            raise StoreError(msg)

    def open(self) -> sqlite3.Connection:
        """Return a connection; at the first time, make the file and the tables if need be."""
        opened = self.identity or self._make()
        connection = sqlite3.connect(
            self.path, timeout=self.timeout, isolation_level=None, check_same_thread=False
        )
        try:
            # A name that is no UTF-8 must not fail a whole list.
            connection.text_factory = partial(str, encoding="utf-8", errors="surrogateescape")
            # In WAL mode a commit is handed to the operating system before it is acknowledged:
            # it survives the death of the process. Only a power cut may take the last ones back.
            connection.execute("PRAGMA synchronous = NORMAL")
            if not self.identity and self._missing(connection):
                self._use_wal(connection)
                connection.execute("BEGIN IMMEDIATE")
                for statement in self._missing(connection):
                    connection.execute(statement)
                connection.execute("COMMIT")
            self.check_identity(opened)
        except BaseException:
            connection.close()
            raise
        self.identity = opened
        return connection

    def _identity_now(self) -> tuple[int, ...]:
        """Tell this file from another one of the same name; ``()``: there is none."""
        try:
            return os.stat(self._encoded_path)[1:3]  # noqa: PTH116 - inode and device
        except FileNotFoundError:
            return ()

    def _make(self) -> tuple[int, ...]:
        """Make the file where there is none, for its owner only; SQLite would ask the umask.

        It gives ``-wal`` and ``-shm`` the same mode. A file that is there is not opened: closing
        it again would drop the locks that SQLite holds on it.
        """
        for left in (f"{self.path}-wal", f"{self.path}-shm"):
            if Path(left).exists() and not self._identity_now():
                msg = (
                    f"SQLite failed: there is no file {self.path!r}, but {left!r} is still there: "
                    "stop the apps that have it open, then put the file back or remove what is left"
                )
                raise StoreError(msg)
        with suppress(FileExistsError):
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        return self._identity_now()

    def _missing(self, connection: sqlite3.Connection) -> tuple[str, ...]:
        """Return what makes the tables that are not there: all of them in an empty file."""
        (found,) = connection.execute(  # one statement, which sees one moment
            "SELECT application_id, user_version, EXISTS (SELECT 1 FROM sqlite_master), "
            "EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'news_kept') "
            "FROM pragma_application_id, pragma_user_version"
        )
        application, version, content, news = found
        if application == _APPLICATION:
            check_version("path", self.path, version)
        elif content:
            msg = (
                f"path: {self.path!r} is the database of another application: "
                "give SQLiteStore a file of its own"
            )
            raise ConfigurationError(msg)
        return () if news else _NEWS if content else _TABLES

    def _use_wal(self, connection: sqlite3.Connection) -> None:
        """With WAL nobody who reads waits for one who writes; the file remembers it.

        While two processes change a new file over, SQLite fails one of them at once, without its
        busy timeout.
        """
        give_up, mode = time.monotonic() + self.timeout, None
        while mode is None:
            try:
                (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
            except sqlite3.OperationalError:
                if time.monotonic() > give_up:
                    raise
                time.sleep(_PAUSE)
        if mode != "wal":
            msg = f"path: {self.path!r} is on a file system without WAL: give one on a local disk"
            raise ConfigurationError(msg)
