"""API tokens of all stores, and sites that accept them."""

from __future__ import annotations

from tests.http.conftest import stack
from tests.rotation.conftest import fresh_store, postgres_server, postgres_store, redis_server

__all__ = ["fresh_store", "postgres_server", "postgres_store", "redis_server", "stack"]
