"""Decisions against each other, in every order of their trips, one after the other.

A decision is several trips to the store, and others come in between. Whatever the order, the
outcomes and what is stored at last must be those of one order in which each decision was carried
out as a whole. This needs no threads and no luck: every order of two is tried, and many of three.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations_with_replacement, permutations, product
from random import Random
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest

from sessiongate.admission.rules import Login
from sessiongate.core.rotation import NEVER, NOW, PASSIVE, Change
from sessiongate.core.row import FOREVER, SECOND
from sessiongate.stores.memory import MemoryStore
from sessiongate.testing.commands import (
    Close,
    CloseUser,
    Count,
    List,
    Read,
    Sweep,
    execute,
    step_of,
)
from sessiongate.testing.contract._calls import without_total
from sessiongate.testing.contract._exact import exact
from sessiongate.testing.contract._material import (
    HOUR,
    MINUTE,
    POLICY,
    START,
    login,
    session,
    touch,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sessiongate.core.row import Row
    from sessiongate.core.steps import Step
    from sessiongate.stores.base import Store
    from sessiongate.testing.commands import Command

END: Final = START + HOUR
DUE: Final = START + POLICY.rotate_after
READ: Final = '{"claims":{},"scopes":["read"]}'

_LONGEST: Final = 200
"""Trips, after which decisions that keep each other from it are a failure."""


def no_check(_row: Row) -> None:
    """Any token is short enough."""


EXTENDING: Final = replace(POLICY, touch_extends=True)
CHANGE: Final = Change(("read",), None, no_check)
OTHER_CHANGE: Final = Change(None, {"team": 1}, no_check)


class World(NamedTuple):
    """What is stored at first, and the commands that are tried on it."""

    rows: Sequence[Row]
    commands: Sequence[Command]


def _of_session(row: Row, now: int) -> Iterator[Command]:
    generation = row.generation
    yield touch(row, now)
    yield touch(row, now, generation=generation + 1)
    yield touch(row, now, rotation=NOW)
    yield touch(row, now, rotation=NEVER, policy=replace(POLICY, touch_every=0))
    yield touch(row, now, rotation=PASSIVE)
    yield touch(row, now, policy=EXTENDING)
    yield touch(row, now, rotation=CHANGE)
    yield touch(row, now, rotation=OTHER_CHANGE)
    for older in range(max(generation - 2, 0), generation):
        yield touch(row, now, generation=older)
        yield touch(row, now, generation=older, rotation=CHANGE)
        yield Close(row.sid, now, older)
    yield Close(row.sid, now)
    yield Close(row.sid, now, generation)
    yield Close(row.sid, now, None, "bob")
    yield CloseUser("alice", None, now)
    yield CloseUser("alice", row.sid, now)
    yield Read(row.sid, now)
    yield Count(now)
    yield List(None, now)
    yield Sweep(now, 10)


def _logins(row: Row, now: int) -> Iterator[Command]:
    for name in ("N", "M"):
        new = session(name, expires_at=END + HOUR)
        yield login(new, now)
        yield login(replace(new, scopes_and_claims=READ), now)
        yield login(new, now, existing="reuse")
        yield login(replace(new, scopes_and_claims=READ), now, existing="reuse", limit=4)
        yield login(new, now, existing="replace")
        yield login(new, now, user_limit=2)
        yield login(new, now, user_limit=2, evict=True)
        yield login(new, now, replaces=(row.sid,), user_limit=1, limit=2)
    other = session("O", "bob", expires_at=END + HOUR)
    yield login(other, now, limit=3)
    yield login(other, now, limit=3, evict=True)
    yield login(other, now, existing="reuse", limit=4, evict=True)
    yield login(other, now, replaces=(row.sid, C.sid), limit=2)


def _all(row: Row, now: int) -> list[Command]:
    return [*_of_session(row, now), *_logins(row, now)]


A, B, C = session("A"), session("B"), session("C", "bob")
D = session("D", "carol")
OVERLAP = session(
    "A",
    generation=5,
    oldest_accepted=4,
    previous_until=FOREVER,
    rotated_at=DUE - MINUTE,
    last_accessed=DUE,
    expires_at=END + HOUR,
)

WORLDS: Final = {
    "due": World((A, B, C), _all(A, DUE)),
    "overlap": World((OVERLAP, B, C), _all(OVERLAP, DUE + SECOND)),
    "ending": World((A, C), [*_all(A, END), *_all(A, END - 1)]),
    "empty": World((), _all(A, DUE)),
    "alone": World((A,), _all(A, DUE + SECOND)),
    "full": World((A, B, C, D), _all(B, DUE)),
}


def _makes_sense(program: Sequence[Command]) -> bool:
    opened = [command.row.sid for command in program if isinstance(command, Login)]
    if len(set(opened)) < len(opened):
        return False
    if len({command.now for command in program}) == 1:
        return True
    # For whom a session has expired it may be gone, and whose clock is behind may miss it.
    return not any(
        isinstance(command, (Count, List)) or (isinstance(command, Login) and command.limit)
        for command in program
    )


class _Runner:
    """Runs decisions on a store, one trip of one of them at a time."""

    def __init__(self, store: Store, steps: Sequence[Step[Any]]) -> None:
        self._store: Any = store
        self._stacks = [[step] for step in steps]
        self._wanted: list[Any] = [None] * len(steps)
        self.outcomes: list[Any] = [None] * len(steps)
        self.going: list[int] = []
        for number in range(len(steps)):
            self._go_on(number, None)

    def trip(self, number: int) -> None:
        """Let one of them have its trip."""
        verb, *arguments = self._wanted[number]
        self.going.remove(number)
        self._go_on(number, getattr(self._store, verb)(*arguments))

    def _go_on(self, number: int, outcome: Any) -> None:
        stack = self._stacks[number]
        while True:
            try:
                wanted = stack[-1].send(outcome)
            except StopIteration as stop:
                stack.pop()
                outcome = stop.value
                if not stack:
                    self.outcomes[number] = outcome
                    return
                continue
            if wanted[0] == "together" and getattr(self._store, "together", None) is None:
                stack.append(wanted[-1]())
                outcome = None
                continue
            self._wanted[number] = wanted
            self.going.append(number)
            self.going.sort()
            return


def _run(
    store: Store, program: Sequence[Command], choose: Callable[[int], int]
) -> tuple[Any, list[tuple[int, int]]]:
    """Run once: ``choose`` says who of so many has the next trip.

    The result is the outcomes and the rows, and for each trip who had it, of how many.
    """
    # Whatever a login guesses of the total, it must come to the same.
    steps = [step_of(command, store, full=bool(place % 2)) for place, command in enumerate(program)]
    runner = _Runner(store, steps)
    trace: list[tuple[int, int]] = []
    while runner.going:
        pick = choose(len(runner.going))
        trace.append((pick, len(runner.going)))
        assert len(trace) < _LONGEST, f"{program} keep each other from it for ever"
        runner.trip(runner.going[pick])
    return _result(store, program, runner.outcomes), trace


def _result(store: Store, program: Sequence[Command], outcomes: Sequence[Any]) -> Any:
    shown = tuple(
        "any" if isinstance(command, Sweep) else exact(outcome)
        for command, outcome in zip(program, outcomes, strict=True)
    )
    last = max(command.now for command in program)
    return shown, exact(execute(store, List(None, last)))


def _orders(
    store: Store, rows: Sequence[Row], program: Sequence[Command]
) -> Iterator[tuple[Any, list[tuple[int, int]]]]:
    """All orders in which the trips may come: each with its result."""
    choices: list[int] = []
    while True:
        _fill(store, rows)
        ahead = iter(choices)
        result, trace = _run(store, program, lambda _, ahead=ahead: next(ahead, 0))  # type: ignore[misc]
        yield result, trace
        # The next order: the last trip that another could have had goes to that one.
        while trace and trace[-1][0] + 1 >= trace[-1][1]:
            trace.pop()
        if not trace:
            return
        choices = [pick for pick, _ in trace]
        choices[-1] += 1


def _fill(store: Store, rows: Sequence[Row]) -> None:
    for username in ("alice", "bob", "carol"):
        execute(store, CloseUser(username, None, START))
    for row in rows:
        execute(store, login(row))


def _allowed(rows: Sequence[Row], program: Sequence[Command]) -> list[Any]:
    """The results of all orders in which each is carried out as a whole.

    A store may sweep along with a login what has expired by its clock, or not.
    """
    results: list[Any] = []
    one_clock = len({command.now for command in program}) == 1
    ways = product(permutations(range(len(program))), (False,) if one_clock else (False, True))
    for order, sweeps in ways:
        store, outcomes = MemoryStore(), [None] * len(program)
        _fill(store, rows)
        for number in order:
            command = program[number]
            outcomes[number] = execute(store, command)
            if sweeps and isinstance(command, Login):
                store.sweep(command.now, len(rows))
        results.append(_result(store, program, outcomes))
    return results


def _compare(
    result: Any, allowed: list[Any], program: Sequence[Command], trace: list[tuple[int, int]]
) -> None:
    order = [pick for pick, _ in trace]
    assert result in allowed, (
        f"trips in the order {order} of {program} lead where no order of the whole does:\n"
        f"{result}\ninstead of one of\n" + "\n".join(map(str, allowed))
    )


def _check(store: Store, world: World, program: Sequence[Command]) -> None:
    program = [without_total(store, command) for command in program]
    allowed = _allowed(world.rows, program)
    for result, trace in _orders(store, world.rows, program):
        _compare(result, allowed, program, list(trace))


class Interleavings:
    PAIRS: int | None = None
    """How many pairs of commands are tried in each world; ``None``: all of them."""
    TRIPLES = 1_000
    """How many orders of the trips of three are tried, drawn at random."""

    @pytest.mark.parametrize("name", WORLDS)
    def test_two_at_once_are_one_after_the_other(self, store: Store, name: str) -> None:
        world = WORLDS[name]
        pairs = list(filter(_makes_sense, combinations_with_replacement(world.commands, 2)))
        if self.PAIRS is not None and len(pairs) > self.PAIRS:
            pairs = Random(name).sample(pairs, self.PAIRS)  # noqa: S311 - repeatable on purpose
        for pair in pairs:
            _check(store, world, pair)

    def test_three_at_once_are_one_after_the_other(self, store: Store) -> None:
        random = Random(3)  # noqa: S311 - repeatable on purpose
        tried = 0
        while tried < self.TRIPLES:
            world = random.choice(list(WORLDS.values()))
            program = [without_total(store, one) for one in random.sample(world.commands, 3)]
            if _makes_sense(program):
                _fill(store, world.rows)
                result, trace = _run(store, program, random.randrange)
                _compare(result, _allowed(world.rows, program), program, trace)
                tried += 1
