"""The ASGI edge: headers in, a decision, headers out. No rule stands here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, Unpack

from sessiongate.errors import StoreError
from sessiongate.http.csrf import WEBSOCKET
from sessiongate.http.gate import Gate
from sessiongate.http.handle import Handle
from sessiongate.http.refusals import UNAVAILABLE, Refusal
from sessiongate.http.response import ResponseFields
from sessiongate.http.user import Authorization
from sessiongate.http.websockets import DENIAL, POLICY_VIOLATION, can_deny

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from sessiongate.http.client import Client
    from sessiongate.http.gate import Options
    from sessiongate.managers import SessionManager

    Scope: TypeAlias = MutableMapping[str, Any]
    Message: TypeAlias = MutableMapping[str, Any]
    Receive: TypeAlias = Callable[[], Awaitable[Message]]
    Send: TypeAlias = Callable[[Message], Awaitable[None]]
    ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

__all__ = ["SessionAuthMiddleware"]

_CREDENTIALS = frozenset({b"cookie", b"authorization"})
_STARTS = frozenset({"http.response.start", "websocket.accept", f"{DENIAL}.start"})


class SessionAuthMiddleware:
    """Attaches the user to each request and rotates the token in the response.

    Sets ``scope["user"]`` and ``scope["auth"]`` as Starlette does, and
    ``scope["sessiongate"]``, the ``Handle`` of the request. Takes the keywords
    of ``Gate``. ``http`` and ``websocket`` scopes are judged, all others pass
    through untouched. Never blocks the event loop.
    """

    def __init__(self, app: ASGIApp, manager: SessionManager, **options: Unpack[Options]) -> None:
        self.app = app
        self._gate = Gate(manager, **options)
        self._fields = ResponseFields(self._gate, str.encode)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind not in {"http", "websocket"}:
            await self.app(scope, receive, send)
            return

        gate = self._gate
        handle = gate.read(_Incoming(scope))
        if type(handle) is Handle and handle.arriving is not None:
            arriving = handle.arriving
            try:
                handle, event = gate.enter(handle, arriving, await gate.aask(arriving[0]))
                if event is not None:
                    await gate.atell(event)
            except StoreError:
                handle = UNAVAILABLE
        if type(handle) is Refusal:
            if kind == "websocket":
                await receive()  # the connect, in place of the app
            await self._refuse(handle, scope, send)
            return
        scope["sessiongate"] = handle
        scope["user"] = handle.user
        scope["auth"] = Authorization(handle.user)

        def send_with_session(message: Message) -> Awaitable[None]:
            if message["type"] in _STARTS:
                leaving = self._gate.leave(handle, message.get("status", 101))
                headers = self._fields.apply(message.get("headers") or (), leaving)
                message = {**message}
                message["headers"] = headers
                if leaving is not None and "status" in message:
                    message["status"] = leaving.status
            return send(message)

        try:
            await self.app(scope, receive, send_with_session)
        except StoreError:
            if handle.response_started:
                raise
            await self._refuse(UNAVAILABLE, scope, send)

    async def _refuse(self, refusal: Refusal, scope: Scope, send: Send) -> None:
        """Answer instead of the app; a websocket is refused before it is accepted."""
        kind = "http.response"
        if scope["type"] == "websocket":
            if not can_deny(scope):
                await send({"type": "websocket.close", "code": POLICY_VIOLATION})
                return
            kind = DENIAL
        headers, body = self._fields.refuse(refusal)
        await send({"type": f"{kind}.start", "status": refusal.status, "headers": headers})
        await send({"type": f"{kind}.body", "body": body})


class _Incoming:
    """A scope as the rules read it."""

    __slots__ = ("_headers", "authorizations", "client", "cookies", "method")

    def __init__(self, scope: Scope) -> None:
        self.method: str = scope["method"] if scope["type"] == "http" else WEBSOCKET
        self._headers = headers = scope["headers"]
        self.client: Client = headers, scope.get("client")
        self.cookies: list[bytes] = []
        self.authorizations: list[bytes] = []
        for name, value in headers:
            if name in _CREDENTIALS:
                (self.cookies if name == b"cookie" else self.authorizations).append(value)

    def header(self, name: str) -> list[bytes]:
        key = name.encode()
        return [value for field, value in self._headers if field == key]
