"""``sessiongate keygen`` and ``sessiongate jwks``."""

from __future__ import annotations

import os
from pathlib import Path  # noqa: TC003 - typer reads it
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from sessiongate.cli._output import note, print_json
from sessiongate.cli._secrets import KeyFiles, read_keys
from sessiongate.errors import ConfigurationError
from sessiongate.tokens.jwt_keys import ALGORITHMS, load_keys
from sessiongate.tokens.keys import random_secret

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["jwks", "keygen"]

_RSA_BITS: Final = 3072
"""As strong as a symmetric key of 128 bits (NIST SP 800-57 part 1, table 2)."""
_RSA_EXPONENT: Final = 65537


def keygen(
    *,
    algorithm: Annotated[
        str | None,
        typer.Option(help="For a JWT manager: HS256 …, or RS256 …, ES256 …, EdDSA for a key pair."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            metavar="FILE",
            dir_okay=False,
            help="Write it to a new file that only you can read.",
        ),
    ] = None,
) -> None:
    """Make a secret key: 512 random bits, or a private key as PEM."""
    key = _make(algorithm)
    if output is None:
        typer.echo(key)
        return
    try:
        descriptor = os.open(output, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except OSError as error:
        msg = f"--output: cannot make {output}: {error.strerror}"
        raise typer.BadParameter(msg) from None
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(key)
    note(f"Wrote {output}, for your eyes only (mode 0600).")


def jwks(
    *,
    algorithm: Annotated[str, typer.Option(help="RS256 …, PS256 …, ES256 …, EdDSA.")],
    secret_key_file: KeyFiles = None,
) -> None:
    """Print the public keys as a JWK Set.

    For services that verify tokens themselves (RFC 7517).
    """
    keys = read_keys(secret_key_file)
    if not keys:
        msg = "no key: give --secret-key-file FILE, or set SESSIONGATE_SECRET_KEY"
        raise ConfigurationError(msg)
    if algorithm.startswith("HS"):
        msg = f"algorithm {algorithm} shares a secret: there is no public key to publish"
        raise ConfigurationError(msg)
    public = [key.public_jwk() for key in load_keys(keys, algorithm, strict=True)]
    print_json({"keys": [jwk for at, jwk in enumerate(public) if jwk not in public[:at]]})


def _make(algorithm: str | None) -> str:
    if algorithm is None or algorithm.startswith("HS"):
        if algorithm not in {None, *ALGORITHMS}:
            raise _unknown(algorithm)
        return random_secret()
    if algorithm not in ALGORITHMS:
        raise _unknown(algorithm)
    try:
        from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - an extra
    except ImportError:
        msg = f"algorithm {algorithm} needs cryptography: pip install 'sessiongate[crypto]'"
        raise ConfigurationError(msg) from None
    pem: bytes = _private_key(algorithm).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return pem.decode().rstrip()


def _private_key(algorithm: str) -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa  # noqa: PLC0415 - as above

    makers: dict[str, Callable[[], Any]] = {
        "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "ES384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "ES512": lambda: ec.generate_private_key(ec.SECP521R1()),
        "EdDSA": ed25519.Ed25519PrivateKey.generate,
    }
    return makers.get(algorithm, lambda: rsa.generate_private_key(_RSA_EXPONENT, _RSA_BITS))()


def _unknown(algorithm: str | None) -> ConfigurationError:
    return ConfigurationError(f"algorithm {algorithm}: must be one of {', '.join(ALGORITHMS)}")
