"""How a websocket is refused: with a whole response where the server can, else by closing it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

DENIAL: Final = "websocket.http.response"
"""The ASGI extension with which a server sends a response in place of a websocket."""

POLICY_VIOLATION: Final = 1008
"""With what it is closed otherwise (RFC 6455, section 7.4.1)."""


def can_deny(scope: Mapping[str, Any]) -> bool:
    """Whether the server of a websocket can refuse it with a whole response."""
    return DENIAL in (scope.get("extensions") or {})
