"""What the credentials of a request mean; no store is asked."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

from sessiongate.core.recent import Recent
from sessiongate.http.credentials import MALFORMED, Transport, read_bearer, read_cookies
from sessiongate.tokens import TokenPayload  # noqa: TC001 - a field of a tuple, for who resolves it

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sessiongate.http.cookies import SessionCookie

Problem: TypeAlias = Literal["invalid_token", "invalid_request", "cross_site"]
"""Why a credential that came makes no user."""

_MOST_SESSIONS: Final = 4
"""Different sessions that one request may name; further ones are ignored."""

_MOST_FORGED: Final = 16
"""Signed values that may fail before the rest is ignored: to check one takes up to half a
millisecond.
"""

_DOTS: Final = 2
"""In a JWT."""

_LONGEST_CACHED: Final = 2048
"""Bytes of a field whose result is cached: more than most send."""


class Credentials(NamedTuple):
    """What the fields of a request mean. Shared between requests, so never changed."""

    transport: Transport | None = None
    """How the tokens that count came."""
    tokens: tuple[TokenPayload, ...] = ()
    """The newest genuine token of each session that came, the last cookie first."""
    sent_generation: int = 0
    """The client is sent a token that is newer than this."""
    problem: Problem | None = None
    """Why no token counts, where that is known without the store."""
    by_authorization: bool = False
    """Whether ``Authorization`` decides, so that the cookie counts for nothing."""
    renews_cookie: bool = False
    """Whether the cookie is of the session that counts, and is renewed with it."""
    cookies: int = 0
    """Different values that came under the name of our cookie."""
    beside: tuple[TokenPayload, ...] = ()
    """Genuine tokens of other sessions in the cookie, which count for nothing."""


NOTHING: Final = Credentials()


class TokenReader:
    """Reads the fields of one middleware's requests. Safe for any number of threads.

    Equal header bytes always parse equally, so the result is cached. Whether
    the session is valid is never cached.

    Args:
        cookie: The session cookie.
        read: What a token says, by the clock; ``None`` if it was not minted here.
    """

    def __init__(
        self, cookie: SessionCookie, read: Callable[[str, int], TokenPayload | None]
    ) -> None:
        self._name = cookie.name.encode()
        self._longest = cookie.longest_value
        self._read = read
        # Saves the search for the cookie and its token: a third of a check in memory.
        self._by_cookie: Recent[bytes, Credentials] = Recent()
        self._by_bearer: Recent[bytes, Credentials] = Recent()

    def read(
        self, cookies: Sequence[bytes], authorizations: Sequence[bytes], now: int
    ) -> Credentials:
        """What the fields ``Cookie`` and ``Authorization`` mean."""
        if len(cookies) + len(authorizations) != 1:
            return self._resolve(cookies, authorizations, now)
        if cookies:
            recent, field = self._by_cookie, cookies[0]
        else:
            recent, field = self._by_bearer, authorizations[0]
        known = recent[field]
        if known is not None and known[1][0].valid_from <= now:
            return known
        found = self._resolve(cookies, authorizations, now)
        if len(found.tokens) == 1 and not found.beside and len(field) <= _LONGEST_CACHED:
            recent.keep(field, found)
        return found

    def _resolve(
        self, cookies: Sequence[bytes], authorizations: Sequence[bytes], now: int
    ) -> Credentials:
        values = read_cookies(self._name, cookies) if cookies else []
        by_cookie = self._newest(values, now)
        bearer = read_bearer(authorizations)
        early = tuple(token for token in by_cookie if now < token.valid_from)
        by_cookie = tuple(token for token in by_cookie if token not in early)
        found = Credentials(cookies=len(values), beside=early)
        if bearer is None:
            if not by_cookie:
                return found
            sent = by_cookie[0].generation
            return found._replace(
                transport="cookie", tokens=by_cookie, sent_generation=sent, renews_cookie=True
            )
        found = found._replace(by_authorization=True, beside=(*by_cookie, *early))
        if bearer == MALFORMED:
            return found._replace(problem="invalid_request")
        token = self._read(bearer, now)
        if token is None:
            return found._replace(problem="invalid_token")
        if now < token.valid_from:
            return found._replace(problem="invalid_token", beside=(*found.beside, token))
        # One of the two may have been renewed without the other: the newer one counts.
        same = [other for other in by_cookie if other.sid == token.sid]
        by_age = sorted((token, *same), key=attrgetter("generation"))
        return found._replace(
            transport="bearer",
            tokens=(by_age[-1],),
            sent_generation=by_age[0].generation,
            renews_cookie=bool(same),
            beside=tuple(other for other in found.beside if other not in same),
        )

    def _newest(self, values: Iterable[str], now: int) -> tuple[TokenPayload, ...]:
        """The newest genuine token of each session; what was not minted here is ignored.

        After ``_MOST_FORGED`` of the form of a JWT, so is what is left: the older ones.
        """
        by_sid: dict[str, TokenPayload] = {}
        forged = 0
        for value in values:
            token = self._read(value, now) if len(value) <= self._longest else None
            if token is None:
                forged += value.count(".") == _DOTS
                if forged == _MOST_FORGED:
                    break
                continue
            known = by_sid.get(token.sid)
            if known is None and len(by_sid) == _MOST_SESSIONS:
                continue
            if known is None or _rank(token, now) > _rank(known, now):
                by_sid[token.sid] = token
        return tuple(by_sid.values())


def _rank(token: TokenPayload, now: int) -> tuple[bool, int]:
    """A token from the future counts for less than one whose time has come."""
    return token.valid_from <= now, token.generation
