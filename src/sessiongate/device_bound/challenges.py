"""Challenges: signed by us, kept nowhere.

``SID.GENERATION.SECONDS.MAC``. Each proof makes a new generation, and only a challenge of the
current one counts: so a proof works once, without a list of those that came.
"""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

from sessiongate.core.row import SECOND
from sessiongate.tokens import GENERATION

if TYPE_CHECKING:
    from collections.abc import Sequence

Purpose: TypeAlias = Literal["bind", "refresh", "retry"]
"""A challenge for the one is none for the other. That of a ``"refresh"`` comes with a token; that
of a ``"retry"`` alone, to a browser that may not have got the token before."""

_MAC_BYTES: Final = 16
_FORM: Final = re.compile(
    rf"([A-Za-z0-9_-]{{22}})\.({GENERATION})\.([0-9]{{1,12}})\.([A-Za-z0-9_-]{{22}})", re.ASCII
)


class Challenged(NamedTuple):
    """What a challenge of ours says."""

    sid: str
    generation: int


class Challenges:
    """Makes and reads challenges; the first key signs, all verify. Pure; safe for threads.

    ``valid_for`` in microseconds.
    """

    def __init__(self, keys: Sequence[bytes], *, valid_for: int) -> None:
        self._keys = keys
        self._valid_for = valid_for

    def issue(self, purpose: Purpose, sid: str, generation: int, now: int) -> str:
        """A challenge for the next proof of a session."""
        body = f"{sid}.{generation}.{now // SECOND}"
        return f"{body}.{_seal(self._keys[0], purpose, body)}"

    def read(self, purpose: Purpose, text: str, now: int) -> Challenged | None:
        """What a challenge says; ``None`` for one that is too old or not of ours."""
        found = _FORM.fullmatch(text)
        if found is None:
            return None
        body, _, mac = text.rpartition(".")
        if not any(hmac.compare_digest(_seal(key, purpose, body), mac) for key in self._keys):
            return None
        sid, generation, issued_at, _ = found.groups()
        if now - int(issued_at) * SECOND >= self._valid_for:
            return None
        return Challenged(sid, int(generation))


def _seal(key: bytes, purpose: Purpose, body: str) -> str:
    mac = hmac.digest(key, f"{purpose} {body}".encode(), "sha256")[:_MAC_BYTES]
    return urlsafe_b64encode(mac).rstrip(b"=").decode()
