"""Keys: which texts may be a secret, and for which algorithm.

RFC 7518, sections 3.2 to 3.5, gives the sizes; RFC 8725, section 2.1, the confusion of public keys
with secrets that is refused here at construction.
"""

from __future__ import annotations

import hmac
import re
import secrets
from base64 import b64decode
from typing import Final, NoReturn

from sessiongate.errors import ConfigurationError, WeakKeyWarning
from sessiongate.reports.warnings import warn

MAKE_ONE: Final = 'python -c "import secrets; print(secrets.token_urlsafe(64))"'

_LENGTH: Final = rb"(?:[\0-\x7f]|\x81.|\x82..)"
"""As DER writes it, up to 65,535."""
_PUBLIC: Final = {
    # RFC 7468, and RFC 4716.
    "a PEM key or certificate": re.compile(rb"-----BEGIN |---- BEGIN "),
    # A line of ``authorized_keys`` or ``known_hosts``.
    "an SSH key": re.compile(rb"(?<![\w-])(?:sk-)?(?:ssh|ecdsa)-[\w@.-]{1,64}\s+AAAA"),
    # Alone, in a set or in a list; as JSON, or as Python prints a ``dict``.
    "a JWK": re.compile(rb"""["'](?:kty["']\s*:|keys["']\s*:\s*\[)"""),
    # SPKI and X.509 are a SEQUENCE in a SEQUENCE; PKCS#8, SEC 1 and PKCS#1 begin with a version or
    # a modulus. Each has a byte here that no text has.
    "a DER key or certificate": re.compile(
        rb"\A(?:\xef\xbb\xbf|\s)*\x30" + _LENGTH + rb"(?:\x30" + _LENGTH + rb"[\x02\x06\xa0]"
        rb"|\x02\x01[\0-\x03]|\x02" + _LENGTH + rb"\0)",
        re.DOTALL,
    ),
}
_URL_SAFE: Final = bytes.maketrans(b"-_", b"+/")


def random_secret() -> str:
    """A key of 512 bits, from the system's CSPRNG."""
    return secrets.token_urlsafe(64)


def refuse(problem: str, argument: str = "secret_key") -> NoReturn:
    """Say what is wrong with a key."""
    msg = f"{argument} {problem}"
    raise ConfigurationError(msg) from None


def key_list(keys: object, make_one: str = MAKE_ONE, argument: str = "secret_key") -> list[object]:
    """One key or a list of them: the first signs, all verify."""
    found: list[object] = list(keys) if isinstance(keys, (list, tuple)) else [keys]  # pyright: ignore[reportUnknownArgumentType]
    if not found:
        refuse(f"must hold at least one key; make one with: {make_one}", argument)
    return found


def check_secret(key: object, least: int = 0, use: str = "", *, strict: bool = False) -> bytes:
    """The bytes of a symmetric key, unless it is empty or really a public one.

    Of one that is shorter than its ``use`` asks for (RFC 7518, section 3.2) it warns, or refuses
    it if ``strict``.
    """
    if not isinstance(key, (str, bytes)):
        msg = f"secret_key must be str or bytes (or a list of them), not {type(key).__name__}"
        raise TypeError(msg)
    try:
        secret = key.encode() if isinstance(key, str) else key
    except UnicodeEncodeError:
        refuse("must not contain lone surrogates")
    if not secret.strip():
        refuse(f"must not be empty; make one with: {MAKE_ONE}")
    for content in (secret, _unwrapped(secret)):
        for kind, pattern in _PUBLIC.items():
            if pattern.search(content):
                refuse(
                    f"looks like {kind}: public material must never be a shared secret. Use an "
                    f"asymmetric algorithm with it, or make a secret with: {MAKE_ONE}"
                )
    if len(secret) < least:
        problem = (
            f"has {len(secret)} bytes, {use} asks for {least} or more; make one with: {MAKE_ONE}"
        )
        if strict:
            refuse(problem)
        warn(f"secret_key {problem}", WeakKeyWarning)
    return secret


def derived(keys: object, use: bytes) -> list[bytes]:
    """A key of its own for each of these and one use: it says nothing of the key, nor of others."""
    return [hmac.digest(check_secret(key), use, "sha512") for key in key_list(keys)]


def _unwrapped(secret: bytes) -> bytes:
    """What a base64 text holds, ``b""`` for what is none; lines and padding do not matter."""
    try:
        return b64decode(secret.translate(_URL_SAFE) + b"==")
    except ValueError:
        return b""
