"""The keys of a JWT manager: one algorithm, checked once, at construction.

PyJWT's algorithm classes sign and verify. One key serves one algorithm, and a
verifier never mixes shared secrets with public keys (RFC 8725, section 3.1).
"""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any, Final

import jwt
from jwt.exceptions import InvalidKeyError

from sessiongate.errors import ConfigurationError
from sessiongate.tokens.keys import check_secret, check_strength, key_list

_HMAC_BYTES: Final = {"HS256": 32, "HS384": 48, "HS512": 64}
_CURVES: Final = {"ES256": "secp256r1", "ES384": "secp384r1", "ES512": "secp521r1"}
_RSA: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_RSA_BITS: Final = 2048

ALGORITHMS: Final = (*_HMAC_BYTES, *_RSA, *_CURVES, "EdDSA")

_THUMBPRINT_MEMBERS: Final = {"RSA": "e kty n", "EC": "crv kty x y", "OKP": "crv kty x"}
"""What identifies a public key (RFC 7638, section 3.2; RFC 8037, section 2)."""


class JWTKey:
    """One key, and the only header that a token signed with it may have."""

    def __init__(self, algorithm: str, private: Any, public: Any, kid: str) -> None:
        self._algorithm = jwt.get_algorithm_by_name(algorithm)
        self._private = private
        self._public = public
        self._name = algorithm
        self._kid = kid
        header = json.dumps({"alg": algorithm, "typ": "JWT", "kid": kid}, separators=(",", ":"))
        self.header = encode(header.encode())

    def __repr__(self) -> str:
        return f"<JWTKey: {self._name}>"

    @property
    def signs(self) -> bool:
        return self._private is not None

    def sign(self, message: bytes) -> bytes:
        return self._algorithm.sign(message, self._private)

    def verify(self, message: bytes, signature: bytes) -> bool:
        return self._algorithm.verify(message, self._public, signature)

    def public_jwk(self) -> dict[str, Any] | None:
        """The public key as a JWK (RFC 7517), ``None`` for a shared secret."""
        if self._name in _HMAC_BYTES:
            return None
        jwk = _jwk(self._algorithm, self._public)
        return {**jwk, "use": "sig", "alg": self._name, "kid": self._kid}


def load_keys(secret_key: object, algorithm: str, *, strict: bool) -> list[JWTKey]:
    """The keys in the order given, each checked against the algorithm."""
    if algorithm not in ALGORITHMS:
        msg = f"algorithm must be one of {', '.join(ALGORITHMS)}"
        raise ConfigurationError(msg)
    keys = key_list(secret_key)
    if algorithm in _HMAC_BYTES:
        return [_shared(key, algorithm, strict=strict) for key in keys]
    return [_asymmetric(key, algorithm) for key in keys]


def _shared(key: object, algorithm: str, *, strict: bool) -> JWTKey:
    secret = check_secret(key)
    check_strength(secret, _HMAC_BYTES[algorithm], algorithm, strict=strict)
    kid = encode(hmac.digest(secret, b"sessiongate kid v1", "sha256")[:9])
    return JWTKey(algorithm, secret, secret, kid)


def _asymmetric(key: object, name: str) -> JWTKey:
    try:
        algorithm = jwt.get_algorithm_by_name(name)
    except NotImplementedError:
        msg = f"algorithm {name} needs the cryptography package: pip install 'sessiongate[crypto]'"
        raise ConfigurationError(msg) from None
    try:
        loaded = algorithm.prepare_key(key)
    except (InvalidKeyError, ValueError, TypeError):
        msg = f"secret_key must be a PEM key that fits {name} (the first one private)"
        raise ConfigurationError(msg) from None
    if name in _RSA and getattr(loaded, "key_size", 0) < _RSA_BITS:
        msg = f"secret_key must be an RSA key of {_RSA_BITS} bits or more (RFC 7518, section 3.3)"
        raise ConfigurationError(msg)
    if name in _CURVES and loaded.curve.name != _CURVES[name]:
        msg = f"secret_key must be on curve {_CURVES[name]} for {name} (RFC 7518, section 3.4)"
        raise ConfigurationError(msg)
    private = loaded if hasattr(loaded, "public_key") else None
    public = loaded if private is None else loaded.public_key()
    jwk = _jwk(algorithm, public)
    members = {member: jwk[member] for member in _THUMBPRINT_MEMBERS[jwk["kty"]].split()}
    canonical = json.dumps(members, sort_keys=True, separators=(",", ":"))
    return JWTKey(name, private, public, encode(sha256(canonical.encode()).digest()))


def _jwk(algorithm: Any, public: Any) -> dict[str, Any]:
    jwk: dict[str, Any] = algorithm.to_jwk(public, as_dict=True)
    jwk.pop("key_ops", None)
    return jwk


def encode(raw: bytes) -> str:
    """Base64url without padding (RFC 7515, section 2)."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
