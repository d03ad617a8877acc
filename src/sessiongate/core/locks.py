"""Locks that survive a ``fork``.

A child that is forked while another thread holds a lock would wait for it for ever, and what the
lock guards may be torn. So all of these locks are taken before a fork and released after it, in the
parent and in the child.
"""

from __future__ import annotations

import os
from threading import Lock, RLock
from typing import Final
from weakref import WeakSet

_PATIENCE: Final = 1.0
"""Seconds a fork waits for each: the holder may be the forking thread itself."""
_FORKING: Final = RLock()
"""Held while a thread forks: others neither fork nor make a lock meanwhile."""
_ALL: Final[WeakSet[Lock]] = WeakSet()
_held: Final[list[Lock]] = []


def fork_safe_lock() -> Lock:
    """Return a new lock of this kind."""
    lock = Lock()
    with _FORKING:
        _ALL.add(lock)
    return lock


def _before_fork() -> None:
    _FORKING.acquire()
    _held.extend(lock for lock in _ALL if lock.acquire(timeout=_PATIENCE))


def _after_fork() -> None:
    for lock in _held:
        lock.release()
    _held.clear()
    _FORKING.release()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
