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
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar
from weakref import WeakSet

from sessiongate.core.arguments import microseconds
from sessiongate.core.row import SECOND
from sessiongate.errors import ConfigurationError, StoreError
from sessiongate.stores.sql import (
    SAVEPOINT,
    VERSION,
    SQLStore,
    check_version,
    failure,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from sessiongate.core.arguments import Seconds
    from sessiongate.stores.sql import Statements

__all__ = ["SQLiteStore"]

T = TypeVar("T")

_APPLICATION: Final = 0x53474154
"""Tells our file from another application's (``PRAGMA application_id``): "SGAT"."""
_STRICT: Final = "STRICT" if sqlite3.sqlite_version_info >= (3, 37) else ""
_TABLES: Final = (
    # No number is used twice, so that the next page of a list begins where the last one ended.
    f"""CREATE TABLE session (
        opened INTEGER PRIMARY KEY AUTOINCREMENT,
        sid TEXT NOT NULL UNIQUE,
        username TEXT NOT NULL,
        expires_at INTEGER NOT NULL,
        data BLOB NOT NULL
    ) {_STRICT}""",
    "CREATE INDEX session_of_user ON session (username)",
    "CREATE INDEX session_by_expiry ON session (expires_at)",
    f"CREATE TABLE tally (sessions INTEGER NOT NULL) {_STRICT}",
    "INSERT INTO tally VALUES (0)",
    """CREATE TRIGGER session_added AFTER INSERT ON session
        BEGIN UPDATE tally SET sessions = sessions + 1; END""",
    """CREATE TRIGGER session_removed AFTER DELETE ON session
        BEGIN UPDATE tally SET sessions = sessions - 1; END""",
    f"PRAGMA application_id = {_APPLICATION}",
    f"PRAGMA user_version = {VERSION}",
)

_THREADS: Final = 8
"""That carry out what is awaited."""
_IDLE: Final = 8
"""Connections that may wait for the next call; more are opened when needed, and closed after."""
_LONGEST_CALL: Final = 4
"""Timeouts that a fork waits for a call: two are for locks, the rest is for work."""
_PAUSE: Final = 0.005
"""Seconds between two looks at what tells nobody that it is over."""
_TOO_MANY: Final = "SQLite is busy: too many calls {}"


class SQLiteStore(SQLStore):
    """Sessions in one SQLite file, for any number of processes of one machine.

    Survives restarts: what was acknowledged outlives the death of the process
    (``kill -9``); a power cut may undo the last moments. The file is made when
    first used, readable by its owner only, with ``-wal`` and ``-shm`` beside
    it. The three are one: move or remove them together, while no app runs.

    Readers never wait. Writers wait for each other for up to ``timeout``; then
    the call is a ``StoreError``. So is each call while ``path`` does not name
    the file that was opened.

    Safe for threads, event loops and ``fork``. A few threads of the store
    carry out what is awaited, so the loop is never blocked.

    Args:
        path: The file, in a directory that exists, on a local disk.
        timeout: Seconds that a call may wait for each of its turns: for a
            thread (when awaited), among the writers of this process, and for
            the lock on the file.
        create: Make the file where there is none; ``False``: it must be there.

    Raises:
        ConfigurationError: There is no such directory, or no such file with
            ``create=False``. At the first use: the file is not ours, or was
            written by an older or newer version.
        ValueError: ``path`` is ``":memory:"`` or empty: take ``MemoryStore``.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, timeout: Seconds = 0.25, create: bool = True
    ) -> None:
        super().__init__()
        self._path = _check_path(path, create=create)
        self._encoded = os.fsencode(self._path)  # as the system takes it, sooner
        self._timeout = microseconds(timeout, "timeout", positive=True) / SECOND
        self._file: tuple[int, int] | None = None
        self._closed = False
        self._start()
        _STORES.add(self)

    def __repr__(self) -> str:
        return f"SQLiteStore({self._path!r})"

    def close(self) -> None:
        """Close all connections and end the threads, when what is under way is done."""
        with self._lock:
            self._closed = self._barred = True
        self._close_idle()
        self._threads.shutdown()

    async def aclose(self) -> None:
        """``close``, to await."""
        await asyncio.to_thread(self.close)

    # The drivers.

    def read(self, sid: str) -> Any | None:
        """See ``Store``. Written out, for a check has no time for a generator."""
        connection, sound = self._take(), True
        try:
            row = connection.execute(self._select, (sid,)).fetchone()
        except sqlite3.Error as error:
            sound = _is_busy(error)
            _fail(error)
        finally:
            self._give_back(connection, sound=sound)
        return None if row is None else row[0]

    def _run(self, steps: Statements[T]) -> T:
        connection = self._take()
        writing, sound = False, True
        try:
            sql, arguments = next(steps)
            while True:
                if not (writing or sql.startswith("SELECT")):
                    # In a queue of our own, for SQLite's own waiting is a lottery.
                    writing = self._writing.acquire(timeout=self._timeout)
                    if not writing:
                        raise StoreError(_TOO_MANY.format("of this process wait to write"))
                try:
                    cursor = connection.execute(sql, arguments or ())
                    found = cursor.fetchall() if cursor.description else cursor.rowcount
                except sqlite3.Error as error:
                    sound = _is_busy(error)
                    sql, arguments = steps.throw(failure("SQLite", error))
                else:
                    sql, arguments = steps.send(found)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return] # of the generator
        finally:
            if connection.in_transaction:
                with suppress(sqlite3.Error):
                    connection.rollback()
            self._give_back(connection, sound=sound)
            if writing:
                self._writing.release()

    async def _arun(self, steps: Statements[T]) -> T:
        """Have a thread carry it out: if cancelled before its turn not at all, else as a whole."""
        with self._lock:
            if self._closed:
                raise _closed()
            future = self._threads.submit(self._run_until, monotonic() + self._timeout, steps)
        return await asyncio.wrap_future(future)

    def _run_until(self, overdue: float, steps: Statements[T]) -> T:
        if monotonic() > overdue:
            raise StoreError(_TOO_MANY.format("wait for a thread"))
        return self._run(steps)

    def _begin(
        self,
        username: str | None,  # noqa: ARG002 - the lock is that of the file
        *,
        total: bool,  # noqa: ARG002 - likewise
        savepoint: bool = False,
    ) -> Statements[None]:
        # At once to write: what has read first fails where it would have to wait.
        yield "BEGIN IMMEDIATE", None
        if savepoint:
            yield SAVEPOINT, None

    # Connections: each serves one call at a time, and none crosses a fork.

    def _start(self) -> None:
        self._lock = Lock()
        self._writing = Lock()
        self._idle: list[sqlite3.Connection] = []
        self._connections: set[sqlite3.Connection] = set()
        self._threads = ThreadPoolExecutor(_THREADS, "sessiongate-sqlite")
        self._barred = self._closed

    def _take(self) -> sqlite3.Connection:
        try:
            connection = self._idle.pop()
        except IndexError:
            return self._open()
        try:
            same = _identity(self._encoded) == self._file
        except OSError as error:
            self._give_back(connection, sound=True)
            _fail(error)
        if not same:
            self._give_back(connection, sound=True)
            raise self._replaced()
        return connection

    def _open(self) -> sqlite3.Connection:
        with self._lock:  # a fork holds it
            if self._closed:
                raise _closed()
            try:
                before = _make_file(self._path)
                if self._file not in (None, before):
                    raise self._replaced()
                connection = _connect(self._path, self._timeout)
            except (sqlite3.Error, OSError) as error:
                _fail(error)
            self._connections.add(connection)
            try:
                after = _identity(self._path)
            except OSError as error:
                self._drop(connection)
                _fail(error)
            if after != before:
                self._drop(connection)
                raise self._replaced()
            self._file = before
            return connection

    def _give_back(self, connection: sqlite3.Connection, *, sound: bool) -> None:
        if not sound or self._barred or len(self._idle) >= _IDLE:
            self._drop(connection)
            return
        self._idle.append(connection)
        if self._barred:
            self._close_idle()

    def _drop(self, connection: sqlite3.Connection) -> None:
        connection.close()
        self._connections.discard(connection)  # only now, for a fork waits for it

    def _close_idle(self) -> None:
        with suppress(IndexError):  # others take from it as well
            while True:
                self._drop(self._idle.pop())

    def _replaced(self) -> StoreError:
        return StoreError(
            f"SQLite failed: the file {self._path!r} was removed or replaced while it was open: "
            "put it back, or restart the app to use what is there now"
        )

    # SQLite must not be carried through a fork: the child would believe that it holds the locks
    # of its parent. So a fork waits for the calls that are under way, and closes all connections.

    def _before_fork(self) -> None:
        self._lock.acquire()
        self._barred = True
        give_up = monotonic() + _LONGEST_CALL * self._timeout
        self._close_idle()
        while self._connections and monotonic() < give_up:
            time.sleep(_PAUSE)
            self._close_idle()

    def _after_fork(self) -> None:
        self._barred = self._closed
        with suppress(RuntimeError):  # another thread has made the store only now
            self._lock.release()


_STORES: Final[WeakSet[SQLiteStore]] = WeakSet()


def _of_all(method: Callable[[SQLiteStore], None]) -> Callable[[], None]:
    def act() -> None:
        for store in tuple(_STORES):
            method(store)

    return act


os.register_at_fork(
    before=_of_all(SQLiteStore._before_fork),  # noqa: SLF001 - ours
    after_in_parent=_of_all(SQLiteStore._after_fork),  # noqa: SLF001
    after_in_child=_of_all(SQLiteStore._start),  # noqa: SLF001
)


def _closed() -> StoreError:
    return StoreError("this SQLiteStore is closed")


def _fail(error: Exception) -> NoReturn:
    failed = failure("SQLite", error)
    raise failed from failed.__cause__


def _is_busy(error: sqlite3.Error) -> bool:
    """Whether somebody else held the lock; the connection itself is sound."""
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) == sqlite3.SQLITE_BUSY


# The file.


def _check_path(path: str | os.PathLike[str], *, create: bool) -> str:
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
    return str(file)


def _identity(path: str | bytes) -> tuple[int, int] | None:
    """Tell this file from another one of the same name."""
    try:
        status = os.stat(path)  # noqa: PTH116 - in each check
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _make_file(path: str) -> tuple[int, int] | None:
    """Make the file where there is none, for its owner only; SQLite would ask the umask.

    It gives ``-wal`` and ``-shm`` the same mode. A file that is there is not opened: closing
    it again would drop the locks that SQLite holds on it.
    """
    left = [name for name in (f"{path}-wal", f"{path}-shm") if _identity(name)]
    if left and _identity(path) is None:
        msg = (
            f"SQLite failed: there is no file {path!r}, but {left[0]!r} is still there: stop the "
            "apps that have it open, then put the file back or remove what is left"
        )
        raise StoreError(msg)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    return _identity(path)


def _connect(path: str, timeout: float) -> sqlite3.Connection:
    """Open the file, and make the tables where there are none."""
    connection = sqlite3.connect(
        path, timeout=timeout, isolation_level=None, check_same_thread=False
    )
    try:
        # A name that is no UTF-8 must not fail a whole list.
        connection.text_factory = partial(str, encoding="utf-8", errors="surrogateescape")
        # In WAL mode a commit is handed to the operating system before it is acknowledged:
        # it survives the death of the process. Only a power cut may take the last ones back.
        connection.execute("PRAGMA synchronous = NORMAL")
        if not _is_ready(connection, path):
            _use_wal(connection, path, timeout)
            connection.execute("BEGIN IMMEDIATE")
            for statement in () if _is_ready(connection, path) else _TABLES:
                connection.execute(statement)
            connection.execute("COMMIT")
    except BaseException:
        connection.close()
        raise
    return connection


def _is_ready(connection: sqlite3.Connection, path: str) -> bool:
    """Whether our tables are there; ``False``: it is an empty file."""
    (found,) = connection.execute(  # one statement, which sees one moment
        "SELECT application_id, user_version, EXISTS (SELECT 1 FROM sqlite_master) "
        "FROM pragma_application_id, pragma_user_version"
    )
    application, version, content = found
    if application == _APPLICATION:
        check_version("path", path, version)
        return True
    if content:
        msg = (
            f"path: {path!r} is the database of another application: "
            "give SQLiteStore a file of its own"
        )
        raise ConfigurationError(msg)
    return False


def _use_wal(connection: sqlite3.Connection, path: str, timeout: float) -> None:
    """With WAL nobody who reads waits for one who writes; the file remembers it.

    While two processes change a new file over, SQLite fails one of them at
    once, without its busy timeout.
    """
    give_up = monotonic() + timeout
    mode = None
    while mode is None:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            if not _is_busy(error) or monotonic() > give_up:
                raise
            time.sleep(_PAUSE)
    if mode != "wal":
        msg = f"path: {path!r} is on a file system without WAL: give one on a local disk"
        raise ConfigurationError(msg)
