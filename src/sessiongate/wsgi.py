"""The WSGI adapter (PEP 3333): headers in, a decision, headers out. No rule stands here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Unpack

from sessiongate.errors import StoreError
from sessiongate.http import websockets
from sessiongate.http.authenticator import RequestAuthenticator
from sessiongate.http.fields import CLIENT_FIELDS, find_in_environ, path_in_environ
from sessiongate.http.response import ResponseFields
from sessiongate.http.websockets import SUBPROTOCOL, WEBSOCKET
from sessiongate.http.wrong_stack import check_app, qualified_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from sessiongate.http.request_session import RequestSession
    from sessiongate.http.settings import MiddlewareOptions
    from sessiongate.managers import SessionManager

    Recover = Callable[[BaseException], list[bytes]]

__all__ = ["SessionAuthMiddleware"]

_EVENTS: Final = "text/event-stream"
_SWITCHING: Final = 101
_UNAVAILABLE: Final = "503 Service Unavailable"


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
        self, app: WSGIApplication, manager: SessionManager, **options: Unpack[MiddlewareOptions]
    ) -> None:
        check_app(app, "wsgi")
        self.app = app
        self._authenticator = RequestAuthenticator(manager, **options)
        manager.reporter.check_listener()
        if self._authenticator.for_api_tokens is not None:
            self._authenticator.for_api_tokens.reporter.check_listener()
        self._fields = ResponseFields(self._authenticator.settings, str)
        self._endpoints: WSGIApplication | None = None
        """Who answers in place of the app where no credential is read."""
        if self._authenticator.settings.device_bound:
            from sessiongate.device_bound.wsgi import Endpoints  # noqa: PLC0415 - needs an extra

            self._endpoints = Endpoints(app, self._authenticator)

    def __call__(  # noqa: C901, PLR0912, PLR0915 - in one piece, for every call is paid by every request
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        authenticator, passive = self._authenticator, False
        if authenticator.minds_paths:
            path = path_in_environ(environ, "PATH_INFO")
            rule = authenticator.find_skipped(path)
            if rule is not None:
                skipped = environ["sessiongate"] = authenticator.skipped[rule]
                _set_remote_user(environ, skipped)
                return (self._endpoints or self.app)(environ, start_response)
            passive = authenticator.find_passive(path) is not None
        method = environ["REQUEST_METHOD"]
        cookies: list[bytes] = []
        authorizations: list[bytes] = []
        # Test clients put in what no server would: those bytes make no credential.
        for key, values in ("HTTP_COOKIE", cookies), ("HTTP_AUTHORIZATION", authorizations):
            if key in environ:
                values.append(environ[key].encode("latin-1", "replace"))
        others: list[str] | None = None
        upgrades = find_in_environ(environ, b"upgrade") if "HTTP_UPGRADE" in environ else ()
        if upgrades and websockets.is_handshake(method, upgrades[0]):
            method = WEBSOCKET
            offered = find_in_environ(environ, b"sec-websocket-protocol")
            others = websockets.take_from_header(offered, authorizations)
            if others is not None:
                environ["HTTP_SEC_WEBSOCKET_PROTOCOL"] = ", ".join(others)
        # Not the environ itself, in which the session is going to be: neither would go at once.
        fields = {key: environ[key] for key in CLIENT_FIELDS if key in environ}
        client = find_in_environ, fields, (environ.get("REMOTE_ADDR"),)
        if authorizations and authenticator.for_api_tokens is not None:
            authenticator = authenticator.choose(authorizations)
        session = authenticator.parse_request(method, cookies, authorizations, client, passive)
        if self._endpoints is not None:
            session.root = path_in_environ(environ, "SCRIPT_NAME")
        if session.pending_flow is not None:
            authenticator.manager.run(session.pending_flow)
        if authenticator.reporter.observer is not None:
            authenticator.reporter.observer.checked(session)
        if session.store_failed:
            return self._answer_unavailable(environ, start_response)
        environ["sessiongate"] = session
        _set_remote_user(environ, session)

        def start_with_session(
            status: str, headers: list[tuple[str, str]], exc_info: Any = None, /
        ) -> Callable[[bytes], object]:
            if environ.get("sessiongate") is session:  # or another middleware inside has its own
                _set_remote_user(environ, session)
            code = int(status[:3])
            changes = authenticator.prepare_response(session, code)
            if changes is not None and changes.status != code:
                status = _UNAVAILABLE
            edited = self._fields.apply(headers, changes)
            if others is not None and code == _SWITCHING:
                names = {name.lower() for name, _ in edited}
                if "sec-websocket-protocol" not in names:
                    edited.append(("Sec-WebSocket-Protocol", SUBPROTOCOL))
            if exc_info is None:
                write = start_response(status, edited)
            else:
                write = start_response(status, edited, exc_info)
            if session.user.row is not None:
                for name, value in headers:
                    if value[:17] == _EVENTS and name.lower() == "content-type":
                        session.streams = session.ended  # asked between two chunks
            if session.opened is None:
                return write

            def write_and_deliver(chunk: bytes) -> object:
                session.opened = None
                return write(chunk)

            return write_and_deliver

        def recover(error: BaseException) -> list[bytes]:
            """Undo the login; answer 503 for a ``StoreError`` that the view let through."""
            _undo_login(session)
            if session.response_started or not isinstance(error, StoreError):
                raise error
            return self._answer_unavailable(environ, start_response)

        try:
            body = self.app(environ, start_with_session)
            if session.response_started and session.opened is None and session.watch is None:
                return body
            return _WatchedBody(body, session, recover)
        except BaseException as error:  # noqa: BLE001 - raised again
            return recover(error)

    __call__.__qualname__ = qualified_name("wsgi")

    def _answer_unavailable(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> list[bytes]:
        headers, body = self._fields.unavailable()
        start_response(_UNAVAILABLE, headers)
        # Not all servers keep the body of an answer to HEAD to themselves.
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


class _WatchedBody:
    """The body of an app that begins when it is read, such as a generator: it fails as late.

    Also that of a login: with its first byte the header fields go out (PEP 3333).
    """

    def __init__(self, body: Iterable[bytes], session: RequestSession, recover: Recover) -> None:
        self._body, self._chunks = body, iter(body)
        self._session, self._recover = session, recover

    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self._chunks:
                if self._session.streams is not None and self._session.streams.is_set():
                    return
                if chunk:
                    self._session.opened = None
                yield chunk
        except GeneratorExit:
            raise  # nobody reads on; what that means, ``close`` knows
        except BaseException as error:  # noqa: BLE001 - raised again
            yield from self._recover(error)
        else:
            if self._session.response_started:
                self._session.opened = None

    def close(self) -> None:
        """Pass on what the server is obliged to call."""
        _undo_login(self._session)  # the client has gone before the response began
        if self._session.watch is not None:
            self._session.settings.manager.hub.unwatch(self._session.watch)
        close = getattr(self._body, "close", None)
        if close is not None:
            close()


def _undo_login(session: RequestSession) -> None:
    if session.opened is not None:
        session.settings.manager.run(session.undo_login())


def _set_remote_user(environ: WSGIEnvironment, session: RequestSession) -> None:
    """Set it to the user, or remove it, whatever stood there before."""
    row = session.user.row
    if row is None:
        environ.pop("REMOTE_USER", None)
    else:
        environ["REMOTE_USER"] = row.username.encode().decode("latin-1")
