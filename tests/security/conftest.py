"""One file for each of docs/security-requirements.md; every case on both stacks."""

from __future__ import annotations

from tests.http.conftest import kind, make, site, stack
from tests.tokens.conftest import clock, fresh_pems, pems, private_keys

__all__ = ["clock", "fresh_pems", "kind", "make", "pems", "private_keys", "site", "stack"]
