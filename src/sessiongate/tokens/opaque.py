"""Opaque tokens: ``sg_`` sid ``.`` generation ``.`` MAC.

The alphabet is that of RFC 6750's b64token, the id has 128 random bits, and the MAC is keyed
BLAKE2b of 128 bits (RFC 7693, section 2.9; a fifth of the time of HMAC-SHA-256, on every request).
A forged or mangled token is refused before any store is asked.
"""

from __future__ import annotations

import hmac
import re
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from sessiongate.core.row import dates_of
from sessiongate.keys.secret import check_secret, key_list
from sessiongate.tokens import GENERATION, TokenPayload

if TYPE_CHECKING:
    from sessiongate.core.row import Row

_PREFIX: Final = "sg_"
"""Lets secret scanners find a token that leaked into a log or a repository."""
_MAC_BYTES: Final = 16
_FORM: Final = re.compile(
    rf"{_PREFIX}[A-Za-z0-9_-]{{22}}\.{GENERATION}\.[0-9a-f]{{{2 * _MAC_BYTES}}}", re.ASCII
)
_LONGEST: Final = 128
_KEY_BYTES: Final = 32


class OpaqueCodec:
    """Mints and reads opaque tokens; the first key signs, all verify."""

    time_resolution: int = 1
    states_end: bool = False
    leeway: int = 0

    def __init__(self, secret_key: object, *, strict: bool) -> None:
        self._macs: list[blake2b] = []
        for given in key_list(secret_key):
            secret = check_secret(given, _KEY_BYTES, "an opaque token", strict=strict)
            # A key of its own for this use: the same secret may sign JWTs elsewhere.
            key = hmac.digest(secret, b"sessiongate opaque v1", "sha512")
            self._macs.append(blake2b(key=key, digest_size=_MAC_BYTES))

    def mint(self, row: Row) -> str:
        body = f"{_PREFIX}{row.sid}.{row.generation}"
        return f"{body}.{_seal(self._macs[0], body)}"

    def verify(self, token: str) -> TokenPayload | None:
        if len(token) > _LONGEST:
            return None
        body, _, seal = token.rpartition(".")
        for mac in self._macs:
            if hmac.compare_digest(_seal(mac, body), seal):
                sid, _, generation = body.removeprefix(_PREFIX).partition(".")
                return TokenPayload(sid, int(generation))
        return None

    def examine(self, token: str) -> TokenPayload | str:
        return self.verify(token) or "signature"

    def is_foreign(self, token: str) -> bool:
        return _FORM.fullmatch(token) is not None

    key = mint

    def parse_key(self, key: object) -> TokenPayload | None:
        return self.verify(key) if isinstance(key, str) and key.isascii() else None

    def information(self, row: Row) -> dict[str, Any]:
        return {"username": row.username, **dates_of(row)}


def _seal(mac: blake2b, body: str) -> str:
    """The MAC of a body, from a keyed state that is never changed itself."""
    state = mac.copy()
    state.update(body.encode())
    return state.hexdigest()
