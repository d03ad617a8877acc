"""The WSGI edge (PEP 3333): headers in, a decision, headers out. No rule stands here."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Unpack

from sessiongate.errors import StoreError
from sessiongate.http.authenticator import RequestAuthenticator
from sessiongate.http.csrf import WEBSOCKET, is_handshake
from sessiongate.http.refusals import UNAVAILABLE
from sessiongate.http.response import ResponseFields
from sessiongate.http.wrong_stack import check_app, names_the_other

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from sessiongate.http.authenticator import Options
    from sessiongate.http.client import Client
    from sessiongate.http.refusals import Refusal
    from sessiongate.http.request_session import RequestSession
    from sessiongate.http.user import User
    from sessiongate.managers import SessionManager

__all__ = ["SessionAuthMiddleware"]

_TITLES: Final = {
    "cookie": "HTTP_COOKIE",
    "authorization": "HTTP_AUTHORIZATION",
    "sec-fetch-site": "HTTP_SEC_FETCH_SITE",
    "origin": "HTTP_ORIGIN",
    "host": "HTTP_HOST",
}


class SessionAuthMiddleware:
    """Attaches the user to each request and rotates the token in the response.

    Sets ``environ["REMOTE_USER"]`` (absent for the anonymous; UTF-8 in the
    Latin-1 clothes that PEP 3333 asks for; told anew when the response starts)
    and ``environ["sessiongate"]``, the ``RequestSession`` of the request.
    Takes the keywords of ``RequestAuthenticator``. The body is passed on as it comes, so
    streams stream.
    """

    def __init__(
        self, app: WSGIApplication, manager: SessionManager, **options: Unpack[Options]
    ) -> None:
        check_app(app, "wsgi")
        self.app = app
        self._gate = RequestAuthenticator(manager, **options)
        manager.check_listener()
        self._fields = ResponseFields(self._gate, str)

    @names_the_other("wsgi")
    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        gate = self._gate
        method = environ["REQUEST_METHOD"]
        if "HTTP_UPGRADE" in environ and is_handshake(method, environ["HTTP_UPGRADE"]):
            method = WEBSOCKET
        handle = gate.read(
            method,
            _header(environ, "cookie"),
            _header(environ, "authorization"),
            _client(environ),
            _header,
            environ,
        )
        pending_check = handle.pending_check
        if pending_check is not None:
            try:
                event = gate.enter(handle, pending_check, gate.store.execute(pending_check[0]))
            except StoreError as error:
                event = gate.fail(handle, pending_check, error)
            if event is not None:
                gate.emit(event)
        if handle.refusal is not None:
            return self._refuse(handle.refusal, environ, start_response)
        environ["sessiongate"] = handle
        _name(environ, handle.user)

        def start_with_session(
            status: str, headers: list[tuple[str, str]], exc_info: Any = None, /
        ) -> Callable[[bytes], object]:
            _name(environ, handle.user)
            leaving = gate.leave(handle, int(status[:3]))
            if leaving is not None and leaving.status != int(status[:3]):
                status = _line(leaving.status)
            fields = self._fields.apply(headers, leaving)
            if exc_info is None:
                return start_response(status, fields)
            return start_response(status, fields, exc_info)

        def refuse() -> list[bytes]:
            return self._refuse(UNAVAILABLE, environ, start_response)

        try:
            body = self.app(environ, start_with_session)
            return body if handle.response_started else _LateBody(body, handle, refuse)
        except StoreError:
            if handle.response_started:
                raise
            return refuse()

    def _refuse(
        self, refusal: Refusal, environ: WSGIEnvironment, start_response: StartResponse
    ) -> list[bytes]:
        headers, body = self._fields.refuse(refusal)
        start_response(_line(refusal.status), headers)
        # Not all servers keep the body of an answer to HEAD to themselves.
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


class _LateBody:
    """The body of an app that begins when it is read, such as a generator: it fails as late."""

    def __init__(
        self, body: Iterable[bytes], handle: RequestSession, refuse: Callable[[], list[bytes]]
    ) -> None:
        self._body = body
        self._chunks = iter(body)
        self._handle = handle
        self._refuse = refuse

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._chunks)
        except StoreError:
            if self._handle.response_started:
                raise
            self._chunks = iter(self._refuse())
            return next(self._chunks)

    def close(self) -> None:
        """Pass on what the server is obliged to call."""
        close = getattr(self._body, "close", None)
        if close is not None:
            close()


def _header(environ: WSGIEnvironment, name: str) -> tuple[bytes, ...]:
    value = environ.get(_TITLES[name])
    # Test clients put in what no server would: those bytes make no credential.
    return () if value is None else (value.encode("latin-1", "replace"),)


def _client(environ: WSGIEnvironment) -> Client:
    # Taken out, because a handle that held its own environ would wait for the collector.
    agent = environ.get("HTTP_USER_AGENT")
    fields = () if agent is None else ((b"user-agent", agent.encode("latin-1", "replace")),)
    return fields, (environ.get("REMOTE_ADDR"),)


def _name(environ: WSGIEnvironment, user: User) -> None:
    """Say who it is, or that it is nobody, whatever stood there before."""
    username = user.username
    if username is None:
        environ.pop("REMOTE_USER", None)
    else:
        environ["REMOTE_USER"] = username.encode().decode("latin-1")


def _line(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"
