"""Hostile sizes cost at most 20 ms of CPU (docs/security-requirements.md, 22)."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from tests.http.harness import HOST, environ_of
from tests.processor import MILLISECOND, yardsticks

from sessiongate import JWTSessionManager, SessionManager
from sessiongate.wsgi import SessionAuthMiddleware

CURVES = {"ES384": (ec.SECP384R1(), 96), "ES512": (ec.SECP521R1(), 132)}
"""And the bytes of a signature."""

MOST = 20 * MILLISECOND


def cpu(app: Any, environ: dict[str, Any]) -> float:
    """The yardsticks of a request."""
    return yardsticks(lambda: app(dict(environ), lambda *_: print), enough=MOST)


@pytest.mark.parametrize("algorithm", CURVES)
def test_many_forged_signatures_in_one_request_cost_little(algorithm: str) -> None:
    curve, size = CURVES[algorithm]
    private = ec.generate_private_key(curve)
    key = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    manager = JWTSessionManager(secret_key=key, algorithm=algorithm)
    app = SessionAuthMiddleware(lambda *_: [], manager)
    header = (manager.create_session("alice") or "").partition(".")[0]
    half = size // 2
    forged = []
    for i in range(64):
        raw = (bytes([0, 1] + [1] * (half - 2)) * 2)[: size - 2] + bytes([1, i])
        forged.append(f"{header}.e30.{urlsafe_b64encode(raw).rstrip(b'=').decode()}")
    field = "; ".join(f"__Host-session={one}" for one in forged).encode()
    spent = cpu(app, environ_of("GET", [HOST, (b"cookie", field)]))
    assert spent <= MOST, f"about {spent:.1f} ms of CPU for {len(field)} bytes"


def test_a_megabyte_of_commas_in_the_subprotocols_costs_little() -> None:
    app = SessionAuthMiddleware(lambda *_: [], SessionManager())
    environ = environ_of(
        "GET", [HOST, (b"upgrade", b"websocket"), (b"sec-websocket-protocol", b"," * 1_000_000)]
    )
    spent = cpu(app, environ)
    assert spent <= MOST, f"about {spent:.1f} ms"
