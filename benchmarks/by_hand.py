"""The floor: the least that can be done about a session, by hand. It never rotates or ends."""

from __future__ import annotations

import hmac
import time
from typing import TYPE_CHECKING, Any

from requesting import SECRET

if TYPE_CHECKING:
    from requesting import ASGIApp, Header

__all__ = ["by_hand"]


def by_hand(app: ASGIApp) -> tuple[ASGIApp, Header]:
    """Scan, HMAC, dict and clock around an app, and the header of who is logged in."""
    key, rows = SECRET.encode(), {"a-session-id": ("alice", time.time() + 86400)}
    mac = hmac.digest(key, b"a-session-id", "sha256").hex()

    async def floor(scope: Any, receive: Any, send: Any) -> None:
        for name, value in scope.get("headers", ()):
            if name == b"cookie":
                sid, _, given = value.partition(b"=")[2].decode().partition(".")
                if hmac.compare_digest(hmac.digest(key, sid.encode(), "sha256").hex(), given):
                    row = rows.get(sid)
                    if row is not None and time.time() < row[1]:
                        scope["user"] = row[0]
                break
        await app(scope, receive, send)

    return floor, (b"cookie", f"session=a-session-id.{mac}".encode())
