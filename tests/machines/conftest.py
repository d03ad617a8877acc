"""All stores, and sites on both stacks."""

from __future__ import annotations

from tests.http.conftest import kind, make, site, stack
from tests.rotation.conftest import fresh_store, postgres_server, postgres_store, redis_server

__all__ = [
    "fresh_store",
    "kind",
    "make",
    "postgres_server",
    "postgres_store",
    "redis_server",
    "site",
    "stack",
]
