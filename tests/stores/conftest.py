"""What tests of several stores need."""

from __future__ import annotations

import pytest

from sessiongate.core.recent import Recent
from sessiongate.stores import codec


@pytest.fixture
def nothing_was_told_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process tells of a damaged record once; these tests damage the same one again."""
    monkeypatch.setattr(codec, "_warned", Recent())
