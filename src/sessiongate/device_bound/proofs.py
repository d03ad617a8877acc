"""The browser's proof: a JWT by which the key of a device answers a challenge.

As strict as with our own JWTs (RFC 8725, sections 3.1 to 3.5): one algorithm, one ``typ``, a header
with nothing else in it, canonical base64url, unique members. The key comes with the first proof
alone. All that is wrong is wrong in one way: ``None`` or ``False``.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import jwt
from jwt.exceptions import InvalidKeyError

from sessiongate.errors import ConfigurationError
from sessiongate.tokens.jwt import unproven

if TYPE_CHECKING:
    from jwt.algorithms import Algorithm

ALGORITHM: Final = "ES256"
"""The only one that is offered: an RSA key takes a second to make, and its proofs are long."""

LONGEST_PROOF: Final = 2048
"""Characters; a browser's has some 600."""

_HEADER: Final = {"alg": ALGORITHM, "typ": "dbsc+jwt"}
_CURVE: Final = {"kty": "EC", "crv": "P-256"}
_COORDINATE: Final = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]", re.ASCII)
"""32 bytes in base64url; the last character says four bits, so one in four can stand there."""
_WIDTH: Final = 43
_SIGNATURE: Final = 64
"""Bytes (RFC 7518, section 3.4)."""


class Proof(NamedTuple):
    """What a proof says, before its signature is checked."""

    challenge: str
    """The one that it claims to answer."""
    key: str
    """The public key that it brings, ``x`` and ``y`` in base64url; ``""`` for none."""
    message: bytes
    signature: bytes


class Proofs:
    """Reads and verifies proofs. Holds nothing; safe for threads and tasks.

    Raises:
        ConfigurationError: The extra ``crypto`` is missing.
    """

    def __init__(self) -> None:
        try:
            self._es256: Algorithm = jwt.get_algorithm_by_name(ALGORITHM)
        except NotImplementedError:
            msg = "device_bound needs the cryptography package: pip install 'sessiongate[crypto]'"
            raise ConfigurationError(msg) from None

    def read(self, text: str, *, registers: bool) -> Proof | None:
        """Take a proof apart; with ``registers`` it must bring its key, else it must not."""
        said = unproven(text) if len(text) <= LONGEST_PROOF else None
        if said is None:
            return None
        header, claims = said
        key = _key_of(header.pop("jwk", None)) if registers else ""
        challenge = claims.get("jti")
        if key is None or header != _HEADER or not isinstance(challenge, str):
            return None
        message, _, signature = text.rpartition(".")
        return Proof(challenge, key, message.encode(), urlsafe_b64decode(f"{signature}=="))

    def verify(self, proof: Proof, key: str) -> bool:
        """Whether that key, a point of the curve, has signed the proof."""
        x, y = key[:_WIDTH], key[_WIDTH:]
        if len(proof.signature) != _SIGNATURE:
            return False
        try:
            public: Any = self._es256.from_jwk({**_CURVE, "x": x, "y": y})
        except (InvalidKeyError, ValueError):
            return False
        return self._es256.verify(proof.message, public, proof.signature)


def _key_of(jwk: Any) -> str | None:
    """The two coordinates of a JWK that says nothing else; whether it is a point shows later."""
    match jwk:
        case {"x": str() as x, "y": str() as y} if jwk == {**_CURVE, "x": x, "y": y}:
            return f"{x}{y}" if all(map(_COORDINATE.fullmatch, (x, y))) else None
        case _:
            return None
