"""Service tokens as a view makes them, and what they say."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from tests.http.harness import Call, Reply, bearer
from tests.tokens.forger import decode, encode

from sessiongate import ServiceTokens

if TYPE_CHECKING:
    from tests.http.harness import Header, Site

__all__ = ["AUDIENCE", "ISSUER", "KEYS", "issued", "parts", "service_tokens", "signed"]

ISSUER: Final = "https://auth.example"
AUDIENCE: Final = "https://reports.example"
KEYS: Final[dict[str, Any]] = {
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "ES512": ec.generate_private_key(ec.SECP521R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    "RS256": rsa.generate_private_key(65537, 2048),
}
"""A key for each algorithm that is a key's own."""


def service_tokens(*keys: Any, **options: Any) -> ServiceTokens:
    """They may be for ``AUDIENCE`` with ``read`` and ``list``, unless the options say otherwise."""
    settings: dict[str, Any] = {
        "issuer": ISSUER,
        "client_id": "web",
        "audiences": {AUDIENCE: ["read", "list"]},
    }
    return ServiceTokens(list(keys) or KEYS["ES256"], **settings | options)


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims."""
    header, payload, _ = token.split(".")
    return json.loads(decode(header)), json.loads(decode(payload))


def signed(header: dict[str, Any], claims: dict[str, Any], key: Any) -> str:
    """A JWT of these very members, in their order; ``alg`` is one of ``KEYS``."""
    body = ".".join(
        encode(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims)
    )
    signature = jwt.get_algorithm_by_name(header["alg"]).sign(body.encode(), key)
    return f"{body}.{encode(signature)}"


def issued(site: Site, tokens: ServiceTokens, *headers: Header | str, **wanted: Any) -> str:
    """What a view issues in a request; a text among the headers is a bearer token."""
    found: list[str] = []

    async def view(call: Call) -> Reply:
        found.append(tokens.issue(call.session, **{"audience": AUDIENCE} | wanted))
        return Reply()

    fields = [bearer(field) if isinstance(field, str) else field for field in headers]
    site.ask(*fields, view=view)
    return found[0]
