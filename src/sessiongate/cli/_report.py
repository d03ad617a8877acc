"""What there is to say of a token: what it is, whether it is ours, where it stands.

Pure. The judgement is that of the codecs and of ``rotation``; here are the
words. The token itself, its MAC or signature and the key are in no answer.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sessiongate.core.arguments import check_text, is_handle
from sessiongate.core.rotation import (
    ACCEPT,
    CURRENT,
    PREVIOUS,
    RETIRED,
    STALE,
    TABLE,
    UNISSUED,
    classify,
)
from sessiongate.core.row import FOREVER
from sessiongate.errors import ConfigurationError
from sessiongate.tokens import GENERATION, LONGEST_TOKEN, TokenPayload
from sessiongate.tokens.jwt import JWTCodec, unproven
from sessiongate.tokens.jwt_keys import ALGORITHMS
from sessiongate.tokens.opaque import OpaqueCodec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sessiongate.core.row import Row
    from sessiongate.tokens import Codec

__all__ = ["Expected", "Finding", "Verdict", "examine", "honoured", "look_up"]

_OPAQUE: Final = re.compile(r"sg_(.+)\.[0-9a-f]{32}")


class Verdict:
    """What comes of it, in a word."""

    VALID: Final = "valid"
    GENUINE: Final = "genuine"
    """Signed by this key and in its time; no store was asked."""
    INVALID: Final = "invalid"
    UNKNOWN: Final = "unknown"
    """There was no key to tell."""


class Expected(NamedTuple):
    """How the app's JWT manager is set up; ``None`` is not compared."""

    algorithm: str | None = None
    issuer: str | None = None
    audience: str | None = None
    leeway: int = 0


class Finding(NamedTuple):
    """What was found of a token; handle and claims are its own words unless it is genuine."""

    verdict: str
    reason: str
    format: str | None = None
    """``"opaque"`` or ``"jwt"``."""
    handle: str | None = None
    generation: int | None = None
    signature: str = "not checked"
    """Or ``"good"``, ``"bad"``."""
    claims: Mapping[str, Any] = {}
    """Of a JWT, with the ``alg`` of its header."""
    not_compared: tuple[str, ...] = ()
    """Claims that were taken as they are."""
    standing: str | None = None
    """A word of ``rotation``, where the session is live."""


def examine(token: str, keys: list[bytes | str], expected: Expected, now: int) -> Finding:
    """What a token is without any store: ``GENUINE`` at best."""
    found = None if len(token) > LONGEST_TOKEN else _opaque(token) or _jwt(token, expected)
    if found is None:
        return Finding(Verdict.INVALID, "it has the form of no token: neither sg_… nor a JWT")
    if not keys:
        return found
    if found.format == "jwt" and found.claims["alg"] not in ALGORITHMS:
        return _invalid(found, "its algorithm is not one that this package uses")
    codec = _codec(found, keys, expected)
    if isinstance(codec, str):
        return found._replace(reason=codec)
    payload = codec.examine(token)
    if not isinstance(payload, TokenPayload):
        signature = "bad" if payload in _UNSIGNED else "good"
        return _invalid(found._replace(signature=signature), _REFUSALS[payload])
    found = found._replace(signature="good")
    if now < payload.valid_from:
        return _invalid(found, "it was issued in the future: a clock is wrong")
    if payload.expires_at <= now:
        return _invalid(found, "it has expired")
    return found._replace(
        verdict=Verdict.GENUINE, reason="signed by this key and in its time; no store was asked"
    )


def look_up(found: Finding, row: Row | None, now: int) -> Finding:
    """What its session adds to that: ``VALID`` only with a live one that accepts it."""
    if row is None:
        return _worse(
            found,
            "there is no such session in this store: it was ended, has expired and was removed, "
            "or never was here",
        )
    if row.expires_at <= now:
        return _worse(found, "its session has expired")
    if found.claims.get("sub", row.username) != row.username:
        return _worse(found, "it names another user than its session does")
    standing = classify(row, found.generation or 0, now)
    found = found._replace(standing=standing)
    if TABLE[standing] != ACCEPT:
        return _worse(found, _STANDINGS[standing])
    if found.verdict == Verdict.GENUINE:
        return found._replace(verdict=Verdict.VALID, reason=_STANDINGS[standing])
    return found


def honoured(found: Finding, row: Row) -> int | None:
    """Until when a replaced token is, in microseconds; ``None`` for any other token."""
    if found.standing != PREVIOUS:
        return None
    return row.expires_at if row.shared else min(row.previous_until, row.expires_at)


def _invalid(found: Finding, reason: str) -> Finding:
    return found._replace(verdict=Verdict.INVALID, reason=reason)


def _worse(found: Finding, reason: str) -> Finding:
    """The first thing that is wrong is the reason."""
    return found if found.verdict == Verdict.INVALID else _invalid(found, reason)


def _opaque(token: str) -> Finding | None:
    parts = _OPAQUE.fullmatch(token)
    named = _named(parts[1]) if parts else None
    if named is None:
        return None
    return Finding(Verdict.UNKNOWN, _NO_KEY, "opaque", *named)


def _jwt(token: str, expected: Expected) -> Finding | None:
    said = unproven(token)
    if said is None:
        return None
    header, claims = said
    handle, generation = _named(claims.get("jti")) or (None, None)
    compared = {
        "alg": expected.algorithm,
        "iss": expected.issuer,
        "aud": expected.audience,
    }
    return Finding(
        Verdict.UNKNOWN,
        _NO_KEY,
        "jwt",
        handle,
        generation,
        claims={**claims, "alg": header.get("alg")},
        not_compared=tuple(name for name, value in compared.items() if value is None),
    )


def _named(text: object) -> tuple[str, int] | None:
    """The session and the generation, which both kinds of tokens name in one form."""
    handle, _, generation = text.rpartition(".") if isinstance(text, str) else ("", "", "")
    if is_handle(handle) and _GENERATION.fullmatch(generation):
        return handle, int(generation)
    return None


def _codec(found: Finding, keys: list[bytes | str], expected: Expected) -> Codec | str:
    """What can check the token, or why nothing can.

    The algorithm may be the token's own word: a diagnosis logs nobody in, and
    a key that does not fit is refused all the same.
    """
    if found.format == "opaque":
        return OpaqueCodec(keys, strict=False)
    algorithm = expected.algorithm or found.claims["alg"]
    try:
        return JWTCodec(
            keys,
            algorithm=algorithm,
            issuer=expected.issuer or _text(found.claims.get("iss")),
            audience=expected.audience or _text(found.claims.get("aud")),
            timeout=FOREVER,
            leeway=expected.leeway,
            strict=False,
            signs=False,
        )
    except ConfigurationError as error:
        if expected.algorithm is not None:
            raise
        return f"it could not be checked with the algorithm that it names: {error}"


def _text(value: object) -> str:
    try:
        return check_text(value, "claim")
    except (TypeError, ValueError):
        return "?"  # equal to no claim that is none


_GENERATION: Final = re.compile(GENERATION, re.ASCII)
_NO_KEY: Final = "there was no key to check it with"

_UNSIGNED: Final = ("header", "encoding", "signature")
_REFUSALS: Final = {
    "header": "no key given here makes its header: another key, another algorithm, or forged",
    "encoding": "its parts are not canonical base64url",
    "signature": "it is not signed by a key given here, or was altered",
    "jti": "its jti names no session of this package",
    "iss": "its issuer is missing or not the expected one",
    "aud": "its audience is missing or not the expected one",
    "sub": "its subject is missing or no username",
    "iat": "its iat is missing or no date",
    "exp": "its exp is missing or no date",
    "nbf": "it has an nbf, which this package never writes",
}
"""What ``Codec.examine`` says, in more words."""

_STANDINGS: Final = {
    UNISSUED: "it is newer than its session: the store was restored from an older copy",
    CURRENT: "it is the newest token of a live session",
    PREVIOUS: "it was replaced, and is still honoured",
    RETIRED: "it was replaced by an explicit refresh, and is refused",
    STALE: "it was replaced and the overlap is over: presenting it ends the session",
}
