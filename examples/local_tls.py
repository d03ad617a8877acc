"""A certificate for HTTPS on this machine: browsers bind sessions only where they trust one."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

if TYPE_CHECKING:
    from pathlib import Path

HOST: Final = "localhost"
_DAYS: Final = 90


def make_certificate(directory: Path) -> tuple[str, str]:
    """The files of a certificate for ``localhost`` and of its key, made anew each time.

    It signs itself and can sign nothing else, so a browser that trusts it trusts this key alone.
    """
    key, now = generate_private_key(SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sessiongate demo")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=_DAYS))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    files = directory / "certificate.pem", directory / "certificate.key"
    files[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    files[1].unlink(missing_ok=True)
    descriptor = os.open(files[1], os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return str(files[0]), str(files[1])
