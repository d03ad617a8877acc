"""The documented examples print what they show; times and ids differ."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest

from sessiongate import JWTSessionManager, SingleSessionManager, WeakKeyWarning

JWT_EXAMPLE = """\
manager = JWTSessionManager(session_timeout=1800, secret_key='my_secret')
token = manager.create_session('alice')
manager.validate_session(token)
manager.refresh_session(token)
manager.validate_session(token)
"""

SINGLE_EXAMPLE = """\
manager = SingleSessionManager()
session_token = manager.create_session('test')
manager.create_session('test2')
manager.validate_session(session_token)['expires_at']
session_token = manager.refresh_session(session_token)
manager.validate_session(session_token)['expires_at']
"""


def typed(text: str) -> list[Any]:
    """What a Python prompt would show for each line that is an expression."""
    names: dict[str, Any] = {
        "JWTSessionManager": JWTSessionManager,
        "SingleSessionManager": SingleSessionManager,
    }
    shown = []
    for line in text.splitlines():
        if re.match(r"\w+ = ", line):
            exec(line, names)
        else:
            shown.append(eval(line, names))
    return shown


def test_the_jwt_example() -> None:
    with pytest.warns(WeakKeyWarning) as caught:
        told, refreshed, dead = typed(JWT_EXAMPLE)
    assert len(caught) == 1
    assert re.fullmatch(
        r"\{'username': 'alice', 'issued_at': \d{10}, 'expires_at': \d{10}, 'jti': '[\w.-]{22,}', "
        r"'issuer': 'plantdb-api', 'audience': 'plantdb-client'\}",
        repr(told),
    )
    assert told["expires_at"] - told["issued_at"] == 1800
    assert isinstance(refreshed, str)
    assert dead is None


def test_the_single_session_example(caplog: pytest.LogCaptureFixture) -> None:
    refused, before, after = typed(SINGLE_EXAMPLE)
    assert refused is None
    assert after > before
    (record,) = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert (record.levelname, record.getMessage()) == (
        "WARNING",
        "Reached max concurrent sessions limit (1)",
    )
