"""Whatever is asked of a store, in whatever order: it answers as the plain one in memory does.

The contract suite compares programs by seed; these shrink, so a difference comes with the few
commands that show it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fuzz.rows import ROW

from sessiongate.core.rotation import NEVER, NOW, WHEN_DUE, Policy
from sessiongate.core.row import FOREVER, SECOND
from sessiongate.stores import MemoryStore
from sessiongate.testing.commands import (
    Close,
    CloseUser,
    Count,
    List,
    Open,
    Read,
    Sweep,
    Touch,
    execute,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from sessiongate.core.arguments import ExistingPolicy
    from sessiongate.stores import Store
    from sessiongate.testing.commands import Command

START = 1_700_000_000 * SECOND + 123_457
TIMEOUT, DUE, GRACE = 600 * SECOND, 300 * SECOND, 30 * SECOND
USERS = st.sampled_from(["alice", "bob", "\N{GRINNING FACE}", "Alice", "a'b\\\" %s"])
PICKS = st.integers(0, 3)
"""Which session, counted back from the last one opened."""
BACK = st.integers(-1, 3)
"""Which generation, counted back from the current one."""
POLICIES = st.builds(
    Policy,
    timeout=st.just(TIMEOUT),
    rotate_after=st.sampled_from([DUE, FOREVER]),
    grace=st.sampled_from([0, GRACE]),
    touch_every=st.sampled_from([0, 60 * SECOND]),
    time_resolution=st.sampled_from([1, SECOND]),
)
EXISTING: st.SearchStrategy[ExistingPolicy] = st.sampled_from(["new", "new", "reuse", "replace"])
STEPS = st.sampled_from([0, 0, 1, SECOND, GRACE - 1, GRACE, DUE - 1, DUE, TIMEOUT - 1, TIMEOUT])


@dataclass(frozen=True)
class Step:
    """A command whose session and generation are told only when it is run."""

    after: int
    make: Callable[[Program], Command]

    def __repr__(self) -> str:
        return f"Step({self.after})"


class Program:
    """The sessions opened so far."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.now = START
        self.sids: list[str] = []
        self.generations: dict[str, int] = {}
        self.story: list[str] = []

    def sid(self, pick: int) -> str:
        return self.sids[-1 - pick % len(self.sids)] if self.sids else "Z" * 22

    def generation(self, sid: str, back: int) -> int:
        return max(0, self.generations.get(sid, 0) - back)

    def new(self, username: str, lifetime: int, scopes_and_claims: str) -> Any:
        sid = f"{len(self.sids):022d}"
        self.sids.append(sid)
        return replace(
            ROW,
            sid=sid,
            username=username,
            created_at=self.now,
            last_accessed=self.now,
            rotated_at=self.now,
            expires_at=self.now + min(TIMEOUT, lifetime),
            lifetime_ends_at=FOREVER if lifetime > TIMEOUT else self.now + lifetime,
            scopes_and_claims=scopes_and_claims,
            device='"\N{GRINNING FACE}"',
        )

    def learn(self, outcome: Any) -> None:
        row = getattr(outcome, "row", outcome)
        if hasattr(row, "generation"):
            self.generations[row.sid] = row.generation


@st.composite
def opens(draw: st.DrawFn) -> Callable[[Program], Command]:
    user, existing = draw(USERS), draw(EXISTING)
    lifetime = draw(st.sampled_from([FOREVER, TIMEOUT, 2 * GRACE]))
    scopes_and_claims = draw(st.sampled_from(["", '{"claims":{},"scopes":["read"]}']))
    replaces, evict = draw(st.none() | PICKS), draw(st.booleans())
    limit, user_limit = draw(st.none() | st.integers(1, 3)), draw(st.none() | st.integers(1, 2))
    return lambda program: Open(
        replaces=() if replaces is None else ((program.sid(replaces), None),),
        row=program.new(user, lifetime, scopes_and_claims),
        now=program.now,
        existing=existing,
        limit=limit,
        user_limit=user_limit,
        evict=evict,
    )


def touching(pick: int, back: int, rotation: int) -> Callable[[Program], Command]:
    def make(program: Program) -> Command:
        sid = program.sid(pick)
        generation = program.generation(sid, back)
        return Touch(sid, generation, program.now, program.policy, rotation)

    return make


@st.composite
def touches(draw: st.DrawFn) -> Callable[[Program], Command]:
    rotation = draw(st.sampled_from([WHEN_DUE, WHEN_DUE, NEVER, NOW]))
    return touching(draw(PICKS), draw(BACK), rotation)


@st.composite
def overlaps(draw: st.DrawFn) -> list[Step]:
    """A rotation, its successor seen or not, and an older token around the end of the grace."""
    pick, seen = draw(PICKS), draw(st.booleans())
    after = draw(st.sampled_from([0, GRACE - 1, GRACE, GRACE + 1]))
    return [
        Step(DUE, touching(pick, 0, WHEN_DUE)),
        *([Step(draw(st.sampled_from([0, 1])), touching(pick, 0, NEVER))] if seen else []),
        Step(after, touching(pick, draw(st.sampled_from([1, 1, 2])), WHEN_DUE)),
    ]


@st.composite
def closes(draw: st.DrawFn) -> Callable[[Program], Command]:
    pick, back, user = draw(PICKS), draw(st.none() | BACK), draw(st.none() | USERS)

    def make(program: Program) -> Command:
        sid = program.sid(pick)
        generation = None if back is None else program.generation(sid, back)
        return Close(sid, program.now, generation, user)

    return make


@st.composite
def others(draw: st.DrawFn) -> Callable[[Program], Command]:
    pick, user, keep = draw(PICKS), draw(USERS), draw(st.booleans())
    which = draw(st.integers(0, 4))
    return lambda program: (
        Read(program.sid(pick), program.now),
        CloseUser(user, program.sid(pick) if keep else None, program.now),
        Count(program.now),
        List(user if keep else None, program.now),
        Sweep(program.now, 1_000_000),
    )[which]


SINGLE = st.builds(Step, STEPS, opens() | touches() | closes() | others())
PROGRAMS = st.lists(SINGLE.map(lambda step: [step]) | overlaps(), min_size=1, max_size=20).map(
    lambda stories: [step for story in stories for step in story]
)


@pytest.fixture
def store(fresh_store: Callable[[], Store]) -> Store:
    return fresh_store()


@settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(policy=POLICIES, steps=PROGRAMS)
def test_a_store_answers_as_memory_does(store: Store, policy: Policy, steps: list[Step]) -> None:
    store.sweep(FOREVER, 1_000_000)  # what another example has left
    program, model = Program(policy), MemoryStore()
    for step in steps:
        program.now += step.after
        command = step.make(program)
        expected = execute(model, command)
        answer = execute(store, command)
        program.learn(expected)
        program.story.append(f"{command} -> {expected}")
        # How many expired rows were still there is each store's own business.
        assert answer == expected or isinstance(command, Sweep), "\n".join(program.story[-6:])
    everybody = List(None, program.now)
    assert execute(store, everybody) == execute(model, everybody)
