"""What a store is: a few verbs over records that it does not understand.

A store decides nothing. It finds a record, and replaces or removes it if it is still what was read.
All rules are in ``sessiongate.core``.
"""

# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from collections.abc import Callable, Coroutine, Hashable, Sequence
from typing import Any, Literal, Protocol, TypeAlias, TypedDict

from sessiongate.core.row import Page, Record, RowCodec
from sessiongate.core.steps import Step

__all__ = ["Begin", "Facts", "Feed", "News", "Page", "Record", "RowCodec", "Seen", "Step", "Store"]

Records: TypeAlias = Sequence[Record]

Seen: TypeAlias = Hashable | None
"""An opaque mark of which records a user has, not of what is in them; for ``commit``."""

Live: TypeAlias = tuple[int, int] | None
"""How many records are to be live afterwards, at least and at most; ``None``: any number."""

Begin: TypeAlias = Callable[[], Step[Any]]
"""Makes the step of a transaction."""


News: TypeAlias = tuple[str, int]
"""A sid and a generation: tokens below it are over; ``FOREVER``: the session has ended."""


class Feed(Protocol):
    """News of ended and renewed sessions, for one thread. Any method raises ``StoreError``."""

    def probe(self) -> None:
        """Ask for a proof: it comes after all news that was acknowledged before this call."""
        ...

    def wait(self, seconds: float) -> Sequence[News | None]:
        """Return what came, after so long at the most; ``None`` in it is the proof."""
        ...

    def close(self) -> None:
        """Release the connection."""
        ...


class Facts(TypedDict, total=False):
    """What an engine says of one of its nodes; what it does not say is not there."""

    node: str
    """Which one, ``""`` if there is just one."""
    version: str
    ahead: float
    """Seconds by which its clock is ahead of this machine's."""
    survives: Literal["nothing", "snapshots", "seconds", "all"]
    """Which acknowledged changes outlive its crash: all but those of the last seconds …"""
    drops: str
    """The rule by which it drops live sessions for want of memory, ``""`` if it does not."""


class Store(Protocol):
    """Where records are kept.

    Each verb has a twin to await, whose name begins with an ``a``. All of them are safe in any
    thread and any task. They see whatever was acknowledged before: never a replica that lags. Each
    takes effect as a whole or not at all.

    Times are integer microseconds since the Unix epoch. No verb reads a clock. Absence is ``None``.
    Every verb raises ``StoreError`` within a second where the engine does not answer, and may be
    called again at once.

    Seven members are optional:

    * ``together(username, total, begin)`` and ``atogether``, for engines that lock: run the
      ``Step`` that ``begin()`` makes in one transaction, which holds the lock of that user (if not
      ``None``) and of the total (if ``total``) from before its first read. Return what the step
      returns; throw into it what a verb raises. ``begin`` may be called again, for a transaction
      that the engine gave up. Without ``together`` a lost ``commit`` is decided anew.
    * ``blocking = False``, in the very class of a store whose verbs wait for nothing: then the ASGI
      middleware calls ``read`` and awaits nothing.
    * ``replace(old, new)``, for such a store: a ``swap`` of two data, which answers ``True`` or
      ``False``.
    * ``feed()`` opens a ``Feed``. Then ``commit`` tells the end of each of ``out``, and ``swap``
      that of ``old`` if ``new`` is ``None``, or the ``generation`` of ``new`` if it is ``Renewed``:
      as part of the change, so that no news is lost, nor of what did not happen.
    * ``sharded = True``: sids begin with the bucket of their user (``core.buckets``), and ``live``
      of ``commit`` is always ``None``, as no limit over all users can be kept.
    * ``facts()`` returns ``Facts``, one for each node: for the command ``sessiongate doctor``.
    * ``system`` is the ``db.system.name`` of metrics and spans, such as ``"postgresql"``: by
      default the name of the class, without ``Store`` and in small letters.

    A subclass may write each verb once, for both twins: ``_read`` and the others make a generator
    of requests to the engine, and two drivers, ``_run`` and ``_arun``, carry it out by calling and
    by awaiting.
    """

    shared: bool
    """Whether other processes see the same records: then the key must be given."""
    touch_every: int
    """How stale ``last_accessed`` may get before it is written."""
    codec: Any
    """A ``RowCodec``: ``sessiongate.stores.codec``, for all stores that keep bytes."""

    def read(self: Any, sid: str) -> Any | None:
        """Return the data of this sid, ``None`` if there is none.

        One plain read by primary key. An expired record may be there or not.
        """
        return self._run(self._read(sid))

    def swap(self: Any, old: Record, new: Record | None, now: int) -> Literal[True] | Any | None:
        """Replace, or with ``None`` remove, the record if its data is ``old.data`` to the byte.

        Return ``True`` if it was. Otherwise change nothing, and return the data that is there
        now, ``None`` if there is none. Never insert. ``new`` differs from ``old`` in
        ``expires_at`` and ``data`` alone.
        """
        return self._run(self._swap(old, new, now))

    def of_user(self: Any, username: str) -> tuple[Seen, Sequence[Record]]:
        """Return all records of a user in the order of opening, expired ones too, and a mark."""
        return self._run(self._of_user(username))

    def commit(
        self: Any, username: str, out: Records, new: Record | None, seen: Seen, live: Live, now: int
    ) -> bool:
        """Remove all of ``out`` and add ``new`` as the newest; or do nothing and return ``False``.

        Nothing is done if one of ``out`` (of any user) is not there, or not with the same data; if
        ``seen`` is given and ``username`` no longer has the records that it stands for; or if
        afterwards fewer than ``live[0]`` or more than ``live[1]`` records would be live at ``now``.
        With nothing to remove or to add it only answers whether all that holds at one moment.

        A store that does not forget by itself also removes a few expired records, of anybody, with
        each record that it adds.
        """
        return self._run(self._commit(username, out, new, seen, live, now))

    def live(self: Any, now: int, most: int, after: int | None = None) -> Page:
        """Return up to ``most`` live records in the order of opening.

        ``after`` is the ``place`` of the page before, whether or not its records have ended.
        """
        return self._run(self._live(now, most, after))

    def count(self: Any, now: int) -> int:
        """Return how many records are live."""
        return self._run(self._count(now))

    def sweep(self: Any, now: int, most: int) -> int:
        """Remove up to ``most`` records that are expired when they are removed: how many."""
        return self._run(self._sweep(now, most))

    def close(self) -> None:
        """Release connections. Closing twice is harmless."""
        ...

    # The same verbs, to await.

    def aread(self: Any, sid: str) -> Coroutine[Any, Any, Any | None]:
        return self._arun(self._read(sid))

    def aswap(self: Any, old: Record, new: Record | None, now: int) -> Coroutine[Any, Any, Any]:
        return self._arun(self._swap(old, new, now))

    def aof_user(self: Any, username: str) -> Coroutine[Any, Any, tuple[Seen, Sequence[Record]]]:
        return self._arun(self._of_user(username))

    def acommit(
        self: Any, username: str, out: Records, new: Record | None, seen: Seen, live: Live, now: int
    ) -> Coroutine[Any, Any, bool]:
        return self._arun(self._commit(username, out, new, seen, live, now))

    def alive(
        self: Any, now: int, most: int, after: int | None = None
    ) -> Coroutine[Any, Any, Page]:
        return self._arun(self._live(now, most, after))

    def acount(self: Any, now: int) -> Coroutine[Any, Any, int]:
        return self._arun(self._count(now))

    def asweep(self: Any, now: int, most: int) -> Coroutine[Any, Any, int]:
        return self._arun(self._sweep(now, most))

    async def aclose(self) -> None: ...
