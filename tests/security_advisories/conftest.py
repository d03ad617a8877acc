"""Sites on both stacks, as in the tests of `http/`."""

from __future__ import annotations

from tests.http.conftest import kind, make, site, stack

__all__ = ["kind", "make", "site", "stack"]
