"""Websockets: how a handshake is known, how it carries a token, and how it is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

WEBSOCKET: Final = "WEBSOCKET"
"""In place of a method."""

SUBPROTOCOL: Final = "sessiongate.bearer"
"""Offered by a browser's websocket, right before the token."""

DENIAL: Final = "websocket.http.response"
"""The ASGI extension with which a server sends a response in place of a websocket."""
POLICY_VIOLATION: Final = 1008
"""With what it is closed otherwise (RFC 6455, section 7.4.1)."""

_LONGEST: Final = 65536
"""Bytes of a header that are looked at; servers' limits let fewer through."""


def is_handshake(method: str, upgrade: bytes) -> bool:
    """Whether a request opens a websocket: a GET, but no safe one (RFC 6455, 4.1 and 10.2)."""
    return method == "GET" and b"websocket" in upgrade.lower()


def take_subprotocol(offered: Iterable[str], authorizations: list[bytes]) -> list[str] | None:
    """Move a token that a browser's websocket offers as a subprotocol to the ``Authorization``.

    ``["sessiongate.bearer", TOKEN, "chat"]`` adds ``b"Bearer TOKEN"`` and gives ``["chat"]``,
    which is what the app sees; ``None`` if none is offered. A browser's script cannot set it.
    """
    items, tokens, others = iter(offered), list[str](), list[str]()
    for item in items:
        if item == SUBPROTOCOL:
            tokens.append(next(items, ""))
        else:
            others.append(item)
    if not tokens:
        return None
    token = ",".join(tokens)  # a comma makes two of them malformed
    authorizations.append(b"Bearer " + token.encode("latin-1", "replace"))
    return others


def take_from_header(values: Sequence[bytes], authorizations: list[bytes]) -> list[str] | None:
    """The same for the subprotocols that a handshake offers in its header."""
    header = b",".join(values)[:_LONGEST].decode("latin-1")
    return take_subprotocol((one.strip(" \t") for one in header.split(",")), authorizations)


def can_deny(scope: Mapping[str, Any]) -> bool:
    """Whether the server of a websocket can refuse it with a whole response."""
    return DENIAL in (scope.get("extensions") or {})
