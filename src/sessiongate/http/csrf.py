"""Whether a request that brings a cookie comes from this site, as its headers say.

Fetch Metadata first, ``Origin`` where a browser sends none (OWASP CSRF
Prevention Cheat Sheet). A request with neither is no browser's.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeAlias

from sessiongate.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

CrossSite: TypeAlias = tuple[str, str]
"""Where a request of another site came from, and its ``Host``, for the log."""

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""RFC 9110, section 9.2.1."""

WEBSOCKET: Final = "WEBSOCKET"
"""In place of a method."""

_ORIGIN: Final = re.compile(r"([a-z][a-z0-9+.-]*)://([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(\d{1,5}))?")
_LONGEST_SHOWN: Final = 128
"""Characters of a header that a log line shows."""
_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}


def is_handshake(method: str, upgrade: bytes) -> bool:
    """Whether a request opens a websocket: a GET, but no safe one (RFC 6455, 4.1 and 10.2)."""
    return method == "GET" and b"websocket" in upgrade.lower()


def check_origins(origins: Iterable[str]) -> frozenset[str]:
    """Origins as users write them, in one spelling."""
    if isinstance(origins, str):
        msg = "trusted_origins must be a list of origins, not one str"
        raise TypeError(msg)
    known = set()
    for origin in origins:
        spelled = _normalise(origin) if isinstance(origin, str) else None
        if spelled is None:
            msg = "trusted_origins must hold origins such as 'https://app.example.com', no path"
            raise ConfigurationError(msg)
        known.add(spelled)
    return frozenset(known)


def find_cross_site(
    find: Callable[[bytes], Sequence[bytes]], trusted: frozenset[str]
) -> CrossSite | None:
    """The two sites, if ``Sec-Fetch-Site``, ``Origin`` and ``Host`` name another than this one.

    ``find`` gives the values of a header field.
    """
    fetch_site, origins = find(b"sec-fetch-site"), find(b"origin")
    if not fetch_site and not origins:
        return None
    hosts, origin = find(b"host"), _one(origins)
    spelled = None if origin is None else _normalise(origin)
    if spelled is not None and spelled in trusted:
        return None
    if fetch_site:
        here = _one(fetch_site) in {"same-origin", "none"}
    else:
        here = spelled is not None and _is_host(spelled, _one(hosts))
    if here:
        return None
    if origins:
        return f"Origin: {_shown(origins)}", _shown(hosts)
    return f"Sec-Fetch-Site: {_shown(fetch_site)}, no Origin", _shown(hosts)


def _shown(values: Sequence[bytes]) -> str:
    """Text that is safe in a log line."""
    text = b", ".join(values)[:_LONGEST_SHOWN].decode("latin-1")
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in text)


def _one(values: Sequence[bytes]) -> str | None:
    return values[0].decode("latin-1").strip(" \t").lower() if len(values) == 1 else None


def _normalise(origin: str) -> str | None:
    """An origin in lower case and without its default port, ``None`` for ``null`` and nonsense."""
    found = _ORIGIN.fullmatch(origin.lower())
    if found is None:
        return None
    scheme, host, port = found.groups()
    is_default = port in {None, _DEFAULT_PORTS.get(scheme)}
    return f"{scheme}://{host}" if is_default else f"{scheme}://{host}:{port}"


def _is_host(origin: str, host: str | None) -> bool:
    """Whether an origin names the host of the request.

    The scheme is the origin's own: behind TLS termination this server sees
    ``http`` where the browser spoke ``https``.
    """
    return host is not None and _normalise(f"{origin.partition('://')[0]}://{host}") == origin
