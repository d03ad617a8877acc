"""Hostile sizes cost at most 20 ms of CPU (docs/security-requirements.md, 22)."""

from __future__ import annotations

import time
from base64 import urlsafe_b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from tests.http.harness import bare, environ_of, HOST
from sessiongate import JWTSessionManager, SessionManager
from sessiongate.wsgi import SessionAuthMiddleware


def pem(key):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


KEYS = {
    "ES512": lambda: (pem(ec.generate_private_key(ec.SECP521R1())), 132),
    "ES384": lambda: (pem(ec.generate_private_key(ec.SECP384R1())), 96),
    "RS256": lambda: (pem(rsa.generate_private_key(65537, 4096)), 512),
}


def cpu(app, environ):
    best = 9.0
    for _ in range(3):
        start = time.process_time()
        app(dict(environ), lambda *_: print)
        best = min(best, time.process_time() - start)
    return best


@pytest.mark.parametrize("algorithm", KEYS)
def test_many_forged_signatures_in_one_request_cost_little(algorithm: str) -> None:
    key, size = KEYS[algorithm]()
    manager = JWTSessionManager(secret_key=key, algorithm=algorithm)
    app = SessionAuthMiddleware(lambda *_: [], manager)
    header = manager.create_session("alice").partition(".")[0]
    half = size // 2
    forged = []
    for i in range(64):
        raw = (bytes([0, 1] + [1] * (half - 2)) * 2)[: size - 2] + bytes([1, i])
        forged.append(f"{header}.e30.{urlsafe_b64encode(raw).rstrip(b'=').decode()}")
    field = "; ".join(f"__Host-session={one}" for one in forged).encode()
    spent = cpu(app, environ_of("GET", [HOST, (b"cookie", field)]))
    assert spent < 0.020, f"{spent * 1000:.1f} ms of CPU for {len(field)} bytes"


def test_a_megabyte_of_commas_in_the_subprotocols_costs_little() -> None:
    app = SessionAuthMiddleware(lambda *_: [], SessionManager())
    environ = environ_of(
        "GET", [HOST, (b"upgrade", b"websocket"), (b"sec-websocket-protocol", b"," * 1_000_000)]
    )
    spent = cpu(app, environ)
    assert spent < 0.020, f"{spent * 1000:.1f} ms"
