"""The public keys of ``ServiceTokens``, as the answer of an endpoint."""

from __future__ import annotations

import json
from typing import Any, Final, Protocol

PATH: Final = "/.well-known/jwks.json"

_HEADERS: Final = {
    "Content-Type": "application/jwk-set+json",  # RFC 7517, section 8.5.2
    "Cache-Control": "public, max-age=300",
}


class HasJWKS(Protocol):
    """Publishes keys: ``ServiceTokens``, or a ``JWTSessionManager`` with key pairs."""

    def jwks(self) -> dict[str, list[dict[str, Any]]]:
        """A JWK Set (RFC 7517, section 5)."""
        ...


def jwks_answer(tokens: HasJWKS) -> tuple[bytes, dict[str, str]]:
    """Body and headers; the same for every request, for keys do not change."""
    return json.dumps(tokens.jwks(), separators=(",", ":")).encode(), dict(_HEADERS)
