"""The keys of JWTs: loaded from what users pass, each checked against its algorithm.

One key serves one algorithm, and a verifier never mixes shared secrets with public keys (RFC 8725,
sections 2.1 and 3.1). PyJWT signs and verifies.
"""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import jwt
from jwt.exceptions import InvalidKeyError

from sessiongate.errors import ConfigurationError
from sessiongate.keys.secret import check_secret, key_list, refuse

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_HMAC_BYTES: Final = {"HS256": 32, "HS384": 48, "HS512": 64}
_CURVES: Final = {"ES256": "secp256r1", "ES384": "secp384r1", "ES512": "secp521r1"}
_RSA: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_RSA_BITS: Final = 2048

_ASYMMETRIC: Final = (*_RSA, *_CURVES, "EdDSA")
ALGORITHMS: Final = (*_HMAC_BYTES, *_ASYMMETRIC)
_BY_KIND: Final = ("RS256", *_CURVES, "EdDSA")
"""What each kind of key signs with, unless the user says so."""
_MAKE_PAIR: Final = "sessiongate keygen --algorithm ES256"

_THUMBPRINT_MEMBERS: Final = {"RSA": "e kty n", "EC": "crv kty x y", "OKP": "crv kty x"}
"""What identifies a public key (RFC 7638, section 3.2; RFC 8037, section 2)."""


class JWTKey:
    """One key, and the only header that a token signed with it may have."""

    def __init__(
        self,
        name: str,
        private: Any,
        public: Any,
        kid: str,
        jwk: dict[str, Any] | None = None,
        typ: str = "JWT",
    ) -> None:
        self._algorithm = jwt.get_algorithm_by_name(name)
        self._private, self._public = private, public
        self.signs: bool = private is not None
        self.public_jwk: dict[str, Any] | None = None
        """The public key as a JWK (RFC 7517), ``None`` for a shared secret."""
        if jwk is not None:
            self.public_jwk = {**jwk, "use": "sig", "alg": name, "kid": kid}
        header = json.dumps({"alg": name, "typ": typ, "kid": kid}, separators=(",", ":"))
        self.header: str = encode(header.encode())

    def issue(self, claims: dict[str, Any]) -> str:
        """A signed JWT that holds the claims."""
        payload = json.dumps(claims, separators=(",", ":"))
        body = f"{self.header}.{encode(payload.encode())}"
        return f"{body}.{encode(self._algorithm.sign(body.encode(), self._private))}"

    def verify(self, message: bytes, signature: bytes) -> bool:
        return self._algorithm.verify(message, self._public, signature)


def load_keys(
    secret_key: object, algorithm: str, *, strict: bool, signs: bool = False
) -> list[JWTKey]:
    """The keys in the order given, each checked against the algorithm.

    ``signs``: the first one is to sign, so it must be private; else public keys are enough.
    """
    _check_algorithm(algorithm, ALGORITHMS)
    keys = key_list(secret_key)
    if algorithm in _HMAC_BYTES:
        return [_shared(key, algorithm, strict=strict) for key in keys]
    loaded = [_asymmetric(key, algorithm) for key in keys]
    if signs:
        _check_signer(loaded[0], "secret_key")
    return loaded


def _shared(key: object, algorithm: str, *, strict: bool) -> JWTKey:
    secret = check_secret(key, _HMAC_BYTES[algorithm], algorithm, strict=strict)
    kid = encode(hmac.digest(secret, b"sessiongate kid v1", "sha256")[:9])
    return JWTKey(algorithm, secret, secret, kid)


def load_key_pairs(private_key: object, algorithm: str | None, *, typ: str) -> list[JWTKey]:
    """The keys of tokens that others verify, in the order given; the first one, private, signs.

    ``algorithm=None``: each key is for what it is, RSA for RS256.
    """
    if algorithm is not None:
        _check_algorithm(algorithm, _ASYMMETRIC)
    keys = [
        _asymmetric(key, algorithm or _algorithm_for(key), typ, "private_key")
        for key in key_list(private_key, _MAKE_PAIR, "private_key")
    ]
    _check_signer(keys[0], "private_key")
    return keys


def jwks_of(keys: Iterable[JWTKey]) -> dict[str, list[dict[str, Any]]]:
    """The public keys as a JWK Set (RFC 7517, section 5), each once; shared secrets left out."""
    jwks = {key.header: key.public_jwk for key in keys}
    return {"keys": [dict(jwk) for jwk in jwks.values() if jwk]}


def _check_algorithm(algorithm: str, known: Sequence[str]) -> None:
    if algorithm not in known:
        msg = f"algorithm must be one of {', '.join(known)}"
        raise ConfigurationError(msg)


def _check_signer(key: JWTKey, argument: str) -> None:
    if not key.signs:
        refuse("must begin with a private key: the first one signs", argument)


def _algorithm_for(key: object) -> str:
    found = next((name for name in _BY_KIND if _fits(key, name)), None)
    if found is None:
        refuse(
            "must be a PEM key without a passphrase: RSA, EC (P-256, P-384, P-521) or Ed25519; "
            f"make one with: {_MAKE_PAIR}",
            "private_key",
        )
    return found


def _fits(key: object, name: str) -> bool:
    algorithm = _algorithm_named(name)
    try:
        loaded = algorithm.prepare_key(key)
    except (InvalidKeyError, ValueError, TypeError):
        return False
    # PyJWT 2.10 takes a PEM of another kind or curve as well.
    if name in _CURVES or hasattr(loaded, "curve"):
        return hasattr(loaded, "curve") and loaded.curve.name == _CURVES.get(name)
    return name == "EdDSA" or hasattr(loaded, "key_size")


def _algorithm_named(name: str) -> Any:
    try:
        return jwt.get_algorithm_by_name(name)
    except NotImplementedError:
        msg = f"algorithm {name} needs the cryptography package: pip install 'sessiongate[crypto]'"
        raise ConfigurationError(msg) from None


def _asymmetric(key: object, name: str, typ: str = "JWT", argument: str = "secret_key") -> JWTKey:
    algorithm = _algorithm_named(name)
    try:
        loaded = algorithm.prepare_key(key)
    except (InvalidKeyError, ValueError, TypeError):
        refuse(f"must be a PEM key that fits {name} (the first one private)", argument)
    if name in _RSA and getattr(loaded, "key_size", 0) < _RSA_BITS:
        refuse(f"must be an RSA key of {_RSA_BITS} bits or more (RFC 7518, section 3.3)", argument)
    if name in _CURVES and loaded.curve.name != _CURVES[name]:
        refuse(f"must be on curve {_CURVES[name]} for {name} (RFC 7518, section 3.4)", argument)
    private = loaded if hasattr(loaded, "public_key") else None
    public = loaded if private is None else loaded.public_key()
    jwk: dict[str, Any] = algorithm.to_jwk(public, as_dict=True)
    jwk.pop("key_ops", None)
    members = {member: jwk[member] for member in _THUMBPRINT_MEMBERS[jwk["kty"]].split()}
    canonical = json.dumps(members, sort_keys=True, separators=(",", ":"))
    kid = encode(sha256(canonical.encode()).digest())
    return JWTKey(name, private, public, kid, jwk, typ)


def encode(raw: bytes) -> str:
    """Base64url without padding (RFC 7515, section 2)."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
