"""Tools for the tests of others: a clock to move, a store that counts, the store contract.

Needs pytest; nothing else in the package imports this.
"""

import pytest

pytest.register_assert_rewrite("sessiongate.testing.contract")

from sessiongate.testing.clock import ManualClock  # noqa: E402 - asserts are rewritten first
from sessiongate.testing.contract import StoreContract  # noqa: E402
from sessiongate.testing.counting import CountingStore  # noqa: E402

__all__ = ["CountingStore", "ManualClock", "StoreContract"]
