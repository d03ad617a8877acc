"""Each test runs on both stacks; those that name ``kind`` run with both token formats."""

from tests.http.conftest import kind, make, site, stack

__all__ = ["kind", "make", "site", "stack"]
