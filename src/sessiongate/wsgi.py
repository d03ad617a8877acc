"""The WSGI edge (PEP 3333): headers in, a decision, headers out. No rule stands here."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Unpack

from sessiongate.errors import StoreError
from sessiongate.http.csrf import WEBSOCKET, is_handshake
from sessiongate.http.gate import Gate
from sessiongate.http.handle import Handle
from sessiongate.http.refusals import UNAVAILABLE, Refusal
from sessiongate.http.response import ResponseFields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from sessiongate.http.client import Client
    from sessiongate.http.gate import Options
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
    Latin-1 clothes that PEP 3333 asks for; follows a login when the response
    starts) and ``environ["sessiongate"]``, the ``Handle`` of the request.
    Takes the keywords of ``Gate``. The body is passed on as it comes, so
    streams stream.
    """

    def __init__(
        self, app: WSGIApplication, manager: SessionManager, **options: Unpack[Options]
    ) -> None:
        self.app = app
        self._gate = Gate(manager, **options)
        self._fields = ResponseFields(self._gate, str)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        gate = self._gate
        handle = gate.read(_Incoming(environ))
        if type(handle) is Handle and handle.arriving is not None:
            arriving = handle.arriving
            try:
                handle, event = gate.enter(handle, arriving, gate.ask(arriving[0]))
                if event is not None:
                    gate.tell(event)
            except StoreError:
                handle = UNAVAILABLE
        if type(handle) is Refusal:
            return self._refuse(handle, environ, start_response)
        environ["sessiongate"] = handle
        _name(environ, handle.user)

        def start_with_session(
            status: str, headers: list[tuple[str, str]], exc_info: Any = None, /
        ) -> Callable[[bytes], object]:
            _name(environ, handle.user)
            leaving = self._gate.leave(handle, int(status[:3]))
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
        self, body: Iterable[bytes], handle: Handle, refuse: Callable[[], list[bytes]]
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


class _Incoming:
    """An environ as the rules read it."""

    __slots__ = ("_environ", "authorizations", "cookies", "method")

    def __init__(self, environ: WSGIEnvironment) -> None:
        self.method: str = environ["REQUEST_METHOD"]
        if "HTTP_UPGRADE" in environ and is_handshake(self.method, environ["HTTP_UPGRADE"]):
            self.method = WEBSOCKET
        self._environ = environ
        self.cookies = self.header("cookie")
        self.authorizations = self.header("authorization")

    @property
    def client(self) -> Client:
        # Taken out, because a handle that held its own environ would wait for the collector.
        agent = self._environ.get("HTTP_USER_AGENT")
        fields = () if agent is None else ((b"user-agent", agent.encode("latin-1", "replace")),)
        return fields, (self._environ.get("REMOTE_ADDR"),)

    def header(self, name: str) -> tuple[bytes, ...]:
        value = self._environ.get(_TITLES[name])
        # Test clients put in what no server would: those bytes make no credential.
        return () if value is None else (value.encode("latin-1", "replace"),)


def _name(environ: WSGIEnvironment, user: User) -> None:
    """Say who it is, or that it is nobody, whatever stood there before."""
    username = user.username
    if username is None:
        environ.pop("REMOTE_USER", None)
    else:
        environ["REMOTE_USER"] = username.encode().decode("latin-1")


def _line(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"
