"""The ASGI edge: headers in, a decision, headers out. No rule stands here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, Unpack

from sessiongate.errors import StoreError
from sessiongate.http.authenticator import RequestAuthenticator
from sessiongate.http.csrf import WEBSOCKET
from sessiongate.http.refusals import UNAVAILABLE
from sessiongate.http.response import ResponseFields
from sessiongate.http.websockets import DENIAL, POLICY_VIOLATION, can_deny
from sessiongate.http.wrong_stack import check_app, names_the_other

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, MutableMapping

    from sessiongate.http.authenticator import Options
    from sessiongate.http.refusals import Refusal
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
    ``scope["sessiongate"]``, the ``RequestSession`` of the request. Takes the keywords
    of ``RequestAuthenticator``. ``http`` and ``websocket`` scopes are judged, all others pass
    through untouched. Never blocks the event loop.
    """

    def __init__(self, app: ASGIApp, manager: SessionManager, **options: Unpack[Options]) -> None:
        check_app(app, "asgi")
        self.app = app
        self._gate = RequestAuthenticator(manager, **options)
        self._fields = ResponseFields(self._gate, str.encode)

    @names_the_other("asgi")
    async def __call__(  # noqa: C901 - in one piece, for every call is paid by every request
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        kind = scope["type"]
        if kind not in {"http", "websocket"}:
            await self.app(scope, receive, send)
            return

        gate, headers = self._gate, scope["headers"]
        cookies: list[bytes] = []
        authorizations: list[bytes] = []
        for name, value in headers:
            if name in _CREDENTIALS:
                (cookies if name == b"cookie" else authorizations).append(value)
        handle = gate.read(
            scope["method"] if kind == "http" else WEBSOCKET,
            cookies,
            authorizations,
            (headers, scope.get("client")),
            _header,
            headers,
        )
        pending_check = handle.pending_check
        if pending_check is not None:
            try:
                if gate.blocking:
                    outcome = await gate.store.aexecute(pending_check[0])
                else:
                    outcome = gate.store.execute(pending_check[0])
                event = gate.enter(handle, pending_check, outcome)
            except StoreError as error:
                event = gate.fail(handle, pending_check, error)
            if event is not None:
                await gate.aemit(event)
        if handle.refusal is not None:
            if kind == "websocket":
                await receive()  # the connect, in place of the app
            await self._refuse(handle.refusal, scope, send)
            return
        scope["sessiongate"] = handle
        scope["user"] = handle.user
        scope["auth"] = handle

        def send_with_session(message: Message) -> Awaitable[None]:
            if message["type"] in _STARTS:
                leaving = gate.leave(handle, message.get("status", 101))
                fields = self._fields.apply(message.get("headers") or (), leaving)
                message = {**message, "headers": fields}
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


def _header(headers: Iterable[tuple[bytes, bytes]], name: str) -> list[bytes]:
    key = name.encode()
    return [value for field, value in headers if field == key]
