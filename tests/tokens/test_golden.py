"""Tokens and key ids stay what they were: an upgrade logs nobody out and changes no ``kid``.

``golden.json`` holds fixed keys, a token of each algorithm that was signed with them once at
``START``, and the JWKs. It changes only where a release is to end every session.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest
from tests.tokens.material import KEY_OF

from sessiongate import JWTSessionManager, SessionManager
from sessiongate.stores import MemoryStore
from sessiongate.testing import CountingStore, ManualClock

GOLDEN: Final[dict[str, Any]] = json.loads(Path(__file__).with_name("golden.json").read_text())
KEYS, TOKENS, JWKS = GOLDEN["keys"], GOLDEN["tokens"], GOLDEN["jwks"]
START: Final = 1_700_000_000
FORMATS: Final = ("opaque", "HS256", "HS384", "HS512", *KEY_OF)


def manager(algorithm: str, **options: Any) -> SessionManager:
    key = KEYS[KEY_OF.get(algorithm, "secret")]
    options |= {"secret_key": key, "clock": ManualClock(START), "strict_keys": True}
    if algorithm == "opaque":
        return SessionManager(**options)
    options |= {"issuer": "https://id.example.com", "audience": "api"}
    return JWTSessionManager(algorithm=algorithm, **options)


@pytest.mark.parametrize("algorithm", FORMATS)
def test_a_token_of_an_earlier_version_is_still_genuine(algorithm: str) -> None:
    """Only for a genuine token the store is asked, which here knows no session."""
    store = CountingStore(MemoryStore())
    m, token = manager(algorithm, store=store), TOKENS[algorithm]
    assert m.validate_session(token) is None
    asked = store.calls
    assert asked > 0
    at = len(token) - 20
    changed = token[:at] + ("0" if token[at] == "1" else "1") + token[at + 1 :]
    assert m.validate_session(changed) is None
    assert store.calls == asked


@pytest.mark.parametrize("algorithm", FORMATS[1:])
def test_a_new_token_has_the_header_of_an_old_one(algorithm: str) -> None:
    token = manager(algorithm).create_session("alice") or ""
    assert token.partition(".")[0] == TOKENS[algorithm].partition(".")[0]


@pytest.mark.parametrize("algorithm", KEY_OF)
def test_the_members_of_a_jwk_are_exactly_these(algorithm: str) -> None:
    m = manager(algorithm)
    assert isinstance(m, JWTSessionManager)
    assert m.jwks() == {"keys": [JWKS[algorithm]]}
    members = {
        "RSA": {"kty", "n", "e"},
        "Ed25519": {"kty", "crv", "x"},
    }.get(KEY_OF[algorithm], {"kty", "crv", "x", "y"})
    assert JWKS[algorithm].keys() == members | {"use", "alg", "kid"}
