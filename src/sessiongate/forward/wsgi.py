"""Forward auth for WSGI servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack
from urllib.parse import unquote_to_bytes

from sessiongate.forward.decision import KEY, Decisions, check_options, fields_of, status_line
from sessiongate.forward.original import READ
from sessiongate.http.refusals import Refusal
from sessiongate.wsgi import SessionAuthMiddleware

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

    from sessiongate.forward.decision import IssuesTokens
    from sessiongate.forward.original import Proxy
    from sessiongate.http.settings import MiddlewareOptions
    from sessiongate.managers import SessionManager


def _key(name: str) -> str:
    return f"HTTP_{name.upper().replace('-', '_')}"


_READ = {_key(name.decode()): name for name in sorted(READ)}


class WSGIForwardAuth:
    """``ForwardAuth`` as a WSGI app: the same keywords, and the same answers."""

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

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        fields = [
            (name, environ[key].encode("latin-1", "replace"))
            for key, name in _READ.items()
            if key in environ
        ]
        own_method = environ["REQUEST_METHOD"]
        question = self._decisions.read(fields, own_method, environ.get("QUERY_STRING", ""))
        if isinstance(question, Refusal):
            body: Iterable[bytes] = _start(start_response, question)
        else:
            original, _ = question
            path, _, query = original.uri.partition("?")
            inner = {
                **environ,
                "REQUEST_METHOD": original.method,
                "SCRIPT_NAME": "",
                "PATH_INFO": unquote_to_bytes(path.encode("latin-1")).decode("latin-1"),
                "QUERY_STRING": query,
                "HTTP_HOST": original.host,
                "wsgi.url_scheme": original.scheme,
                KEY: question,
            }
            inner.pop("HTTP_UPGRADE", None)
            if original.is_websocket:
                inner["HTTP_UPGRADE"] = "websocket"
            body = self._gated(inner, start_response)
        # Not all servers keep the body of an answer to HEAD to themselves.
        return [] if own_method == "HEAD" else body

    def _answer(self, environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        def header(name: str, default: str) -> str:
            value: str = environ.get(_key(name), default)
            return value

        session, question = environ["sessiongate"], environ[KEY]
        return _start(start_response, self._decisions.answer(session, question, header))


def _start(start_response: StartResponse, answer: Refusal) -> list[bytes]:
    start_response(status_line(answer), fields_of(answer))
    return [answer.text.encode()]
