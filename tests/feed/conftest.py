"""All stores."""

from __future__ import annotations

from tests.rotation.conftest import fresh_store, postgres_server, postgres_store, redis_server

__all__ = ["fresh_store", "postgres_server", "postgres_store", "redis_server"]
