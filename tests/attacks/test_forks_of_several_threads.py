"""A fork while other threads hold locks, or fork as well, hangs neither child nor parent.

Each case is a process of its own; it is stopped where it hangs.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

BEGIN = """
import logging, os, signal, sys, threading, time
from sessiongate import SessionManager
from sessiongate.stores import MemoryStore
from sessiongate.testing import CountingStore
logging.disable(logging.CRITICAL)
sys.setswitchinterval(1e-6)
"""

TWO_FORK = """
managers = [SessionManager(max_concurrent_sessions=None) for _ in range(3)]
left = iter(range(160))
def fork():
    for _ in left:
        child = os.fork()
        if not child:
            os._exit(0)
        os.waitpid(child, 0)
def work():
    while not done.is_set():
        managers[0].create_session("alice", existing="new")
done = threading.Event()
workers = [threading.Thread(target=work) for _ in range(2)]
forkers = [threading.Thread(target=fork) for _ in range(4)]
for thread in workers + forkers:
    thread.daemon = True
    thread.start()
for thread in forkers:
    thread.join()
done.set()
for thread in workers:
    thread.join()
for manager in managers:
    manager.create_session("bob")
print("whole")
"""

MAKES = """
manager = SessionManager(max_concurrent_sessions=None)
def make():
    while not done.is_set():
        SessionManager()
done = threading.Event()
thread = threading.Thread(target=make)
thread.start()
for _ in range(200):
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
done.set()
thread.join()
print("whole")
"""

COUNTING = """
store = CountingStore(MemoryStore())
manager = SessionManager(store=store, max_concurrent_sessions=None)
token = manager.create_session("alice")
def work():
    while not done.is_set():
        manager.validate_session(token)
        store.calls
done = threading.Event()
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
hung = 0
for _ in range(60):
    child = os.fork()
    if not child:
        signal.alarm(2)
        manager.validate_session(token)
        os._exit(0)
    hung += os.waitpid(child, 0)[1] != 0
    if hung:
        break
done.set()
for thread in threads:
    thread.join()
print("hung" if hung else "whole")
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "program", [TWO_FORK, MAKES, COUNTING], ids=["two-fork-at-once", "locks-are-made", "counting"]
)
def test_nobody_hangs(program: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", BEGIN + program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        said, complained = process.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        pytest.fail("the process hangs")
    assert said == "whole\n"
    assert "Set changed size" not in complained, "a fork went on without the locks"
