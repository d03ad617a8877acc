"""The one reader of credentials, for both stacks, on bytes; no store is asked.

Invariant: whatever bytes come, it finds the values that were sent under our name, or refuses, or
finds nothing; it never raises. Names are compared byte for byte; nothing is unquoted or decoded; a
broken neighbour never hides our cookie; the cost is linear in the bytes, whatever repeats in them
(RFC 6265bis, section 5.8; RFC 6750, section 2.1).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from sessiongate.core.recent import Recent
from sessiongate.tokens import TokenPayload  # noqa: TC001 - a field of a tuple, for who resolves it

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sessiongate.http.cookies import SessionCookie

Transport: TypeAlias = Literal["cookie", "bearer"]
TRANSPORTS: Final = ("cookie", "bearer")

Problem: TypeAlias = Literal["invalid_token", "invalid_request", "cross_site"]
"""Why a credential that came makes no user."""

MALFORMED: Final = ""
"""In place of a bearer token: something stands where one belongs, and it is not clear which."""

# What a request may cost. Servers' limits, and browsers' some 180 cookies of a site, are near.
_MOST_PAIRS: Final = 4096  # that mention our name and are looked at
_MOST_VALUES: Final = 64  # under our name
_LONGEST: Final = 65536  # bytes of parameters that are looked at
_MOST_SESSIONS: Final = 4  # that one request may name
_MOST_FORGED: Final = 16  # signed values that fail: one takes up to half a millisecond
_LONGEST_CACHED: Final = 2048  # bytes of a field whose result is cached: more than most send
_DOTS: Final = 2  # in a JWT

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
    """Each different value under our name in the ``Cookie`` fields, the last one first.

    Empty values count as absent. A browser sends the cookie of the longer path
    first, and of two equal ones the older (RFC 6265bis, section 5.8.3): so the
    last value is the most likely to be the newest. HTTP/2 splits the field.
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

    WSGI servers join repeated fields with a comma, so both stacks read the same bytes.
    """
    if not fields:
        return None
    value = b",".join(fields).strip(_BLANK)
    if not _SCHEME.match(value):
        return MALFORMED
    scheme, _, token = value.partition(b" ")
    if scheme.lower() != b"bearer":
        # More than one field: credentials, a comma, and others?
        if b"," not in value:
            return None
        joined = len(value) > _LONGEST or _HIDDEN_BEARER.search(value)
        return MALFORMED if joined or _JOINED.search(_QUOTED.sub(b'""', value)) else None
    token = token.lstrip(b" ")
    if not token or token.find(b" ") >= 0 or token.find(b"\t") >= 0 or token.find(b",") >= 0:
        return MALFORMED
    return token.decode("latin-1")


@dataclass(slots=True)
class Credentials:
    """What the fields of a request mean. Shared between requests, so never changed in place."""

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

    Equal header bytes always parse equally, so the result is cached. Whether the session is
    valid is never cached. ``read`` gives what a token says; ``None``: not minted here.
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
        if known is not None and known.tokens[0].valid_from <= now:
            return known
        found = self._resolve(cookies, authorizations, now)
        if len(found.tokens) == 1 and found.cookies <= 1 and len(field) <= _LONGEST_CACHED:
            recent.keep(field, found)
        return found

    def _resolve(
        self, cookies: Sequence[bytes], authorizations: Sequence[bytes], now: int
    ) -> Credentials:
        values = read_cookies(self._name, cookies) if cookies else []
        by_cookie = self._newest(values, now)
        bearer = read_bearer(authorizations)
        early = tuple(token for token in by_cookie if now < token.valid_from)
        by_cookie = tuple(token for token in by_cookie if now >= token.valid_from)
        made = partial(Credentials, cookies=len(values))
        if bearer is None:
            if not by_cookie:
                return made(beside=early)
            sent = by_cookie[0].generation
            return made("cookie", by_cookie, sent, renews_cookie=True, beside=early)
        made = partial(made, by_authorization=True)
        beside = (*by_cookie, *early)
        if bearer == MALFORMED:
            return made(problem="invalid_request", beside=beside)
        token = self._read(bearer, now)
        if token is None:
            return made(problem="invalid_token", beside=beside)
        if now < token.valid_from:
            return made(problem="invalid_token", beside=(*beside, token))
        # One of the two may have been renewed without the other: the newer one counts.
        same = [other for other in by_cookie if other.sid == token.sid]
        by_age = sorted((token, *same), key=attrgetter("generation"))
        beside = tuple(other for other in beside if other not in same)
        newest, sent = (by_age[-1],), by_age[0].generation
        return made("bearer", newest, sent, renews_cookie=bool(same), beside=beside)

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
