"""The ASGI adapter: headers in, a decision, headers out. No rule stands here."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Unpack

from sessiongate.errors import StoreError
from sessiongate.feed.streams import OpenStream
from sessiongate.http import websockets
from sessiongate.http.authenticator import RequestAuthenticator
from sessiongate.http.fields import find_in_headers
from sessiongate.http.response import ResponseFields
from sessiongate.http.websockets import DENIAL, POLICY_VIOLATION, SUBPROTOCOL, WEBSOCKET
from sessiongate.http.wrong_stack import check_app, qualified_name

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from sessiongate.http.request_session import RequestSession
    from sessiongate.http.settings import MiddlewareOptions
    from sessiongate.managers import SessionManager

__all__ = ["SessionAuthMiddleware"]

_READ = frozenset({b"cookie", b"authorization", b"upgrade"})
"""The fields of each request that are read; others where they are needed."""
_EVENTS = b"text/event-stream"
_CONTENT_TYPE = b"content-type"
_STARTS = frozenset({"http.response.start", "websocket.accept", f"{DENIAL}.start"})


class SessionAuthMiddleware:
    """Attaches the user to each request and rotates the token in the response.

    Sets ``scope["user"]`` and ``scope["auth"]`` as Starlette does, and ``scope["sessiongate"]``,
    the ``RequestSession``. Takes the keywords of ``MiddlewareSettings``. Handles ``http`` and
    ``websocket`` scopes; all others pass through untouched. Never blocks the event loop.

    A request whose credential is not valid goes on as an anonymous one. Only
    where the store cannot say who it is, the answer is a 503 of the middleware.
    """

    def __init__(
        self, app: ASGIApp, manager: SessionManager, **options: Unpack[MiddlewareOptions]
    ) -> None:
        check_app(app, "asgi")
        self.app = app
        self._authenticator = RequestAuthenticator(manager, awaits=True, **options)
        encode = partial(str.encode, encoding="latin-1")
        self._fields = ResponseFields(self._authenticator.settings, encode)
        self._endpoints: ASGIApp | None = None
        """Who answers in place of the app where no credential is read."""
        if self._authenticator.settings.device_bound:
            from sessiongate.device_bound.asgi import Endpoints  # noqa: PLC0415 - needs an extra

            self._endpoints = Endpoints(app, self._authenticator)
        self._closing: set[asyncio.Future[None]] = set()

    async def __call__(  # noqa: C901, PLR0912, PLR0915 - in one piece: each request pays for each call
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        kind = scope["type"]
        if kind not in {"http", "websocket"}:
            await self.app(scope, receive, send)
            return
        authenticator, passive, root = self._authenticator, False, ""
        if authenticator.minds_paths:
            root, path = scope.get("root_path") or "", scope["path"]
            if root:
                path = _path_below(root.rstrip("/"), path)
            rule = authenticator.find_skipped(path)
            if rule is not None:
                skipped = scope["sessiongate"] = scope["auth"] = authenticator.skipped[rule]
                scope["user"] = skipped.user
                await (self._endpoints or self.app)(scope, receive, send)
                return
            passive = authenticator.find_passive(path) is not None
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        if type(headers) is not list:
            headers = scope["headers"] = list(headers)  # ASGI lets it be read once only
        cookies: list[bytes] = []
        authorizations: list[bytes] = []
        method = scope["method"] if kind == "http" else WEBSOCKET
        for name, value in headers:
            if name in _READ:
                if name == b"cookie":
                    cookies.append(value)
                elif name == b"authorization":
                    authorizations.append(value)
                elif websockets.is_handshake(method, value):
                    method = WEBSOCKET  # a server may pass a handshake on as an HTTP request
        others = mark = None
        if method == WEBSOCKET:
            others = _take_subprotocol(scope, authorizations)
            if kind == "websocket":
                mark = authenticator.manager.hub.mark()
        client = find_in_headers, headers, scope.get("client")
        if authorizations and authenticator.for_api_tokens is not None:
            authenticator = authenticator.choose(authorizations)
        session = authenticator.parse_request(method, cookies, authorizations, client, passive)
        if root:
            session.root = root
        check = session.pending_check
        if check is not None:
            try:
                data = await authenticator.manager.asked.aread(check[0].sid)
                authenticator.apply_data(session, check, data)
            except StoreError as error:
                session.pending_flow = authenticator.failing(session, error)
        if session.pending_flow is not None:
            await authenticator.manager.arun(session.pending_flow)
        if authenticator.reporter.observer is not None:
            authenticator.reporter.observer.checked(session)
        if session.store_failed:
            if kind == "websocket":
                await receive()  # the connect, in place of the app
            await self._answer_unavailable(scope, send)
            return
        scope["sessiongate"] = scope["auth"] = session
        scope["user"] = session.user
        stream: OpenStream | None = None
        row = session.user.row
        if kind == "websocket" and row is not None and _this_task() is not None:
            session.watch = authenticator.manager.hub.watch(row, mark)
            stream = OpenStream(session.watch, send)
            send, receive = stream.send, partial(stream.receive, receive)

        async def send_with_session(message: Message) -> None:
            nonlocal stream, send
            if message["type"] not in _STARTS:
                await send(message)
                return
            changes = authenticator.prepare_response(session, message.get("status", 101))
            given = message.get("headers") or ()
            message = {**message, "headers": self._fields.apply(given, changes)}
            if changes is not None and "status" in message:
                message["status"] = changes.status
            if others is not None and message["type"] == "websocket.accept":
                message["subprotocol"] = message.get("subprotocol") or SUBPROTOCOL
            await send(message)
            session.opened = None
            if stream is None and session.user.row is not None:
                for name, value in given:
                    # Most values are shorter: to ask that is cheaper than to cut them.
                    if len(value) > 16 and value[:17] == _EVENTS and name.lower() == _CONTENT_TYPE:  # noqa: PLR2004
                        task = _this_task()
                        if task is not None:
                            stream = OpenStream(session.ended, send, task=task)
                            send = stream.send

        try:
            await self.app(scope, receive, send_with_session)
        except BaseException as error:
            await self._undo_login(session)
            if stream is None or not stream.is_ours(error):
                if session.response_started or not isinstance(error, StoreError):
                    raise
                await self._answer_unavailable(scope, send)
        finally:
            if stream is not None:
                await stream.close()
            if session.watch is not None:
                authenticator.manager.hub.unwatch(session.watch)
        if session.opened is not None:
            await self._undo_login(session)  # nothing was sent, or the client had gone

    __call__.__qualname__ = qualified_name("asgi")

    async def _undo_login(self, session: RequestSession) -> None:
        if session.opened is None:
            return
        closing: Awaitable[None] = self._authenticator.manager.arun(session.undo_login())
        if self._authenticator.awaits:
            # A cancelled request may be cancelled again at each await (as anyio does).
            task = asyncio.ensure_future(closing)
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
            closing = asyncio.shield(task)
        await closing

    async def _answer_unavailable(self, scope: Scope, send: Send) -> None:
        """Answer 503 instead of the app; a websocket is refused before it is accepted."""
        is_websocket = scope["type"] == "websocket"
        if is_websocket and not websockets.can_deny(scope):
            await send({"type": "websocket.close", "code": POLICY_VIOLATION})
            return
        kind = DENIAL if is_websocket else "http.response"
        headers, body = self._fields.unavailable()
        await send({"type": f"{kind}.start", "status": 503, "headers": headers})
        await send({"type": f"{kind}.body", "body": body})


def _this_task() -> asyncio.Task[object] | None:
    """The task that runs this, which is asked for rarely; ``None``: it is not asyncio that does."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


def _path_below(root: str, path: str) -> str:
    """The path below ``root_path``, with which servers begin it or not."""
    return path[len(root) :] if f"{path}/".startswith(f"{root}/") else path


def _take_subprotocol(scope: Scope, authorizations: list[bytes]) -> list[str] | None:
    """Read a token that came as a subprotocol; the others, if the answer has to name one."""
    if scope["type"] == "http":
        offered = find_in_headers(scope["headers"], b"sec-websocket-protocol")
        websockets.take_from_header(offered, authorizations)
        return None
    others = websockets.take_subprotocol(scope.get("subprotocols") or (), authorizations)
    if others is not None:
        scope["subprotocols"] = others
    return others
