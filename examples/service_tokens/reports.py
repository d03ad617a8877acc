"""The other service, in Python: it knows the user by a service token, with PyJWT alone."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import jwt
from flask import Flask, request
from jwt.exceptions import PyJWKClientConnectionError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from flask.typing import ResponseReturnValue


class Verifier:
    """Says whom a service token speaks for (RFC 9068, section 4). Safe for threads.

    Args:
        issuer: Who makes the tokens.
        audience: Who this service is.
        clients: Who may call it.
        jwks_url: Where the issuer publishes its keys. They are cached for five minutes.
    """

    required = ("iss", "aud", "sub", "client_id", "exp", "iat", "jti")

    def __init__(
        self, *, issuer: str, audience: str, clients: Collection[str], jwks_url: str
    ) -> None:
        self.issuer, self.audience, self.clients = issuer, audience, clients
        self.keys = jwt.PyJWKClient(jwks_url, lifespan=300, timeout=5)

    def __call__(self, token: str) -> dict[str, Any]:
        """The claims of a token; ``jwt.PyJWTError`` for a bad one."""
        found = jwt.decode_complete(
            token,
            self.keys.get_signing_key_from_jwt(token),
            algorithms=["ES256", "EdDSA", "RS256"],  # name yours alone
            issuer=self.issuer,
            audience=self.audience,
            options={"require": list(self.required), "strict_aud": True},
        )
        header: dict[str, Any] = found["header"]
        claims: dict[str, Any] = found["payload"]
        # PyJWT leaves both to you. Without a look at typ, any JWT of the issuer would do.
        known = header.get("typ") in {"at+jwt", "application/at+jwt"}
        if not known or claims["client_id"] not in self.clients:
            msg = "no service token of a known client"
            raise jwt.InvalidTokenError(msg)
        return claims


INVALID: Final = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
MISSING: Final = {"WWW-Authenticate": 'Bearer error="insufficient_scope", scope="read"'}


def create_app(verify: Callable[[str], dict[str, Any]]) -> Flask:
    """Make the app: one report, for who may read."""
    app = Flask(__name__)

    @app.get("/")
    def report() -> ResponseReturnValue:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return "", 401, {"WWW-Authenticate": "Bearer"}
        try:
            claims = verify(token)
        except PyJWKClientConnectionError:
            return "", 503, {"Retry-After": "1"}
        except jwt.PyJWTError:
            return "", 401, INVALID
        if "read" not in claims.get("scope", "").split():
            return "", 403, MISSING
        return {"user": claims["sub"], "report": "all is well"}

    return app


def main() -> None:
    """Serve on 127.0.0.1."""
    issuer = os.environ.get("ISSUER", "http://127.0.0.1:8000")
    verify = Verifier(
        issuer=issuer,
        audience="https://reports.example",
        clients={"web"},
        jwks_url=f"{issuer}/.well-known/jwks.json",
    )
    create_app(verify).run("127.0.0.1", int(os.environ.get("PORT", "8001")))


if __name__ == "__main__":
    main()
