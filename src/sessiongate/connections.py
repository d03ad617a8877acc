"""The session of a Starlette connection, for the frameworks that are built on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from starlette.websockets import WebSocket

from sessiongate.errors import ConfigurationError
from sessiongate.http.guard import Page

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from sessiongate.http.guard import Guard
    from sessiongate.http.handle import Handle
    from sessiongate.http.refusals import Refusal

__all__ = ["handle_of", "judge"]


def handle_of(connection: HTTPConnection) -> Handle:
    """What the middleware attached to a request or websocket.

    Raises:
        ConfigurationError: There is no middleware.
    """
    handle = connection.scope.get("sessiongate")
    if handle is None:
        msg = (
            "no session on this request: add the middleware with "
            "app.add_middleware(SessionAuthMiddleware, manager=manager)"
        )
        raise ConfigurationError(msg)
    return cast("Handle", handle)


def judge(guard: Guard, connection: HTTPConnection) -> Refusal | None:
    """Why a request or websocket is refused, or ``None``."""
    page = None
    if not isinstance(connection, WebSocket):
        page = Page(
            connection.scope["method"],
            connection.scope["path"],
            connection.scope["query_string"].decode("latin-1"),
            connection.headers.get("accept", ""),
            connection.headers.get("sec-fetch-mode", ""),
        )
    return guard.judge(handle_of(connection), page)
