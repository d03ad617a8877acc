"""The two paths of device-bound sessions, as an ASGI app beside the middleware's own."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sessiongate.device_bound.binding import PATHS, RULE, Binding, unavailable
from sessiongate.errors import StoreError
from sessiongate.http.fields import find_in_headers

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from sessiongate.http.authenticator import RequestAuthenticator


class Endpoints:
    """Answers on the two paths; all other requests go on to the app."""

    def __init__(self, app: ASGIApp, authenticator: RequestAuthenticator) -> None:
        self._app = app
        self._manager = authenticator.manager
        self._binding = Binding(authenticator)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["sessiongate"].skipped != RULE:
            await self._app(scope, receive, send)
            return
        find = partial(find_in_headers, list(scope["headers"]))
        path: str = scope["path"]
        below = path[path.rfind(f"{PATHS}/") :]
        try:
            asked = scope["method"], scope.get("root_path", ""), below, find
            answer = await self._manager.arun(self._binding.answer(asked))
        except StoreError:
            answer = unavailable()
        headers = [(name.lower().encode(), value.encode()) for name, value in answer.fields]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.text.encode()})
