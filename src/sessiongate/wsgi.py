"""The WSGI adapter (PEP 3333): headers in, a decision, headers out. No rule stands here."""

from __future__ import annotations

from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Unpack

from sessiongate.errors import StoreError
from sessiongate.http.authenticator import RequestAuthenticator
from sessiongate.http.credentials import SUBPROTOCOL, bearer_subprotocol
from sessiongate.http.csrf import WEBSOCKET, is_handshake
from sessiongate.http.refusals import UNAVAILABLE
from sessiongate.http.response import ResponseFields
from sessiongate.http.wrong_stack import check_app, names_the_other

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from sessiongate.core.steps import Flow
    from sessiongate.http.client import Client
    from sessiongate.http.request_session import RequestSession
    from sessiongate.http.settings import MiddlewareOptions
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
_SUBPROTOCOLS: Final = "HTTP_SEC_WEBSOCKET_PROTOCOL"
_SWITCHING: Final = 101


class SessionAuthMiddleware:
    """Attaches the user to each request and rotates the token in the response.

    Sets ``environ["REMOTE_USER"]`` (absent for the anonymous; UTF-8 bytes
    decoded as Latin-1, as PEP 3333 requires; updated when the response starts)
    and ``environ["sessiongate"]``, the ``RequestSession``. Takes the keywords of
    ``MiddlewareSettings``. The body is passed on as it comes, so streams stream.

    A request whose credential is not valid goes on as an anonymous one. Only
    where the store cannot say who it is, the answer is a 503 of the middleware.
    """

    def __init__(
        self,
        app: WSGIApplication,
        manager: SessionManager,
        **options: Unpack[MiddlewareOptions],
    ) -> None:
        check_app(app, "wsgi")
        self.app = app
        self._authenticator = RequestAuthenticator(manager, **options)
        manager.check_listener()
        self._fields = ResponseFields(self._authenticator.settings, str)

    @names_the_other("wsgi")
    def __call__(  # noqa: C901 - in one piece, for every call is paid by every request
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        authenticator = self._authenticator
        method = environ["REQUEST_METHOD"]
        authorizations = _header(environ, "authorization")
        subprotocol = None
        if "HTTP_UPGRADE" in environ and is_handshake(method, environ["HTTP_UPGRADE"]):
            method = WEBSOCKET
            credential = _take_subprotocol(environ)
            if credential is not None:
                authorizations += (credential,)
                subprotocol = SUBPROTOCOL
        session = authenticator.parse_request(
            method,
            _header(environ, "cookie"),
            authorizations,
            _client(environ),
            _header,
            environ,
        )
        pending = session.pending_check
        if pending is not None:
            try:
                data = authenticator.store.read(pending[0].sid)
            except StoreError as error:
                authenticator.manager.emit(authenticator.read_failed(session, pending, error))
            else:
                session.pending_flow = authenticator.apply_result(session, pending, data)
        if session.pending_flow is not None:
            self._run_pending(session, session.pending_flow)
        if session.unavailable:
            return self._answer_unavailable(environ, start_response)
        environ["sessiongate"] = session
        _set_remote_user(environ, session.user)

        def start_with_session(
            status: str, headers: list[tuple[str, str]], exc_info: Any = None, /
        ) -> Callable[[bytes], object]:
            if environ.get("sessiongate") is session:  # or another middleware inside has its own
                _set_remote_user(environ, session.user)
            code = int(status[:3])
            changes = authenticator.prepare_response(session, code)
            if changes is not None and changes.status != code:
                status = _line(changes.status)
            fields = self._fields.apply(headers, changes)
            if subprotocol is not None and code == _SWITCHING:
                _answer_subprotocol(fields, subprotocol)
            if exc_info is None:
                write = start_response(status, fields)
            else:
                write = start_response(status, fields, exc_info)
            return write if session.opened is None else _delivering(write, session)

        def answer_unavailable() -> list[bytes]:
            return self._answer_unavailable(environ, start_response)

        try:
            body = self.app(environ, start_with_session)
        except BaseException as error:
            self._undo_login(session)
            if session.response_started or not isinstance(error, StoreError):
                raise
            return answer_unavailable()
        if session.response_started and session.opened is None:
            return body
        return _WatchedBody(body, session, answer_unavailable, self._undo_login)

    def _run_pending(self, session: RequestSession, flow: Flow[None]) -> None:
        try:
            self._authenticator.manager.run(flow)
        except StoreError:
            session.unavailable = True

    def _undo_login(self, session: RequestSession) -> None:
        """No response of ours will bring the token: the server's own 500 goes around us."""
        flow = self._authenticator.undo_login(session)
        if flow is not None:
            with suppress(StoreError):  # it is in the log; the error of the view is what counts
                self._authenticator.manager.run(flow)

    def _answer_unavailable(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> list[bytes]:
        headers, body = self._fields.refuse(UNAVAILABLE)
        start_response(_line(UNAVAILABLE.status), headers)
        # Not all servers keep the body of an answer to HEAD to themselves.
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


def _delivering(
    write: Callable[[bytes], object], session: RequestSession
) -> Callable[[bytes], object]:
    def write_and_deliver(chunk: bytes) -> object:
        session.opened = None
        return write(chunk)

    return write_and_deliver


class _WatchedBody:
    """The body of an app that begins when it is read, such as a generator: it fails as late.

    Also that of a login: with its first byte the header fields go out (PEP 3333).
    """

    def __init__(
        self,
        body: Iterable[bytes],
        session: RequestSession,
        answer_unavailable: Callable[[], list[bytes]],
        undo_login: Callable[[RequestSession], None],
    ) -> None:
        self._body = body
        self._chunks = iter(body)
        self._session = session
        self._answer_unavailable = answer_unavailable
        self._undo_login = undo_login

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            chunk = next(self._chunks)
        except StopIteration:
            if self._session.response_started:
                self._session.opened = None
            raise
        except BaseException as error:
            self._undo_login(self._session)
            if self._session.response_started or not isinstance(error, StoreError):
                raise
        else:
            if chunk:
                self._session.opened = None
            return chunk
        self._chunks = iter(self._answer_unavailable())
        return next(self._chunks)

    def close(self) -> None:
        """Pass on what the server is obliged to call."""
        self._undo_login(self._session)  # the client has gone before the response began
        close = getattr(self._body, "close", None)
        if close is not None:
            close()


def _take_subprotocol(environ: WSGIEnvironment) -> bytes | None:
    """Read a bearer token that was offered as a subprotocol; the app is not shown it."""
    offered = [one.strip() for one in environ.get(_SUBPROTOCOLS, "").split(",")]
    credential, others = bearer_subprotocol(offered)
    if credential is not None:
        environ[_SUBPROTOCOLS] = ", ".join(others)
    return credential


def _answer_subprotocol(fields: list[tuple[str, str]], subprotocol: str) -> None:
    if not any(name.lower() == "sec-websocket-protocol" for name, _ in fields):
        fields.append(("Sec-WebSocket-Protocol", subprotocol))


def _header(environ: WSGIEnvironment, name: str) -> tuple[bytes, ...]:
    value = environ.get(_TITLES[name])
    # Test clients put in what no server would: those bytes make no credential.
    return () if value is None else (value.encode("latin-1", "replace"),)


def _client(environ: WSGIEnvironment) -> Client:
    # Taken out, because a handle that held its own environ would wait for the collector.
    agent = environ.get("HTTP_USER_AGENT")
    fields = () if agent is None else ((b"user-agent", agent.encode("latin-1", "replace")),)
    return fields, (environ.get("REMOTE_ADDR"),)


def _set_remote_user(environ: WSGIEnvironment, user: User) -> None:
    """Say who it is, or that it is nobody, whatever stood there before."""
    username = user.username
    if username is None:
        environ.pop("REMOTE_USER", None)
    else:
        environ["REMOTE_USER"] = username.encode().decode("latin-1")


def _line(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"
