"""An app that calls another service in the name of its user.

PORT=8000 python web.py, and beside it: PORT=8001 python reports.py, or: node reports.mjs
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from cryptography.hazmat.primitives.asymmetric import ec
from flask import Flask, abort, request

from sessiongate import ServiceTokens, SessionCookie, SessionManager
from sessiongate.flask import install, jwks_blueprint, login_required, login_user

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

AUDIENCE: Final = "https://reports.example"
_PATIENCE: Final = 5
"""Seconds."""


def create_app(manager: SessionManager, tokens: ServiceTokens, reports_url: str) -> Flask:
    """Make the app. The other service finds the public keys at /.well-known/jwks.json."""
    app = Flask(__name__)
    install(app, manager, cookie=SessionCookie.for_http())
    app.register_blueprint(jwks_blueprint(tokens))

    @app.post("/login")
    def login() -> ResponseReturnValue:
        if request.form["password"] != "open sesame":  # noqa: S105 - your own check goes here
            abort(403)
        login_user(request.form["username"], scopes=["read", "write"])
        return "Welcome!"

    @app.get("/report")
    @login_required
    def report() -> ResponseReturnValue:
        token = tokens.issue(request.environ["sessiongate"], audience=AUDIENCE)
        asked = Request(reports_url, headers={"Authorization": f"Bearer {token}"})  # noqa: S310
        try:
            with urlopen(asked, timeout=_PATIENCE) as answer:  # noqa: S310 - a URL of our own
                return answer.read(), {"Content-Type": "application/json"}
        except HTTPError as error:
            error.close()
            abort(502)

    return app


def main() -> None:
    """Serve on 127.0.0.1. In production the key comes from a file: see sessiongate keygen."""
    port = int(os.environ.get("PORT", "8000"))
    tokens = ServiceTokens(
        ec.generate_private_key(ec.SECP256R1()),
        issuer=f"http://127.0.0.1:{port}",
        client_id="web",
        audiences={AUDIENCE: ["read"]},
    )
    reports_url = os.environ.get("REPORTS_URL", "http://127.0.0.1:8001/")
    create_app(SessionManager(), tokens, reports_url).run("127.0.0.1", port)


if __name__ == "__main__":
    main()
