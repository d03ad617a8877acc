"""JWTs (RFC 7519) that name a session: signed by PyJWT, checked strictly here.

Nothing is accepted from a token that we did not write ourselves. The header must be one of the few
that the configured keys make, byte for byte: so no ``alg`` but ours, no ``none``, no ``crit``, no
``jwk`` or ``jku``, and an unknown ``kid`` costs no I/O (RFC 8725, sections 3.1 to 3.5). Then the
signature is checked, and only then the claims are read.
"""

from __future__ import annotations

import json
import math
import re
from base64 import urlsafe_b64decode
from typing import TYPE_CHECKING, Any, Final

from sessiongate.core.arguments import JSON, check_json, check_text
from sessiongate.core.row import SECOND, scopes_and_claims_of
from sessiongate.keys.jwt import encode, jwks_of
from sessiongate.tokens import GENERATION, TokenPayload

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sessiongate.core.row import Row
    from sessiongate.keys.jwt import JWTKey

_LATEST: Final = 2**40
"""Seconds; far beyond any date, far below what floats and rows cannot hold."""
_CLOCK_SKEW: Final = 10 * SECOND
"""How far ahead an ``iat`` may be: another machine's clock. Whether it is valid, its row says."""
_SIGNATURE: Final = re.compile(r"[A-Za-z0-9_-]{43,}", re.ASCII)
"""That of HS256 is the shortest of all."""
_JTI: Final = re.compile(rf"([A-Za-z0-9_-]{{16,128}})\.({GENERATION})", re.ASCII)


class JWTCodec:
    """Mints and reads JWTs; the first key signs, all verify."""

    time_resolution: int = SECOND
    states_end: bool = True

    def __init__(
        self,
        keys: Sequence[JWTKey],
        *,
        issuer: str,
        audience: str,
        timeout: int,
        leeway: int,
    ) -> None:
        self.leeway: int = leeway
        self._issuer = check_text(issuer, "issuer")
        self._audience = check_text(audience, "audience")
        self._longest = math.ceil(timeout / SECOND)
        self._signer = keys[0]
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
