"""What must not stand on a command line, where every user of the machine can read it."""

from __future__ import annotations

import os
import sys
from getpass import getpass
from pathlib import Path
from typing import Annotated, Final

import typer

from sessiongate.cli._output import note

__all__ = ["STDIN", "KeyFiles", "read_keys", "read_token"]

STDIN: Final = "-"
_ENOUGH: Final = 65_536
"""Bytes: far more than any token has."""
_VARIABLE: Final = "SESSIONGATE_SECRET_KEY"

KeyFiles = Annotated[
    list[str] | None,
    typer.Option(
        "--secret-key-file",
        metavar="FILE",
        help="A file with a key, - for stdin; may be repeated. "
        f"Otherwise the key is taken from ${_VARIABLE}.",
    ),
]


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
