"""Forward auth for ASGI servers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Unpack
from urllib.parse import unquote

from sessiongate.asgi import SessionAuthMiddleware
from sessiongate.forward.decision import KEY, Decisions, check_options, fields_of
from sessiongate.http.refusals import Refusal
from sessiongate.http.websockets import DENIAL, POLICY_VIOLATION, can_deny

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

    from sessiongate.forward.decision import IssuesTokens
    from sessiongate.forward.original import Proxy
    from sessiongate.http.settings import MiddlewareOptions
    from sessiongate.managers import SessionManager

_REPLACED = frozenset({b"host", b"upgrade"})


class ForwardAuth:
    """An ASGI app that a proxy asks before it passes a request to any backend.

    The query of the URL that the proxy asks holds the demands. The answer is 200 with who it is
    (``Remote-User``, ``Remote-Scopes``, ``Authorization``; each one always, if need be empty), or
    401, 303 to the login, 403, 400, or 503 while the store is down. A proxy that asks in a wrong
    way is answered 400 or 500, and the log says what is wrong. Never blocks the event loop.

    Mount it where only the proxy can reach it, and outside of any ``SessionAuthMiddleware``.

    Args:
        manager: The manager of the app where people log in.
        user_header: Carries the username, as percent-encoded UTF-8 (RFC 3986, section 2.1).
        scopes_header: Carries the scopes, with blanks between them.
        service_tokens: Makes the tokens that ``audience=`` demands, as ``ServiceTokens`` does.
            ``None``: such a demand is an error.
        proxy: ``"forwarded"``: the proxy describes the request in ``X-Forwarded-Method``,
            ``-Proto``, ``-Host`` and ``-Uri``. ``"envoy"``: it asks with the method and ``Host``
            of the request, and writes its URI behind the demands.
        options: The keywords of ``SessionAuthMiddleware``. They apply to the request of the client.

    Raises:
        ValueError, TypeError: An argument is unfit; the message says how.
    """

    def __init__(
        self,
        manager: SessionManager,
        *,
        user_header: str = "Remote-User",
        scopes_header: str = "Remote-Scopes",
        service_tokens: IssuesTokens | None = None,
        proxy: Proxy = "forwarded",
        **options: Unpack[MiddlewareOptions],
    ) -> None:
        check_options(options)
        self._gated = SessionAuthMiddleware(self._answer, manager, **options)
        self._decisions = Decisions(manager, user_header, scopes_header, service_tokens, proxy)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":  # the proxy has handed on the client's Upgrade
            if not can_deny(scope):
                await send({"type": "websocket.close", "code": POLICY_VIOLATION})
                return
            await receive()
            send = partial(_deny, send)
        elif scope["type"] != "http":
            msg = f"ForwardAuth answers requests, and none of type {scope['type']!r}"
            raise NotImplementedError(msg)
        fields = list(scope["headers"])
        query = scope["query_string"].decode("latin-1")
        question = self._decisions.read(fields, scope.get("method", "GET"), query)
        if isinstance(question, Refusal):
            await _send(send, question)
            return
        original, _ = question
        path, _, query = original.uri.partition("?")
        raw_path = path.encode("latin-1")
        if "%" in path or not path.isascii():
            path = unquote(raw_path.decode(errors="replace"))
        headers = [field for field in fields if field[0] not in _REPLACED]
        headers.append((b"host", original.host.encode()))
        if original.is_websocket:
            headers.append((b"upgrade", b"websocket"))
        inner = {
            **scope,
            "type": "http",
            "method": original.method,
            "scheme": original.scheme,
            "root_path": "",
            "path": path,
            "raw_path": raw_path,
            "query_string": query.encode("latin-1"),
            "headers": headers,
            KEY: question,
        }
        await self._gated(inner, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        header = partial(_header, scope["headers"])
        await _send(send, self._decisions.answer(scope["sessiongate"], scope[KEY], header))


async def _send(send: Send, answer: Refusal) -> None:
    headers = [(name.lower().encode(), value.encode()) for name, value in fields_of(answer)]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.text.encode()})


async def _deny(send: Send, message: Message) -> None:
    await send({**message, "type": message["type"].replace("http.response", DENIAL)})


def _header(headers: list[tuple[bytes, bytes]], name: str, default: str) -> str:
    wanted: Any = name.lower().encode()
    return next((value.decode("latin-1") for key, value in headers if key == wanted), default)
