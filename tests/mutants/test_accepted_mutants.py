"""What `accepted.toml` lists stands in the rules, with a reason; the operators find it again."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Final

import pytest
from tests.mutants.mutations import mutants_of
from tests.mutants.rules import RULES

ROOT: Final = Path(__file__).parents[2]
ACCEPTED: Final[dict[str, list[dict[str, Any]]]] = tomllib.loads(
    Path(__file__).with_name("accepted.toml").read_text(encoding="utf-8")
)


def source(rule: str) -> str:
    return (ROOT / "src" / "sessiongate" / f"{rule}.py").read_text(encoding="utf-8")


def test_all_rules_are_there() -> None:
    assert all(source(rule) for rule in RULES)
    assert ACCEPTED.keys() <= set(RULES)


@pytest.mark.parametrize("rule", ACCEPTED)
def test_each_entry_has_a_reason_and_fits_the_rule(rule: str) -> None:
    lines = {line.strip() for line in source(rule).splitlines()}
    for entry in ACCEPTED[rule]:
        assert entry["reason"]
        was = [line[2:] for line in entry["diff"].splitlines() if line.startswith("- ")]
        assert lines.issuperset(was), f"{entry['function']} has changed: {was}"


def test_a_mutant_differs_in_one_place_of_a_function() -> None:
    text = "LIMIT = 3\n\n\ndef allowed(count: int) -> bool:\n    return count < LIMIT\n"
    found = {(mutant.function, mutant.diff) for mutant in mutants_of("rule", text)}
    assert found == {("allowed", "- return count < LIMIT\n+ return count <= LIMIT")}
