"""The WSGI protocol (PEP 3333): whatever an app may do, the middleware passes it on."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any
from wsgiref.validate import validator

import pytest
from tests.http.brittle import BrittleStore
from tests.http.harness import COOKIE, Header, Site, cookie, environ_of, make_site, validated

from sessiongate import SessionManager
from sessiongate.errors import ResponseStartedError, StoreError
from sessiongate.wsgi import SessionAuthMiddleware

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sessiongate.events import Event

PLAIN = [("Content-Type", "text/plain")]
HANDLE = "test.sessiongate"


class Server:
    """A server with the validator on both sides of the middleware; keeps what it gets."""

    def __init__(self, site: Site, app: Any, *headers: Header, method: str = "GET") -> None:
        self.log: list[Any] = []
        self.headers: list[tuple[str, str]] = []
        guarded = validator(SessionAuthMiddleware(validated(app), site.manager))
        self.body = guarded(environ_of(method, headers), self._start)
        self.chunks = iter(self.body)

    def _start(self, status: str, headers: Any, exc_info: Any = None) -> Callable[[bytes], object]:
        if exc_info and self.sent:
            raise exc_info[1].with_traceback(exc_info[2])
        self.log.append(status)
        self.headers = headers
        return self.log.append

    @property
    def sent(self) -> bytes:
        return b"".join(entry for entry in self.log if isinstance(entry, bytes))

    def read(self) -> Server:
        self.log.extend(self.chunks)
        self.body.close()  # type: ignore[attr-defined]
        return self

    def cookies(self) -> list[str]:
        return [
            value
            for name, value in self.headers
            if name.lower() == "set-cookie" and value.startswith(f"{COOKIE}=")
        ]


class Body:
    """An iterable that knows how often it was closed."""

    def __init__(self, *chunks: bytes) -> None:
        self._chunks = iter(chunks)
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._chunks)

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def site() -> Site:
    return make_site("wsgi", "opaque")


@pytest.fixture
def due(site: Site) -> Header:
    """A cookie that any request will rotate."""
    token = site.open()
    site.clock.advance(1800)
    return cookie(token)


def test_the_body_is_passed_on_as_the_very_same_object(site: Site, due: Header) -> None:
    """So that ``wsgi.file_wrapper`` keeps working, and streams stream."""
    body = Body(b"a")

    def app(_environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", PLAIN)
        return body

    guarded = SessionAuthMiddleware(app, site.manager)
    for headers in ([], [due]):
        answer = guarded(environ_of("GET", headers), lambda *_: lambda _: None)
        assert answer is body
    assert body.closed == 0


def test_a_stream_comes_chunk_by_chunk(site: Site, due: Header) -> None:
    made: list[bytes] = []

    def app(_environ: Any, start_response: Any) -> Iterable[bytes]:
        def chunks() -> Iterator[bytes]:
            for chunk in (b"one", b"two"):
                made.append(chunk)
                yield chunk

        start_response("200 OK", PLAIN)
        return chunks()

    server = Server(site, app, due)
    assert len(server.cookies()) == 1
    assert made == []
    assert (next(server.chunks), made) == (b"one", [b"one"])
    assert (next(server.chunks), made) == (b"two", [b"one", b"two"])
    server.read()


def test_an_app_that_starts_when_it_is_read(site: Site, due: Header) -> None:
    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        environ[HANDLE].login("bob")
        start_response("200 OK", PLAIN)
        yield b"one"
        with pytest.raises(ResponseStartedError):
            environ[HANDLE].login("carol")
        yield b"two"

    server = Server(site, app, due)
    assert server.log == []
    server.read()
    assert server.log == ["200 OK", b"one", b"two"]
    (ours,) = server.cookies()
    token = ours.partition("=")[2].partition(";")[0]
    assert site.ask(cookie(token)).who == "bob"


def test_write_passes_through(site: Site, due: Header) -> None:
    def app(_environ: Any, start_response: Any) -> Iterable[bytes]:
        write = start_response("200 OK", PLAIN)
        write(b"written")
        return [b"read"]

    server = Server(site, app, due).read()
    assert server.log == ["200 OK", b"written", b"read"]
    assert len(server.cookies()) == 1


def test_an_error_page_takes_the_place_of_what_was_not_sent(site: Site, due: Header) -> None:
    def app(_environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [*PLAIN, ("X-First", "1")])
        try:
            _fail()
        except LookupError:
            start_response("500 Oops", PLAIN, sys.exc_info())
        return [b"sorry"]

    server = Server(site, app, due).read()
    assert server.log == ["200 OK", "500 Oops", b"sorry"]
    names = [name.lower() for name, _ in server.headers]
    assert "x-first" not in names
    assert (names.count("set-cookie"), names.count("vary"), names.count("cache-control")) == (
        1,
        1,
        1,
    )


def test_an_error_after_the_first_byte_is_the_servers(site: Site) -> None:
    def app(_environ: Any, start_response: Any) -> Iterable[bytes]:
        write = start_response("200 OK", PLAIN)
        write(b"first")
        try:
            _fail()
        except LookupError:
            start_response("500 Oops", PLAIN, sys.exc_info())
        return []

    with pytest.raises(LookupError):
        Server(site, app)


@pytest.mark.parametrize("late", [True, False])
@pytest.mark.parametrize("chunks_read", [0, 1, 9])
def test_close_is_called_exactly_once(site: Site, chunks_read: int, *, late: bool) -> None:
    body = Body(b"one", b"two")

    class LateBody(Body):
        start: Any = None

        def __next__(self) -> bytes:
            if self.start is not None:
                self.start("200 OK", PLAIN)
                self.start = None
            return super().__next__()

    if late:
        body = LateBody(b"one", b"two")

    def app(_environ: Any, start_response: Any) -> Iterable[bytes]:
        if isinstance(body, LateBody):
            body.start = start_response
        else:
            start_response("200 OK", PLAIN)
        return body

    answer = SessionAuthMiddleware(app, site.manager)(
        environ_of("GET", []), lambda *_: lambda _: None
    )
    chunks = iter(answer)
    for _ in range(chunks_read):
        next(chunks, None)
    assert body.closed == 0
    answer.close()  # type: ignore[attr-defined]
    assert body.closed == 1
    del answer, chunks
    assert body.closed == 1


def test_an_iterable_without_close_is_fine(site: Site) -> None:
    def app(_environ: Any, start_response: Any) -> Iterable[bytes]:
        def chunks() -> Iterator[bytes]:
            start_response("200 OK", PLAIN)
            yield b"x"

        return map(bytes, chunks())

    assert Server(site, app).read().log == ["200 OK", b"x"]
    # The validator would lend it a close(); a server that always calls it must not stumble.
    body = SessionAuthMiddleware(app, site.manager)(
        environ_of("GET", []), lambda *_: lambda _: None
    )
    assert list(body) == [b"x"]
    body.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_503_is_valid(method: str) -> None:
    store = BrittleStore()
    site = make_site("wsgi", "opaque", store=store)
    header = cookie(site.open())
    store.down = True

    def app(_environ: Any, _start_response: Any) -> Iterable[bytes]:
        raise AssertionError

    server = Server(site, app, header, method=method).read()
    assert server.log[0] == "503 Service Unavailable"
    length = int(dict(server.headers)["content-length"])
    assert (length > 0, len(server.sent)) == (True, length if method == "GET" else 0)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_an_outage_of_an_app_that_starts_late_is_a_503(site: Site, method: str) -> None:
    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"]:
            raise StoreError
        start_response("200 OK", PLAIN)
        yield b"never"

    server = Server(site, app, method=method).read()
    assert server.log[0] == "503 Service Unavailable"
    assert dict(server.headers)["retry-after"]
    assert bool(server.sent) == (method == "GET")


def test_an_outage_after_the_start_is_the_servers(site: Site) -> None:
    def app(_environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", PLAIN)
        yield b"one"
        raise StoreError

    server = Server(site, app)
    assert next(server.chunks) == b"one"
    with pytest.raises(StoreError):
        next(server.chunks)
    server.body.close()  # type: ignore[attr-defined]


def test_errors_of_the_app_pass_through(site: Site) -> None:
    def app(_environ: Any, _start_response: Any) -> Iterable[bytes]:
        raise LookupError

    with pytest.raises(LookupError):
        Server(site, app, cookie(site.open()))


def test_reason_phrases_and_odd_codes_are_kept(site: Site, due: Header) -> None:
    def app(_environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("299 What A Day", PLAIN)
        return [b"x"]

    assert Server(site, app, due).read().log == ["299 What A Day", b"x"]


def test_the_input_and_the_errors_are_left_alone(site: Site) -> None:
    seen: dict[str, Any] = {}

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        seen.update(environ)
        start_response("200 OK", PLAIN)
        return []

    environ = environ_of("POST", [])
    before = dict(environ)
    SessionAuthMiddleware(app, site.manager)(environ, lambda *_: lambda _: None)
    handle = seen.pop("sessiongate")
    assert handle.user.username is None
    assert seen == before
    assert seen["wsgi.input"] is before["wsgi.input"]


def _fail() -> None:
    raise LookupError


def test_a_manager_with_an_async_listener_is_refused_before_any_request() -> None:
    async def listen(event: Event) -> None:
        """Nobody would await it here."""

    with pytest.raises(TypeError, match="on_event is an async function"):
        SessionAuthMiddleware(validated(lambda *_: []), SessionManager(on_event=listen))


# A handshake is a GET here, and the subprotocols are a header field.


def handshake(site: Site, offered: str, *headers: Header) -> tuple[Any, str | None, list[str]]:
    """The session of a websocket, what the app is shown of its field, and what is answered."""
    seen: list[Any] = []
    answered: list[str] = []

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        seen.extend([environ["sessiongate"], environ.get("HTTP_SEC_WEBSOCKET_PROTOCOL")])
        start_response("101 Switching Protocols", [])
        return []

    def start_response(_status: str, fields: list[tuple[str, str]], *_: Any) -> Any:
        answered.extend(v for name, v in fields if name.lower() == "sec-websocket-protocol")

    field = (b"sec-websocket-protocol", offered.encode("latin-1"))
    environ = environ_of("GET", [(b"upgrade", b"websocket"), field, *headers])
    list(SessionAuthMiddleware(app, site.manager)(environ, start_response))
    return seen[0], seen[1], answered


@pytest.mark.parametrize("gap", [", ", ",", " ,\t"])
def test_a_subprotocol_brings_a_bearer_token(site: Site, gap: str) -> None:
    offered = gap.join(["chat", "sessiongate.bearer", site.open(), "other"])
    session, shown, answered = handshake(site, offered, (b"origin", b"https://elsewhere.example"))
    assert (session.user.username, session.transport) == ("alice", "bearer")
    assert (shown, answered) == ("chat, other", ["sessiongate.bearer"])


def test_a_subprotocol_beside_authorization_is_not_clear(site: Site) -> None:
    token = site.open()
    header = (b"authorization", f"Bearer {token}".encode())
    session, *_ = handshake(site, f"sessiongate.bearer, {token}", header, cookie(token))
    assert (session.user.username, session.problem) == (None, "invalid_request")


def test_a_subprotocol_of_a_plain_request_is_not_read(site: Site) -> None:
    field = (b"sec-websocket-protocol", f"sessiongate.bearer, {site.open()}".encode())
    assert site.ask(field).who is None
