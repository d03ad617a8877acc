"""Between the ASGI middleware and the app: the two paths, and the offer after a login."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sessiongate.device_bound.binding import PATHS, RULE, Binding, unavailable
from sessiongate.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from sessiongate.http.authenticator import RequestAuthenticator


class BoundApp:
    """The app of a middleware with ``device_bound=True``."""

    def __init__(self, app: ASGIApp, authenticator: RequestAuthenticator) -> None:
        self._app = app
        self._manager = authenticator.manager
        self._binding = Binding(authenticator)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        session, root = scope["sessiongate"], scope.get("root_path", "").rstrip("/")
        if session.skipped == RULE:
            await self._answer(scope, root, send)
            return

        async def send_with_offer(message: Message) -> None:
            if message["type"] == "http.response.start" and session.opened is not None:
                offer = self._binding.offer(session, root)
                if offer is not None:
                    headers = [*(message.get("headers") or ()), _encoded(*offer)]
                    message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, send_with_offer)

    async def _answer(self, scope: Scope, root: str, send: Send) -> None:
        def find(name: bytes) -> Sequence[bytes]:
            return [value for known, value in scope["headers"] if known == name]

        path: str = scope["path"]
        below = path[path.rfind(f"{PATHS}/") :]
        try:
            asked = scope["method"], root, below, find
            answer = await self._manager.arun(self._binding.answer(asked))
        except StoreError:
            answer = unavailable()
        headers: list[Any] = [_encoded(*field) for field in answer.fields]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.text.encode()})


def _encoded(name: str, value: str) -> tuple[bytes, bytes]:
    return name.lower().encode("latin-1"), value.encode("latin-1")
