"""The managers in each kind and colour, on a clock to move."""

from __future__ import annotations

from typing import Any

import pytest
from tests.managers.verbs import KEY, Make, Verbs

from sessiongate import JWTSessionManager, SessionManager, SingleSessionManager
from sessiongate.testing import ManualClock

Kind = type[SessionManager]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["sync", "async"])
def colour(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[SessionManager, SingleSessionManager, JWTSessionManager])
def kind(request: pytest.FixtureRequest) -> Kind:
    cls: Kind = request.param
    return cls


@pytest.fixture
def make(kind: Kind, colour: str, clock: ManualClock) -> Make:
    """Any manager; for tests that need one live session at a time."""
    return _maker(kind, colour, clock)


@pytest.fixture(params=[SessionManager, JWTSessionManager])
def make_many(request: pytest.FixtureRequest, colour: str, clock: ManualClock) -> Make:
    """A manager that can hold several sessions."""
    return _maker(request.param, colour, clock)


@pytest.fixture
def make_opaque(colour: str, clock: ManualClock) -> Make:
    return _maker(SessionManager, colour, clock)


@pytest.fixture
def make_jwt(colour: str, clock: ManualClock) -> Make:
    return _maker(JWTSessionManager, colour, clock)


def _maker(kind: Kind, colour: str, clock: ManualClock) -> Make:
    def make(*args: Any, **options: Any) -> Verbs:
        defaults: dict[str, Any] = {"secret_key": KEY, "clock": clock}
        return Verbs(kind(*args, **defaults | options), colour)

    return make
