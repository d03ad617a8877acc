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
from tests.mutants.rules import RULES, TESTS

if TYPE_CHECKING:
    from collections.abc import Sequence

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


def main() -> int:
    args = arguments()
    os.chdir(ROOT)
    package = ROOT / "src" / "sessiongate"
    rules = [rule for rule in RULES if any(part in rule for part in args.rule or [""])]
    mutants = [
        mutant
        for rule in rules
        for mutant in mutants_of(rule, (package / f"{rule}.py").read_text(encoding="utf-8"))
    ]
    judge = Judge(package, mutants, args.jobs, time.monotonic() + 60 * args.minutes)
    print(f"{len(mutants)} mutants; the tests run once as they are", flush=True)
    options = ["-m", "not slow", "-p", "no:cacheprovider", *(f"tests/{name}" for name in TESTS)]
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        pytest.main(options, plugins=[judge])
    if judge.problem or not judge.verdicts:
        print(judge.problem or "there is no mutant of such a rule")
        return 2
    return report(judge, rules)


def report(judge: Judge, rules: Sequence[str]) -> int:
    """Print the survivors and the counts; return the status."""
    reasons = accepted()
    counts = {rule: Counter[str]() for rule in rules}
    for mutant, verdict in judge.verdicts.items():
        listed = verdict == SURVIVED and (mutant.rule, mutant.function, mutant.diff) in reasons
        counts[mutant.rule][LISTED if listed else verdict] += 1
        if verdict == SURVIVED and not listed:
            print(f"src/sessiongate/{mutant.rule}.py:{mutant.lines[0]}: {mutant.function}")
            print("    " + mutant.diff.replace("\n", "\n    "))
    kinds = (KILLED, SURVIVED, LISTED, NOT_JUDGED)
    for rule, found in counts.items():
        print(f"{rule:20}", *(f"{found[kind]:5} {kind}" for kind in kinds))
    total = sum(counts.values(), Counter[str]())
    share = total[KILLED] / ((total[KILLED] + total[SURVIVED]) or 1)
    print(f"{'all':20}", *(f"{total[kind]:5} {kind}" for kind in kinds), f"  {share:.1%}")
    return int(total[SURVIVED] > 0 or share < WANTED)


if __name__ == "__main__":
    raise SystemExit(main())
