"""Reading tokens: what a codec has verified once need not be verified again.

Remembered is that a token was minted here and what it says: never that it is
valid, which the store and the clock are asked each time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sessiongate.tokens import LONGEST_TOKEN, Codec, Ticket

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Reader"]

_REMEMBERED: Final = 2048
"""Tokens, and as many older ones: what a busy process sees, in a few megabytes at the most."""


class Reader:
    """Turns what a client sent into a ``Ticket``. Safe for any number of threads."""

    def __init__(self, codec: Codec) -> None:
        self._verify: Callable[[str], Ticket | None] = codec.verify
        self._leeway = codec.leeway
        self._known: dict[str, Ticket] = {}
        self._older: dict[str, Ticket] = {}

    def __repr__(self) -> str:
        return "<Reader>"

    def read(self, token: object, now: int) -> Ticket | None:
        """What a token says, or ``None`` for anything that was not minted here.

        One that has expired is still read: only the store can see to it that a
        clock set back does not revive the session. One from the future is not
        (RFC 8725, section 2.1).
        """
        if not isinstance(token, str) or len(token) > LONGEST_TOKEN:
            return None
        ticket = self._known.get(token)
        if ticket is None:
            ticket = self._older.get(token) or (self._verify(token) if token.isascii() else None)
            if ticket is None:
                return None
            self._remember(token, ticket)
        return ticket if ticket.issued_at <= now + self._leeway else None

    def _remember(self, token: str, ticket: Ticket) -> None:
        # Nothing is looked through: without a GIL, others write meanwhile.
        if len(self._known) >= _REMEMBERED:
            self._older, self._known = self._known, {}
        self._known[token] = ticket
