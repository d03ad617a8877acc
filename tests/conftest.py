"""Over the whole suite: whatever is logged, by whomever, it holds no secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.hygiene import every_record, leaks

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[str]]:
    """What is logged meanwhile; in the end there is no secret in it."""
    with every_record() as lines:
        yield lines
    assert leaks(lines) == []
