"""The session cookie: its name, its attributes, and what they forbid each other."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final, Literal

from sessiongate.errors import ConfigurationError, CookieNameWarning
from sessiongate.reports.warnings import warn

_TAKEN_BY: Final = (
    "a cookie named 'session' is also what Flask's own session (flash(), Flask-WTF) and "
    "Starlette's SessionMiddleware keep: each overwrites the other, and users are logged out; "
    "choose another name"
)
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_PATH: Final = re.compile(r"/[!-:<-~]{0,1023}")
"""Longer attributes are ignored by browsers (RFC 6265bis, section 5.6)."""
_LABEL: Final = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN: Final = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*", re.ASCII | re.IGNORECASE)

_LARGEST: Final = 4096
"""Bytes of name and value together that a browser must accept (RFC 6265bis, section 5.6)."""
_LONGEST_LIFE: Final = 400 * 24 * 3600
"""Seconds; the upper limit of Max-Age (RFC 6265bis, section 5.6.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCookie:
    """How the token is kept in a browser. The defaults are the strict ones.

    Always ``HttpOnly``. Contradictions raise ``ConfigurationError``.

    Attributes:
        name: With the prefix ``__Host-`` a browser takes it from this host alone,
            over HTTPS alone (RFC 6265bis, section 4.1.3).
        secure: Sent over HTTPS only.
        same_site: ``"Strict"``, ``"Lax"`` or ``"None"``.
        path: Requests under it get the cookie.
        domain: ``None``: this host alone; else all hosts below that domain.
        partitioned: One jar for each embedding site (CHIPS).
        persistent: Keep it when the browser closes, as long as the session lasts, at
            most 400 days. Off: OWASP asks for cookies that end with the browser.
    """

    name: str = "__Host-session"
    secure: bool = True
    same_site: Literal["Strict", "Lax", "None"] = "Lax"
    path: str = "/"
    domain: str | None = None
    partitioned: bool = False
    persistent: bool = False

    def __post_init__(self) -> None:
        is_token = isinstance(self.name, str) and _TOKEN.fullmatch(self.name)
        _require(is_token, "the name of the cookie must be a token: letters, digits, - and _")
        for option in ("secure", "partitioned", "persistent"):
            is_bool = isinstance(getattr(self, option), bool)
            _require(is_bool, f"{option} must be True or False, and no text such as 'false'")
        is_known = self.same_site in ("Strict", "Lax", "None")
        _require(is_known, "same_site must be 'Strict', 'Lax' or 'None'")
        _require(
            isinstance(self.path, str) and _PATH.fullmatch(self.path),
            "path must begin with /, hold no space, semicolon or control character, "
            "and be at most 1024 characters long",
        )
        is_host = isinstance(self.domain, str) and _DOMAIN.fullmatch(self.domain)
        _require(
            is_host or self.domain is None,
            "domain must be a host name such as 'example.com', without a leading dot",
        )
        if self.name == "session":
            warn(_TAKEN_BY, CookieNameWarning)
        prefix = self.name.lower()  # browsers know prefixes in any case
        is_strict = self.secure and self.domain is None and self.path == "/"
        _require(
            is_strict or not prefix.startswith("__host-"),
            "a cookie named __Host-… must have secure=True, path='/' and no domain; "
            "for http://localhost use SessionCookie.for_http()",
        )
        for needs_secure, what in (
            (prefix.startswith(("__secure-", "__http-")), "such a prefix of the name"),
            (self.same_site == "None", "same_site='None'"),
            (self.partitioned, "partitioned=True"),
        ):
            message = f"{what} needs secure=True; for http://localhost use another setting"
            _require(self.secure or not needs_secure, message)

    @classmethod
    def for_http(
        cls,
        name: str = "sessiongate",
        *,
        same_site: Literal["Strict", "Lax"] = "Lax",
        path: str = "/",
        domain: str | None = None,
        persistent: bool = False,
    ) -> SessionCookie:
        """A cookie for development over plain HTTP: neither ``Secure`` nor ``__Host-``."""
        return cls(
            name=name,
            secure=False,
            same_site=same_site,
            path=path,
            domain=domain,
            persistent=persistent,
        )

    @property
    def longest_value(self) -> int:
        """Characters that a browser keeps under the name."""
        return _LARGEST - len(self.name)

    def issue(self, token: str, seconds_left: int, *, persists: bool = False) -> str:
        """The value of a ``Set-Cookie`` that hands out a token; ``persists`` as ``persistent``."""
        persists = persists or self.persistent
        return self._dump(token, min(seconds_left, _LONGEST_LIFE) if persists else None)

    def expire(self) -> str:
        """The value of a ``Set-Cookie`` that deletes it: the same attributes, in the past."""
        return self._dump("", 0)

    def expire_others(self) -> tuple[str, ...]:
        """``Set-Cookie`` values that delete what this cookie does not replace under its name.

        A browser tells cookies apart by name, domain and path: what was set
        before a change of ``domain`` or ``path`` would be sent beside this one.
        """
        return tuple(
            replace(self, domain=domain, path=path).expire()
            for domain in sorted({self.domain, None}, key=str)
            for path in sorted({self.path, "/"})
            if (domain, path) != (self.domain, self.path)
        )

    def _dump(self, value: str, max_age: int | None) -> str:
        # Here, because a cookie is written rarely and werkzeug takes long to load.
        from werkzeug.http import dump_cookie  # noqa: PLC0415

        return dump_cookie(
            self.name,
            value,
            max_age=max_age,
            expires=0 if max_age == 0 else None,
            sync_expires=False,
            path=self.path,
            domain=self.domain,
            secure=self.secure,
            httponly=True,
            samesite=self.same_site,
            partitioned=self.partitioned,
            max_size=0,
        )


def _require(valid: object, message: str) -> None:
    if not valid:
        raise ConfigurationError(message)
