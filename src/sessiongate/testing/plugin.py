"""Fixtures for pytest, which finds them by itself where sessiongate is installed.

Loaded at the start of every test run on the machine, so all imports are inside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sessiongate import SessionManager
    from sessiongate.testing import ManualClock

__all__ = ["session_clock", "session_manager"]


@pytest.fixture
def session_clock() -> ManualClock:
    """The clock of ``session_manager``: it stands still until the test moves it."""
    from sessiongate.testing.clock import ManualClock  # noqa: PLC0415

    return ManualClock()


@pytest.fixture
def session_manager(session_clock: ManualClock) -> SessionManager:
    """A ``SessionManager`` in memory, empty and without limits, that lives by ``session_clock``.

    Override the fixture to test other rules.
    """
    from sessiongate import SessionManager  # noqa: PLC0415

    return SessionManager(max_concurrent_sessions=None, clock=session_clock)
