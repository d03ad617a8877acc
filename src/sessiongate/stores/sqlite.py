"""Sessions in a file: no server, many processes, still there after a restart."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Final

from sessiongate.core.arguments import microseconds
from sessiongate.core.commands import Open
from sessiongate.core.row import SECOND
from sessiongate.errors import ConfigurationError, StoreError
from sessiongate.stores._sqlite_connections import BusyError, Connections
from sessiongate.stores._sqlite_rows import MustWrite, SQLiteRows
from sessiongate.stores._steps import STEPS

if TYPE_CHECKING:
    from concurrent.futures import Future

    from sessiongate.core.arguments import Seconds
    from sessiongate.core.commands import Command, Outcome

__all__ = ["SQLiteStore"]

_THREADS: Final = 8
"""That carry out what is awaited."""


class SQLiteStore:
    """Sessions in one SQLite file, for any number of processes of one machine.

    Survives restarts: what was acknowledged outlives the death of the process
    (``kill -9``); a power cut may undo the last moments. The file is made when
    first used, readable by its owner only, with ``-wal`` and ``-shm`` beside it.

    Readers never wait. Writers wait for each other for up to ``timeout``; then
    the call is a ``StoreError``, except that a session which would only have its
    ``last_accessed`` moved is answered as it was before.

    Safe for threads, event loops and ``fork``. The async face uses a few
    threads of its own and never blocks the loop.

    Args:
        path: The file, in a directory that exists, on a local disk.
        timeout: Seconds that a call may wait for each of its turns: for a
            thread (when awaited), among the writers of this process, and for
            the lock on the file.
        create: Make the file where there is none; ``False``: it must be there.

    Raises:
        ConfigurationError: There is no such directory, or no such file with
            ``create=False``; later, at the first use, the file is not ours or
            was written by a newer version.
        ValueError: ``path`` is ``":memory:"`` or empty: take ``MemoryStore``.
    """

    shared = True
    touch_every = 60 * SECOND

    def __init__(
        self, path: str | os.PathLike[str], *, timeout: Seconds = 0.25, create: bool = True
    ) -> None:
        self._path = _checked(path, create=create)
        self._timeout = microseconds(timeout, "timeout", positive=True) / SECOND
        self._connections = Connections(self._path, self._timeout)
        self._threads: ThreadPoolExecutor | None = None
        self._pid = os.getpid()
        self._closed = False

    def __repr__(self) -> str:
        return f"SQLiteStore({str(self._path)!r})"

    def execute(self, command: Command) -> Outcome:
        """Carry out a command in the calling thread.

        Raises:
            StoreError: The file is locked, damaged, full, or this store closed.
            ConfigurationError: The file is not ours, or newer than this package.
        """
        try:
            return self._connections.lend(partial(self._carry_out, command))
        except (sqlite3.Error, OSError) as error:
            # Whatever SQLite or the file system says.
            msg = f"SQLite could not carry out {type(command).__name__}: {error}"
            raise StoreError(msg) from error

    async def aexecute(self, command: Command) -> Outcome:
        """Carry out a command in a thread of the store; see ``execute``.

        Cancelled before its turn it is not carried out; after that, as a whole.
        """
        return await asyncio.wrap_future(self._submit(command))

    def close(self) -> None:
        """Close all connections and end the threads, when what is under way is done."""
        with self._connections.lock:
            self._closed = True
            threads = self._threads if self._pid == os.getpid() else None
        self._connections.close()
        if threads is not None:
            threads.shutdown()

    async def aclose(self) -> None:
        """The same, without blocking the event loop."""
        await asyncio.to_thread(self.close)

    def _carry_out(self, command: Command, connection: sqlite3.Connection) -> Outcome:
        """Look first and lock only to write: then the step is taken anew, from reading on."""
        step = STEPS[type(command)]
        instead: Outcome = None
        if not isinstance(command, Open):  # which looks at several rows, and nearly always writes
            try:
                return step(SQLiteRows(connection, writable=False), command)
            except MustWrite as signal:
                instead = signal.instead
        try:
            with self._connections.transaction(connection):
                return step(SQLiteRows(connection, writable=True), command)
        except BusyError:
            if instead is None:
                raise
            return instead

    def _submit(self, command: Command) -> Future[Outcome]:
        with self._connections.lock:
            if self._closed:
                msg = "this SQLiteStore is closed"
                raise StoreError(msg)
            if self._threads is None or self._pid != os.getpid():
                # Threads do not survive a fork.
                self._pid = os.getpid()
                self._threads = ThreadPoolExecutor(_THREADS, "sessiongate-sqlite")
            overdue = monotonic() + self._timeout
            return self._threads.submit(self._execute_until, overdue, command)

    def _execute_until(self, overdue: float, command: Command) -> Outcome:
        if monotonic() > overdue:
            msg = "SQLite is busy: too many calls wait for a thread"
            raise StoreError(msg)
        return self.execute(command)


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
