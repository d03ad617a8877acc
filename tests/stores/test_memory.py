"""The contract suite on the default store, and what it alone promises."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sessiongate.stores import MemoryStore
from sessiongate.testing import StoreContract

if TYPE_CHECKING:
    from collections.abc import Callable


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()

    @pytest.fixture
    def footprint(self, store: MemoryStore) -> Callable[[], int]:
        return lambda: store._records.entries
