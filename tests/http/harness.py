"""One raw request, the same for both stacks: bytes in, a neutral response out."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar
from wsgiref.validate import validator

from sessiongate import JWTSessionManager, SessionManager
from sessiongate.asgi import SessionAuthMiddleware as ASGIMiddleware
from sessiongate.http.websockets import DENIAL, POLICY_VIOLATION, can_deny
from sessiongate.kits.guard import Guard
from sessiongate.stores import MemoryStore
from sessiongate.testing import CountingStore, ManualClock
from sessiongate.wsgi import SessionAuthMiddleware as WSGIMiddleware

if TYPE_CHECKING:
    from sessiongate.events import Event
    from sessiongate.http.request_session import RequestSession
    from sessiongate.stores import Store

__all__ = [
    "COOKIE",
    "KEY",
    "Call",
    "Header",
    "MakeSite",
    "Reply",
    "Response",
    "Site",
    "Stack",
    "View",
    "Way",
    "attributes",
    "bare",
    "bearer",
    "cookie",
    "drive",
    "enter",
    "leave",
    "renew",
    "set_cookies",
    "show",
]

T = TypeVar("T")

Stack: TypeAlias = Literal["wsgi", "asgi"]
Header: TypeAlias = tuple[bytes, bytes]
Way: TypeAlias = Callable[["str | None"], Header]
"""How a client shows its token."""

COOKIE = "__Host-session"
KEY = "k" * 64
"""Long enough for every HMAC algorithm."""

HOST: Header = (b"host", b"app.example.com")
PLAIN: Header = (b"content-type", b"text/plain")


def cookie(token: str | None, name: str = COOKIE) -> Header:
    """The field of a browser that holds this token."""
    return b"cookie", f"{name}={token}".encode(errors="surrogatepass")


def bearer(token: str | None) -> Header:
    """The field of an API client that holds this token."""
    return b"authorization", f"Bearer {token}".encode(errors="surrogatepass")


@dataclass(frozen=True)
class Response:
    """What came back, and whom the view saw; no view was reached where ``reached`` is false.

    ``problem`` is why it saw nobody.
    """

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    reached: bool
    who: str | None
    transport: str | None
    problem: str | None

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    def one(self, name: str) -> str | None:
        values = self.all(name)
        assert len(values) <= 1, f"{name} stands {len(values)} times"
        return values[0] if values else None

    @property
    def token(self) -> str | None:
        """The token that was handed out, whichever way; ``""`` for a deleted cookie."""
        ours = set_cookies(self)
        assert len(ours) <= 1
        by_cookie = ours[0].partition(";")[0].partition("=")[2] if ours else None
        by_header = self.one("x-refreshed-token")
        assert not by_cookie or by_header in {None, by_cookie}
        return by_cookie if by_header is None else by_header


def set_cookies(response: Response, name: str = COOKIE) -> list[str]:
    """Each ``Set-Cookie`` of our name."""
    return [value for value in response.all("set-cookie") if value.startswith(f"{name}=")]


def attributes(set_cookie: str) -> tuple[str, set[str]]:
    """The value and the attributes of a ``Set-Cookie``."""
    pair, *rest = set_cookie.split("; ")
    return pair.partition("=")[2], set(rest)


@dataclass(frozen=True)
class Reply:
    """What a view answers."""

    status: int = 200
    headers: Sequence[Header] = (PLAIN,)
    body: Sequence[bytes] = (b"hello",)


@dataclass
class Call:
    """A view's request: one way to use the session, whichever the stack."""

    site: Site
    method: str
    session: RequestSession
    places: dict[str, Any]
    """The environ or the scope."""
    _start: Callable[[Reply], Awaitable[None]]
    started: bool = False
    refused: bool = False

    async def start(self, reply: Reply) -> None:
        """Send the status and the header fields now."""
        self.started = True
        await self._start(reply)

    async def login(self, username: str, **options: Any) -> str | None:
        if self.site.stack == "wsgi":
            return self.session.login(username, **options)
        return await self.session.alogin(username, **options)

    async def logout(self) -> None:
        if self.site.stack == "wsgi":
            self.session.logout()
        else:
            await self.session.alogout()

    async def refresh(self) -> str | None:
        if self.site.stack == "wsgi":
            return self.session.refresh()
        return await self.session.arefresh()

    async def meanwhile(self, *headers: Header, view: View, method: str = "GET") -> Response:
        """Hold this request where it is, and carry out another one from start to end."""
        return await self.site.aask(*headers, view=view, method=method)


View: TypeAlias = Callable[[Call], Coroutine[Any, Any, Reply]]


async def show(call: Call) -> Reply:
    """The view that does nothing, for whom it lets in; a credential that is none is refused."""
    return refused(call) or Reply()


async def bare(_call: Call) -> Reply:
    """The view that does nothing, whoever comes."""
    return Reply()


def refused(call: Call) -> Reply | None:
    """What a guard answers to a request that came with a problem."""
    if call.session.problem is None:
        return None
    refusal = Guard().check(call.session, lambda: None)
    assert refusal is not None
    call.refused = True
    headers = [(n.encode(), v.encode("latin-1")) for n, v in refusal.headers]
    return Reply(refusal.status, (PLAIN, *headers), (refusal.text.encode(),))


async def enter(call: Call) -> Reply:
    """The view that logs in."""
    assert await call.login("alice") is not None
    return Reply()


async def leave(call: Call) -> Reply:
    """The view that logs out."""
    await call.logout()
    return Reply()


async def renew(call: Call) -> Reply:
    """The view that exchanges the token."""
    await call.refresh()
    return Reply()


@dataclass
class _Seen:
    """Whom a view saw when it was reached."""

    reached: bool = False
    who: str | None = None
    transport: str | None = None
    problem: str | None = None


@dataclass
class Site:
    """A manager on a clock to move and a store that counts, behind one of the stacks."""

    stack: Stack
    manager: SessionManager
    clock: ManualClock
    store: CountingStore
    events: list[Event]
    options: dict[str, Any] = field(default_factory=dict)
    validates: bool = True
    """Whether validators stand around the WSGI middleware; they look at each character."""
    _guarded: Any = field(default=None, init=False)
    """The middleware; each request brings its own app."""

    def open(self, username: str = "alice", **options: Any) -> str:
        """A session that was opened elsewhere: its token."""
        options.setdefault("existing", "new")
        token = self.manager.create_session(username, **options)
        assert token is not None
        return token

    def kinds(self) -> list[str]:
        """What was told since the last look."""
        kinds: list[str] = [event.kind for event in self.events]
        self.events.clear()
        return kinds

    def cost(self, *headers: Header, view: View = show, method: str = "GET") -> dict[str, int]:
        """The trips that one request makes."""
        self.store.reset()
        self.ask(*headers, view=view, method=method)
        return dict(self.store.by_verb)

    def ask(
        self, *headers: Header, view: View = show, method: str = "GET", **places: Any
    ) -> Response:
        """Send a request; ``places`` are put into the environ or the scope by force."""
        coming = self.aask(*headers, view=view, method=method, **places)
        return drive(coming) if self.stack == "wsgi" else asyncio.run(coming)

    async def aask(
        self, *headers: Header, view: View = show, method: str = "GET", **places: Any
    ) -> Response:
        every = headers if any(name == b"host" for name, _ in headers) else (HOST, *headers)
        if self.stack == "wsgi":
            return self._ask_wsgi(view, environ_of(method, every) | places)
        return await self._ask_asgi(view, scope_of(method, every) | places)

    def _ask_wsgi(self, view: View, environ: dict[str, Any]) -> Response:
        seen = _Seen()

        def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            async def start(reply: Reply) -> None:
                headers = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in reply.headers]
                start_response(f"{reply.status} Whatever", headers)

            session: RequestSession = environ["test.sessiongate"]
            name = environ.get("REMOTE_USER")
            _look(seen, session, None if name is None else name.encode("latin-1").decode())
            call = Call(self, environ["REQUEST_METHOD"], session, environ, start)
            reply = drive(view(call))
            seen.reached = not call.refused
            if not call.started:
                drive(start(reply))
            return list(reply.body)

        environ["test.app"] = app
        if self._guarded is None:
            self._guarded = WSGIMiddleware(validated(_app_of_wsgi), self.manager, **self.options)
            if not self.validates:
                self._guarded.app = renamed(_app_of_wsgi)
        guarded = validator(self._guarded) if self.validates else self._guarded
        status, headers, body = call_wsgi(guarded, environ)
        lowered = [(name.lower(), value) for name, value in headers]
        return Response(status, lowered, body, **vars(seen))

    async def _ask_asgi(self, view: View, scope: dict[str, Any]) -> Response:
        seen = _Seen()

        async def app(scope: Any, _receive: Any, send: Any) -> None:
            async def start(reply: Reply) -> None:
                head = {"status": reply.status, "headers": list(reply.headers)}
                await send({"type": "http.response.start", **head})

            session: RequestSession = scope["sessiongate"]
            user = scope["user"]
            known = user.is_authenticated and session.api_token is None
            assert ("authenticated" in scope["auth"].scopes) == known
            _look(seen, session, user.username)
            call = Call(self, scope["method"], session, scope, start)
            reply = await view(call)
            seen.reached = not call.refused
            if not call.started:
                await start(reply)
            for chunk in reply.body:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})

        scope["test.app"] = app
        if self._guarded is None:
            self._guarded = ASGIMiddleware(_app_of_asgi, self.manager, **self.options)
        sent = await call_asgi(self._guarded, scope)
        assert [m["type"] for m in sent[:1]] == ["http.response.start"]
        assert {m["type"] for m in sent[1:]} == {"http.response.body"}
        headers = [
            (n.decode("latin-1").lower(), v.decode("latin-1")) for n, v in sent[0]["headers"]
        ]
        body = b"".join(message.get("body", b"") for message in sent[1:])
        return Response(sent[0]["status"], headers, body, **vars(seen))


def _app_of_wsgi(environ: dict[str, Any], start_response: Any) -> Any:
    return environ["test.app"](environ, start_response)


async def _app_of_asgi(scope: Any, receive: Any, send: Any) -> None:
    await scope["test.app"](scope, receive, send)


MakeSite: TypeAlias = Callable[..., Site]


def make_site(
    stack: Stack,
    kind: str,
    *,
    store: Store | None = None,
    options: dict[str, Any] | None = None,
    **rules: Any,
) -> Site:
    """A site with these keywords of the middleware and these of the manager."""
    events: list[Event] = []
    clock, counting = ManualClock(), CountingStore(store or MemoryStore())
    keywords = {"store": counting, "clock": clock, "secret_key": KEY, "on_event": events.append}
    cls = {"opaque": SessionManager, "jwt": JWTSessionManager}[kind]
    manager = cls(**{"max_concurrent_sessions": None, **keywords, **rules})
    return Site(stack, manager, clock, counting, events, options or {})


# The two protocols, as far as a test needs them.


def environ_of(method: str, headers: Iterable[Header]) -> dict[str, Any]:
    """A request as a WSGI server shows it: repeated fields joined."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": "/",
        "QUERY_STRING": "",
        "SERVER_NAME": "app.example.com",
        "SERVER_PORT": "443",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in headers:
        key = "HTTP_" + name.decode("latin-1").upper().replace("-", "_")
        text = value.decode("latin-1")
        glue = "; " if key == "HTTP_COOKIE" else ","
        environ[key] = f"{environ[key]}{glue}{text}" if key in environ else text
    return environ


def scope_of(method: str, headers: Iterable[Header], kind: str = "http") -> dict[str, Any]:
    """A request as an ASGI server shows it: each field as it came."""
    scope: dict[str, Any] = {
        "type": kind,
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "https" if kind == "http" else "wss",
        "path": "/",
        "raw_path": b"/",
        "query_string": b"",
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in headers],
        "server": ("app.example.com", 443),
    }
    if kind == "http":
        return scope | {"method": method}
    return scope | {"subprotocols": list[str]()}


def validated(app: Any) -> Any:
    """An app under the validator."""
    return renamed(validator(app))


def renamed(app: Any) -> Any:
    """An app whose names of ours in the environ have a dot, as the validator asks."""

    def dotted(environ: dict[str, Any], start_response: Any) -> Any:
        environ["test.sessiongate"] = session = environ.pop("sessiongate")

        def start(*arguments: Any) -> Any:
            environ["sessiongate"] = session  # as an app leaves it
            return start_response(*arguments)

        return app(environ, start)

    return dotted


def call_wsgi(app: Any, environ: dict[str, Any]) -> tuple[int, list[tuple[str, str]], bytes]:
    """What a server would send: status, header fields, body."""
    started: list[tuple[str, list[tuple[str, str]]]] = []
    written: list[bytes] = []

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
        assert exc_info or not started
        started.append((status, headers))
        return written.append

    body = app(environ, start_response)
    try:
        written.extend(body)
    finally:
        if hasattr(body, "close"):
            body.close()
    status, headers = started[-1]
    return int(status[:3]), headers, b"".join(written)


async def call_asgi(
    app: Any, scope: dict[str, Any], *coming: dict[str, Any]
) -> list[dict[str, Any]]:
    """All messages that an app sends; after the messages that are coming it hears no more."""
    queue = iter(coming or ({"type": "http.request", "body": b"", "more_body": False},))
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        message = next(queue, None)
        assert message is not None, "waits for a message that never comes"
        return message

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent


async def connect(
    site: Site,
    *headers: Header,
    app: Any = None,
    extensions: Iterable[str] = (),
    subprotocols: Iterable[str] = (),
    seen: list[RequestSession] | None = None,
) -> list[dict[str, Any]]:
    """Open a websocket and see what is sent.

    The default app accepts it, and refuses by a guard what comes with a problem.
    """

    async def accepting(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "websocket.connect"
        session: RequestSession = scope["sessiongate"]
        if seen is not None:
            seen.append(session)
        refusal = None if session.problem is None else Guard().check(session, lambda: None)
        if refusal is None:
            await send({"type": "websocket.accept"})
        elif can_deny(scope):
            headers = [(n.encode(), v.encode()) for n, v in refusal.headers]
            start = {"status": refusal.status, "headers": headers}
            await send({"type": f"{DENIAL}.start", **start})
            await send({"type": f"{DENIAL}.body", "body": refusal.text.encode()})
        else:
            await send({"type": "websocket.close", "code": POLICY_VIOLATION})

    scope = scope_of("", (HOST, *headers), "websocket")
    scope["extensions"] = {name: {} for name in extensions}
    scope["subprotocols"] = list(subprotocols)
    guarded = ASGIMiddleware(app or accepting, site.manager, **site.options)
    return await call_asgi(guarded, scope, {"type": "websocket.connect"})


def _look(seen: _Seen, session: RequestSession, named: str | None) -> None:
    """Every place must name the same user."""
    assert session.user.username == named
    assert session.user.is_authenticated == (named is not None) == (session.transport is not None)
    assert session.problem is None or named is None
    seen.reached, seen.who, seen.transport = True, named, session.transport
    seen.problem = session.problem


def drive(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that has nothing to wait for."""
    steps: Iterator[Any] = iter(coroutine.__await__())
    try:
        next(steps)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    msg = "a sync view waited"
    raise AssertionError(msg)
