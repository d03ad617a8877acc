"""Change the rules in one place at a time, and see whether a test fails.

    make mutants                                   all rules
    make mutants ARGS='--rule rotation'            one of them, or several
    make mutants ARGS='--rule tokens --minutes 5'

A mutant that no test notices is a survivor. It is a missing test, or code that nothing needs, or it
changes nothing that anybody can see: then `accepted.toml` lists it with the reason. The operators
are those of mutmut. `rules.py` names the rules, and the tests that judge them.
"""

from __future__ import annotations

import argparse
import os
import time
import tomllib
from collections import Counter
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from tests.mutants.judging import KILLED, NOT_JUDGED, SURVIVED, Judge
from tests.mutants.mutations import mutants_of
from tests.mutants.rules import NOT_THESE, RULES, TESTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.mutants.mutations import Mutant

ROOT: Final = Path(__file__).parents[2]
LISTED: Final = "change nothing"
WANTED: Final = 0.98


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make mutants", description="Mutate the rules.")
    parser.add_argument("--rule", action="append", help="what its path has in it (all rules)")
    parser.add_argument("--minutes", type=float, default=30, help="no mutant starts later (30)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (2)")
    return parser.parse_args()


def accepted() -> dict[tuple[str, str, str], str]:
    """The reasons, by rule, function and diff."""
    text = Path(__file__).with_name("accepted.toml").read_text(encoding="utf-8")
    return {
        (rule, entry["function"], entry["diff"].strip()): entry["reason"]
        for rule, entries in tomllib.loads(text).items()
        for entry in entries
    }


class Report:
    """What is printed: survivors as they come, the counts in the end."""

    def __init__(self, rules: Sequence[str]) -> None:
        self._reasons = accepted()
        self._counts = {rule: Counter[str]() for rule in rules}
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8")  # pytest captures the other one

    def say(self, *parts: str) -> None:
        print(*parts, file=self._out, flush=True)

    def survived(self, mutant: Mutant) -> None:
        if not self._is_listed(mutant):
            self.say(f"src/sessiongate/{mutant.rule}.py:{mutant.lines[0]}: {mutant.function}")
            self.say("    " + mutant.diff.replace("\n", "\n    "))

    def finish(self, verdicts: Mapping[Mutant, str]) -> int:
        """Print the counts; return the status."""
        for mutant, verdict in verdicts.items():
            listed = verdict == SURVIVED and self._is_listed(mutant)
            self._counts[mutant.rule][LISTED if listed else verdict] += 1
        total = sum(self._counts.values(), Counter[str]())
        share = total[KILLED] / ((total[KILLED] + total[SURVIVED]) or 1)
        for rule, found in (*self._counts.items(), ("all", total)):
            kinds = (KILLED, SURVIVED, LISTED, NOT_JUDGED)
            self.say(f"{rule:20}", *(f"{found[kind]:5} {kind}" for kind in kinds))
        self.say(f"{share:.1%} of those that change anything are killed")
        return int(total[SURVIVED] > 0 or share < WANTED)

    def _is_listed(self, mutant: Mutant) -> bool:
        return (mutant.rule, mutant.function, mutant.diff) in self._reasons


def main() -> int:
    args = arguments()
    os.chdir(ROOT)
    package = ROOT / "src" / "sessiongate"
    rules = [rule for rule in RULES if any(part in rule for part in args.rule or [""])]
    report = Report(rules)
    mutants = [
        mutant
        for rule in rules
        for mutant in mutants_of(rule, (package / f"{rule}.py").read_text(encoding="utf-8"))
    ]
    report.say(f"{len(mutants)} mutants; first, the tests run once as they are")
    deadline = time.monotonic() + 60 * args.minutes
    judge = Judge(package, mutants, args.jobs, deadline, report.survived)
    options = ["-m", "not slow", "-p", "no:cacheprovider", *(f"tests/{name}" for name in TESTS)]
    options += [f"--ignore=tests/{name}" for name in NOT_THESE]
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        pytest.main(options, plugins=[judge])
    if judge.problem or not judge.verdicts:
        report.say(judge.problem or "no rule has such a name")
        return 2
    return report.finish(judge.verdicts)


if __name__ == "__main__":
    raise SystemExit(main())
