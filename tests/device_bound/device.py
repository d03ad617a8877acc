"""The browser's half of the protocol: a key that stays on its device, and the proofs by it."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

__all__ = ["HEADER", "Device", "encode", "jwk_of", "signed"]

HEADER: Final[dict[str, Any]] = {"alg": "ES256", "typ": "dbsc+jwt"}


def encode(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def jwk_of(key: EllipticCurvePrivateKey) -> dict[str, str]:
    """The public half, as a browser sends it."""
    point = key.public_key().public_numbers()
    x, y = (encode(number.to_bytes(32, "big")) for number in (point.x, point.y))
    return {"kty": "EC", "crv": "P-256", "x": x, "y": y}


def signed(key: EllipticCurvePrivateKey, header: Any, payload: Any) -> str:
    """A JWT of these two, each JSON to write or bytes to take as they are."""
    parts = [
        part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, payload)
    ]
    message = ".".join(map(encode, parts))
    r, s = decode_dss_signature(key.sign(message.encode(), ECDSA(SHA256())))
    return f"{message}.{encode(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


class Device:
    """One device, with a key of its own."""

    def __init__(self) -> None:
        self.key = generate_private_key(SECP256R1())

    @property
    def public(self) -> str:
        """The key as a row keeps it."""
        jwk = jwk_of(self.key)
        return jwk["x"] + jwk["y"]

    def registers(self, challenge: str, **others: Any) -> str:
        """The first proof, which brings the key; ``others`` of its header."""
        return signed(self.key, {**HEADER, "jwk": jwk_of(self.key), **others}, {"jti": challenge})

    def answers(self, challenge: str, **others: Any) -> str:
        """Each later proof."""
        return signed(self.key, {**HEADER, **others}, {"jti": challenge})
