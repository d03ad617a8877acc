"""The session of a Starlette connection, for the frameworks that are built on it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sessiongate.errors import ConfigurationError
from sessiongate.http.guard import Page

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from sessiongate.http.guard import Guard
    from sessiongate.http.refusals import Refusal
    from sessiongate.http.request_session import RequestSession

__all__ = ["handle_of", "judge"]


def handle_of(connection: HTTPConnection) -> RequestSession:
    """What the middleware attached to a request or websocket.

    Raises:
        ConfigurationError: There is no middleware.
    """
    handle: RequestSession | None = connection.scope.get("sessiongate")
    if handle is None:
        msg = (
            "no session on this request: add the middleware with "
            "app.add_middleware(SessionAuthMiddleware, manager=manager)"
        )
        raise ConfigurationError(msg)
    return handle


def judge(guard: Guard, connection: HTTPConnection) -> Refusal | None:
    """Why a request or websocket is refused, or ``None``."""
    return guard.judge(handle_of(connection), partial(_page, connection))


def _page(connection: HTTPConnection) -> Page | None:
    scope = connection.scope
    if scope["type"] == "websocket":
        return None
    return Page(
        scope["method"],
        scope["path"],
        scope["query_string"].decode("latin-1"),
        connection.headers.get("accept", ""),
        connection.headers.get("sec-fetch-mode", ""),
    )
