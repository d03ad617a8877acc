"""The profile that `make fuzz` runs the properties with; otherwise they run with the usual few."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# The names are fixtures of this folder as well.
from tests.rotation.conftest import fresh_store, postgres_server, postgres_store, redis_server
from tests.tokens.conftest import private_keys

__all__ = ["fresh_store", "postgres_server", "postgres_store", "private_keys", "redis_server"]

settings.register_profile(
    "fuzz",
    max_examples=int(os.environ.get("SESSIONGATE_FUZZ_EXAMPLES", "1000")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
