"""The fixtures, in a pytest of its own that finds the plugin as any other project's does."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, TypeAlias

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run: TypeAlias = Callable[..., tuple[int, str]]

FIXTURES = """
import pytest
from sessiongate import SessionManager
from sessiongate.testing import ManualClock

@pytest.mark.parametrize("again", [1, 2])
def test_empty_each_time_and_without_limits(session_manager, again):
    assert type(session_manager) is SessionManager
    assert session_manager.n_active_sessions() == 0
    for number in range(20):
        assert session_manager.create_session(f"user {number}")

def test_it_lives_by_the_clock(session_manager, session_clock):
    assert type(session_clock) is ManualClock
    token = session_manager.create_session("alice")
    session_clock.advance(3599)
    assert session_manager.validate_session(token)
    session_clock.advance(1)
    assert not session_manager.validate_session(token)
"""

OVERRIDDEN = """
import pytest
from sessiongate import SingleSessionManager

@pytest.fixture
def session_manager(session_clock):
    return SingleSessionManager(60, clock=session_clock)

def test_mine(session_manager):
    assert session_manager.max_concurrent_sessions == 1
"""

CONTRACT = """
import pytest
from sessiongate.stores import MemoryStore
from sessiongate.testing import StoreContract

class Forgetful(MemoryStore):
    def read(self, sid):
        return None

class TestForgetful(StoreContract):
    @pytest.fixture
    def store(self):
        return Forgetful()
"""

LOADED = """
import sys

def test_nothing_heavy_was_loaded():
    heavy = {"werkzeug", "starlette", "flask", "httpx", "httpx2", "jwt", "cryptography", "redis"}
    heavy |= {"psycopg", "sqlite3", "sessiongate.testing.contract", "sessiongate.testing.login"}
    assert heavy.isdisjoint(sys.modules)
"""


@pytest.fixture
def pytest_run(tmp_path: Path) -> Run:
    def run(test: str, *options: str) -> tuple[int, str]:
        (tmp_path / "test_it.py").write_text(test)
        command = [sys.executable, "-m", "pytest", "-W", "error", "-p", "no:cacheprovider"]
        done = subprocess.run(
            [*command, *options, str(tmp_path)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        return done.returncode, done.stdout + done.stderr

    return run


@pytest.mark.parametrize("test", [FIXTURES, OVERRIDDEN, LOADED], ids=["fixtures", "own", "loaded"])
def test_the_fixtures(pytest_run: Run, test: str) -> None:
    code, output = pytest_run(test)
    assert code == 0, output


def test_they_are_listed_with_what_they_are(pytest_run: Run) -> None:
    _, output = pytest_run("", "--fixtures")
    assert "session_clock -- " in output
    assert "A ``SessionManager`` in memory" in output


def test_a_failed_contract_says_what_it_compared(pytest_run: Run) -> None:
    code, output = pytest_run(CONTRACT, "-k", "opens_the_row_exactly and sync")
    assert code == 1, output
    assert "assert None == Row(" in output
