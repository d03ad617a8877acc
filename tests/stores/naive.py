"""A store as it should not be: it reads, decides on its own copy, and writes the rows back.

The canary of the contract suite. In a race it follows the worst schedule
there is: everybody has read before anybody writes, and what was deleted is
written back last.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from threading import Barrier
from typing import TYPE_CHECKING, Any, NamedTuple

from sessiongate.stores import MemoryStore
from sessiongate.testing.contract import Race

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sessiongate.core.row import Row
    from sessiongate.testing.commands import Command


class Decision(NamedTuple):
    outcome: Outcome
    delete: list[str]
    upsert: list[Row]


class NaiveStore:
    """Right in every way, but that its steps are not atomic."""

    shared = False
    touch_every = 0

    def __init__(self) -> None:
        self._by_sid: dict[str, Row] = {}
        self._meeting = Barrier(1)

    @contextmanager
    def all_at_once(self, callers: int) -> Iterator[None]:
        """Let calls go on only when so many have read."""
        self._meeting = Barrier(callers)
        yield
        self._meeting = Barrier(1)

    def execute(self, command: Command) -> Outcome:
        decision = self._decide(command)
        self._meeting.wait()
        self._delete(decision)
        self._meeting.wait()
        self._by_sid.update((row.sid, row) for row in decision.upsert)
        return decision.outcome

    async def aexecute(self, command: Command) -> Outcome:
        decision = self._decide(command)
        await asyncio.sleep(0)
        self._delete(decision)
        await asyncio.sleep(0)
        self._by_sid.update((row.sid, row) for row in decision.upsert)
        return decision.outcome

    def close(self) -> None:
        pass

    async def aclose(self) -> None:
        pass

    def _decide(self, command: Command) -> Decision:
        before = dict(self._by_sid)
        copy = MemoryStore()
        for row in before.values():
            copy._rows.insert(row)
        outcome = copy.execute(command)
        after = {row.sid: row for row in copy._rows}
        return Decision(
            outcome,
            [sid for sid in before if sid not in after],
            [row for sid, row in after.items() if before.get(sid) != row],
        )

    def _delete(self, decision: Decision) -> None:
        for sid in decision.delete:
            self._by_sid.pop(sid, None)


class RaceOfTheNaive(Race):
    """Tells the store of each race among threads how many take part."""

    store: NaiveStore

    def stories(self, stories: Sequence[Sequence[Command]]) -> list[list[Any]]:
        with self.store.all_at_once(len(stories) if self.colour == "threads" else 1):
            return super().stories(stories)
