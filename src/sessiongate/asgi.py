"""The ASGI adapter: headers in, a decision, headers out. No rule stands here."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, Unpack

from sessiongate.errors import StoreError
from sessiongate.http.authenticator import RequestAuthenticator
from sessiongate.http.credentials import FIELDS, SUBPROTOCOL, split_subprotocols, take_subprotocol
from sessiongate.http.csrf import WEBSOCKET, is_handshake
from sessiongate.http.refusals import UNAVAILABLE
from sessiongate.http.response import ResponseFields
from sessiongate.http.websockets import DENIAL, POLICY_VIOLATION, can_deny
from sessiongate.http.wrong_stack import check_app, qualified_name

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from sessiongate.http.request_session import RequestSession
    from sessiongate.http.settings import MiddlewareOptions
    from sessiongate.managers import SessionManager

    Scope: TypeAlias = MutableMapping[str, Any]
    Message: TypeAlias = MutableMapping[str, Any]
    Receive: TypeAlias = Callable[[], Awaitable[Message]]
    Send: TypeAlias = Callable[[Message], Awaitable[None]]
    ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

__all__ = ["SessionAuthMiddleware"]

_STARTS = frozenset({"http.response.start", "websocket.accept", f"{DENIAL}.start"})


class SessionAuthMiddleware:
    """Attaches the user to each request and rotates the token in the response.

    Sets ``scope["user"]`` and ``scope["auth"]`` as Starlette does, and
    ``scope["sessiongate"]``, the ``RequestSession``. Takes the keywords of
    ``MiddlewareSettings``. Handles ``http`` and ``websocket`` scopes; all others
    pass through untouched. Never blocks the event loop.

    A request whose credential is not valid goes on as an anonymous one. Only
    where the store cannot say who it is, the answer is a 503 of the middleware.
    """

    def __init__(
        self, app: ASGIApp, manager: SessionManager, **options: Unpack[MiddlewareOptions]
    ) -> None:
        check_app(app, "asgi")
        self.app = app
        self._authenticator = RequestAuthenticator(manager, **options)
        self._fields = ResponseFields(
            self._authenticator.settings,
            partial(str.encode, encoding="latin-1"),
            partial(bytes.decode, encoding="latin-1"),
        )
        self._closing: set[asyncio.Task[None]] = set()

    async def __call__(  # noqa: C901, PLR0912, PLR0915 - in one piece, for speed
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        kind = scope["type"]
        if kind not in {"http", "websocket"}:
            await self.app(scope, receive, send)
            return

        authenticator = self._authenticator
        fields: dict[bytes, list[bytes]] = {}
        if type(scope["headers"]) is not list:
            scope["headers"] = list(scope["headers"])  # ASGI lets it be read once only
        for name, value in scope["headers"]:
            if name in fields:
                fields[name].append(value)
            elif name in FIELDS:
                fields[name] = [value]
        taken = False
        if kind == "websocket":
            taken = _take_subprotocol(scope, fields.setdefault(b"authorization", []))
        elif b"upgrade" in fields and is_handshake(scope["method"], fields[b"upgrade"]):
            take_subprotocol(
                split_subprotocols(fields.get(b"sec-websocket-protocol", ())),
                fields.setdefault(b"authorization", []),
            )
        method = WEBSOCKET if kind == "websocket" else scope["method"]
        session = authenticator.parse_request(method, fields, scope.get("client"))
        pending = session.pending_check
        if pending is not None:
            store, sid = authenticator.store, pending.sid
            try:
                data = await store.aread(sid) if authenticator.blocking else store.read(sid)
            except StoreError as error:
                authenticator.read_failed(session, pending, error)
            else:
                authenticator.apply_result(session, pending, data)
        if session.pending_flow is not None:
            await authenticator.manager.arun(session.pending_flow)
        if session.store_failed:
            if kind == "websocket":
                await receive()  # the connect, in place of the app
            await self._answer_unavailable(scope, send)
            return
        scope["sessiongate"] = session
        scope["user"] = session.user
        scope["auth"] = session

        async def send_with_session(message: Message) -> None:
            starts = message["type"] in _STARTS
            if starts:
                changes = authenticator.prepare_response(session, message.get("status", 101))
                edited = self._fields.apply(message.get("headers") or (), changes)
                message = {**message, "headers": edited}
                if changes is not None and "status" in message:
                    message["status"] = changes.status
                if taken and message["type"] == "websocket.accept":
                    message["subprotocol"] = message.get("subprotocol") or SUBPROTOCOL
            await send(message)
            if starts:
                session.opened = None

        try:
            await self.app(scope, receive, send_with_session)
        except BaseException as error:
            await self._undo_login(session)
            if session.response_started or not isinstance(error, StoreError):
                raise
            await self._answer_unavailable(scope, send)
        if session.opened is not None:
            await self._undo_login(session)  # nothing was sent, or the client had gone

    __call__.__qualname__ = qualified_name("asgi")

    async def _undo_login(self, session: RequestSession) -> None:
        if session.opened is None:
            return
        closing = self._authenticator.manager.arun(self._authenticator.undo_login(session))
        if not self._authenticator.blocking:
            await closing
            return
        # A cancelled request may be cancelled again at each await (as anyio does).
        task = asyncio.create_task(closing)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        await asyncio.shield(task)

    async def _answer_unavailable(self, scope: Scope, send: Send) -> None:
        """Answer 503 instead of the app; a websocket is refused before it is accepted."""
        kind = "http.response"
        if scope["type"] == "websocket":
            if not can_deny(scope):
                await send({"type": "websocket.close", "code": POLICY_VIOLATION})
                return
            kind = DENIAL
        headers, body = self._fields.refuse(UNAVAILABLE)
        await send({"type": f"{kind}.start", "status": UNAVAILABLE.status, "headers": headers})
        await send({"type": f"{kind}.body", "body": body})


def _take_subprotocol(scope: Scope, authorizations: list[bytes]) -> bool:
    others = take_subprotocol(scope.get("subprotocols") or (), authorizations)
    if others is not None:
        scope["subprotocols"] = others
    return others is not None
