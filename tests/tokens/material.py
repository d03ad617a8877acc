"""Keys in the forms in which they lie about: PEM, DER, SSH, JWK, certificates."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from joserfc.jwk import import_key

__all__ = ["KEY_OF", "Private", "certificate", "forms", "private_pem", "public_pem"]

Private: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

KEY_OF = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), "RSA"),
    "ES256": "P-256",
    "ES384": "P-384",
    "ES512": "P-521",
    "EdDSA": "Ed25519",
}
"""The key that each asymmetric algorithm wants."""


def private_pem(key: Private) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def public_pem(key: Private) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def forms(key: Private) -> dict[str, bytes]:
    """What somebody may paste where a secret belongs."""
    public = key.public_key()
    found = {
        "PEM public": public_pem(key),
        "PEM private": private_pem(key),
        "PEM certificate": certificate(key).public_bytes(Encoding.PEM),
        "DER public": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "DER private": key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
        "DER certificate": certificate(key).public_bytes(Encoding.DER),
        "SSH public": public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
        "SSH private": key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()),
        "JWK": json.dumps(_jwk(key)).encode(),
        "JWK set": json.dumps({"keys": [_jwk(key)]}, indent=2).encode(),
        "JWK list": json.dumps([_jwk(key)]).encode(),
    }
    name, blob = found["SSH public"].split()[:2]
    found["SSH line"] = b'no-pty,command="x y" ' + found["SSH public"] + b" alice@example.com"
    found["SSH host"] = b"example.com,192.0.2.1 " + name + b" " + blob
    if isinstance(key, ec.EllipticCurvePrivateKey):
        sec1 = PrivateFormat.TraditionalOpenSSL
        found["PEM SEC 1"] = key.private_bytes(Encoding.PEM, sec1, NoEncryption())
        found["DER SEC 1"] = key.private_bytes(Encoding.DER, sec1, NoEncryption())
    if isinstance(key, rsa.RSAPrivateKey) and isinstance(public, rsa.RSAPublicKey):
        found["PEM PKCS#1"] = public.public_bytes(Encoding.PEM, PublicFormat.PKCS1)
        found["DER PKCS#1"] = public.public_bytes(Encoding.DER, PublicFormat.PKCS1)
    return found


def _jwk(key: Private) -> dict[str, Any]:
    kinds = {rsa.RSAPrivateKey: "RSA", ec.EllipticCurvePrivateKey: "EC"}
    kty: Any = next((name for kind, name in kinds.items() if isinstance(key, kind)), "OKP")
    jwk: dict[str, Any] = import_key(public_pem(key), kty).as_dict()
    return jwk


def certificate(key: Private) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "example.com")])
    start = datetime(2024, 1, 1, tzinfo=UTC)
    return x509.CertificateBuilder(
        name, name, key.public_key(), 1, start, start + timedelta(days=1)
    ).sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())
