"""Sessions in a file: no server, many processes, still there after a restart."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, TypeVar
from weakref import WeakSet

from sessiongate.core.arguments import microseconds
from sessiongate.core.row import SECOND
from sessiongate.errors import StoreError
from sessiongate.stores._sqlite_feed import SQLiteFeed
from sessiongate.stores._sqlite_file import File
from sessiongate.stores.engine import Verb, failure, result_of
from sessiongate.stores.sql import SQLStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sessiongate.core.arguments import Seconds
    from sessiongate.core.row import Record, Renewed
    from sessiongate.stores.base import Facts

__all__ = ["SQLiteStore"]

T = TypeVar("T")

_THREADS: Final = 8
"""That carry out what is awaited."""
_LONGEST_CALL: Final = 4
"""Timeouts that a fork waits for a call: two are for locks, the rest is for work."""
_TELL: Final = "INSERT INTO news (sid, generation) VALUES (?, ?)"
_TOO_MANY: Final = "SQLite is busy: too many calls {}"


class SQLiteStore(SQLStore):
    """Sessions in one SQLite file, for any number of processes of one machine.

    Survives restarts: what was acknowledged outlives the death of the process (``kill -9``); a
    power cut may undo the last moments. The file is made when first used, readable by its owner
    only, with ``-wal`` and ``-shm`` beside it. The three are one: move or remove them together,
    while no app runs.

    A reader waits for no writer, but for its turn among the calls of the process. Writers wait for
    each other for up to ``timeout``; then the call is a ``StoreError``. So is each call while
    ``path`` does not name the file that was opened.

    Safe for threads, event loops and ``fork``. A few threads of the store carry out what is
    awaited, so the loop is never blocked.

    Args:
        path: The file, in a directory that exists, on a local disk.
        timeout: Seconds that a call may wait for each of its turns: for a thread (when awaited),
            among the readers or writers of this process, and for the lock on the file.
        create: Make the file where there is none; ``False``: it must be there.

    Raises:
        ConfigurationError: There is no such directory, or no such file with ``create=False``. At
            the first use: the file is not ours, or was written by an older or newer version.
        ValueError: ``path`` is ``":memory:"`` or empty: take ``MemoryStore``.
    """

    _one_of = "sid IN (SELECT value FROM json_each(?))"
    _rows = (  # without a tally they are counted
        "coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'session')"
        " - (SELECT removed FROM tally), (SELECT count(*) FROM session))"
    )
    _errors = (sqlite3.Error, OSError)
    _failure = staticmethod(partial(failure, "SQLite"))

    def __init__(
        self, path: str | os.PathLike[str], *, timeout: Seconds = 0.25, create: bool = True
    ) -> None:
        super().__init__()
        self._timeout = microseconds(timeout, "timeout", positive=True) / SECOND
        self._file = File(path, self._timeout, create=create)
        self._start()
        _STORES.add(self)

    def __repr__(self) -> str:
        return f"SQLiteStore({self._file.path!r})"

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
        lane, failed = self._reading, True
        try:
            connection = lane.take()
            try:
                row = connection.execute(self._select, (sid,)).fetchone()
                failed = False
            finally:
                lane.leave(failed=failed)
        except self._errors as error:
            raised = self._failure(error)
            raise raised from raised.__cause__
        return None if row is None else row[0]

    def facts(self) -> Sequence[Facts]:
        """Say what SQLite is. A killed process loses nothing, a power cut the last moments."""
        return [{"version": sqlite3.sqlite_version, "survives": "all"}]

    def feed(self) -> SQLiteFeed:
        """Open the news of ended and renewed sessions: a look at the file, fifty times a second."""
        return SQLiteFeed(self._query)

    def _query(self, sql: str, arguments: tuple[Any, ...]) -> Sequence[Any]:
        def verb() -> Verb[Any]:
            return (yield sql, arguments)

        return self._run(verb())

    def _renew(self, old: Record, new: Renewed) -> Verb[Any]:
        yield from self._begin(None, total=False)
        done = yield self._update, (new.expires_at, new.data, old.sid, old.data)
        if done:
            yield _TELL, (new.sid, new.generation)
        yield "COMMIT", None
        return done

    def _list(self, sids: Sequence[str]) -> object:
        return json.dumps(sids)

    def _begin(self, username: str | None, *, total: bool) -> Verb[None]:  # noqa: ARG002 - it locks the file
        # At once to write: what has read first fails where it would have to wait.
        yield "BEGIN IMMEDIATE", None

    def _run(self, verb: Verb[T]) -> T:
        return result_of(self._carry_out(_Call(self._reading, self._writing), verb))

    async def _arun(self, verb: Verb[T]) -> T:
        """Have a thread carry it out: if cancelled before its turn not at all, else as a whole."""
        overdue = monotonic() + self._timeout

        def run_in_time() -> T:
            if monotonic() > overdue:
                raise StoreError(_TOO_MANY.format("wait for a thread"))
            return self._run(verb)

        self._check_open()
        return await asyncio.wrap_future(self._threads.submit(run_in_time))

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
        self._file, self._check_open = store._file, store._check_open  # noqa: SLF001 - are one
        self.connection: sqlite3.Connection | None = None
        self.lock = Lock()  # a queue of our own, for SQLite's own waiting is a lottery

    def take(self) -> sqlite3.Connection:
        file = self._file
        if not self.lock.acquire(True, file.timeout):  # noqa: FBT003 - keywords take longer
            raise StoreError(_TOO_MANY.format("of this process wait for their turn"))
        try:
            if file.identity:
                file.check_identity(file.identity)
            if self.connection is None:
                self._check_open()
                self.connection = file.open()
            return self.connection  # noqa: TRY300
        except BaseException:
            self.lock.release()
            raise

    def leave(self, *, failed: bool) -> None:
        if failed:
            self.close()  # to make another one is cheap
        self.lock.release()

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None


class _Call:
    """What a verb has for a connection: that of the readers, until it changes something."""

    def __init__(self, reading: _Lane, writing: _Lane) -> None:
        self._reading, self._writing = reading, writing
        self._lane: _Lane | None = None

    async def borrow(self, _: object) -> _Call:
        return self

    async def send(self, sql: str, arguments: Any) -> Any:
        lane = self._reading if sql.startswith("SELECT") else self._writing
        if self._lane not in (lane, self._writing):
            await self.give_back(self, None)
            self._connection = lane.take()
            self._lane = lane
        cursor = self._connection.execute(sql, arguments or ())
        return cursor.fetchall() if cursor.description else cursor.rowcount

    async def give_back(self, _: object, failed: bool | None) -> None:  # noqa: FBT001 - of the protocol
        lane, self._lane = self._lane, None
        if lane is not None:
            lane.leave(failed=failed is not None)


_STORES: Final[WeakSet[SQLiteStore]] = WeakSet()


def _of_all(method: str) -> None:
    for store in tuple(_STORES):
        getattr(store, method)()


os.register_at_fork(
    before=partial(_of_all, "_before_fork"),
    after_in_parent=partial(_of_all, "_after_fork"),
    after_in_child=partial(_of_all, "_start"),
)
