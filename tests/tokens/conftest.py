"""Keys of every kind, made once; and a clock in step with the world."""

from __future__ import annotations

import time

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from tests.tokens.material import Private, private_pem

from sessiongate.testing import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    """At the real time, because other libraries read the real clock."""
    return ManualClock(int(time.time()))


@pytest.fixture(scope="session")
def private_keys() -> dict[str, Private]:
    return {
        "RSA": rsa.generate_private_key(65537, 2048),
        "RSA-1024": rsa.generate_private_key(65537, 1024),
        "P-256": ec.generate_private_key(ec.SECP256R1()),
        "P-384": ec.generate_private_key(ec.SECP384R1()),
        "P-521": ec.generate_private_key(ec.SECP521R1()),
        "secp256k1": ec.generate_private_key(ec.SECP256K1()),
        "Ed25519": ed25519.Ed25519PrivateKey.generate(),
    }


@pytest.fixture(scope="session")
def fresh_pems() -> dict[str, bytes]:
    """Others, as PEM, to change keys."""
    keys: dict[str, Private] = {
        "RSA": rsa.generate_private_key(65537, 2048),
        "P-256": ec.generate_private_key(ec.SECP256R1()),
        "Ed25519": ed25519.Ed25519PrivateKey.generate(),
    }
    return {name: private_pem(key) for name, key in keys.items()}


@pytest.fixture(scope="session")
def pems(private_keys: dict[str, Private]) -> dict[str, bytes]:
    """The private keys as PEM."""
    return {name: private_pem(key) for name, key in private_keys.items()}
