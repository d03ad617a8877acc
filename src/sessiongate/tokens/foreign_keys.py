"""Tokens that another key has signed: processes that do not share a key, or one that was changed.

Without a word in the log, such users are anonymous on some requests, and nobody knows why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sessiongate.core.throttle import Throttle
from sessiongate.tokens import LONGEST_TOKEN, Codec

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ForeignKeys"]


class ForeignKeys:
    """Notices, once a minute, a token of our form under another key; never mere garbage.

    Args:
        codec: The token format, with our keys.
        notify: Called when one was noticed.
    """

    def __init__(self, codec: Codec, notify: Callable[[], object]) -> None:
        self._codec = codec
        self._notify = notify
        self._throttle = Throttle()

    def __repr__(self) -> str:
        return "<ForeignKeys>"

    def look_at(self, token: object, now: int) -> None:
        """Look at a token that is not ours. In a flood this is a comparison of two numbers."""
        if (
            not self._throttle.is_closed(now)
            and isinstance(token, str)
            and len(token) <= LONGEST_TOKEN
            and self._codec.is_foreign(token)
            and self._throttle.passes(now)
        ):
            self._notify()
