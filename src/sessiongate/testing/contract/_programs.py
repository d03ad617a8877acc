"""Random programs, run on the store and on ``MemoryStore`` side by side.

Both must answer the same, command for command. This holds a dialect that says
the rules again, in SQL or Lua, to the Python text.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any, Final

from sessiongate.core.rotation import NEVER, NOW, WHEN_DUE, Policy
from sessiongate.core.row import FOREVER, SECOND
from sessiongate.stores.memory import MemoryStore
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
from sessiongate.testing.contract._calls import without_total
from sessiongate.testing.contract._material import HOUR, MINUTE, POLICY, START, named, session
from sessiongate.testing.outcomes import Opened

if TYPE_CHECKING:
    from sessiongate.stores.base import Store
    from sessiongate.testing.commands import Command
    from sessiongate.testing.contract._calls import Call

_USERS: Final = ("alice", "bob", "\N{GRINNING FACE}")
_GRANTS: Final = ("", '{"claims":{},"scopes":["read"]}')
_ALL: Final = 1_000_000


class Programs:
    PROGRAMS = 60
    """How many programs are run, in each colour."""
    STEPS = 60
    """How many commands a program has."""

    def test_answers_as_the_memory_store_does(self, store: Store, call: Call) -> None:
        for seed in range(self.PROGRAMS):
            program, model = _Program(seed), MemoryStore()
            said: list[str] = []
            for _ in range(self.STEPS):
                command = without_total(store, program.next())
                expected, answer = execute(model, command), call(command)
                program.learn(expected)
                said.append(f"{command} -> {expected}")
                same = isinstance(command, Sweep) or answer == expected
                assert same, _difference(seed, said, answer)
            for username in _USERS:
                call(CloseUser(username, None, program.now))
            assert call(List(None, START)) == (), f"program {seed} could not be cleared away"


class _Program:
    """A source of commands that mostly concern the same few sessions."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311 - repeatable on purpose
        self.now = START
        self._opened = 0
        self._generation: dict[str, int] = {}
        self._backlog: list[Command] = []
        self._policy = Policy(
            timeout=self._random.choice((HOUR, 10 * MINUTE)),
            rotate_after=self._random.choice((POLICY.rotate_after, 5 * MINUTE, FOREVER)),
            grace=self._random.choice((0, 30 * SECOND)),
            touch_every=self._random.choice((0, MINUTE)),
            time_resolution=self._random.choice((1, SECOND)),
        )

    def next(self) -> Command:
        """The next command; time goes on between two, and sometimes back."""
        if self._backlog:
            return self._backlog.pop()
        pick = self._random.choices
        step = pick(
            (0, 1, SECOND, 20 * SECOND, 4 * MINUTE, 20 * MINUTE, -MINUTE), (6, 4, 4, 4, 4, 1, 1)
        )[0]
        self.now += step
        if step < 0:
            # What expired is gone for good before the clock is set back.
            return Sweep(self.now - step, _ALL)
        make = pick(
            (self._open, self._touch, self._close, self._read, self._list),
            (6, 12, 2, 2, 2),
        )[0]
        return make()

    def learn(self, outcome: Any) -> None:
        """Remember the generations that are out there."""
        row = getattr(outcome, "row", outcome)
        if hasattr(row, "generation"):
            self._generation[row.sid] = row.generation
        if isinstance(outcome, Opened):
            self._generation.setdefault(outcome.row.sid, 0)

    def _sid(self) -> str:
        recent = list(self._generation)[-6:]
        return self._random.choice(recent) if recent else named("nobody")

    def _open(self) -> Open:
        choice = self._random.choice
        self._opened += 1
        issued_at = self.now - self.now % self._policy.time_resolution
        ends = choice((FOREVER, issued_at + 30 * MINUTE))
        row = session(
            self._opened,
            choice(_USERS),
            created_at=self.now + choice((0, 0, -HOUR)),
            last_accessed=self.now,
            rotated_at=issued_at,
            expires_at=min(issued_at + self._policy.timeout, ends),
            lifetime_ends_at=ends,
            scopes_and_claims=choice(_GRANTS),
            device=choice(("", '"phone"')),
        )
        return Open(
            row,
            self.now,
            choice(("reuse", "new", "new", "replace")),
            tuple(
                (sid, None) for sid in choice(((), (), (self._sid(),), (self._sid(), self._sid())))
            ),
            choice((None, 3, 4, 5)),
            choice((None, None, 1, 2, 3)),
            choice((False, True)),
        )

    def _presented(self, sid: str) -> int:
        back = self._random.choices((0, 1, 2, -1), (8, 4, 1, 1))[0]
        return max(self._generation.get(sid, 0) - back, 0)

    def _touch(self) -> Touch:
        sid = self._sid()
        rotation = self._random.choices((NEVER, WHEN_DUE, NOW), (3, 6, 1))[0]
        return Touch(sid, self._presented(sid), self.now, self._policy, rotation)

    def _close(self) -> Command:
        choice, sid = self._random.choice, self._sid()
        if choice((True, False, False)):
            return CloseUser(choice(_USERS), choice((None, sid)), self.now)
        generation = choice((None, self._presented(sid)))
        return Close(sid, self.now, generation, choice((None, None, *_USERS)))

    def _read(self) -> Command:
        self._backlog.append(List(None, self.now))
        return self._random.choice((Read(self._sid(), self.now), Sweep(self.now, 2)))

    def _list(self) -> Command:
        return self._random.choice((List(self._random.choice(_USERS), self.now), Count(self.now)))


def _difference(seed: int, said: list[str], answer: object) -> str:
    story = "\n".join(said[-12:])
    return f"program {seed}, step {len(said)}: the store answered {answer}; expected:\n{story}"
