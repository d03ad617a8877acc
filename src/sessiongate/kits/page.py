"""The page that a browser asks for, the login page before it, and the way back."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias
from urllib.parse import quote, urlsplit

from sessiongate.errors import ConfigurationError
from sessiongate.http.origin import normalise

if TYPE_CHECKING:
    from collections.abc import Iterable

_LONGEST_WAY: Final = 2048
"""Characters of a path and query that a redirect carries as the way back."""

_ADDRESS: Final = ("/", "http://", "https://", "?")
"""How a login URL begins; anything else is the name of a route."""

_RESERVED: Final = "%:/?#[]@!$&'()*+,;="
"""What a URL may hold as it is (RFC 3986, section 2); frameworks encode theirs, or do not."""

_ABSOLUTE: Final = re.compile(r"(https?://[^/?#\\@]+)(?:[/?#]|$)")
"""A whole URL, and its origin."""

LoginURL: TypeAlias = str | Callable[..., str]
"""Where people log in: a path or URL, the name of a route, or a function that gives either."""


class Page(NamedTuple):
    """A request that may be a browser's for a page."""

    method: str
    path: str
    """As routed, so decoded."""
    query: str
    """As the client wrote it."""
    header: Callable[[str, str], str]
    """The value of a header field, or the second argument."""
    prefix: str
    """What the app is mounted under: ``SCRIPT_NAME`` or ``root_path``; ``""`` for the root."""
    locate: Callable[[LoginURL], str]
    """The URL of a route by its name, or what a function of the app gives."""

    @property
    def target(self) -> str:
        """Path and query, to come back to."""
        path = under_prefix(quote_path(self.path), quote_path(self.prefix))
        return f"{path}?{self.query}" if self.query else path

    @property
    def is_browsed(self) -> bool:
        """Whether a browser requests a page, so that a person sees the redirect.

        ``Accept`` names ``text/html``, or there is no ``Accept`` at all. One that
        names other types only, ``*/*`` among them, is a script's or a tool's, such as
        ``fetch()`` or curl. So is a ``Sec-Fetch-Mode`` other than ``navigate``.
        """
        accept, mode = self.header("Accept", ""), self.header("Sec-Fetch-Mode", "")
        return mode in {"", "navigate"} and (not accept or "text/html" in accept.lower())

    def login_page(self, login_url: LoginURL) -> str:
        """The login page, with the way back where the request can be repeated."""
        url = self.locate(login_url) if callable(login_url) else login_url
        if not url.startswith(_ADDRESS):
            url = self.locate(url)
        url = under_prefix(quote(url, safe=_RESERVED), quote_path(self.prefix))
        if self.method not in {"GET", "HEAD"} or len(self.path) + len(self.query) > _LONGEST_WAY:
            return url
        separator = "&" if urlsplit(url).query else "?"
        return f"{url}{separator}next={quote(self.target, safe='/')}"


def under_prefix(url: str, prefix: str) -> str:
    """A path of the app as the client knows it; one that has the prefix, and a whole URL, stay."""
    if not url.startswith("/") or url.startswith("//"):
        return url
    prefix = prefix.rstrip("/")
    if url == prefix or url.startswith((f"{prefix}/", f"{prefix}?")):
        return url
    return prefix + url


def quote_path(path: str) -> str:
    """A decoded path as it stands in a URL (RFC 3986, section 3.3)."""
    return quote(path, safe="/:@!$&'()*+,;=~")


def safe_redirect(
    target: str | None, default: str = "/", *, allowed_hosts: Iterable[str] = ()
) -> str:
    """``target`` if it stays on this site or leads to an allowed host, else ``default``.

    For the ``next`` parameter of a login page, which anybody can write (OWASP
    Unvalidated Redirects and Forwards Cheat Sheet). Of this site only a path that
    begins with one slash stays; browsers read a backslash as a slash.

    Args:
        target: Where to go.
        default: Where to go instead.
        allowed_hosts: Other hosts of this deployment, each exactly, such as
            ``"reports.example"`` or ``"reports.example:8443"``, by HTTPS alone;
            ``"http://localhost:8000"`` is by plain HTTP. There are no wildcards.

    Raises:
        ConfigurationError, TypeError: ``allowed_hosts`` holds something else.
    """
    allowed = _origins(allowed_hosts)
    if not isinstance(target, str) or any(ord(c) <= ord(" ") or c == "\x7f" for c in target):
        return default
    if target.startswith("/") and not target.startswith(("//", "/\\")):
        return target
    origin = _ABSOLUTE.match(target)
    return target if origin is not None and normalise(origin[1]) in allowed else default


def _origins(hosts: Iterable[str]) -> frozenset[str]:
    if isinstance(hosts, str):
        msg = "allowed_hosts must be a list of hosts, not one str"
        raise TypeError(msg)
    origins = [normalise(host if "://" in host else f"https://{host}") for host in hosts]
    if not all(origin and origin.startswith(("http://", "https://")) for origin in origins):
        msg = "allowed_hosts must hold hosts such as 'reports.example', no path and no wildcard"
        raise ConfigurationError(msg)
    return frozenset(filter(None, origins))
