"""A state machine over the hub and its near cache: news, reads, proofs, breaks and checks, mixed.

The clock stands unless a rule moves it, and the feed says what the rules let it say. So whatever
Hypothesis finds, it finds again. Hubs that are wrong must be found out by the same machine.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from tests.feed.chaos.controls import NoMarks, TrustsConnection

from sessiongate import StoreError
from sessiongate.core.recent import Superseded
from sessiongate.core.row import FOREVER, Row
from sessiongate.feed.hub import Hub, Listener

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sessiongate.feed.hub import Mark
    from sessiongate.feed.watch import Watch
    from sessiongate.stores.base import News

NEAR = 2.0
WHICH = st.integers(0, 1)
"""There are always two live sessions: more would seldom meet."""
SELDOM = st.sampled_from([False, False, False, True])


class Manual(Hub):
    """A hub whose threads are the rules."""

    def _start(self) -> None:
        pass


class Quiet:
    """The feed of a store: it hands out what was told, in order, as much as a rule lets it."""

    def __init__(self) -> None:
        self.told: list[News | int] = []
        """What waits; a number is a proof."""
        self.lets = 0
        self.fails = False
        self._number = 0

    def probe(self) -> None:
        self._number += 1
        self.told.append(self._number)

    def wait(self, seconds: float) -> Sequence[News | None]:  # noqa: ARG002
        if self.fails:
            raise StoreError
        now, self.told = self.told[: self.lets], self.told[self.lets :]
        return [
            None if isinstance(one, int) else one
            for one in now
            if not isinstance(one, int) or one == self._number
        ]

    def close(self) -> None:
        pass


@dataclass
class Truth:
    """A session as the store has it, and since when each of its generations is over."""

    generation: int | None = 0
    over: dict[int, float] = field(default_factory=dict)
    watches: list[Watch] = field(default_factory=list)
    ended_at: float = 0.0


class World(RuleBasedStateMachine):
    """One process, and a store that others change as well."""

    hub_class: type[Hub] = Hub

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 100.0
        self.feed: Quiet | None = None
        self.sessions: dict[str, Truth] = {}
        self.live = [self.log_in(), self.log_in()]
        self.reading: list[tuple[str, int, Mark | None]] = []
        self.opened_at = 0.0
        self.superseded = Superseded()
        self.hub = type("Under test", (Manual, self.hub_class), {})(
            None,
            superseded=self.superseded,
            look=self.look,
            now=lambda: 0,
            near=NEAR,
            clock=lambda: self.seconds,
        )
        self.listener = Listener(self.open)

    def log_in(self) -> str:
        sid = f"session {len(self.sessions)}"
        self.sessions[sid] = Truth()
        return sid

    def open(self) -> Quiet:
        self.feed = Quiet()
        return self.feed

    def look(self, sid: str) -> Row | None:
        generation = self.sessions[sid].generation
        return None if generation is None else self.row(sid, generation)

    @staticmethod
    def row(sid: str, generation: int) -> Row:
        return Row(sid, "alice", 0, 0, FOREVER, FOREVER, generation)

    # What others do, and this process itself.

    @rule(which=WHICH, ends=st.booleans(), is_own=SELDOM)
    def change(self, which: int, *, ends: bool, is_own: bool) -> None:
        sid = self.live[which]
        session = self.sessions[sid]
        assert session.generation is not None
        session.over[session.generation] = self.seconds
        session.generation = None if ends else session.generation + 1
        if ends:
            session.ended_at = self.seconds
            self.live[which] = self.log_in()
        news = sid, FOREVER if session.generation is None else session.generation
        if is_own:
            self.superseded.add(*news)
        if self.feed is not None:
            self.feed.told += [news, (sid, 0)]  # with what is old by now

    @rule(which=WHICH, is_slow=SELDOM)
    def read(self, which: int, *, is_slow: bool) -> None:
        sid, mark = self.live[which], self.hub.mark()
        generation = self.sessions[sid].generation
        assert generation is not None
        if is_slow:
            self.reading.append((sid, generation, mark))
        else:
            self.hub.keep(sid, generation, generation, mark)

    @rule()
    def keep(self) -> None:
        if self.reading:
            sid, generation, mark = self.reading.pop(0)
            self.hub.keep(sid, generation, generation, mark)

    @rule(which=WHICH)
    def watch(self, which: int) -> None:
        sid, mark = self.live[which], self.hub.mark()
        session = self.sessions[sid]
        assert session.generation is not None
        session.watches.append(self.hub.watch(self.row(sid, session.generation), mark))

    # What the threads of the hub do.

    def step(self) -> None:
        was_open = self.hub.is_open
        self.hub.follow(self.listener)
        if self.hub.is_open and not was_open:
            self.opened_at = self.seconds
        self.hub.look()
        for session in self.sessions.values():
            if self.hub.is_open and session.generation is None:
                was_missed = session.ended_at < self.opened_at
                assert not was_missed or all(watch.is_set() for watch in session.watches)

    @rule(lets=st.sampled_from([0, 1, 2, 100]), seconds=st.sampled_from([0.0, 0.5, 1.9]))
    def listen(self, lets: int, seconds: float) -> None:
        """Hand out so much, after some time."""
        self.seconds += seconds
        if self.feed is not None:
            self.feed.lets = lets
        self.step()

    @rule()
    def catch_up(self) -> None:
        """Usually all goes well: it would take many steps to come here by chance."""
        for _ in range(3):
            self.listen(100, 0.0)

    @rule(forks=SELDOM)
    def fail(self, *, forks: bool) -> None:
        if self.feed is None:
            return
        if forks:  # the child goes on: without threads, watches, and what was being read
            self.listener.close()
            self.listener = Listener(self.open)
            self.hub.begin()
            self.reading.clear()
            for session in self.sessions.values():
                session.watches.clear()
        else:
            self.feed.fails = True
            self.step()
        self.feed = None

    @property
    def proven_at(self) -> float:
        return self.seconds - (self.hub.freshness or 0.0)

    @rule(seconds=st.sampled_from([0.5, 2.1, 2.1, 9.0]))
    def go_on(self, seconds: float) -> None:
        self.seconds += seconds

    # What must hold whenever.

    @invariant()
    def nothing_is_stale_beyond_the_bound(self) -> None:
        for sid, session in self.sessions.items():
            found = self.hub.find(sid)
            if found is not None and found != session.generation:
                assert self.seconds - session.over[found] < NEAR, sid
                assert session.over[found] >= self.proven_at, sid

    @invariant()
    def what_was_heard_counts_at_once(self) -> None:
        for sid in self.sessions:
            found = self.hub.find(sid)
            assert found is None or not self.superseded.covers(sid, found)

    @invariant()
    def a_proof_comes_after_all_news_before_it(self) -> None:
        for sid, session in self.sessions.items():
            for generation, over in session.over.items():
                if self.hub.is_open and self.opened_at < over < self.proven_at:
                    assert self.superseded.covers(sid, generation)
                    is_over = session.generation is None and session.ended_at == over
                    assert not is_over or all(watch.is_set() for watch in session.watches)

    @invariant()
    def nobody_is_told_of_an_end_that_was_none(self) -> None:
        for session in self.sessions.values():
            if session.generation is not None:
                assert not any(watch.is_set() for watch in session.watches)


class KeepsThroughBreaks(Hub):
    """Believes in what it kept before the feed broke."""

    def _break(self) -> None:
        self._fresh_until = 0.0
        self._epoch += self._epoch % 2


class LooksAtNothing(Hub):
    """Does not look again at what was watched while the feed was broken."""

    def _prove(self, asked_at: float) -> None:
        super()._prove(asked_at)
        self._due.clear()


QUICK = settings(
    max_examples=150,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def test_whatever_happens_in_whatever_order() -> None:
    run_state_machine_as_test(World, settings=QUICK)


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [TrustsConnection, NoMarks, KeepsThroughBreaks, LooksAtNothing])
def test_a_hub_that_is_wrong_is_found_out(wrong: type[Hub]) -> None:
    machine = type("Wrong", (World,), {"hub_class": wrong})
    much = settings(QUICK, max_examples=20_000, database=None, phases=[Phase.generate])
    with pytest.raises(AssertionError):
        run_state_machine_as_test(machine, settings=much)
