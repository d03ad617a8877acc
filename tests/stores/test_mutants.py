"""The contract suite, as its users run it, finds the fault of each store that has one."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from tests.stores.mutants import Right

ROOT: Final = Path(__file__).parents[2]

SUITE: Final = """
import pytest
from sessiongate.testing import StoreContract
from tests.stores import mutants

class Suite(StoreContract):
    PROGRAMS, ROUNDS, PAIRS, TRIPLES = 10, 10, 60, 200

    @pytest.fixture
    def store(self):
        return getattr(mutants, type(self).__name__.removeprefix("Test"))()

    @pytest.fixture
    def damage(self, store):
        return getattr(store, "damage", None)

    @pytest.fixture
    def footprint(self, store):
        return getattr(store, "footprint", None)

for cls in [mutants.Right, *mutants.Right.MUTANTS]:
    globals()[f"Test{cls.__name__}"] = type(f"Test{cls.__name__}", (Suite,), {})
"""

ONE_FAILURE_WILL_DO: Final = """
import pytest

failed = set()

def pytest_runtest_setup(item):
    if item.cls in failed:
        pytest.skip("caught")

@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    report = yield
    if report.failed:
        failed.add(item.cls)
    return report
"""


@pytest.mark.slow
def test_the_suite_finds_each_fault_and_none_where_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "test_them.py").write_text(SUITE)
    (tmp_path / "conftest.py").write_text(ONE_FAILURE_WILL_DO)
    options = ["-q", "--tb=no", "-rfE", "-p", "no:cacheprovider", "-o", f"pythonpath={ROOT}"]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    found = dict(re.findall(r"^FAILED .*::Test(\w+)::(\S+)", run.stdout, re.MULTILINE))
    assert set(found) == {cls.__name__ for cls in Right.MUTANTS}, run.stdout + run.stderr
