"""The header fields of the protocol and its one JSON document, as browsers read and write them.

A browser writes its proof without quotes, where the draft has a structured string (RFC 8941,
section 3.3.3), and older browsers use an older draft's names: each form is read, one is written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias
from urllib.parse import quote

Find: TypeAlias = Callable[[bytes], Sequence[bytes]]
"""All values of a header field, by its name in small letters."""
Field: TypeAlias = tuple[str, str]

MALFORMED: Final = ""
"""In place of a value: something came, and it is not clear what is meant."""

_PROOF: Final = (b"secure-session-response", b"sec-session-response")
_IDENTIFIER: Final = (b"sec-secure-session-id", b"sec-session-id")
_STRING: Final = re.compile(rb'(?P<quote>"?)([A-Za-z0-9._~-]{1,4096})(?P=quote)')
_IN_PATH: Final = "/!$&'()*+,:=@~"
"""What stays in a path, besides letters, digits and ``-._``; a quote or a backslash does not."""


def read_proof(find: Find) -> str | None:
    """The proof that came; ``None`` for none, ``MALFORMED`` for more than one."""
    return _one(find, _PROOF)


def read_identifier(find: Find) -> str | None:
    """How the browser names the session; likewise."""
    return _one(find, _IDENTIFIER)


def _one(find: Find, names: Sequence[bytes]) -> str | None:
    values = [value for name in names for value in find(name)]
    if not values:
        return None
    found = _STRING.fullmatch(values[0].strip(b" \t")) if len(values) == 1 else None
    return MALFORMED if found is None else found[2].decode()


def registration(path: str, challenge: str, algorithm: str) -> Field:
    """Ask the browser to make a key, and to register it at a path of this origin."""
    value = f'({algorithm});path="{quote(path, safe=_IN_PATH)}";challenge="{challenge}"'
    return "Secure-Session-Registration", value


def next_challenge(challenge: str, identifier: str) -> Field:
    """What the next proof is to answer."""
    return "Secure-Session-Challenge", f'"{challenge}";id="{identifier}"'


def instructions(identifier: str, refresh_path: str, cookie: str, attributes: str) -> str:
    """What the browser is to do from now on: renew this cookie, at this path.

    All sites may start it, or a link from elsewhere would arrive without the cookie.
    """
    return json.dumps(
        {
            "session_identifier": identifier,
            "refresh_url": quote(refresh_path, safe=_IN_PATH),
            "scope": {"include_site": False},
            "credentials": [{"type": "cookie", "name": cookie, "attributes": attributes}],
            "allowed_refresh_initiators": ["*"],
        }
    )


def forget(identifier: str) -> str:
    """Tell the browser that the session is over: it forgets the key, and asks no more."""
    return json.dumps({"session_identifier": identifier, "continue": False})
