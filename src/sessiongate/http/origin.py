"""Where a request comes from: which site, for unsafe methods, and which client, for logins.

For the site, Fetch Metadata counts first, ``Origin`` where a browser sends none (OWASP CSRF
Prevention Cheat Sheet). A request with neither is no browser's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from sessiongate.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

Client: TypeAlias = tuple[Callable[[Any, bytes], Sequence[bytes]], Any, Sequence[Any] | None]
"""How to find a header field's values, and where; and the peer that the server saw, its address
first. A plain tuple, because each request makes one."""

CrossSite: TypeAlias = tuple[str, str]
"""Where a request of another site came from, and its ``Host``, for the log."""

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""RFC 9110, section 9.2.1."""

_ORIGIN: Final = re.compile(r"([a-z][a-z0-9+.-]*)://([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(\d{1,5}))?")
_LONGEST_SHOWN: Final = 128
"""Characters of a header that a log line shows."""
_LONGEST_AGENT: Final = 256
"""Characters of a user agent that are kept: three times a browser's, and little in a store."""
_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}


def check_origins(origins: Iterable[str]) -> frozenset[str]:
    """Origins as users write them, in one spelling."""
    if isinstance(origins, str):
        msg = "trusted_origins must be a list of origins, not one str"
        raise TypeError(msg)
    known = {normalise(origin) if isinstance(origin, str) else None for origin in origins}
    if None in known:
        msg = "trusted_origins must hold origins such as 'https://app.example.com', no path"
        raise ConfigurationError(msg)
    return frozenset(filter(None, known))


def find_cross_site(
    find: Callable[[bytes], Sequence[bytes]], trusted: frozenset[str]
) -> CrossSite | None:
    """The two sites, if ``Sec-Fetch-Site``, ``Origin`` and ``Host`` name another than this one."""
    fetch_site, origins = find(b"sec-fetch-site"), find(b"origin")
    if not fetch_site and not origins:
        return None
    hosts, origin = find(b"host"), normalise(_one(origins))
    if fetch_site:
        here = _one(fetch_site) in {"same-origin", "none"}
    else:
        # The scheme is the origin's own: behind TLS termination this server sees ``http``
        # where the browser spoke ``https``.
        here = origin is not None and origin == normalise(
            f"{origin.partition(':')[0]}://{_one(hosts)}"
        )
    if here or origin in trusted:
        return None
    if origins:
        return f"Origin: {_shown(origins)}", _shown(hosts)
    return f"Sec-Fetch-Site: {_shown(fetch_site)}, no Origin", _shown(hosts)


def _shown(values: Sequence[bytes]) -> str:
    """Text that is safe in a log line."""
    text = b", ".join(values)[:_LONGEST_SHOWN].decode("latin-1")
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in text)


def _one(values: Sequence[bytes]) -> str:
    """The value of a field that came once, else ``""``."""
    return values[0].decode("latin-1").strip(" \t").lower() if len(values) == 1 else ""


def normalise(origin: str) -> str | None:
    """An origin in lower case and without its default port, ``None`` for ``null`` and nonsense."""
    found = _ORIGIN.fullmatch(origin.lower())
    if found is None:
        return None
    scheme, host, port = found.groups()
    is_default = port in {None, _DEFAULT_PORTS.get(scheme)}
    return f"{scheme}://{host}" if is_default else f"{scheme}://{host}:{port}"


def describe(client: Client) -> dict[str, str] | None:
    """``user_agent`` and ``ip``, each where it is known; ``None`` if neither is.

    ``X-Forwarded-For`` is not read: anybody can write it. Behind a proxy the
    server, or a middleware outside of ours, puts the address in its place.
    """
    find, source, peer = client
    # Joined as WSGI servers do, so that both stacks give the same.
    agent = b",".join(find(source, b"user-agent"))[: 4 * _LONGEST_AGENT].decode("utf-8", "replace")
    shown = " ".join("".join(c if c.isprintable() else " " for c in agent).split())
    known = {"user_agent": shown[:_LONGEST_AGENT]}
    with suppress(ValueError):  # such as a Unix socket
        # Without its zone, which says nothing outside this machine.
        ip = ip_address(str(peer[0] if peer else "").partition("%")[0])
        # An IPv4 client of a server that listens on both.
        known["ip"] = str((isinstance(ip, IPv6Address) and ip.ipv4_mapped) or ip)
    return {name: value for name, value in known.items() if value} or None
