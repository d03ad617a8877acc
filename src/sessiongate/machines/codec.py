"""The format of API tokens: ``sgp_`` id MAC checksum, in 50 letters and digits.

One word, so a double click selects it, and a secret scanner finds it without a key. The checksum
tells a typing error from a token before any key is tried; only the MAC proves anything.
"""

from __future__ import annotations

import hmac
import re
import string
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

from sessiongate.core.row import FOREVER, dates_of
from sessiongate.keys.secret import check_secret, key_list
from sessiongate.tokens import TokenPayload

if TYPE_CHECKING:
    from sessiongate.core.row import Row

PREFIX: Final = "sgp_"
_DIGITS: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_VALUES: Final = {digit: value for value, digit in enumerate(_DIGITS)}
_WIDTH, _CHECKSUM_WIDTH = 22, 6
_BODY_WIDTH: Final = len(PREFIX) + _WIDTH
_FORM: Final = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{2 * _WIDTH + _CHECKSUM_WIDTH}}}")
_BYTES: Final = 16
_KEY_BYTES: Final = 32


class APITokenCodec:
    """Mints and reads API tokens; the first key signs, all verify. They never rotate."""

    time_resolution: int = 1
    states_end: bool = True  # no request extends it
    leeway: int = 0

    def __init__(self, secret_key: object, *, strict: bool) -> None:
        self._keys: list[bytes] = []
        for given in key_list(secret_key):
            secret = check_secret(given, _KEY_BYTES, "an API token", strict=strict)
            # A key of its own for this use: the same secret may sign sessions.
            self._keys.append(hmac.digest(secret, b"sessiongate api token v1", "sha512"))

    def mint(self, row: Row) -> str:
        number = int.from_bytes(urlsafe_b64decode(f"{row.sid}=="))
        body = PREFIX + _base62(number, _WIDTH)
        sealed = body + _seal(self._keys[0], body)
        return sealed + _checksum(sealed)

    def verify(self, token: str) -> TokenPayload | None:
        found = self.examine(token)
        return found if isinstance(found, TokenPayload) else None

    def examine(self, token: str) -> TokenPayload | str:
        payload = unproven(token)
        if isinstance(payload, str):
            return payload
        body, seal = token[:_BODY_WIDTH], token[_BODY_WIDTH:-_CHECKSUM_WIDTH]
        if not any(hmac.compare_digest(_seal(key, body), seal) for key in self._keys):
            return "signature"
        return payload

    def is_foreign(self, token: str) -> bool:
        return self.examine(token) == "signature"

    key = mint

    def parse_key(self, key: object) -> TokenPayload | None:
        return self.verify(key) if isinstance(key, str) else None

    def information(self, row: Row) -> dict[str, Any]:
        information = {"username": row.username, **dates_of(row)}
        return information if row.expires_at < FOREVER else information | {"expires_at": None}


def unproven(token: str) -> TokenPayload | str:
    """What a token says of itself, or one word that says what is wrong: no key is tried."""
    if _FORM.fullmatch(token) is None:
        return "form"
    if _checksum(token[:-_CHECKSUM_WIDTH]) != token[-_CHECKSUM_WIDTH:]:
        return "checksum"
    number = _number(token[len(PREFIX) : _BODY_WIDTH])
    if number >> 8 * _BYTES:
        return "form"  # 22 digits hold a little more than an id of ours
    return TokenPayload(urlsafe_b64encode(number.to_bytes(_BYTES)).rstrip(b"=").decode(), 0)


def _seal(key: bytes, body: str) -> str:
    mac = blake2b(body.encode(), key=key, digest_size=_BYTES)
    return _base62(int.from_bytes(mac.digest()), _WIDTH)


def _checksum(text: str) -> str:
    return _base62(crc32(text.encode()), _CHECKSUM_WIDTH)


def _base62(number: int, width: int) -> str:
    digits = ""
    for _ in range(width):
        number, value = divmod(number, len(_DIGITS))
        digits = _DIGITS[value] + digits
    return digits


def _number(digits: str) -> int:
    number = 0
    for digit in digits:
        number = number * len(_DIGITS) + _VALUES[digit]
    return number
