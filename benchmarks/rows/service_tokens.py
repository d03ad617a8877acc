"""A token for another service, beside PyJWT's own ``encode`` of the same claims."""

from __future__ import annotations

from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from measure import Case
from requesting import SECRET, bearer, request
from sessiongate import ServiceTokens, SessionManager
from sessiongate.asgi import SessionAuthMiddleware

__all__ = ["cases"]

_AUDIENCE: Final = "https://reports.example"


async def cases() -> list[Case]:
    """Two for each kind of key, which is loaded beforehand."""
    session = await _session()
    keys: dict[str, Any] = {
        "ES256": ec.generate_private_key(ec.SECP256R1()),
        "EdDSA": ed25519.Ed25519PrivateKey.generate(),
        "RS256": rsa.generate_private_key(65537, 2048),
    }
    return [case for name, key in keys.items() for case in _pair(name, key, session)]


def _pair(name: str, key: Any, session: Any) -> list[Case]:
    tokens = ServiceTokens(
        key, issuer="https://auth.example", client_id="web", audiences={_AUDIENCE: ["read"]}
    )
    token = tokens.issue(session, _AUDIENCE)
    header = jwt.get_unverified_header(token)
    claims = jwt.decode(token, options={"verify_signature": False})
    algorithm = header.pop("alg")
    return [
        Case(
            f"PyJWT's encode alone, {name}",
            lambda: jwt.encode(claims, key, algorithm, header),
            "floor",
        ),
        Case(f"sessiongate: issue, {name}", lambda: tokens.issue(session, _AUDIENCE), "ours"),
    ]


async def _session() -> Any:
    """The session of a request, as a view has it."""
    found: list[Any] = []
    manager = SessionManager(86400, secret_key=SECRET)
    token = manager.create_session("alice", scopes=["read", "write"])

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        found.append(scope["sessiongate"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def send(_message: Any) -> None:
        pass

    await request(SessionAuthMiddleware(app, manager), send, bearer(token))
    return found[0]
