"""Reading tokens: what a codec has verified once need not be verified again.

Remembered is that a token was minted here and what it says: never that it is
valid, which the store and the clock are asked each time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sessiongate.core.recent import remembering
from sessiongate.tokens import LONGEST_TOKEN, Codec, TokenPayload

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Reader"]


class Reader:
    """Turns what a client sent into a ``TokenPayload``. Safe for any number of threads."""

    def __init__(self, codec: Codec) -> None:
        self._verified: Callable[[str], TokenPayload | None] = remembering(codec.verify)

    def __repr__(self) -> str:
        return "<Reader>"

    def read(self, token: object) -> TokenPayload | None:
        """What a token says, or ``None`` for anything that was not minted here.

        One out of its time is read as well: the clock is for the caller to ask.
        """
        if not isinstance(token, str) or len(token) > LONGEST_TOKEN or not token.isascii():
            return None
        return self._verified(token)
