"""The one reader of credentials, for both stacks, on bytes.

Invariant: whatever bytes come, it finds the values that were sent under our
name, or refuses, or finds nothing; it never raises. Names are compared byte
for byte; nothing is unquoted or decoded; a broken neighbour never hides our
cookie; the cost is linear in the bytes, whatever repeats in them (RFC
6265bis, section 5.8; RFC 6750, section 2.1).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

Transport: TypeAlias = Literal["cookie", "bearer"]
TRANSPORTS: Final = ("cookie", "bearer")

MALFORMED: Final = ""
"""In place of a bearer token: something stands where one belongs, and it is not clear which."""

_MOST_PAIRS: Final = 4096
"""Pairs that mention our name and are looked at; servers' limits let fewer through."""

_MOST_VALUES: Final = 64
"""Values under our name that are kept; a browser holds at most some 180 cookies of a site."""

_LONGEST: Final = 65536
"""Bytes of parameters that are looked at; servers' limits let fewer through."""

_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
_SCHEME: Final = re.compile(_TOKEN + rb"(?: |\Z)")
"""How credentials begin (RFC 9110, section 11.4)."""
_HIDDEN_BEARER: Final = re.compile(rb",[ \t]*bearer(?:[ \t]|\Z)", re.IGNORECASE)
_QUOTED: Final = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)
"""Also one that never ends, so that a flood of quotes is read once."""
_JOINED: Final = re.compile(rb",[ \t]*(?:,|\Z|" + _TOKEN + rb"(?![ \t]*=)(?:[ \t,]|\Z))")
"""A comma and then other credentials, where a parameter would be ``name=value``."""
_BLANK: Final = b" \t"


def read_cookies(name: bytes, fields: Sequence[bytes]) -> list[str]:
    """Each different value under our name, the last one first.

    Empty values count as absent. A browser sends the cookie of the longer path
    first, and of two equal ones the older (RFC 6265bis, section 5.8.3): so the
    last value is the most likely to be the newest.

    Args:
        name: Of our cookie.
        fields: Each ``Cookie`` field as it came. HTTP/2 splits the field.
    """
    field = fields[0] if len(fields) == 1 else b"; ".join(fields)
    start = name + b"="
    values: list[str] = []
    end = len(field)
    for _ in range(_MOST_PAIRS):
        found = field.rfind(start, 0, end)
        if found < 0:
            break
        begin = field.rfind(b";", 0, found)
        stop = field.find(b";", found, end)
        pair = field[begin + 1 : stop if stop >= 0 else end].lstrip(_BLANK)
        if pair.startswith(start):
            value = pair[len(start) :].strip(_BLANK).decode("latin-1")
            if value and value not in values:
                values.append(value)
                if len(values) == _MOST_VALUES:
                    break
        if begin < 0:
            break
        end = begin
    return values


def read_bearer(fields: Sequence[bytes]) -> str | None:
    """The bearer token; ``None`` if there is none, ``MALFORMED`` if it is not clear which.

    Args:
        fields: Each ``Authorization`` field as it came. WSGI servers join
            repeated ones with a comma, so both stacks read the same bytes.
    """
    if not fields:
        return None
    value = b",".join(fields).strip(_BLANK)
    if not _SCHEME.match(value):
        return MALFORMED
    scheme, _, token = value.partition(b" ")
    if scheme.lower() != b"bearer":
        return MALFORMED if _is_joined(value) else None
    token = token.lstrip(b" ")
    if not token or token.find(b" ") >= 0 or token.find(b"\t") >= 0 or token.find(b",") >= 0:
        return MALFORMED
    return token.decode("latin-1")


def _is_joined(value: bytes) -> bool:
    """Whether this was more than one field: credentials, a comma, and others."""
    if b"," not in value:
        return False
    if len(value) > _LONGEST or _HIDDEN_BEARER.search(value):
        return True
    return _JOINED.search(_QUOTED.sub(b'""', value)) is not None
