"""The one reader of credentials, for both stacks, on bytes.

Invariant: whatever bytes come, it finds exactly our token, or refuses, or
finds nothing; it never raises. Names are compared byte for byte; nothing is
unquoted or decoded; a broken neighbour never hides our cookie; and hostile
sizes cost no more than a scan (RFC 6265bis, section 5.8; RFC 6750, section 2.1).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["AMBIGUOUS", "NOTHING", "Credentials", "read_credentials"]

_MANY: Final = 4096
"""Times our cookie's name may stand in the cookies; servers' limits let fewer through."""

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


Credentials: TypeAlias = tuple[str | None, str | None]
"""What a request brought, as text that is not judged yet: of the cookie, and of the bearer."""

NOTHING: Final[Credentials] = (None, None)
AMBIGUOUS: Final[Credentials] = ("", "")
"""Something stands where a credential belongs, and it is not clear which."""


def read_credentials(
    name: bytes, cookies: Sequence[bytes], authorizations: Sequence[bytes]
) -> Credentials:
    """Read the fields of a request: ``Cookie`` and ``Authorization``, each as often as it came."""
    bearer = None
    if authorizations:
        # WSGI servers join repeated fields with a comma; so both stacks judge the same bytes.
        bearer = _bearer(b",".join(authorizations).strip(_BLANK))
        if bearer == "":
            return AMBIGUOUS
    cookie = _cookie(name, cookies)
    if cookie is None:
        return NOTHING if bearer is None else (None, bearer)
    if cookie == b"":
        return AMBIGUOUS
    return cookie.decode("latin-1"), bearer


def _cookie(name: bytes, fields: Sequence[bytes]) -> bytes | None:
    """The one value under our name; ``None`` if there is none, ``b""`` if it is not clear which.

    Empty values count as absent.
    """
    # HTTP/2 splits the field; WSGI servers have put it together again.
    field = fields[0] if len(fields) == 1 else b"; ".join(fields)
    start = name + b"="
    pieces = field.split(start, _MANY)
    count = len(pieces)
    if count > _MANY:
        return b""
    found = None
    for at in range(1, count):
        # A pair begins after nothing but blanks, back to a semicolon or the start.
        before = pieces[at - 1].rstrip(_BLANK)
        if before.endswith(b";") or (at == 1 and not before):
            value, ended, _ = pieces[at].partition(b";")
            if not ended and at + 1 < count:  # it runs on to the next semicolon, whatever is in it
                value = start.join(pieces[at:]).partition(b";")[0]
            value = value.strip(_BLANK)
            if value and value != found:
                if found is not None:
                    return b""
                found = value
    return found


def _bearer(value: bytes) -> str | None:
    """The bearer token; ``None`` if the scheme is another, ``""`` if it is malformed."""
    if not _SCHEME.match(value):
        return ""
    scheme, _, token = value.partition(b" ")
    if scheme.lower() != b"bearer":
        return "" if _is_joined(value) else None
    token = token.lstrip(b" ")
    if not token or token.find(b" ") >= 0 or token.find(b"\t") >= 0 or token.find(b",") >= 0:
        return ""
    return token.decode("latin-1")


def _is_joined(value: bytes) -> bool:
    """Whether this was more than one field: credentials, a comma, and others."""
    if b"," not in value:
        return False
    if len(value) > _LONGEST or _HIDDEN_BEARER.search(value):
        return True
    return _JOINED.search(_QUOTED.sub(b'""', value)) is not None
