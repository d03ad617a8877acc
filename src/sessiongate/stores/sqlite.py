"""Sessions in a file: no server, many processes, still there after a restart."""

# ruff: noqa: SLF001 - the classes of this file are one

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
from typing import TYPE_CHECKING, Any, Final, TypeVar
from weakref import WeakSet

from sessiongate.core.arguments import microseconds
from sessiongate.core.row import SECOND
from sessiongate.errors import ConfigurationError, StoreError
from sessiongate.stores.sql import VERSION, SQLStore, check_version, failure, result_of

if TYPE_CHECKING:
    from sessiongate.core.arguments import Seconds
    from sessiongate.stores.sql import Statements

__all__ = ["SQLiteStore"]

T = TypeVar("T")

_APPLICATION: Final = 0x53474154
"""Tells our file from another application's (``PRAGMA application_id``): "SGAT"."""
_STRICT: Final = "STRICT" if sqlite3.sqlite_version_info >= (3, 37) else ""
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
    f"PRAGMA application_id = {_APPLICATION}",
    f"PRAGMA user_version = {VERSION}",
)

_THREADS: Final = 8
"""That carry out what is awaited."""
_LONGEST_CALL: Final = 4
"""Timeouts that a fork waits for a call: two are for locks, the rest is for work."""
_PAUSE: Final = 0.005
"""Seconds between two looks at what tells nobody that it is over."""
_TOO_MANY: Final = "SQLite is busy: too many calls {}"
_CLOSED: Final = "this SQLiteStore is closed"


class SQLiteStore(SQLStore):
    """Sessions in one SQLite file, for any number of processes of one machine.

    Survives restarts: what was acknowledged outlives the death of the process
    (``kill -9``); a power cut may undo the last moments. The file is made when
    first used, readable by its owner only, with ``-wal`` and ``-shm`` beside
    it. The three are one: move or remove them together, while no app runs.

    A reader waits for no writer, but for its turn among the calls of the process. Writers wait for
    each other for up to ``timeout``; then the call is a ``StoreError``. So is each call while
    ``path`` does not name the file that was opened.

    Safe for threads, event loops and ``fork``. A few threads of the store
    carry out what is awaited, so the loop is never blocked.

    Args:
        path: The file, in a directory that exists, on a local disk.
        timeout: Seconds that a call may wait for each of its turns: for a
            thread (when awaited), among the readers or writers of this process, and for
            the lock on the file.
        create: Make the file where there is none; ``False``: it must be there.

    Raises:
        ConfigurationError: There is no such directory, or no such file with
            ``create=False``. At the first use: the file is not ours, or was
            written by an older or newer version.
        ValueError: ``path`` is ``":memory:"`` or empty: take ``MemoryStore``.
    """

    _rows = (  # without a tally they are counted
        "coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'session')"
        " - (SELECT removed FROM tally), (SELECT count(*) FROM session))"
    )
    _errors = (sqlite3.Error, OSError)

    def __init__(
        self, path: str | os.PathLike[str], *, timeout: Seconds = 0.25, create: bool = True
    ) -> None:
        super().__init__()
        self._path = _check_path(path, create=create)
        self._encoded_path = os.fsencode(self._path)  # as the system takes it, sooner
        self._timeout = microseconds(timeout, "timeout", positive=True) / SECOND
        self._identity: tuple[int, ...] = ()  # of the file, once it was opened
        self._closed = False
        self._start()
        _STORES.add(self)

    def __repr__(self) -> str:
        return f"SQLiteStore({self._path!r})"

    def close(self) -> None:
        """Close all connections and end the threads, when what is under way is done."""
        self._closed = True
        for lane in (self._reading, self._writing):
            with lane.lock:
                lane.close()
        self._threads.shutdown()

    async def aclose(self) -> None:
        """``close``, to await."""
        await asyncio.to_thread(self.close)

    def read(self, sid: str) -> Any | None:
        """See ``Store``. Written out, for a check has no time for a generator."""
        try:
            with self._reading as connection:
                row = connection.execute(self._select, (sid,)).fetchone()
        except self._errors as error:
            failed = self._failure(error)
            raise failed from failed.__cause__
        return None if row is None else row[0]

    def _begin(self, username: str | None, *, total: bool) -> Statements[None]:  # noqa: ARG002 - it locks the file
        # At once to write: what has read first fails where it would have to wait.
        yield "BEGIN IMMEDIATE", None

    def _run(self, steps: Statements[T]) -> T:
        return result_of(self._carry_out(_Call(self), steps))

    async def _arun(self, steps: Statements[T]) -> T:
        """Have a thread carry it out: if cancelled before its turn not at all, else as a whole."""
        overdue = monotonic() + self._timeout

        def run_in_time() -> T:
            if monotonic() > overdue:
                raise StoreError(_TOO_MANY.format("wait for a thread"))
            return self._run(steps)

        if self._closed:
            raise StoreError(_CLOSED)
        return await asyncio.wrap_future(self._threads.submit(run_in_time))

    def _failure(self, error: Exception) -> Exception:
        return failure("SQLite", error)

    # SQLite must not be carried through a fork: the child would believe that it holds the locks
    # of its parent. So a fork waits for the calls that are under way, and closes all connections.

    def _start(self) -> None:
        self._reading, self._writing = _Lane(self), _Lane(self)
        self._threads = ThreadPoolExecutor(_THREADS, "sessiongate-sqlite")
        self._held: list[_Lane] = []

    def _before_fork(self) -> None:
        seconds = _LONGEST_CALL * self._timeout
        lanes = (self._reading, self._writing)
        self._held = [lane for lane in lanes if lane.lock.acquire(timeout=seconds)]
        for lane in self._held:
            lane.close()

    def _after_fork(self) -> None:
        while self._held:
            self._held.pop().lock.release()


class _Lane:
    """A connection that one call after another uses, opened by the first of them."""

    def __init__(self, store: SQLiteStore) -> None:
        self._store = store
        self._connection: sqlite3.Connection | None = None
        self.lock = Lock()  # a queue of our own, for SQLite's own waiting is a lottery

    def __enter__(self) -> sqlite3.Connection:
        store = self._store
        if not self.lock.acquire(timeout=store._timeout):
            raise StoreError(_TOO_MANY.format("of this process wait for their turn"))
        try:
            if store._identity:
                _check_identity(store._encoded_path, store._identity)
            if self._connection is None:
                self._connection, store._identity = _open(store)
        except BaseException:
            self.lock.release()
            raise
        return self._connection

    def __exit__(self, failed: object, *_: object) -> None:
        if failed:
            self.close()  # to make another one is cheap
        self.lock.release()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class _Call:
    """What a verb has for a connection: that of the readers, until it changes something."""

    def __init__(self, store: SQLiteStore) -> None:
        self._store = store
        self._lane: _Lane | None = None
        self._failed = False

    async def borrow(self, _: object) -> _Call:
        return self

    async def send(self, sql: str, arguments: Any) -> Any:
        reads = sql.startswith("SELECT")
        if self._lane is None or (self._lane is self._store._reading and not reads):
            await self.give_back(self)
            lane = self._store._reading if reads else self._store._writing
            self._connection = lane.__enter__()
            self._lane = lane
        cursor = self._connection.execute(sql, arguments or ())
        return cursor.fetchall() if cursor.description else cursor.rowcount

    async def undo(self, *, usable: bool) -> None:  # noqa: ARG002 - of the protocol
        self._failed = True

    async def give_back(self, _: object) -> None:
        lane, self._lane = self._lane, None
        if lane is not None:
            lane.__exit__(self._failed)


_STORES: Final[WeakSet[SQLiteStore]] = WeakSet()


def _of_all(method: str) -> None:
    for store in tuple(_STORES):
        getattr(store, method)()


os.register_at_fork(
    before=partial(_of_all, "_before_fork"),
    after_in_parent=partial(_of_all, "_after_fork"),
    after_in_child=partial(_of_all, "_start"),
)


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


def _identity(path: str | bytes) -> tuple[int, ...]:
    """Tell this file from another one of the same name; ``()``: there is none."""
    try:
        return os.stat(path)[1:3]  # noqa: PTH116 - inode and device, in each check
    except FileNotFoundError:
        return ()


def _check_identity(path: str | bytes, opened: tuple[int, ...]) -> None:
    if _identity(path) != opened:
        msg = (
            f"SQLite failed: the file {os.fsdecode(path)!r} was removed or replaced while it was "
            "open: put it back, or restart the app to use what is there now"
        )
        raise StoreError(msg)


def _make_file(path: str) -> tuple[int, ...]:
    """Make the file where there is none, for its owner only; SQLite would ask the umask.

    It gives ``-wal`` and ``-shm`` the same mode. A file that is there is not opened: closing
    it again would drop the locks that SQLite holds on it.
    """
    left = [name for name in (f"{path}-wal", f"{path}-shm") if _identity(name)]
    if left and not _identity(path):
        msg = (
            f"SQLite failed: there is no file {path!r}, but {left[0]!r} is still there: stop the "
            "apps that have it open, then put the file back or remove what is left"
        )
        raise StoreError(msg)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    return _identity(path)


def _open(store: SQLiteStore) -> tuple[sqlite3.Connection, tuple[int, ...]]:
    """Open the file; at the first time, make it and the tables where there are none."""
    if store._closed:
        raise StoreError(_CLOSED)
    path, timeout = store._path, store._timeout
    before = store._identity or _make_file(path)
    connection = sqlite3.connect(
        path, timeout=timeout, isolation_level=None, check_same_thread=False
    )
    try:
        # A name that is no UTF-8 must not fail a whole list.
        connection.text_factory = partial(str, encoding="utf-8", errors="surrogateescape")
        # In WAL mode a commit is handed to the operating system before it is acknowledged:
        # it survives the death of the process. Only a power cut may take the last ones back.
        connection.execute("PRAGMA synchronous = NORMAL")
        if not (store._identity or _is_ready(connection, path)):
            _use_wal(connection, path, timeout)
            connection.execute("BEGIN IMMEDIATE")
            for statement in () if _is_ready(connection, path) else _TABLES:
                connection.execute(statement)
            connection.execute("COMMIT")
        _check_identity(path, before)
    except BaseException:
        connection.close()
        raise
    return connection, before


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
        except sqlite3.OperationalError:
            if monotonic() > give_up:
                raise
            time.sleep(_PAUSE)
    if mode != "wal":
        msg = f"path: {path!r} is on a file system without WAL: give one on a local disk"
        raise ConfigurationError(msg)
