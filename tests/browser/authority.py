"""A certificate authority of the tests' own, which one browser trusts: no flag switches it off.

A browser whose certificate checks are switched off binds no session to its device.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["Authority"]

_DAY = timedelta(days=1)


class Authority:
    """Signs certificates; ``home`` is the ``HOME`` of a browser that trusts it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._key = generate_private_key(SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Tests")])
        self._certificate = (
            _builder(self._name, self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, SHA256())
        )
        self.file = directory / "authority.pem"
        self.file.write_bytes(self._certificate.public_bytes(Encoding.PEM))
        self.home = directory / "home"
        database = self.home / ".pki" / "nssdb"
        database.mkdir(parents=True)
        at = ("-d", f"sql:{database}")
        _certutil(*at, "-N", "--empty-password")
        _certutil(*at, "-A", "-n", "tests", "-t", "C,,", "-i", str(self.file))

    def trust(self, certificate: Path) -> None:
        """Let the browser take this one certificate, which has signed itself."""
        at = ("-d", f"sql:{self.home / '.pki' / 'nssdb'}")
        _certutil(*at, "-A", "-n", certificate.name, "-t", "P,,", "-i", str(certificate))

    def certify(self, hosts: Iterable[str]) -> tuple[str, str]:
        """The files of a certificate for these hosts and of its key."""
        key = generate_private_key(SECP256R1())
        names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
        certificate = (
            _builder(x509.Name([]), self._name, key.public_key())
            .add_extension(names, critical=True)
            .sign(self._key, SHA256())
        )
        files = self._directory / "certificate.pem", self._directory / "key.pem"
        files[0].write_bytes(certificate.public_bytes(Encoding.PEM))
        files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return str(files[0]), str(files[1])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return x509.CertificateBuilder(
        issuer,
        subject,
        key,
        x509.random_serial_number(),
        now - _DAY,
        now + _DAY,
    )


def _certutil(*arguments: str) -> None:
    """Run NSS's tool; skip the test where it is missing, or fail if it must be there."""
    if shutil.which("certutil") is None:
        reason = "needs certutil, of libnss3-tools"
        if os.environ.get("SESSIONGATE_REQUIRE_BACKENDS") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    subprocess.run(["certutil", *arguments], check=True, capture_output=True, timeout=60)
