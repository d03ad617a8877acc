"""Each test runs with every kind of client."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from tests.testing.clients import KINDS, Visitor, Visitors

from sessiongate import JWTSessionManager, SessionManager
from sessiongate.testing import ManualClock

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def format_() -> str:
    """The token format; a test overrides it where the format may matter."""
    return "opaque"


@pytest.fixture
def manager(format_: str, clock: ManualClock) -> SessionManager:
    made: type[SessionManager] = {"opaque": SessionManager, "jwt": JWTSessionManager}[format_]
    return made(600, None, rotate_after=60, rotation_grace=30, secret_key="k" * 64, clock=clock)


@pytest.fixture(params=KINDS)
def visitors(request: pytest.FixtureRequest, manager: SessionManager) -> Iterator[Visitors]:
    with ExitStack() as stack:
        yield Visitors(request.param, manager, stack)


@pytest.fixture
def visitor(visitors: Visitors) -> Visitor:
    return visitors()
