"""Keys: which texts may be a secret, and for which algorithm.

RFC 7518, sections 3.2 to 3.5, gives the sizes; RFC 8725, section 2.1, the
confusion of public keys with secrets that is refused here at construction.
"""

from __future__ import annotations

import re
import secrets
from base64 import b64decode
from typing import TYPE_CHECKING, Final, TypeAlias

from sessiongate.core.warning import warn
from sessiongate.errors import ConfigurationError, WeakKeyWarning

if TYPE_CHECKING:
    from collections.abc import Iterator

SecretKey: TypeAlias = str | bytes
"""Text is used as its UTF-8 bytes."""

MAKE_ONE: Final = 'python -c "import secrets; print(secrets.token_urlsafe(64))"'

_SSH_NAMES: Final = (b"ssh-", b"ecdsa-sha2-", b"sk-ssh-", b"sk-ecdsa-")
_SSH_LINE: Final = re.compile(rb"\s(?:sk-)?(?:ssh|ecdsa)-[\w@.-]{1,64}\s+AAAA")
_JWK: Final = re.compile(rb"""["'](?:kty["']\s*:|keys["']\s*:\s*\[)""")
_SEQUENCE: Final = b"\x30"
_FIRST: Final = (b"\x02", b"\x06", _SEQUENCE)
"""What such a SEQUENCE begins with: a version, an identifier, or another SEQUENCE."""
_LONG_FORM: Final = 0x80
_NO_TEXT: Final = bytes({*range(256)} - {*range(0x21, 0x7F)})
"""White space and what byte order marks are made of, however they were misread."""
_URL_SAFE: Final = bytes.maketrans(b"-_", b"+/")


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
    kind = _public_kind(secret)
    if kind is not None:
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
    warn(msg, WeakKeyWarning)


def _public_kind(secret: bytes) -> str | None:
    """What a value really is, if it is no secret but a key that may be public."""
    for encoding in _encodings(secret):
        for looks_like, kind in (
            (_is_pem, "a PEM key or certificate"),
            (_is_ssh, "an SSH key"),
            (_is_der, "a DER key or certificate"),
            (_is_jwk, "a JWK"),
        ):
            if looks_like(encoding):
                return kind
    return None


def _encodings(secret: bytes) -> Iterator[bytes]:
    """The value, and what it may be an encoding of: UTF-16, text made of bytes, base64."""
    for text in (secret, _octets(secret)):
        for plain in (text, text.replace(b"\0", b"")):
            bare = plain.lstrip(_NO_TEXT)
            yield bare
            yield _unwrapped(bare)


def _octets(secret: bytes) -> bytes:
    """The bytes of a text that was made of bytes, one character for each."""
    try:
        return secret.decode().encode("latin-1")
    except UnicodeError:
        return secret


def _unwrapped(secret: bytes) -> bytes:
    """What a base64 text holds, ``b""`` for what is none; lines and padding do not matter."""
    text = b"".join(secret.split()).rstrip(b"=").translate(_URL_SAFE)
    try:
        return b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except ValueError:
        return b""


def _is_pem(secret: bytes) -> bool:
    return b"-----BEGIN " in secret or b"---- BEGIN " in secret  # RFC 7468, RFC 4716


def _is_ssh(secret: bytes) -> bool:
    """A line of ``authorized_keys``, with options or without, or the blob in it alone."""
    blob = secret[:3] == b"\0\0\0" and secret[4:].startswith(_SSH_NAMES)
    return blob or secret.startswith(_SSH_NAMES) or _SSH_LINE.search(secret) is not None


def _is_jwk(secret: bytes) -> bool:
    """Alone, in a set or in a list; as JSON, or as Python prints a ``dict``."""
    return _JWK.search(secret) is not None


def _is_der(secret: bytes) -> bool:
    """One ASN.1 SEQUENCE that fills the value, of values that fill it.

    SPKI, PKCS#1, PKCS#8, SEC 1 and X.509 all are; no printable text is one, though a
    secret may well begin with the ``0`` that is the tag of a SEQUENCE, and end in a newline.
    """
    if secret.isascii() and b"".join(secret.split()).decode().isprintable():
        return False
    begin, end = _value(secret, 0)
    # The last byte may look like white space: it is only what follows that may be some.
    if secret[:1] != _SEQUENCE or not begin < end <= len(secret) or secret[end:].strip():
        return False
    if secret[begin : begin + 1] not in _FIRST:
        return False
    while begin < end:
        begin = _value(secret, begin)[1]
    return begin == end


def _value(der: bytes, at: int) -> tuple[int, int]:
    """Where the content of the value at this place begins and ends, however far that is."""
    length = int.from_bytes(der[at + 1 : at + 2])
    begin = at + 2
    if length & _LONG_FORM:
        size = length & ~_LONG_FORM
        length = int.from_bytes(der[begin : begin + size])
        begin += size
    return begin, begin + length
