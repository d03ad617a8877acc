"""``sessiongate keygen`` and ``jwks``, and how keys and tokens come in.

A secret must not stand on a command line, where every user of the machine can read it.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from sessiongate.cli._output import note, print_json
from sessiongate.cli._store import checked
from sessiongate.core.arguments import check_choice
from sessiongate.errors import ConfigurationError
from sessiongate.keys.jwt import ALGORITHMS, jwks_of, load_keys
from sessiongate.keys.secret import random_secret

if TYPE_CHECKING:
    from collections.abc import Callable

STDIN: Final = "-"
_ENOUGH: Final = 65_536
"""Bytes: far more than any token has."""
_VARIABLE: Final = "SESSIONGATE_SECRET_KEY"
_RSA_BITS: Final = 3072
"""As strong as a symmetric key of 128 bits (NIST SP 800-57 part 1, table 2)."""
_RSA_EXPONENT: Final = 65537

KeyFiles = Annotated[
    list[str] | None,
    typer.Option(
        "--secret-key-file",
        metavar="FILE",
        help="A file with a key, - for stdin; may be repeated. "
        f"Otherwise the key is taken from ${_VARIABLE}.",
    ),
]


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
    pair = checked(check_choice, algorithm, "algorithm", ALGORITHMS)
    key = random_secret() if pair is None or pair.startswith("HS") else _private_key(pair)
    if output is None:
        typer.echo(key)
        return
    try:
        private = partial(os.open, mode=0o600)
        with open(output, "x", encoding="ascii", opener=private) as file:
            file.write(key)
    except OSError as error:
        msg = f"--output: cannot make {output}: {error.strerror}"
        raise typer.BadParameter(msg) from None
    note(f"Wrote {output}, for your eyes only (mode 0600).")


def jwks(
    *,
    algorithm: Annotated[str, typer.Option(help="RS256 …, PS256 …, ES256 …, EdDSA.")],
    secret_key_file: KeyFiles = None,
) -> None:
    """Print the public keys as a JWK Set.

    For services that verify tokens themselves (RFC 7517).
    """
    keys = required_keys(secret_key_file)
    if algorithm.startswith("HS"):
        msg = f"algorithm {algorithm} shares a secret: there is no public key to publish"
        raise ConfigurationError(msg)
    print_json(jwks_of(load_keys(keys, algorithm, strict=True)))


def read_keys(files: list[str] | None) -> list[bytes | str]:
    """The keys that were given, none if there are none.

    Of a file with a line break at its end it is not to be known whether the app
    reads it with or without: both are tried.
    """
    if not files:
        key = os.environ.get(_VARIABLE)
        return [key] if key else []
    texts = [_read(file) for file in files]
    return list(dict.fromkeys(form for text in texts for form in (text.rstrip(b"\r\n"), text)))


def required_keys(files: list[str] | None) -> list[bytes | str]:
    """``read_keys``, where there must be one."""
    keys = read_keys(files)
    if not keys:
        msg = f"no key: give --secret-key-file FILE, or set {_VARIABLE}"
        raise ConfigurationError(msg)
    return keys


def read_token(token: str) -> str:
    """The token itself, or from stdin; unseen if somebody types it."""
    if token != STDIN:
        note(
            "Note: an argument is visible to other users and stays in the shell's history; "
            "pass - and give the token on stdin."
        )
        return token.strip()
    if sys.stdin.isatty():
        return getpass("Token (not shown): ", sys.stderr).strip()
    return sys.stdin.buffer.read(_ENOUGH).decode(errors="replace").strip()


def _read(file: str) -> bytes:
    if file == STDIN:
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        msg = f"--secret-key-file: cannot read {file}: {error.strerror}"
        raise typer.BadParameter(msg) from None


def _private_key(algorithm: str) -> str:
    try:
        from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - an extra
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa  # noqa: PLC0415
    except ImportError:
        msg = f"algorithm {algorithm} needs cryptography: pip install 'sessiongate[crypto]'"
        raise ConfigurationError(msg) from None
    makers: dict[str, Callable[[], Any]] = {
        "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "ES384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "ES512": lambda: ec.generate_private_key(ec.SECP521R1()),
        "EdDSA": ed25519.Ed25519PrivateKey.generate,
    }
    make = makers.get(algorithm, lambda: rsa.generate_private_key(_RSA_EXPONENT, _RSA_BITS))
    pem: bytes = make().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return pem.decode().rstrip()
