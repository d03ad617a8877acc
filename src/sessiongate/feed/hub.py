"""What a process knows of sessions that ended or were renewed, and whom it tells.

News of its own decisions comes at once, that of others by the feed of the store, which one thread
follows. Each piece is a sid and a generation: tokens below it are over. Merging is a maximum, so
order, repeats and delay do no harm. Only loss matters, and a feed shows it: by a break, or by a
proof that does not come.
"""

from __future__ import annotations

import math
import os
import threading
import time
from functools import partial
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from weakref import WeakSet, ref

from sessiongate.core.locks import fork_safe_lock
from sessiongate.core.recent import SUPERSEDED
from sessiongate.core.row import FOREVER, SECOND
from sessiongate.errors import StoreError
from sessiongate.feed.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sessiongate.core.recent import Superseded
    from sessiongate.core.row import Row
    from sessiongate.stores.base import Feed, News

POLL: Final = 5.0
"""Seconds between two looks at a watched session while there is no feed."""
_HEARTBEAT: Final = 1.0
"""Seconds between two probes, where no near cache asks for more."""
_WAIT: Final = 0.05
"""Seconds that a feed is listened to before a probe may be due."""
_PAUSES: Final = (0.02, 0.1, 0.5, 1.0)
"""Seconds before a feed that broke is opened again."""
_PATIENCE: Final = 2.0
"""Seconds that a proof may take at the least, before the feed counts as broken."""
_LEAST: Final = 0.001
_NO_PROOF: Final = (
    "the feed of the store is late: no proof came. A pooler that shares connections, such as "
    "pgbouncer in transaction mode, drops LISTEN: give the store a URL that goes past it"
)
_MOST_ROWS: Final = 50_000
_FEW: Final = 64
_NONE: Final[frozenset[Any]] = frozenset()
_TICK: Final = 1.0
"""Seconds between two looks at the clock, which may have been set."""


class Mark(NamedTuple):
    """When a read began: what is read may be kept if nothing has been lost since."""

    epoch: int
    news: int


class Listener:
    """The feed of one thread, opened again after a break."""

    def __init__(self, open_feed: Callable[[], Feed]) -> None:
        self._open = open_feed
        self._feed: Feed | None = None
        self._asked_at: float | None = None
        """When the proof was asked for that has not come yet."""
        self.probe_at: float = -math.inf
        """When to ask for the next one."""
        self._failures = 0

    def listen(self, now: float, patience: float) -> Iterator[News | float]:
        """What came in a moment; a proof as the time since which nothing was missed.

        Raises:
            StoreError: The feed broke, or its proof is late.
        """
        if self._feed is None:
            self._feed = self._open()
        if self._asked_at is None and now >= self.probe_at:
            self._asked_at = now
            self._feed.probe()
        elif self._asked_at is not None and now - self._asked_at > patience:
            raise StoreError(_NO_PROOF)
        for news in self._feed.wait(_WAIT):
            if news is not None:
                yield news
            elif self._asked_at is not None:
                asked_at, self._asked_at = self._asked_at, None
                yield asked_at

    def fail(self, *, was_open: bool) -> float:
        """Close what broke; return the seconds until it is opened again."""
        self.close()
        self._failures = 0 if was_open else min(self._failures + 1, len(_PAUSES) - 1)
        return _PAUSES[self._failures]

    def close(self) -> None:
        """Close the feed; the next ``listen`` opens it."""
        feed, self._feed, self._asked_at, self.probe_at = self._feed, None, None, -math.inf
        if feed is not None:
            feed.close()


class Hub:
    """The news of one manager. Safe for any number of threads and event loops.

    Its threads start with the first watch, or the first read of a near cache. A child of ``fork``
    begins anew.

    Args:
        open_feed: Opens the feed of the store; ``None``: it has none.
        superseded: What has ended lately; each addition is news.
        look: Returns the live row of a sid, or ``None``; raises ``StoreError``.
        now: The manager's clock, in microseconds.
        near: Seconds that what was read may be used without news; 0: never.
        clock: A monotonic clock, in seconds.
    """

    def __init__(
        self,
        open_feed: Callable[[], Feed] | None,
        *,
        superseded: Superseded,
        look: Callable[[str], Row | None],
        now: Callable[[], int],
        near: float = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._open = open_feed
        self._superseded = superseded
        self._look = look
        self._now = now
        self._near = near
        self._clock = clock
        self._lock = fork_safe_lock()
        self._rows: dict[str, Any] = {}
        self._watched: dict[str, set[ref[Watch]]] = {}
        """Weakly: a request that was given up needs no other end."""
        self._ends: list[tuple[int, str]] = []
        """A heap of when watched sessions end, if nothing extends them: each is there at least
        once, and those that are not watched any more go once they are many."""
        self.begin()
        superseded.tell = self._tell
        _ALL.add(self)

    def __repr__(self) -> str:
        state = "open" if self.is_open else "not open"
        return f"<Hub: {state}, {len(self._watched)} watched>"

    def begin(self) -> None:
        """Begin without threads, and with nothing that is known."""
        self.stopping: threading.Event = threading.Event()
        self._following: threading.Thread | None = None
        self._guarding: threading.Thread | None = None
        self._wake = threading.Event()
        self._due: set[str] = set()
        """Watched sessions to be looked at."""
        self._poll_at = -math.inf
        self.failure: str | None = None
        """What the store said when the feed last broke; ``None``: it never did."""
        self._epoch = 0
        """Odd: no news is lost since it began."""
        self._fresh_until = self._proven_at = 0.0
        self._rows.clear()
        self._watched.clear()
        self._ends.clear()

    @property
    def is_open(self) -> bool:
        """Whether news of other processes comes, as far as is known."""
        return self._epoch % 2 == 1

    @property
    def answers(self) -> bool | None:
        """Whether the feed answers; ``None``: nobody has needed it yet, or it is being opened."""
        return True if self.is_open else None if self.failure is None else False

    @property
    def freshness(self) -> float | None:
        """Seconds since the last proof was asked for; ``None``: there is none."""
        return self._clock() - self._proven_at if self.is_open else None

    @property
    def watched(self) -> int:
        """How many sessions are watched."""
        return len(self._watched)

    # The near cache.

    def find(self, sid: str) -> Any | None:
        """The data of a session, at most ``near`` seconds old; ``None``: ask the store."""
        if self._clock() < self._fresh_until:
            return self._rows.get(sid)
        return None

    def mark(self) -> Mark | None:
        """Note that a read begins; ``None``: what it finds must not be kept."""
        self.start()
        return Mark(self._epoch, self._superseded.news) if self.is_open else None

    def keep(self, sid: str, generation: int, data: Any, mark: Mark | None) -> None:
        """Keep what a read found, unless news may have come meanwhile."""
        with self._lock:
            if not self._has_lost(mark) and not self._superseded.covers(sid, generation):
                if len(self._rows) >= _MOST_ROWS:
                    self._rows.clear()
                self._rows[sid] = data

    def _has_lost(self, mark: Mark | None) -> bool:
        """Whether news may have come since then that is not remembered."""
        return (
            mark is None
            or mark.epoch != self._epoch
            or self._superseded.news - mark.news >= SUPERSEDED
        )

    # Watches.

    def watch(self, row: Row, mark: Mark | None = None) -> Watch:
        """Watch a session. To be given back to ``unwatch``.

        ``mark``: when it was read; ``None``: it is read once more.
        """
        watch = Watch(row.sid, row.expires_at, self._lock)
        with self._lock:
            known = self._watched.setdefault(row.sid, set())
            if len(known) & (len(known) - 1) == 0:  # so seldom that it costs little
                known.difference_update([found for found in known if found() is None])
            known.add(ref(watch))
            self._note_end(row)
            if self._has_lost(mark):
                self._due.add(row.sid)
        self._start()
        # Registered first, and then looked: no news falls between.
        if self._superseded.covers(row.sid, FOREVER - 1):
            watch.end()
        self._wake.set()
        return watch

    def unwatch(self, watch: Watch) -> None:
        """Forget a watch; twice is harmless."""
        with self._lock:
            known = self._watched.get(watch.sid)
            if known is not None:
                known.discard(ref(watch))
                if not known:
                    del self._watched[watch.sid]

    def _note_end(self, row: Row) -> None:
        """Have a session looked at when it ends; forget ends of what is not watched any more."""
        heappush(self._ends, (row.expires_at, row.sid))
        if len(self._ends) > 2 * len(self._watched) + _FEW:
            all_watches = (map(_watch_of, known) for known in self._watched.values())
            some = (next(filter(None, watches), None) for watches in all_watches)
            self._ends = [(watch.expires_at, watch.sid) for watch in some if watch is not None]
            heapify(self._ends)

    def _watches(self, sid: str) -> list[Watch]:
        known = self._watched.get(sid, _NONE).copy()  # other threads change it meanwhile
        return [watch for found in known if (watch := found()) is not None]

    def _tell(self, sid: str, generation: int) -> None:
        """News: it counts at once."""
        if self._near:  # not only where there are rows: one may be about to be kept
            with self._lock:
                self._rows.pop(sid, None)
        if generation == FOREVER and self._watched:
            for watch in self._watches(sid):
                watch.end()

    # The thread that follows the feed.

    def start(self) -> None:
        """Begin to listen, if that is not done yet."""
        if self._following is None:
            self._start()

    def _start(self) -> None:
        with self._lock:
            if self.stopping.is_set():
                return
            if self._following is None and self._open is not None:
                listener = Listener(self._open)
                self._following = _thread("feed", self, partial(_follow, listener), listener.close)
            if self._guarding is None and self._watched:
                self._guarding = _thread("watch", self, Hub.guard)

    def stop(self) -> None:
        """Have the threads end; what is watched hears of nothing more."""
        self.stopping.set()
        self._wake.set()
        self._break()

    def follow(self, listener: Listener) -> float:
        """Take what the feed brings, for a moment; return for how long to do nothing then."""
        try:
            for news in listener.listen(self._clock(), max(4 * self._near, _PATIENCE)):
                if isinstance(news, tuple):
                    self._superseded.add(*news)
                else:
                    self._prove(news)
                    listener.probe_at = news + (self._near / 4 or _HEARTBEAT)
        except StoreError as error:
            self.failure = str(error)
            pause = listener.fail(was_open=self.is_open)
            self._break()
            return pause
        return 0

    def _prove(self, asked_at: float) -> None:
        """All that was acknowledged before this time has been handed out."""
        with self._lock:
            opens = self._epoch % 2 == 0
            self._epoch += opens
            self._proven_at = asked_at
            self._fresh_until = asked_at + self._near
            if opens:
                self._due.update(self._watched)  # what has ended meanwhile was not heard
        if opens:
            self._wake.set()

    def _break(self) -> None:
        """News may be lost from here on: nothing that was read counts any more."""
        with self._lock:
            self._fresh_until = 0.0
            self._epoch += self._epoch % 2
            self._rows.clear()

    # The thread that looks at what is watched: at its end, and where there is no feed.

    def guard(self) -> float:
        """Look at what is due, once something is; return for how long to do nothing then."""
        self._wake.wait(self._pause())
        self._wake.clear()
        now = self._clock()
        polls = not self.is_open and now >= self._poll_at
        if polls or self.is_open:
            self._poll_at = now + POLL
        self.look(everywhere=polls)
        return 0

    def _pause(self) -> float:
        """Seconds until something may be due."""
        with self._lock:
            if not self._ends:
                return _TICK
            return min(max((self._ends[0][0] - self._now()) / SECOND, _LEAST), _TICK)

    def look(self, *, everywhere: bool = False) -> None:
        """Ask the store about watched sessions whose end has come, or about all of them."""
        now = self._now()
        with self._lock:
            due, self._due = self._due, set()
            while self._ends and self._ends[0][0] <= now:
                due.add(heappop(self._ends)[1])
            if everywhere:
                due.update(self._watched)
        answers = True
        for sid in due:
            watches = self._watches(sid)
            if not watches:
                with self._lock:
                    if not self._watches(sid):  # none has come meanwhile
                        self._watched.pop(sid, None)
                continue
            try:
                row = self._look(sid) if answers else None
            except StoreError:
                row, answers = None, False  # it is not asked about each of them
            if row is not None:
                self._goes_on(row, watches)
                continue
            for watch in watches:
                if answers or watch.expires_at <= now:
                    watch.end()
            if not answers:
                self._due.add(sid)

    def _goes_on(self, row: Row, watches: Iterable[Watch]) -> None:
        for watch in watches:
            watch.expires_at = row.expires_at
        with self._lock:
            self._note_end(row)


def _watch_of(found: ref[Watch]) -> Watch | None:
    return found()


def _follow(listener: Listener, hub: Hub) -> float:
    return hub.follow(listener)


def _thread(
    name: str, hub: Hub, step: Callable[[Hub], float], close: Callable[[], None] | None = None
) -> threading.Thread:
    """A thread that takes steps until the hub is stopped, or nobody has it any more."""

    def run(found: Callable[[], Hub | None], stopping: threading.Event) -> None:
        try:
            while not stopping.is_set() and (hub := found()) is not None:
                pause = step(hub)
                del hub
                if pause:
                    stopping.wait(pause)
        finally:
            if close is not None:
                close()

    arguments = ref(hub), hub.stopping
    thread = threading.Thread(target=run, args=arguments, name=f"sessiongate-{name}", daemon=True)
    thread.start()
    return thread


def _after_fork() -> None:
    """In a child there are no threads, and the feeds are the parent's."""
    for hub in tuple(_ALL):
        hub.begin()


_ALL: Final[WeakSet[Hub]] = WeakSet()
os.register_at_fork(after_in_child=_after_fork)
