"""A store as it should not be: it reads, decides on its own copy, and writes the rows back.

The canary of the races. It follows the worst schedule there is: everybody has
read before anybody writes, and what was deleted is written back last.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from threading import Barrier, BrokenBarrierError
from typing import TYPE_CHECKING, Any, NamedTuple

from sessiongate.core.row import Record
from sessiongate.stores import MemoryStore
from sessiongate.stores.memory import Records
from sessiongate.testing.contract import Race

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sessiongate.core.row import Row
    from sessiongate.testing.commands import Command

_PATIENCE = 0.1
"""Seconds after which those who change something wait no more for those who do not."""


class Decision(NamedTuple):
    outcome: Any
    delete: list[str]
    upsert: list[Row]


class NaiveStore:
    """Right in every way, but that its verbs are not atomic."""

    shared = False
    touch_every = 0
    codec = MemoryStore.codec

    def __init__(self) -> None:
        self._by_sid: dict[str, Row] = {}
        self._meeting = Barrier(1)

    @contextmanager
    def all_at_once(self, callers: int) -> Iterator[None]:
        """Let changes go on only when so many have read."""
        self._meeting = Barrier(callers)
        yield
        self._meeting = Barrier(1)

    def __getattr__(self, name: str) -> Any:
        verb = name.removeprefix("a")
        if verb not in {"read", "swap", "of_user", "commit", "live", "count", "sweep"}:
            raise AttributeError(name)

        def called(*arguments: Any) -> Any:
            decision = self._decide(verb, *arguments)
            if verb in {"swap", "commit", "sweep"}:
                self._meet()
                self._delete(decision)
                self._meet()
            self._write(decision)
            return decision.outcome

        async def awaited(*arguments: Any) -> Any:
            decision = self._decide(verb, *arguments)
            if verb in {"swap", "commit", "sweep"}:
                await asyncio.sleep(0)
                self._delete(decision)
                await asyncio.sleep(0)
            self._write(decision)
            return decision.outcome

        return awaited if name.startswith("a") else called

    def close(self) -> None:
        pass

    async def aclose(self) -> None:
        pass

    def _meet(self) -> None:
        if self._meeting.broken or self._meeting.parties == 1:
            time.sleep(0)  # no wait: the other threads have their turn
            return
        try:
            self._meeting.wait(_PATIENCE)
        except BrokenBarrierError:
            """The others have nothing to change."""

    def _decide(self, verb: str, *arguments: Any) -> Decision:
        before = dict(self._by_sid)
        copy = Records()
        for row in before.values():
            new = Record(row.sid, row.username, row.expires_at, row)
            copy.commit(row.username, (), new, None, None, 0)
        outcome = getattr(copy, verb)(*arguments)
        return Decision(
            outcome,
            [sid for sid in before if sid not in copy.rows],
            [row for sid, row in copy.rows.items() if before.get(sid) != row],
        )

    def _delete(self, decision: Decision) -> None:
        for sid in decision.delete:
            self._by_sid.pop(sid, None)

    def _write(self, decision: Decision) -> None:
        self._delete(decision)
        self._by_sid.update((row.sid, row) for row in decision.upsert)


class RaceOfTheNaive(Race):
    """Tells the store of each race among threads how many take part."""

    store: NaiveStore

    def stories(self, stories: Sequence[Sequence[Command]]) -> list[list[Any]]:
        with self.store.all_at_once(len(stories) if self.colour == "threads" else 1):
            return super().stories(stories)
