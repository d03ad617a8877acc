"""What the SQLite tests have other processes do."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import sys
import threading
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sessiongate.errors import StoreError
from sessiongate.stores import SQLiteStore
from sessiongate.testing.commands import Close, CloseUser, Count, Read, execute
from sessiongate.testing.contract._material import START, login, named, session, touch
from sessiongate.testing.outcomes import Opened

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NOBODY: Final = 65534


def say(*words: object) -> None:
    """One line in one write, so that a killed process has said it or has not."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def logins(path: str, name: str, times: str, limit: str) -> None:
    """Log in so many times and say how often it worked."""
    store = SQLiteStore(path, timeout=60)
    say("ready")
    sys.stdin.readline()
    rows = [session(f"{name}-{number}", name) for number in range(int(times))]
    say(sum(isinstance(execute(store, login(row, limit=int(limit))), Opened) for row in rows))
    store.close()


def churn(path: str, name: str) -> None:
    """Log in and out until killed; say what is tried and what was acknowledged."""
    store = SQLiteStore(path, timeout=60)
    for number in count():
        sid = named(f"{name}-{number}")
        execute(store, login(session(f"{name}-{number}")))
        say("in", sid)
        if number % 2:
            say("leaving", sid)
            execute(store, Close(sid, START))
            say("out", sid)


def fork(path: str) -> None:
    """Use a store on both sides of a fork, which happens while it is open.

    The child's own locks are put to the test: when the parent closes the file
    and nobody else has it open, SQLite removes the write-ahead log.
    """
    store = SQLiteStore(path, timeout=60)
    execute(store, login(session("before")))
    here, there = socket.socketpair()
    child = os.fork()
    name, peer = ("parent", here) if child else ("child", there)
    for number in range(20):
        answer = execute(store, login(session(f"{name}-{number}")))
        assert isinstance(answer, Opened)
    assert execute(store, Read(named("before"), START))
    if not child:
        peer.send(b"worked")
        peer.recv(9)
        execute(store, login(session("child-last")))
        peer.send(b"worked alone")
        peer.recv(9)
        store.close()
        os._exit(0)
    peer.recv(9)
    store.close()
    peer.send(b"closed")
    peer.recv(99)
    store = SQLiteStore(path, timeout=60)
    say(execute(store, Count(START)))
    peer.send(b"counted")
    assert os.waitpid(child, 0)[1] == 0
    store.close()


def fork_at_work(path: str) -> None:
    """Fork while threads use the store; each child uses it as well."""
    store = SQLiteStore(path, timeout=60)
    enough = threading.Event()

    def work(name: str) -> None:
        for number in count():
            row = session(f"{name}-{number}", name)
            execute(store, login(row, user_limit=3, evict=True))
            for _ in range(20):
                execute(store, touch(row, START))
            if enough.is_set():
                return

    names = [f"thread {number}" for number in range(4)]
    threads = [threading.Thread(target=work, args=(name,), daemon=True) for name in names]
    for thread in threads:
        thread.start()
    children = []
    for number in range(10):
        child = os.fork()
        if not child:
            execute(store, login(session(f"child-{number}", "child")))
            os._exit(0)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 10
    enough.set()
    for thread in threads:
        thread.join()
    ended = execute(store, CloseUser("child", None, START))
    assert isinstance(ended, tuple)
    say(len(ended))
    store.close()


def full(path: str) -> None:
    """Log in until the disk is full, then with room again; say what happened."""
    store = SQLiteStore(path, timeout=60)
    execute(store, login(session("first")))
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    acknowledged = 1
    try:
        while True:
            execute(store, login(session(acknowledged, device='"' + "x" * 4000 + '"')))
            acknowledged += 1
    except StoreError:
        say("full")
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    say(execute(store, Read(named("first"), START)) == session("first"))
    say(execute(store, Count(START)) == acknowledged)
    say(isinstance(execute(store, login(session("last"))), Opened))
    store.close()


def read_only(path: str) -> None:
    """Log in where writing is forbidden; root, who may always write, becomes nobody."""
    if os.getuid() == 0:
        os.setuid(NOBODY)
    store = SQLiteStore(path, timeout=60)
    for command in (login(session()), Close(session().sid, START)):
        try:
            answer = execute(store, command)
        except StoreError:
            say("StoreError")
        else:
            say(answer)
    store.close()


def replaced(path: str) -> None:
    """Use a file that was replaced beside a store that has the new one open."""
    store = SQLiteStore(path, timeout=60)
    execute(store, login(session()))
    os.close(os.open(path + "-new", os.O_CREAT | os.O_WRONLY, 0o600))
    Path(path + "-new").replace(path)
    late = SQLiteStore(path, timeout=60)  # which takes the memory that both share for its own
    with contextlib.suppress(StoreError):
        execute(late, login(session("late")))
    for command in (Read(named("one"), START), login(session(2)), Count(START)):
        try:
            execute(store, command)
        except StoreError as error:
            say(type(error).__name__)
    store.close()
    try:
        execute(store, Count(START))
    except StoreError as error:
        say(type(error).__name__)
    late.close()


def show(path: str) -> None:
    """The bytes of the file and its companions; read by a process of its own, because
    closing a file drops the locks that SQLite holds on it in the same process."""
    for suffix in ("", "-wal", "-shm"):
        os.write(1, Path(path + suffix).read_bytes())


TASKS: Final[Mapping[str, Callable[..., None]]] = {
    task.__name__: task
    for task in (churn, fork, fork_at_work, full, logins, read_only, replaced, show)
}

if __name__ == "__main__":
    TASKS[sys.argv[1]](*sys.argv[2:])
