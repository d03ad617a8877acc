"""`make fuzz` runs the properties, as many examples as it is told, and says what failed."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.fuzz.run import NOTHING_SELECTED, ROOT

pytestmark = pytest.mark.slow


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "tests/fuzz/run.py", "--rounds=2", "--examples=5", "--jobs=0"]
    return subprocess.run(
        [*command, "--seed=1", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_rounds_draw_with_seeds_of_their_own() -> None:
    done = run("--only=opaque_token_says")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("1 passed") == 2
    assert "round 1, seed 1," in done.stdout
    assert "round 2, seed 2," in done.stdout


def test_a_name_that_is_none_ends_it() -> None:
    done = run("--only=nothing_is_called_so")
    assert done.returncode == NOTHING_SELECTED
    assert "no property has 'nothing_is_called_so' in its name" in done.stdout
    assert "round 2" not in done.stdout


def test_no_round_starts_when_the_time_is_over() -> None:
    done = run("--only=opaque_token_says", "--minutes=0")
    assert done.returncode == 0
    assert "round 2" not in done.stdout
