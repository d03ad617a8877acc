"""What the contract suite searches at random, at length; the quick tests try a sample of it."""

from __future__ import annotations

from sessiongate.testing import StoreContract
from sessiongate.testing.contract._interleavings import Interleavings
from sessiongate.testing.contract._programs import Programs

__all__ = ["Thorough"]


class Thorough(Interleavings, Programs):
    call = StoreContract.call
