"""The words of others, without what is secret in them."""

from __future__ import annotations

import re
from typing import Final

_READ: Final = 4000
_KEPT: Final = 300
"""Characters."""
_REMOVED: Final = "…"
_CREDENTIALS: Final = re.compile(
    # The whole word goes: an id may look like one of these from its middle on.
    r"(?<![\w-])(?:[\w-]*-)?sgp?_[\w.~+/=-]{16,}"  # a token of ours
    # A JWT, signed or encrypted; that a dot follows is asked once.
    r"|(?<![\w-])(?=[\w-]*+\.)(?:[\w-]*-)?eyJ[\w-]*(?:\.[\w-]*){1,4}"
    r"|(?<=://)\S*(?=@)"  # a user and a password in a URL
    r"|(?:(?<=\bpassword=)|(?<=\bpasswd=)|(?<=\bpwd=)|(?<=\bsecret=)|(?<=\btoken=))"
    r"""(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^\s&,;)]+)"""
    r"|(?<![0-9A-Fa-f])[0-9A-Fa-f]{32,}(?![0-9A-Fa-f])",  # a digest
    re.IGNORECASE | re.ASCII,
)
_ID_LIKE: Final = re.compile(r"(?<![\w-])(?=[\w-]*[a-z])(?=[\w-]*[A-Z])[\w-]{22,}", re.ASCII)
"""The id of a session is random letters of both cases, digits, ``-`` and ``_``."""
_CLASS_NAME: Final = re.compile(r"[A-Z][A-Za-z]+")
_FEW: Final = 4
"""One letter in as many, at most, is a capital in a name that a person chose."""


def scrubbed(text: str) -> str:
    """The text of a driver's error, safe to log: one line, at most 300 characters, no credentials.

    Drivers quote a URL with its password, or a key that holds a session's id. The stores remove
    these; this is the second net. ``…`` stands in place of what may be secret.
    """
    if len(text) > _READ:
        text = text[:_READ].rpartition(" ")[0]  # half a secret would not be known as one
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    line = _ID_LIKE.sub(_unless_a_class, _CREDENTIALS.sub(_REMOVED, line))
    return line if len(line) <= _KEPT else f"{line[: _KEPT - 1]}…"


def _unless_a_class(found: re.Match[str]) -> str:
    """Such as ``AuthenticationWrongNumberOfArgsError``, which is no id."""
    word = found[0]
    capitals = sum(map(str.isupper, word))
    chosen = _CLASS_NAME.fullmatch(word) is not None and capitals * _FEW <= len(word)
    return word if chosen else _REMOVED
