"""Commands carried out at once by threads of several processes, on any store that these share."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import astuple
from pathlib import Path
from threading import Barrier
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sessiongate.core.rotation import Policy
from sessiongate.core.row import Row
from sessiongate.stores import open_store
from sessiongate.testing import commands
from sessiongate.testing.outcomes import Existing, LimitReached, Opened, Rotated

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sessiongate.stores import Store
    from sessiongate.testing.commands import Command

__all__ = ["Crowd", "Outcome", "crowd_on", "store_at"]

ROOT: Final = Path(__file__).parents[2]
PROCESSES: Final = 4
PATIENCE: Final = 60.0
"""Seconds that a store may take: these tests are about what it says, not when."""


class Outcome(NamedTuple):
    """What is told across processes of the outcome of a command."""

    kind: str
    sid: str | None = None
    generation: int | None = None
    ended: tuple[str, ...] = ()
    scope: str | None = None


def store_at(address: str) -> Store:
    """The store that all processes share: a URL, or a path for that of the guide."""
    if address.startswith("guide:"):
        from tests.examples.documents import run  # noqa: PLC0415 - the others need no documents

        store: Store = run("docs/write-a-store.md", "store")["FileStore"](address[6:], timeout=10)
        return store
    return open_store(address, timeout=PATIENCE)


class Crowd:
    """Several processes on one store."""

    def __init__(self, workers: Sequence[subprocess.Popen[str]]) -> None:
        self._workers = workers

    def race(self, wanted: Sequence[Command]) -> list[Outcome]:
        """Carry out all commands at once, each in a thread of its own: their outcomes in order."""
        shares = [wanted[at :: len(self._workers)] for at in range(len(self._workers))]
        for worker, share in zip(self._workers, shares, strict=True):
            self._tell(worker, [[type(c).__name__, c] for c in share])
        for worker in self._workers:
            assert self._hear(worker) == "ready"
        for worker in self._workers:
            self._tell(worker, "go")
        heard = [iter(self._hear(worker)) for worker in self._workers]
        found = [next(heard[at % len(heard)]) for at in range(len(wanted))]
        return [Outcome(kind, sid, g, tuple(ended), scope) for kind, sid, g, ended, scope in found]

    def _tell(self, worker: subprocess.Popen[str], what: Any) -> None:
        assert worker.stdin is not None
        print(json.dumps(what, default=astuple), file=worker.stdin, flush=True)

    def _hear(self, worker: subprocess.Popen[str]) -> Any:
        assert worker.stdout is not None
        return json.loads(worker.stdout.readline())


@contextmanager
def crowd_on(address: str) -> Iterator[Crowd]:
    """The processes, on the store at an address."""
    command = [sys.executable, "-m", "tests.stores.crowd", address]
    with ExitStack() as stack:
        workers = [
            stack.enter_context(
                subprocess.Popen(
                    command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
                )
            )
            for _ in range(PROCESSES)
        ]
        yield Crowd(workers)
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.close()


def _command(name: str, fields: list[Any]) -> Command:
    if name == "Login":
        row, now, existing, replaces, *limits = fields
        return commands.Open(
            Row(*row), now, existing, tuple((sid, came) for sid, came in replaces), *limits
        )
    if name == "Touch":
        sid, generation, now, policy, rotation = fields
        return commands.Touch(sid, generation, now, Policy(*policy), rotation)
    made: Command = getattr(commands, name)(*fields)
    return made


def _outcome(store: Store, command: Command) -> tuple[Any, ...]:
    try:
        outcome = commands.execute(store, command)
    except Exception as error:  # noqa: BLE001 - told to the test
        return f"{type(error).__name__}: {error}", None, None, (), None
    row = outcome.row if isinstance(outcome, (Opened, Existing, Rotated)) else outcome
    ended = outcome.ended if isinstance(outcome, Opened) else ()
    if type(outcome) is tuple:
        ended = outcome
    return (
        type(outcome).__name__,
        getattr(row, "sid", None),
        getattr(row, "generation", None),
        [one.sid for one in ended],
        outcome.scope if isinstance(outcome, LimitReached) else None,
    )


def _work(address: str) -> None:
    store = store_at(address)
    with ThreadPoolExecutor(64) as threads:
        for line in sys.stdin:
            wanted = [_command(*one) for one in json.loads(line)]
            start = Barrier(len(wanted) + 1)

            def one(command: Command, start: Barrier = start) -> tuple[Any, ...]:
                start.wait(PATIENCE)
                return _outcome(store, command)

            futures = [threads.submit(one, command) for command in wanted]
            print(json.dumps("ready"), flush=True)  # noqa: T201 - to the test
            sys.stdin.readline()
            start.wait(PATIENCE)
            print(json.dumps([future.result() for future in futures]), flush=True)  # noqa: T201
    store.close()


if __name__ == "__main__":
    _work(sys.argv[1])
