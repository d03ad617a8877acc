"""Sites on both stacks, and what is told of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.http.conftest import kind, make, site, stack
from tests.observability.measured import Measured

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["kind", "make", "measured", "site", "stack"]


@pytest.fixture
def measured() -> Iterator[Measured]:
    found = Measured()
    yield found
    found.meters.shutdown()
    found.tracers.shutdown()
