"""JWTs (RFC 7519) that name a session: signed by PyJWT, checked strictly here.

Nothing is accepted from a token that we did not write ourselves. The header must be one of the few
that the configured keys make, byte for byte: so no ``alg`` but ours, no ``none``, no ``crit``, no
``jwk`` or ``jku``, and an unknown ``kid`` costs no I/O (RFC 8725, sections 3.1 to 3.5). Then the
signature is checked, and only then the claims are read.

One key serves one algorithm, and a verifier never mixes shared secrets with public keys.
"""

from __future__ import annotations

import hmac
import json
import math
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import jwt
from jwt.exceptions import InvalidKeyError

from sessiongate.core.arguments import JSON, check_json, check_text
from sessiongate.core.row import SECOND, scopes_and_claims_of
from sessiongate.errors import ConfigurationError
from sessiongate.tokens import GENERATION, TokenPayload
from sessiongate.tokens.keys import check_secret, key_list, refuse

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sessiongate.core.row import Row

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

_LATEST: Final = 2**40
"""Seconds; far beyond any date, far below what floats and rows cannot hold."""
_CLOCK_SKEW: Final = 10 * SECOND
"""How far ahead an ``iat`` may be: another machine's clock. Whether it is valid, its row says."""
_SIGNATURE: Final = re.compile(r"[A-Za-z0-9_-]{43,}", re.ASCII)
"""That of HS256 is the shortest of all."""
_JTI: Final = re.compile(rf"([A-Za-z0-9_-]{{16,128}})\.({GENERATION})", re.ASCII)


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


def load_keys(secret_key: object, algorithm: str, *, strict: bool) -> list[JWTKey]:
    """The keys in the order given, each checked against the algorithm."""
    _check_algorithm(algorithm, ALGORITHMS)
    keys = key_list(secret_key)
    if algorithm in _HMAC_BYTES:
        return [_shared(key, algorithm, strict=strict) for key in keys]
    return [_asymmetric(key, algorithm) for key in keys]


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


def _check_signer(key: JWTKey, argument: str = "secret_key") -> None:
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


class JWTCodec:
    """Mints and reads JWTs; the first key signs, all verify.

    With ``signs=False`` it only reads, and public keys are enough.
    """

    time_resolution: int = SECOND
    states_end: bool = True

    def __init__(
        self,
        secret_key: object,
        *,
        algorithm: str,
        issuer: str,
        audience: str,
        timeout: int,
        leeway: int,
        strict: bool,
        signs: bool = True,
    ) -> None:
        self.leeway: int = leeway
        self._issuer = check_text(issuer, "issuer")
        self._audience = check_text(audience, "audience")
        self._longest = math.ceil(timeout / SECOND)
        keys = load_keys(secret_key, algorithm, strict=strict)
        self._signer = keys[0]
        if signs:
            _check_signer(self._signer)
        self._keys: dict[str, JWTKey] = {key.header: key for key in keys}

    def jwks(self) -> dict[str, list[dict[str, Any]]]:
        """The public keys as a JWK Set; empty for shared secrets."""
        return jwks_of(self._keys.values())

    def mint(self, row: Row) -> str:
        scopes, claims = scopes_and_claims_of(row)
        payload: dict[str, Any] = {
            "iss": self._issuer,
            "sub": row.username,
            "aud": self._audience,
            "exp": self._expires_at(row),
            "iat": row.rotated_at // SECOND,
            "jti": self.key(row),
            **claims,
        }
        if scopes:
            payload["scope"] = " ".join(scopes)  # RFC 8693, section 4.2
        return self._signer.issue(payload)

    def verify(self, token: str) -> TokenPayload | None:
        found = self.examine(token)
        return found if isinstance(found, TokenPayload) else None

    def examine(self, token: str) -> TokenPayload | str:
        header, _, rest = token.partition(".")
        key = self._keys.get(header)
        if key is None:
            return "header"
        payload, _, signature = rest.partition(".")
        raw, sealed = _decode(payload), _decode(signature)
        if raw is None or sealed is None:
            return "encoding"
        if not key.verify(f"{header}.{payload}".encode(), sealed):
            return "signature"
        return self._check_claims(_parse(raw))

    def is_foreign(self, token: str) -> bool:
        header, _, rest = token.partition(".")
        if header in self._keys:  # each key has a header of its own
            return False
        payload, _, signature = rest.partition(".")
        claims = _parse(_decode(payload) or b"") if _SIGNATURE.fullmatch(signature) else {}
        return claims.get("iss") == self._issuer and claims.get("aud") == self._audience

    def key(self, row: Row) -> str:
        return f"{row.sid}.{row.generation}"

    def parse_key(self, key: object) -> TokenPayload | None:
        found = _JTI.fullmatch(key) if isinstance(key, str) else None
        return None if found is None else TokenPayload(found[1], int(found[2]))

    def information(self, row: Row) -> dict[str, Any]:
        return {
            "username": row.username,
            "issued_at": row.rotated_at // SECOND,
            "expires_at": self._expires_at(row),
            "jti": self.key(row),
            "issuer": self._issuer,
            "audience": self._audience,
        }

    def _expires_at(self, row: Row) -> int:
        return (row.expires_at - self.leeway) // SECOND

    def _check_claims(self, claims: dict[str, Any]) -> TokenPayload | str:
        """What the claims say, or the first that is missing, ill-typed or not what we issue."""
        payload, username = self.parse_key(claims.get("jti")), claims.get("sub")
        issued_at: Any = claims.get("iat")
        expires_at: Any = claims.get("exp")
        rules = {
            "jti": payload is not None,
            "iss": claims.get("iss") == self._issuer,
            "aud": claims.get("aud") == self._audience,
            "sub": isinstance(username, str),  # the row says whether there is such a user
            "iat": _is_date(issued_at),
            "exp": _is_date(issued_at)
            and _is_date(expires_at)
            and expires_at - issued_at <= self._longest,
            "nbf": "nbf" not in claims,
        }
        wrong = next((name for name, right in rules.items() if not right), None)
        if payload is None or wrong is not None:
            return wrong or "jti"
        payload.expires_at = math.floor(expires_at * SECOND) + self.leeway
        payload.valid_from = math.ceil(issued_at * SECOND) - _CLOCK_SKEW
        payload.username = username
        return payload


def unproven(token: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """The header and the claims of a JWT, not verified; ``None`` for what is no JWT."""
    match [_decode(part) for part in token.split(".")]:
        case [bytes() as header, bytes() as payload, bytes()] if token.isascii():
            found = _parse(header), _parse(payload)
            return found if all(found) else None
        case _:
            return None


def _is_date(value: object) -> bool:
    """A NumericDate: a finite JSON number, and no bool (RFC 7519, section 2)."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= _LATEST


def encode(raw: bytes) -> str:
    """Base64url without padding (RFC 7515, section 2)."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(part: str) -> bytes | None:
    """Canonical base64url only: one text for each value (RFC 7515, section 2)."""
    try:
        raw = urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        return None
    return raw if encode(raw) == part else None


def _parse(raw: bytes) -> dict[str, Any]:
    """A JSON object of unique members (RFC 7519, section 4); ``{}`` for anything else."""
    try:
        value: JSON = json.loads(raw.decode(), object_pairs_hook=_unique)
        check_json(value, "claims")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError
    return members
