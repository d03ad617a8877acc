"""Connections to one SQLite file: each serves one thread at a time, none crosses a fork."""

from __future__ import annotations

import os
import sqlite3
import weakref
from contextlib import contextmanager
from threading import Condition, Lock
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sessiongate.errors import StoreError
from sessiongate.stores._sqlite_schema import connect, is_busy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["BusyError", "Connections"]

T = TypeVar("T")

_KEPT: Final = 8
"""Connections that may wait for the next call; more are opened when needed, and closed after."""

_LONGEST_CALL: Final = 4
"""Timeouts that a fork waits for a call: two are for locks, the rest is for work."""


class BusyError(StoreError):
    """Somebody else was writing for too long; nothing was done."""


class Connections:
    """Lends connections and takes them back; safe for threads and for ``fork``.

    Lent to the call and not bound to its thread: a server whose threads come
    and go leaves none behind.

    SQLite must not be carried through a fork: the child would believe that it
    holds the locks of its parent. So a fork waits for the calls that are under
    way, as long as one may take, and closes the connections first; both
    processes open new ones.
    """

    def __init__(self, path: Path, timeout: float) -> None:
        self._path = path
        self._timeout = timeout
        self._closed = False
        self._start()
        _watch_fork(self)

    def _start(self) -> None:
        self.lock = Condition()  # a new one in the child of a fork, and free there
        self._writing = Lock()
        self._idle: list[sqlite3.Connection] = []
        self._lent = 0
        self._forking = False

    def lend(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do something with a connection outside any transaction: what came of it."""
        connection = self._take()
        sound = True
        try:
            return work(connection)
        except sqlite3.Error as error:
            sound = is_busy(error)
            raise
        finally:
            self._give_back(connection, sound=sound and not connection.in_transaction)

    @contextmanager
    def transaction(self, connection: sqlite3.Connection) -> Iterator[None]:
        """Write: all of it, or nothing.

        The writers of this process queue for a lock of its own, because
        SQLite's busy timeout is a lottery. ``IMMEDIATE``, because a
        transaction that begins with reading fails at once where it would
        have to wait before writing. Raises ``BusyError`` before anything was done.
        """
        if not self._writing.acquire(timeout=self._timeout):
            msg = "SQLite is busy: too many calls of this process wait to write"
            raise BusyError(msg)
        try:
            _begin(connection)
            try:
                yield
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.rollback()
                raise
        finally:
            self._writing.release()

    def close(self) -> None:
        """Close what is idle now and what is lent when it comes back."""
        with self.lock:
            self._closed = True
            self._close_idle()

    def _take(self) -> sqlite3.Connection:
        with self.lock:
            if self._forking:
                self.lock.wait_for(lambda: not self._forking)
            if self._closed:
                msg = "this SQLiteStore is closed"
                raise StoreError(msg)
            self._lent += 1
            if self._idle:
                return self._idle.pop()
        try:
            return connect(self._path, self._timeout)
        except BaseException:
            with self.lock:
                self._returned()
            raise

    def _give_back(self, connection: sqlite3.Connection, *, sound: bool) -> None:
        with self.lock:
            if sound and not self._closed and len(self._idle) < _KEPT:
                self._idle.append(connection)
                self._returned()
                return
        connection.close()
        with self.lock:
            self._returned()

    def _returned(self) -> None:
        self._lent -= 1
        if self._forking:
            self.lock.notify_all()

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()

    # Around a fork. The lock is held across it, so that nothing is half done in the child.

    def before_fork(self) -> None:
        self.lock.acquire()
        self._forking = True  # from here on nobody borrows while the last ones bring back
        self.lock.wait_for(lambda: self._lent == 0, _LONGEST_CALL * self._timeout)
        self._close_idle()

    def after_fork_in_parent(self) -> None:
        self._forking = False
        self.lock.notify_all()
        self.lock.release()

    def after_fork_in_child(self) -> None:
        self._start()


def _begin(connection: sqlite3.Connection) -> None:
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if not is_busy(error):
            raise
        msg = "SQLite is busy: another process holds the lock to write"
        raise BusyError(msg) from error


def _watch_fork(connections: Connections) -> None:
    """Tell of each fork, as long as somebody else keeps the object."""
    if not hasattr(os, "register_at_fork"):
        return
    known = weakref.ref(connections)

    def tell(what: Callable[[Connections], Any]) -> Callable[[], None]:
        def hook() -> None:
            alive = known()
            if alive is not None:
                what(alive)

        return hook

    os.register_at_fork(
        before=tell(Connections.before_fork),
        after_in_parent=tell(Connections.after_fork_in_parent),
        after_in_child=tell(Connections.after_fork_in_child),
    )
