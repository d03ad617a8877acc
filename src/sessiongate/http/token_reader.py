"""The ticket that the credentials of a request come down to; no store is asked.

Remembered is what a field says, for it says the same each time: never that the
session is live, which is asked on every request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from sessiongate.core.recent import Recent
from sessiongate.http.credentials import AMBIGUOUS, NOTHING, read_credentials
from sessiongate.tokens import TokenPayload

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sessiongate.http.cookies import SessionCookie

__all__ = ["CONTRADICTION", "TRANSPORTS", "PresentedToken", "TokenReader", "Transport"]

Transport = Literal["cookie", "bearer"]
TRANSPORTS: Final = ("cookie", "bearer")

PresentedToken: TypeAlias = tuple[Transport, TokenPayload | None, int, bool]
"""How the token came; what it says, ``None`` if it was not minted here by now; the generation that
the client is to get past; and whether there is a cookie that a response should know of. A plain
tuple, the quickest to take apart.
"""

CONTRADICTION: Final[PresentedToken] = "bearer", None, -1, False
"""It is not clear who the request speaks for. No other result has that generation."""

_LONGEST: Final = 2048
"""Bytes of a field that is remembered: more than most send."""


class TokenReader:
    """Reads the fields of one middleware's requests. Safe for any number of threads.

    Args:
        cookie: The session cookie.
        read: What a token says, by the clock.
    """

    def __init__(
        self, cookie: SessionCookie, read: Callable[[str, int], TokenPayload | None]
    ) -> None:
        self._name = cookie.name.encode()
        self._longest = cookie.longest_kept
        self._read = read
        self._by_cookie: Recent[bytes, PresentedToken] = Recent()
        self._by_bearer: Recent[bytes, PresentedToken] = Recent()

    def __repr__(self) -> str:
        return "<TokenReader>"

    def read(
        self, cookies: Sequence[bytes], authorizations: Sequence[bytes], now: int
    ) -> PresentedToken | None:
        """What the fields ``Cookie`` and ``Authorization`` come down to; ``None``: nothing."""
        if len(cookies) + len(authorizations) != 1:
            return self._weigh(cookies, authorizations, now)
        if cookies:
            recent, field = self._by_cookie, cookies[0]
        else:
            recent, field = self._by_bearer, authorizations[0]
        known = recent.get(field)
        if known is not None and known[1] is not None and known[1].valid_from <= now:
            return known
        presented = self._weigh(cookies, authorizations, now)
        if presented is not None and presented[1] is not None and len(field) <= _LONGEST:
            recent.keep(field, presented)
        return presented

    def _weigh(
        self, cookies: Sequence[bytes], authorizations: Sequence[bytes], now: int
    ) -> PresentedToken | None:
        brought = read_credentials(self._name, cookies, authorizations)
        if brought is NOTHING:
            return None
        if brought is AMBIGUOUS:
            return CONTRADICTION
        by_cookie, by_bearer = brought
        cookie = None
        if by_cookie is not None and len(by_cookie) <= self._longest:
            cookie = self._read(by_cookie, now)
        if by_bearer is None:
            return "cookie", cookie, 0 if cookie is None else cookie.generation, True
        bearer = self._read(by_bearer, now)
        if bearer is None or cookie is None:
            generation = 0 if bearer is None else bearer.generation
            return "bearer", bearer, generation, cookie is not None
        if cookie.sid != bearer.sid:
            return CONTRADICTION
        # One of them may have been renewed without the other: that one counts.
        older, newer = sorted((cookie, bearer), key=_generation)
        return "bearer", newer, older.generation, True


def _generation(ticket: TokenPayload) -> int:
    return ticket.generation
