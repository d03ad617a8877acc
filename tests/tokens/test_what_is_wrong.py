"""The one word that says what is wrong with a token, for administrators."""

from __future__ import annotations

from typing import Any

import pytest

from sessiongate import JWTSessionManager, SessionManager
from sessiongate.testing import ManualClock
from sessiongate.tokens import TokenPayload
from sessiongate.tokens.jwt import JWTCodec, unproven

KEY = "k" * 64


def issued() -> tuple[JWTCodec, str, dict[str, Any]]:
    """A codec, a token of its own and the claims in it."""
    manager = JWTSessionManager(secret_key=KEY, clock=ManualClock())
    token = manager.create_session("alice") or ""
    codec = manager.operations.codec
    assert isinstance(codec, JWTCodec)
    parts = unproven(token)
    assert parts is not None
    return codec, token, parts[1]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("jti", "short"),
        ("iss", "other"),
        ("aud", "other"),
        ("sub", 1),
        ("iat", "now"),
        ("exp", "now"),
        ("nbf", 1),
    ],
)
def test_the_first_claim_that_is_not_as_we_issue_it(name: str, value: object) -> None:
    codec, _, claims = issued()
    assert codec.examine(codec._signer.issue(claims | {name: value})) == name


def test_what_is_no_jwt_of_ours() -> None:
    codec, token, _ = issued()
    header, payload, signature = token.split(".")
    assert codec.examine(f"x.{payload}.{signature}") == "header"
    assert codec.examine(f"{header}.{payload}=.{signature}") == "encoding"
    assert codec.examine(f"{header}.{payload}.{signature}.") == "encoding"
    assert codec.examine(f"{header}.{payload}.{'A' * len(signature)}") == "signature"
    assert codec.examine(f"{header}.{payload}.") == "signature"


def test_dates_are_whole_seconds() -> None:
    clock = ManualClock()
    clock.advance(0.5)
    manager = JWTSessionManager(secret_key=KEY, clock=clock)
    parts = unproven(manager.create_session("alice") or "")
    assert parts is not None
    assert [type(parts[1][name]) for name in ("iat", "exp")] == [int, int]


def test_an_opaque_token_is_genuine_or_its_signature_is_wrong() -> None:
    manager = SessionManager(secret_key=KEY)
    token = manager.create_session("alice") or ""
    codec = manager.operations.codec
    assert codec.examine(token) == codec.verify(token) is not None
    assert codec.examine(f"{token[:-1]}!") == "signature"


def test_unproven_reads_what_is_a_jwt_alone() -> None:
    _, token, _ = issued()
    header, payload, signature = token.split(".")
    for other in (f"{header}.{payload}", f"{token}.", f".{payload}.{signature}", f"{header}..x"):
        assert unproven(other) is None


@pytest.mark.parametrize(
    ("date", "right"), [(0, True), (2**40, True), (-1, False), (2**40 + 1, False)]
)
def test_the_first_and_the_last_date(date: int, *, right: bool) -> None:
    codec, _, claims = issued()
    found = codec.examine(codec._signer.issue(claims | {"iat": date, "exp": date}))
    assert (found == "iat") is not right
    assert isinstance(found, TokenPayload) is right
