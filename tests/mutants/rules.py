"""The rules that are mutated, and the tests that judge them: the quick ones of these rooms."""

from __future__ import annotations

from typing import Final

__all__ = ["NOT_THESE", "RULES", "TESTS"]

RULES: Final = (
    "core/rotation",
    "core/decisions",
    "http/credentials",
    "tokens/opaque",
    "tokens/jwt",
    "core/operations",
    "core/row",
    "core/steps",
    "core/buckets",
    "admission/rules",
    "admission/logins",
    "http/origin",
    "http/authenticator",
    "http/response",
    "http/cookies",
    "kits/guard",
)
"""``tokens/__init__`` holds no function."""

TESTS: Final = (
    "core",
    "managers",
    "http",
    "security",
    "rotation/test_state_machine.py",
    "rotation/test_documented_table.py",
    "tokens",
    "attacks",
    "device_bound",
    "machines",
    "stores/test_contract.py",
    "stores/test_codec.py",
    "stores/test_memory.py",
    "frameworks",
    "fuzz/test_requests.py",
    "fuzz/test_responses.py",
)
"""Without servers, and without what takes seconds."""

NOT_THESE: Final = (
    "attacks/test_forks_of_several_threads.py",
    "managers/test_hammer.py",
    "managers/test_threads.py",
)
"""Many threads: they may stand still where each line is noted."""
