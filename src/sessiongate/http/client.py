"""The client of a request. It is looked at only when somebody logs in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import IPv6Address, ip_address
from typing import Any, Final, TypeAlias

Client: TypeAlias = tuple[Callable[[Any, bytes], Sequence[bytes]], Any, Sequence[Any] | None]
"""How to find the values of a header field, and where; and the peer that the server saw, its
address first. A plain tuple, because each request makes one.
"""

_LONGEST: Final = 256
"""Characters of a user agent that are kept: three times a browser's, and little in a store."""


def describe(client: Client) -> dict[str, str] | None:
    """``user_agent`` and ``ip``, each where it is known; ``None`` if neither is.

    ``X-Forwarded-For`` is not read: anybody can write it. Behind a proxy the
    server, or a middleware outside of ours, puts the address in its place.
    """
    find, source, peer = client
    # Joined as WSGI servers do, so that both stacks give the same.
    agent = b",".join(find(source, b"user-agent"))[: 4 * _LONGEST].decode("utf-8", "replace")
    shown = " ".join("".join(c if c.isprintable() else " " for c in agent).split())[:_LONGEST]
    known = {"user_agent": shown, "ip": _ip(peer[0] if peer else None)}
    return {name: value for name, value in known.items() if value} or None


def _ip(address: object) -> str:
    """An IP in its one spelling, ``""`` for anything else, such as a Unix socket."""
    if not isinstance(address, str):
        return ""
    try:
        ip = ip_address(address.partition("%")[0])  # the zone says nothing outside this machine
    except ValueError:
        return ""
    # An IPv4 client of a server that listens on both.
    return str((isinstance(ip, IPv6Address) and ip.ipv4_mapped) or ip)
