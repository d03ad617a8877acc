"""The browser's proof: what counts, and that nothing else does."""

from __future__ import annotations

import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from tests.device_bound.device import HEADER, Device, encode, jwk_of, signed

from sessiongate.device_bound.proofs import LONGEST_PROOF, Proofs

CHALLENGE = "challenge"
DEVICE = Device()
JWK = jwk_of(DEVICE.key)
PROOFS = Proofs()


def is_accepted(text: str, *, registers: bool = True, key: str | None = None) -> bool:
    """Whether a proof is read, and signed by the key that it brings or that is known."""
    proof = PROOFS.read(text, registers=registers)
    if proof is None:
        return False
    assert isinstance(proof.challenge, str)
    return PROOFS.verify(proof, key or proof.key or DEVICE.public)


def test_a_first_proof_brings_its_key_and_later_ones_do_not() -> None:
    first = PROOFS.read(DEVICE.registers(CHALLENGE), registers=True)
    later = PROOFS.read(DEVICE.answers(CHALLENGE), registers=False)
    assert first is not None
    assert later is not None
    assert (first.challenge, first.key) == (CHALLENGE, DEVICE.public)
    assert (later.challenge, later.key) == (CHALLENGE, "")
    assert PROOFS.verify(first, first.key)
    assert PROOFS.verify(later, first.key)
    assert not PROOFS.verify(later, Device().public)


def test_a_key_that_comes_late_and_one_that_is_missing_are_refused() -> None:
    assert not is_accepted(DEVICE.registers(CHALLENGE), registers=False)
    assert not is_accepted(DEVICE.answers(CHALLENGE), registers=True)


@pytest.mark.parametrize(
    "others",
    [
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": "RS256"},
        {"alg": "es256"},
        {"alg": ["ES256"]},
        {"typ": "JWT"},
        {"typ": "DBSC+JWT"},
        {"typ": None},
        {"crit": ["exp"]},
        {"kid": "one"},
        {"jku": "https://evil.example/keys"},
        {"b64": False},
        {"jwk": None},
        {"jwk": []},
        {"jwk": json.dumps(JWK)},
        {"jwk": JWK | {"kty": "RSA"}},
        {"jwk": JWK | {"crv": "P-384"}},
        {"jwk": JWK | {"d": "A" * 43}},
        {"jwk": JWK | {"use": "sig"}},
        {"jwk": {name: value for name, value in JWK.items() if name != "y"}},
        {"jwk": JWK | {"x": JWK["x"] + "="}},
        {"jwk": JWK | {"x": JWK["x"][:-1]}},
        {"jwk": JWK | {"x": "AA" + JWK["x"]}},
        {"jwk": JWK | {"x": JWK["x"] + "\n"}},
        {"jwk": JWK | {"x": 7}},
        {"jwk": JWK | {"x": JWK["y"], "y": JWK["x"]}},  # not on the curve
        {"jwk": JWK | {"x": "_" * 42 + "8"}},  # greater than the field
        {"jwk": JWK | {"x": "A" * 43, "y": "A" * 43}},  # the point at infinity, as some write it
        {"jwk": jwk_of(Device().key)},  # somebody else's
    ],
)
def test_one_header_counts_and_no_other(others: dict[str, Any]) -> None:
    assert is_accepted(DEVICE.registers(CHALLENGE))
    assert not is_accepted(DEVICE.registers(CHALLENGE, **others))


@pytest.mark.parametrize("gone", ["alg", "typ"])
def test_nothing_of_the_header_may_be_missing(gone: str) -> None:
    header = {name: value for name, value in HEADER.items() if name != gone}
    assert not is_accepted(signed(DEVICE.key, header, {"jti": CHALLENGE}), registers=False)


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"jti": None},
        {"jti": 7},
        {"jti": [CHALLENGE]},
        [],
        b"",
        b'{"jti": "other", "jti": "challenge"}',
        b'\xef\xbb\xbf{"jti": "challenge"}',
        b'{"jti": "challenge"}}',
        b'{"jti": "challenge", "x": NaN}',
        b'{"jti": "challenge", "x": "\\ud800"}',
        b'{"jti": "challenge", "x": ' + b"[" * 40 + b"]" * 40 + b"}",
        b"\xff",
    ],
)
def test_a_payload_is_one_object_that_names_its_challenge(payload: Any) -> None:
    assert not is_accepted(signed(DEVICE.key, HEADER, payload), registers=False)


def test_a_header_says_each_thing_once() -> None:
    twice = b'{"alg": "none", "alg": "ES256", "typ": "dbsc+jwt"}'
    assert not is_accepted(signed(DEVICE.key, twice, {"jti": CHALLENGE}), registers=False)


def test_what_is_not_quite_the_text_of_a_jwt_is_refused() -> None:
    good = DEVICE.answers(CHALLENGE)
    header, payload, signature = good.split(".")
    assert is_accepted(good, registers=False)
    for bad in (
        *("", ".", "..", good + "=", good + ".", "." + good, good + "A", good[:-1], good + "\n"),
        *(
            f"{header}.{payload}",
            f"{header}.{payload}.",
            f"{header}.{payload}.{signature}.{signature}",
        ),
        *(f"{header}=.{payload}.{signature}", good.replace(".", "é", 1), f"{good},{good}"),
        # The last character of 64 bytes says two bits: the other four must be zero.
        good[:-1] + {"A": "B", "Q": "R", "g": "h", "w": "x"}[good[-1]],
        f"{header}.{payload}.{encode(bytes(64))}",
        f"{header}.{payload}.{encode(bytes(63))}",
        "." * 1_000_000,
    ):
        assert not is_accepted(bad, registers=False), bad[:80]


def test_no_other_key_signs() -> None:
    rsa_key = rsa.generate_private_key(65537, 2048)
    by_rsa = jwt.encode({"jti": CHALLENGE}, rsa_key, "RS256", {"typ": "dbsc+jwt"})
    assert not is_accepted(by_rsa, registers=False)
    public = DEVICE.public
    by_hmac = jwt.encode({"jti": CHALLENGE}, public + "x" * 32, "HS256", {"typ": "dbsc+jwt"})
    assert not is_accepted(by_hmac, registers=False)
    unsigned = jwt.encode({"jti": CHALLENGE}, "", "none", {"typ": "dbsc+jwt"})
    assert not is_accepted(unsigned, registers=False)
    longer = ec.generate_private_key(ec.SECP384R1())
    by_another_curve = jwt.encode({"jti": CHALLENGE}, longer, "ES384", {"typ": "dbsc+jwt"})
    assert not is_accepted(by_another_curve, registers=False)


def test_a_proof_has_a_longest() -> None:
    assert is_accepted(DEVICE.answers("c" * 1200), registers=False)
    assert not is_accepted(DEVICE.answers("c" * LONGEST_PROOF), registers=False)


@pytest.mark.parametrize("key", ["", "x", "A" * 86, "é" * 86, "=" * 86])
def test_a_damaged_key_verifies_nothing(key: str) -> None:
    proof = PROOFS.read(DEVICE.answers(CHALLENGE), registers=False)
    assert proof is not None
    assert not PROOFS.verify(proof, key)
