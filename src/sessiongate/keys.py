"""Keys: which texts may be a secret, and for which algorithm.

RFC 7518, sections 3.2 to 3.5, gives the sizes; RFC 8725, section 2.1, the
confusion of public keys with secrets that is refused here at construction.
"""

from __future__ import annotations

import inspect
import json
import secrets
import warnings
from typing import Final, TypeAlias

from sessiongate.errors import ConfigurationError, WeakKeyWarning

__all__ = ["MAKE_ONE", "SecretKey", "check_secret", "check_strength", "key_list", "random_secret"]

SecretKey: TypeAlias = str | bytes
"""Text is used as its UTF-8 bytes."""

MAKE_ONE: Final = 'python -c "import secrets; print(secrets.token_urlsafe(64))"'

_PACKAGE: Final = "sessiongate."
_SSH_NAMES: Final = (b"ssh-", b"ecdsa-sha2-", b"sk-ssh-", b"sk-ecdsa-")
_SMALLEST_DER: Final = 16
_INTEGER: Final = 0x02
_SEQUENCE: Final = 0x30
_LONG_FORM: Final = 0x80
_JWK: Final = ("kty", "keys")
_NO_TEXT: Final = bytes({*range(256)} - {*range(0x21, 0x7F)})
"""White space and what byte order marks are made of, however they were misread."""


def random_secret() -> str:
    """A key of 512 bits, from the system's CSPRNG."""
    return secrets.token_urlsafe(64)


def key_list(secret_key: object) -> list[object]:
    """One key or a list of them: the first signs, all verify."""
    keys = list(secret_key) if isinstance(secret_key, (list, tuple)) else [secret_key]
    if not keys:
        msg = f"secret_key must hold at least one key; make one with: {MAKE_ONE}"
        raise ConfigurationError(msg)
    return keys


def check_secret(key: object) -> bytes:
    """The bytes of a symmetric key, unless it is empty or really a public one."""
    if not isinstance(key, (str, bytes)):
        msg = f"secret_key must be str or bytes (or a list of them), not {type(key).__name__}"
        raise TypeError(msg)
    try:
        secret = key.encode() if isinstance(key, str) else key
    except UnicodeEncodeError:
        msg = "secret_key must not contain lone surrogates"
        raise ConfigurationError(msg) from None
    if not secret.strip():
        msg = f"secret_key must not be empty; make one with: {MAKE_ONE}"
        raise ConfigurationError(msg)
    for looks_like, kind in (
        (_is_pem, "a PEM key or certificate"),
        (_is_ssh, "an SSH key"),
        (_is_der, "a DER key or certificate"),
        (_is_jwk, "a JWK"),
    ):
        if looks_like(secret) or looks_like(_octets(secret)):
            msg = (
                f"secret_key looks like {kind}: public material must never be a shared secret. "
                f"Use an asymmetric algorithm with it, or make a secret with: {MAKE_ONE}"
            )
            raise ConfigurationError(msg)
    return secret


def check_strength(secret: bytes, least: int, algorithm: str, *, strict: bool) -> None:
    """Warn of a key that is too short, or refuse it (RFC 7518, section 3.2)."""
    if len(secret) >= least:
        return
    msg = (
        f"secret_key has {len(secret)} bytes, {algorithm} asks for {least} or more; "
        f"make one with: {MAKE_ONE}"
    )
    if strict:
        raise ConfigurationError(msg)
    warnings.warn(msg, WeakKeyWarning, stacklevel=_callers_level())


def _callers_level() -> int:
    """The ``stacklevel`` at which the package was called: the line that can mend the key."""
    level, frame = 0, inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").startswith(_PACKAGE):
        level, frame = level + 1, frame.f_back
    return level


def _plain(secret: bytes) -> bytes:
    """Without what may stand around a text, and the NULs of UTF-16."""
    return secret.replace(b"\0", b"").strip(_NO_TEXT)


def _is_pem(secret: bytes) -> bool:
    return b"-----BEGIN " in secret.replace(b"\0", b"") or _plain(secret).startswith(b"---- BEGIN ")


def _is_ssh(secret: bytes) -> bool:
    return _plain(secret).startswith(_SSH_NAMES)


def _is_der(secret: bytes) -> bool:
    """One ASN.1 SEQUENCE that fills the value: SPKI, PKCS#1, PKCS#8 and X.509 all are.

    No printable text is one, though a secret may well begin with the ``0``
    that is the tag of a SEQUENCE.
    """
    text = secret.strip()
    if text.isascii() and text.decode().isprintable():
        return False
    return _is_one_sequence(secret.lstrip(_NO_TEXT))


def _octets(secret: bytes) -> bytes:
    """The bytes of a text that was made of bytes, one character for each: a file misread."""
    try:
        return secret.decode().encode("latin-1")
    except UnicodeError:
        return secret


def _is_one_sequence(der: bytes) -> bool:
    if len(der) < _SMALLEST_DER or der[0] != _SEQUENCE:
        return False
    size = der[1] & ~_LONG_FORM if der[1] & _LONG_FORM else 0
    length = int.from_bytes(der[2 : 2 + size]) if size else der[1]
    inner = der[2 + size : 3 + size]
    # The last byte may look like white space: it is only what follows that may be some.
    rest = len(der) - (2 + size + length)
    fits = rest >= 0 and not der[len(der) - rest :].strip()
    return fits and inner in {bytes([_INTEGER]), bytes([_SEQUENCE])}


def _is_jwk(secret: bytes) -> bool:
    text = _plain(secret)
    if text[:1] not in {b"{", b"["}:
        return False
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return b'"kty"' in text
    members = found if isinstance(found, list) else [found]
    return any(isinstance(one, dict) and not one.keys().isdisjoint(_JWK) for one in members)
