"""What operations cost, in calls: a commit that changes it does so knowingly."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from tests.budget.counting import BUDGET, VERSION

ROOT = Path(__file__).parents[2]
RECORDED = tomllib.loads(BUDGET.read_text(encoding="utf-8"))
ALLOWANCE = {"bytes of a session in memory": 8}
"""All else is exact."""


@pytest.mark.skipif(VERSION not in RECORDED, reason=f"no budget is recorded for {VERSION}")
def test_operations_cost_what_the_budget_says() -> None:
    # In a process of its own, where neither coverage nor pytest looks on.
    command: list[str | Path] = [sys.executable, "-E", ROOT / "tests" / "budget" / "counting.py"]
    unseen = {key: value for key, value in os.environ.items() if not key.startswith("COV")}
    run = subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, env=unseen
    )
    assert run.returncode == 0, run.stderr
    counted = json.loads(run.stdout)
    changed = {
        name: (RECORDED[VERSION].get(name), counted.get(name))
        for name in RECORDED[VERSION].keys() | counted.keys()
        if name not in counted
        or name not in RECORDED[VERSION]
        or abs(RECORDED[VERSION][name] - counted[name]) > ALLOWANCE.get(name, 0)
    }
    assert not changed, (
        f"operations cost something else than {BUDGET.name} says (budget, now): {changed}. "
        "If that is meant, run `make budget` with each recorded Python, and say why in the commit."
    )


def test_what_matters_is_the_same_work_on_every_recorded_python() -> None:
    names = [set(numbers) for numbers in RECORDED.values()]
    assert all(one == names[0] for one in names)


def test_a_session_in_memory_takes_at_most_600_bytes() -> None:
    for numbers in RECORDED.values():
        assert numbers["bytes of a session in memory"] <= 600
