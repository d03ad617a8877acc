"""Sessions in a file: no server, many processes, still there after a restart."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sessiongate.core.arguments import microseconds
from sessiongate.core.row import SECOND
from sessiongate.errors import ConfigurationError, StoreError
from sessiongate.stores._forks import hold_across_forks
from sessiongate.stores.sql import SQLStore, failure

if TYPE_CHECKING:
    from sessiongate.core.arguments import Seconds
    from sessiongate.stores.sql import Statements

__all__ = ["SQLiteStore"]

T = TypeVar("T")

_VERSION: Final = 2
"""Of the tables, kept in ``PRAGMA user_version``."""
_APPLICATION: Final = 0x53474154
"""Tells our file from another application's (``PRAGMA application_id``): "SGAT"."""

_STRICT: Final = "STRICT" if sqlite3.sqlite_version_info >= (3, 37) else ""
_TABLES: Final = (
    # No number is used twice, so that a page of the list ends where it ended.
    f"""CREATE TABLE session (
        opened INTEGER PRIMARY KEY AUTOINCREMENT,
        sid TEXT NOT NULL UNIQUE,
        username TEXT NOT NULL,
        expires_at INTEGER NOT NULL,
        data BLOB NOT NULL
    ) {_STRICT}""",
    "CREATE INDEX session_of_user ON session (username)",
    "CREATE INDEX session_by_expiry ON session (expires_at)",
    f"CREATE TABLE tally (shard INTEGER PRIMARY KEY, sessions INTEGER NOT NULL) {_STRICT}",
    "INSERT INTO tally VALUES (0, 0)",
    f"PRAGMA application_id = {_APPLICATION}",
    f"PRAGMA user_version = {_VERSION}",
)

_THREADS: Final = 8
"""That carry out what is awaited."""
_IDLE: Final = 8
"""Connections that may wait for the next call; more are opened when needed, and closed after."""
_LONGEST_CALL: Final = 4
"""Timeouts that a fork waits for a call: two are for locks, the rest is for work."""
_PAUSE: Final = 0.005
"""Seconds between two looks at what tells nobody when it is over."""


class SQLiteStore(SQLStore):
    """Sessions in one SQLite file, for any number of processes of one machine.

    Survives restarts: what was acknowledged outlives the death of the process
    (``kill -9``); a power cut may undo the last moments. The file is made when
    first used, readable by its owner only, with ``-wal`` and ``-shm`` beside
    it: the three are one, and are moved or removed together, while no app runs.

    Readers never wait. Writers wait for each other for up to ``timeout``; then
    the call is a ``StoreError``. So is every call while the file that was
    opened is not the one that ``path`` names.

    Safe for threads, event loops and ``fork``. What is awaited is carried out
    by a few threads of the store, so the loop is never blocked.

    Args:
        path: The file, in a directory that exists, on a local disk.
        timeout: Seconds that a call may wait for each of its turns: for a
            thread (when awaited), among the writers of this process, and for
            the lock on the file.
        create: Make the file where there is none; ``False``: it must be there.

    Raises:
        ConfigurationError: There is no such directory, or no such file with
            ``create=False``; later, at the first use, the file is not ours, or
            was written by an older or newer version.
        ValueError: ``path`` is ``":memory:"`` or empty: take ``MemoryStore``.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, timeout: Seconds = 0.25, create: bool = True
    ) -> None:
        super().__init__()
        self._path = _checked(path, create=create)
        self._name = str(self._path)
        self._timeout = microseconds(timeout, "timeout", positive=True) / SECOND
        self._file: tuple[int, int] | None = None
        self._closed = False
        self._start()
        hold_across_forks(self)

    def __repr__(self) -> str:
        return f"SQLiteStore({self._name!r})"

    def close(self) -> None:
        """Close all connections and end the threads, when what is under way is done."""
        with self._lock:
            self._closed = self._barred = True
            threads, self._threads = self._threads, None
        self._close_idle()
        if threads is not None:
            threads.shutdown()

    async def aclose(self) -> None:
        """The same, without blocking the event loop."""
        await asyncio.to_thread(self.close)

    # The drivers.

    def read(self, sid: str) -> Any | None:
        """See ``Store``. Without a generator, whose cost every check would pay."""
        connection = self._take()
        sound = True
        try:
            row = connection.execute(self._select, (sid,)).fetchone()
        except sqlite3.Error as error:
            sound = _is_busy(error)
            raise failure("SQLite", error) from error.__cause__
        finally:
            self._give_back(connection, sound=sound)
        return None if row is None else row[0]

    def _begin(self, username: str | None, *, total: bool) -> Statements[None]:  # noqa: ARG002
        # IMMEDIATE: a transaction that begins with reading fails at once where it would have
        # to wait before writing. It locks the file, and with it the user and the total.
        yield "BEGIN IMMEDIATE", None

    def _run(self, steps: Statements[T]) -> T:
        """Carry out a verb in the calling thread."""
        connection = None
        writing, sound = False, True
        try:
            connection = self._take()
            statement = next(steps)
            while True:
                sql, arguments = statement
                try:
                    if not (writing or sql.startswith("SELECT")):
                        writing = self._queue_to_write()
                    cursor = connection.execute(sql, arguments or ())
                    found = cursor.fetchall() if cursor.description else cursor.rowcount
                except sqlite3.Error as error:
                    sound = _is_busy(error)
                    statement = steps.throw(failure("SQLite", error))
                else:
                    statement = steps.send(found)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return] # of the generator
        except (sqlite3.Error, OSError) as error:
            raise failure("SQLite", error) from error
        finally:
            if connection is not None:
                if sound and connection.in_transaction:
                    connection.rollback()
                self._give_back(connection, sound=sound)
            if writing:
                self._writing.release()

    async def _arun(self, steps: Statements[T]) -> T:
        """Carry out a verb in a thread of the store.

        Cancelled before its turn it is not carried out; after that, as a whole.
        """
        with self._lock:
            if self._closed:
                raise _closed()
            if self._threads is None:
                self._threads = ThreadPoolExecutor(_THREADS, "sessiongate-sqlite")
            overdue = monotonic() + self._timeout
            future = self._threads.submit(self._run_until, overdue, steps)
        return await asyncio.wrap_future(future)

    def _run_until(self, overdue: float, steps: Statements[T]) -> T:
        if monotonic() > overdue:
            msg = "SQLite is busy: too many calls wait for a thread"
            raise StoreError(msg)
        return self._run(steps)

    def _queue_to_write(self) -> bool:
        """Wait among the writers of this process, for SQLite's own waiting is a lottery."""
        if self._writing.acquire(timeout=self._timeout):
            return True
        msg = "SQLite is busy: too many calls of this process wait to write"
        raise StoreError(msg)

    # Connections: each serves one call at a time, and none crosses a fork.

    def _start(self) -> None:
        self._lock = Lock()
        self._writing = Lock()
        self._idle: SimpleQueue[sqlite3.Connection] = SimpleQueue()
        self._connections: set[sqlite3.Connection] = set()
        self._threads: ThreadPoolExecutor | None = None
        self._barred = self._closed

    def _take(self) -> sqlite3.Connection:
        try:
            if self._barred:
                raise Empty
            connection = self._idle.get_nowait()
        except Empty:
            return self._open()
        try:
            status = os.stat(self._name)
            if (status.st_dev, status.st_ino) == self._file:
                return connection
        except FileNotFoundError:
            pass
        self._give_back(connection, sound=True)
        raise self._replaced()

    def _open(self) -> sqlite3.Connection:
        with self._lock:  # which a fork holds
            if self._closed:
                raise _closed()
            _make(self._path)
            before = _identity(self._name)
            if self._file not in (None, before):
                raise self._replaced()
            connection = _connect(self._path, self._timeout)
            if _identity(self._name) != before:
                connection.close()
                raise self._replaced()
            self._file = before
            self._connections.add(connection)
            return connection

    def _give_back(self, connection: sqlite3.Connection, *, sound: bool) -> None:
        if sound and self._idle.qsize() < _IDLE:
            self._idle.put(connection)
        else:
            self._drop(connection)
        if self._closed:
            self._close_idle()

    def _drop(self, connection: sqlite3.Connection) -> None:
        self._connections.discard(connection)
        connection.close()

    def _close_idle(self) -> None:
        with suppress(Empty):
            while True:
                self._drop(self._idle.get_nowait())

    def _replaced(self) -> StoreError:
        msg = (
            f"SQLite failed: the file {self._name!r} was removed or replaced while it was open: "
            "put it back, or restart the app to use what is there now"
        )
        return StoreError(msg)

    # SQLite must not be carried through a fork: the child would believe that it holds the locks
    # of its parent. So a fork waits for the calls that are under way, and closes all connections.

    def before_fork(self) -> None:
        self._lock.acquire()
        self._barred = True
        give_up = monotonic() + _LONGEST_CALL * self._timeout
        while self._connections and monotonic() < give_up:
            with suppress(Empty):
                self._drop(self._idle.get(timeout=_PAUSE))

    def after_fork_in_parent(self) -> None:
        self._barred = self._closed
        self._lock.release()

    def after_fork_in_child(self) -> None:
        self._start()


def _closed() -> StoreError:
    return StoreError("this SQLiteStore is closed")


def _checked(path: str | os.PathLike[str], *, create: bool) -> Path:
    text = os.fspath(path)
    if not isinstance(text, str):
        msg = f"path must be a str or a Path, not {type(text).__name__}"
        raise TypeError(msg)
    if text in {"", ":memory:"}:
        msg = f"path must name a file, not {text!r}; for sessions in memory take MemoryStore()"
        raise ValueError(msg)
    # Absolute, so that a server which changes its directory keeps its sessions.
    file = Path(text).absolute()
    if not file.parent.is_dir():
        msg = f"path: the directory {str(file.parent)!r} does not exist; make it first"
        raise ConfigurationError(msg)
    if not create and not file.is_file():
        msg = f"path: there is no file {str(file)!r}, and none is to be made (create=False)"
        raise ConfigurationError(msg)
    return file


# The file.


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _make(path: Path) -> None:
    """Make the file where there is none, for its owner only, whatever the umask says.

    SQLite gives ``-wal`` and ``-shm`` the same mode. A file that is there is not opened:
    closing it again would drop the locks that SQLite holds on it.
    """
    left = [str(path) + suffix for suffix in ("-wal", "-shm") if os.path.lexists(f"{path}{suffix}")]
    if left and not os.path.lexists(path):
        msg = (
            f"SQLite failed: there is no file {str(path)!r}, but {left[0]!r} is still there: "
            "stop the apps that have it open, then put the file back or remove what is left"
        )
        raise StoreError(msg)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _connect(path: Path, timeout: float) -> sqlite3.Connection:
    """Open the file, and make the tables where there are none.

    Raises ``ConfigurationError`` for a file that is not ours or not of this
    version, ``sqlite3.Error`` for all that fails.
    """
    connection = sqlite3.connect(
        path, timeout=timeout, isolation_level=None, check_same_thread=False
    )
    try:
        # A username that is no UTF-8 must not fail a whole list.
        connection.text_factory = partial(str, encoding="utf-8", errors="surrogateescape")
        # In WAL mode a commit is handed to the operating system before it is acknowledged:
        # it survives the death of the process. Only a power cut may take the last ones back.
        connection.execute("PRAGMA synchronous = NORMAL")
        if not _is_ready(connection, path):
            _use_wal(connection, path, timeout)
            connection.execute("BEGIN IMMEDIATE")
            if not _is_ready(connection, path):
                for statement in _TABLES:
                    connection.execute(statement)
            connection.execute("COMMIT")
    except BaseException:
        connection.close()
        raise
    return connection


def _is_ready(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether the tables are there; ``False`` only for an empty file."""
    # One statement, which sees one moment.
    ((application, version, content),) = connection.execute(
        "SELECT (SELECT application_id FROM pragma_application_id), "
        "(SELECT user_version FROM pragma_user_version), (SELECT count(*) FROM sqlite_master)"
    )
    if application == _APPLICATION and version == _VERSION:
        return True
    if application == _APPLICATION:
        age = "a newer" if version > _VERSION else "an older"
        remedy = "upgrade sessiongate, or give" if version > _VERSION else "give"
        msg = (
            f"path: {str(path)!r} was written by {age} sessiongate (tables of version {version}, "
            f"this one knows {_VERSION}) and is left as it is: {remedy} another path"
        )
        raise ConfigurationError(msg)
    if content:
        msg = (
            f"path: {str(path)!r} is the database of another application: "
            "give SQLiteStore a file of its own"
        )
        raise ConfigurationError(msg)
    return False


def _use_wal(connection: sqlite3.Connection, path: Path, timeout: float) -> None:
    """With WAL nobody who reads waits for one who writes; the file remembers it.

    While two processes change a new file over, SQLite fails one of them at
    once, without its busy timeout.
    """
    give_up = monotonic() + timeout
    while True:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            if not _is_busy(error) or monotonic() > give_up:
                raise
            time.sleep(_PAUSE)
        else:
            break
    if mode != "wal":
        msg = f"path: {str(path)!r} is on a file system without WAL: give one on a local disk"
        raise ConfigurationError(msg)


def _is_busy(error: sqlite3.Error) -> bool:
    """Whether somebody else held the lock; the connection itself is sound."""
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) == sqlite3.SQLITE_BUSY
