"""Pytest collects the tests once, and a forked process judges each mutant.

First, the tests run as they are, and it is noted which of them reach which line of the rules. Then
a process for each mutant gives its function the other code, and runs the tests that reach the line
until one fails.
"""

from __future__ import annotations

import functools
import gc
import os
import pickle
import signal
import time
import types
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import coverage
import pytest
from tests.mutants.mutations import functions_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.mutants.mutations import Mutant

__all__ = ["KILLED", "NOT_JUDGED", "SURVIVED", "Judge"]

KILLED: Final = "killed"
SURVIVED: Final = "survived"
NOT_JUDGED: Final = "not judged"
"""The time was over before."""

TOO_LONG: Final = 1.5
"""Seconds; tests that take longer judge no mutant."""
MOST: Final = 6.0
"""Seconds that the tests of one mutant take as measured, from the most telling on."""
PATIENCE: Final = 30
"""Seconds beside, before a mutant counts as one that does not end."""

Wait: TypeAlias = "Callable[[], bytes | None]"


@dataclass(eq=False)
class Judge:
    """A plugin of pytest that runs no test itself."""

    root: Path
    """Of the package."""
    mutants: Sequence[Mutant]
    jobs: int
    deadline: float
    """By ``time.monotonic``."""
    survived: Callable[[Mutant], None]
    """Told of each survivor, at once."""
    verdicts: dict[Mutant, str] = field(default_factory=dict)
    problem: str = ""
    reached: dict[tuple[str, int], set[str]] = field(default_factory=lambda: defaultdict(set))
    """The tests that reach a line of a rule."""
    seconds: dict[str, float] = field(default_factory=dict)
    kills: Counter[str] = field(default_factory=Counter)

    def pytest_sessionstart(self) -> None:
        """Draw the same examples each time, and keep none: they fail by a mutant."""
        from hypothesis import settings  # noqa: PLC0415 - pytest loads its plugins first

        profile = settings(parent=settings(), database=None, derandomize=True, max_examples=20)
        settings.register_profile("mutants", profile)
        settings.load_profile("mutants")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:
            self.problem = "the tests cannot be collected"
            return True
        gc.unfreeze()  # or what was there before the tests were collected is not listed
        functions, caches = _loaded_functions(self.root), _caches()
        if not functions:
            self.problem = "no function of the package is loaded"
            return True
        gc.collect()
        gc.freeze()  # so that the processes share what there is
        if not self._measured(session):
            return True
        items = {item.nodeid: item for item in session.items}
        running: deque[tuple[Mutant, Wait]] = deque()
        for mutant in self.mutants:
            if time.monotonic() > self.deadline:
                self.verdicts[mutant] = NOT_JUDGED
                continue
            if len(running) == self.jobs:
                self._settle(*running.popleft())
            tests = [items[name] for name in self._tests_of(mutant, functions)]
            patience = PATIENCE + 3 * sum(self.seconds[item.nodeid] for item in tests)
            judge = functools.partial(self._judge, mutant, functions, caches, session, tests)
            running.append((mutant, _in_a_process(judge, patience)))
        for pair in running:
            self._settle(*pair)
        return True

    def _settle(self, mutant: Mutant, wait: Wait) -> None:
        said = wait()
        # A process that died, or did not end, was killed as well.
        self.verdicts[mutant] = SURVIVED if said == b"" else KILLED
        if said == b"":
            self.survived(mutant)
        if said:
            self.kills[said.decode()] += 1

    def _path(self, rule: str) -> str:
        return str(self.root / f"{rule}.py")

    def _tests_of(
        self, mutant: Mutant, functions: dict[tuple[str, str], list[types.FunctionType]]
    ) -> list[str]:
        """Those that reach it, the most telling first, and one case of each test before others."""
        path = self._path(mutant.rule)
        lines = set(mutant.lines)
        if not any((path, line) in self.reached for line in lines):
            for function in functions[path, mutant.function]:
                lines |= set(_lines(function.__code__))
        names = set[str]().union(*(self.reached.get((path, line), ()) for line in lines))
        ranked: list[tuple[float, int, float, str]] = []
        case: defaultdict[str, Iterator[int]] = defaultdict(count)
        for name in sorted(names, key=self.seconds.__getitem__):
            seconds = self.seconds[name]
            if seconds < TOO_LONG:
                place = next(case[name.partition("[")[0]])
                ranked.append((-self.kills[name] / (seconds + 0.01), place, seconds, name))
        chosen: list[str] = []
        left = MOST
        for _, _, seconds, name in sorted(ranked):
            left -= seconds
            if left > 0:
                chosen.append(name)
        return chosen

    def _measured(self, session: pytest.Session) -> bool:
        """Run the tests as they are; return whether all passed."""
        parts = [session.items[start :: self.jobs] for start in range(self.jobs)]
        work = [functools.partial(self._measure, session, part) for part in parts]
        for wait in [_in_a_process(part, 1200) for part in work]:
            said = wait()
            if said is None:
                self.problem = "the tests do not end"
                return False
            reached, seconds, failed = pickle.loads(said)
            if failed:
                self.problem = f"it fails as it is: {failed}"
                return False
            for line, tests in reached.items():
                self.reached[line] |= tests
            self.seconds |= seconds
        return True

    def _measure(self, session: pytest.Session, items: Sequence[pytest.Item]) -> bytes:
        paths = {self._path(mutant.rule) for mutant in self.mutants}
        watch = coverage.Coverage(data_file=None, include=sorted(paths), config_file=False)
        watch.start()
        seconds: dict[str, float] = {}
        for item in items:
            watch.switch_context(item.nodeid)
            begin = time.perf_counter()
            if _fails(session, item):
                return pickle.dumps(({}, {}, item.nodeid))
            seconds[item.nodeid] = time.perf_counter() - begin
        watch.stop()
        reached = {
            (path, line): {test for test in tests if test}
            for path in paths
            for line, tests in watch.get_data().contexts_by_lineno(path).items()
        }
        return pickle.dumps((reached, seconds, ""))

    def _judge(
        self,
        mutant: Mutant,
        functions: dict[tuple[str, str], list[types.FunctionType]],
        caches: Sequence[Callable[[], None]],
        session: pytest.Session,
        tests: Sequence[pytest.Item],
    ) -> bytes:
        path = self._path(mutant.rule)
        for code in functions_of(compile(mutant.source, path, "exec")):
            if code.co_qualname == mutant.function:
                for function in functions[path, mutant.function]:
                    function.__code__ = code
        for clear in caches:
            clear()
        for test in tests:
            if _fails(session, test):
                return test.nodeid.encode()
        return b""


def _fails(session: pytest.Session, item: pytest.Item) -> bool:
    item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
    return bool(session.testsfailed)


def _lines(code: types.CodeType) -> Iterator[int]:
    yield from (line for _, _, line in code.co_lines() if line is not None)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _lines(constant)


def _loaded_functions(root: Path) -> dict[tuple[str, str], list[types.FunctionType]]:
    """The functions of the package by file and name."""
    found: defaultdict[tuple[str, str], list[types.FunctionType]] = defaultdict(list)
    for thing in gc.get_objects():
        if isinstance(thing, types.FunctionType):
            code = thing.__code__
            if Path(code.co_filename).is_relative_to(root):
                found[code.co_filename, code.co_qualname].append(thing)
    return found


def _caches() -> list[Callable[[], None]]:
    """How to clear the results that the package keeps."""
    return [
        thing.cache_clear
        for thing in gc.get_objects()
        if isinstance(thing, functools._lru_cache_wrapper)
        and (thing.__module__ or "").startswith("sessiongate")
    ]


def _in_a_process(work: Callable[[], bytes], seconds: float) -> Wait:
    """Start it in a fork; what is returned waits: its bytes, ``None`` if it died or took longer."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(int(seconds))
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nowhere, stream)
        try:
            with os.fdopen(writing, "wb") as pipe:
                pipe.write(work())
            os._exit(0)
        finally:
            os._exit(1)
    os.close(writing)

    def wait() -> bytes | None:
        with os.fdopen(reading, "rb") as pipe:
            said = pipe.read()
        _, status = os.waitpid(child, 0)
        return None if status else said

    return wait
