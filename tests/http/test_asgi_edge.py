"""The ASGI protocol: what is not ours passes through, websockets are judged before they open."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

import pytest
from tests.http.brittle import BrittleStore
from tests.http.harness import (
    COOKIE,
    Header,
    Site,
    bare,
    bearer,
    call_asgi,
    connect,
    cookie,
    make_site,
    scope_of,
)
from tests.stores.passing import PassingStore

from sessiongate import SessionManager
from sessiongate.asgi import SessionAuthMiddleware
from sessiongate.errors import StoreError
from sessiongate.http.websockets import DENIAL

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

START = {"type": "http.response.start", "status": 200, "headers": []}


@pytest.fixture
def site() -> Site:
    return make_site("asgi", "opaque")


@pytest.fixture
def due(site: Site) -> str:
    """A token that any request will rotate."""
    token = site.open()
    site.clock.advance(1800)
    return token


def types(sent: list[dict[str, Any]]) -> list[str]:
    return [message["type"] for message in sent]


def values(message: dict[str, Any], name: bytes) -> list[bytes]:
    return [value for key, value in message["headers"] if key.lower() == name]


def run(site: Site, app: Any, *headers: Header) -> list[dict[str, Any]]:
    guarded = SessionAuthMiddleware(app, site.manager)
    return asyncio.run(call_asgi(guarded, scope_of("GET", headers)))


class Noting(PassingStore):
    """Takes note of which face was asked."""

    asked = ""

    def before(self, name: str, *_arguments: Any) -> None:
        if name.endswith("read"):
            self.asked = name


class NotWaiting(Noting):
    """Says that it waits for nothing."""

    blocking = False


class Inheriting(NotWaiting):
    """Does not say so itself."""


@pytest.mark.parametrize(
    ("cls", "asked"), [(Noting, "aread"), (NotWaiting, "read"), (Inheriting, "aread")]
)
def test_only_a_store_that_says_itself_that_it_waits_for_nothing_is_called(
    cls: type[Noting], asked: str
) -> None:
    store = cls()
    manager = SessionManager(store=store)

    async def look(scope: Any, _receive: Any, send: Any) -> None:
        assert scope["user"].username == "alice"
        await send(START)

    guarded = SessionAuthMiddleware(look, manager)
    header = cookie(manager.create_session("alice"))
    assert types(asyncio.run(call_asgi(guarded, scope_of("GET", [header])))) == [START["type"]]
    assert store.asked == asked


@pytest.mark.parametrize("kind", ["lifespan", "mail", "http.something", ""])
def test_other_scopes_pass_as_the_very_same_objects(site: Site, kind: str) -> None:
    got: list[Any] = []

    async def app(*arguments: Any) -> None:
        got.extend(arguments)

    async def receive() -> dict[str, Any]:
        raise AssertionError

    async def send(_message: Any) -> None:
        raise AssertionError

    scope = {"type": kind, "headers": [cookie("a"), cookie("b")], "user": "kept"}
    before = dict(scope)
    asyncio.run(SessionAuthMiddleware(app, site.manager)(scope, receive, send))
    assert [id(one) for one in got] == [id(scope), id(receive), id(send)]
    assert scope == before


def test_receive_is_the_servers_own(site: Site, due: str) -> None:
    got: list[Any] = []

    async def app(scope: Any, receive: Any, _send: Any) -> None:
        got.extend([scope, receive])

    async def receive() -> dict[str, Any]:
        raise AssertionError

    async def send(_message: Any) -> None:
        raise AssertionError

    scope = scope_of("GET", [cookie(due)])
    asyncio.run(SessionAuthMiddleware(app, site.manager)(scope, receive, send))
    assert got[0] is scope
    assert got[1] is receive


def test_a_stream_comes_chunk_by_chunk(site: Site, due: str) -> None:
    log: list[Any] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(START)
        for chunk in (b"one", b"two"):
            log.append(chunk)
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def receive() -> dict[str, Any]:
        raise AssertionError

    async def send(message: Any) -> None:
        log.append(message["type"])

    scope = scope_of("GET", [cookie(due)])
    asyncio.run(SessionAuthMiddleware(app, site.manager)(scope, receive, send))
    body = "http.response.body"
    assert log == [START["type"], b"one", body, b"two", body, body]


@pytest.mark.parametrize(
    "message",
    [
        {"type": "http.response.body", "body": b"x", "more_body": True},
        {"type": "http.response.trailers", "headers": [(b"a", b"b")]},
        {"type": "http.response.push", "path": "/", "headers": []},
        {"type": "http.response.early_hint", "links": [b"x"]},
        {"type": "http.response.pathsend", "path": "/x"},
        {"type": "http.response.zerocopysend", "file": 3},
        {"type": "something.new", "headers": [(b"a", b"b")]},
    ],
)
def test_other_messages_pass_as_the_very_same_objects(
    site: Site, due: str, message: dict[str, Any]
) -> None:
    before = dict(message)

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(START)
        await send(message)

    sent = run(site, app, cookie(due))
    assert sent[1] is message
    assert message == before


def test_the_start_of_the_app_is_not_written_to(site: Site, due: str) -> None:
    """An app may keep its message and its list of headers for the next request."""
    start = {"type": "http.response.start", "status": 200, "headers": [], "trailers": True}

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(start)

    for _ in range(2):
        (sent,) = run(site, app, cookie(due))
        assert sent["trailers"] is True
        assert len(values(sent, b"set-cookie")) == 1
    assert start == {"type": "http.response.start", "status": 200, "headers": [], "trailers": True}


@pytest.mark.parametrize(
    "headers",
    [None, (), [[b"a", b"b"]], ((b"a", b"b"),), "generator", "absent"],
)
def test_headers_may_be_any_iterable(site: Site, due: str, headers: Any) -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        start: dict[str, Any] = {"type": "http.response.start", "status": 200}
        if headers == "generator":
            start["headers"] = (pair for pair in [(b"a", b"b")])
        elif headers != "absent":
            start["headers"] = headers
        await send(start)

    (sent,) = run(site, app, cookie(due))
    assert len(values(sent, b"set-cookie")) == 1
    assert values(sent, b"a") == ([b"b"] if headers and headers != "absent" else [])


def test_errors_of_the_app_pass_through(site: Site, due: str) -> None:
    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        raise LookupError

    with pytest.raises(LookupError):
        run(site, app, cookie(due))


def test_a_cancelled_request_is_cancelled(site: Site, due: str) -> None:
    async def main() -> None:
        inside = asyncio.Event()

        async def app(_scope: Any, _receive: Any, _send: Any) -> None:
            inside.set()
            await asyncio.Event().wait()

        guarded = SessionAuthMiddleware(app, site.manager)
        task = asyncio.create_task(call_asgi(guarded, scope_of("GET", [cookie(due)])))
        await inside.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert site.ask(cookie(due)).who == "alice"


def test_a_store_that_fails_after_the_start_is_the_servers(site: Site) -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(START)
        raise StoreError

    with pytest.raises(StoreError):
        run(site, app)


# Websockets.


@pytest.mark.parametrize("kind", ["opaque", "jwt"])
def test_an_accepted_websocket_carries_the_rotated_token(kind: str) -> None:
    site = make_site("asgi", kind)
    token = site.open()
    site.clock.advance(1800)
    seen: list[Any] = []
    (accept,) = asyncio.run(connect(site, cookie(token), seen=seen))
    assert (seen[0].user.username, seen[0].transport) == ("alice", "cookie")
    (ours,) = values(accept, b"set-cookie")
    successor = ours.decode().partition("=")[2].partition(";")[0]
    assert site.ask(cookie(successor)).who == "alice"
    assert values(accept, b"cache-control") == [b"no-store"]


def test_an_accepted_websocket_of_a_bearer_gets_the_header(site: Site, due: str) -> None:
    (accept,) = asyncio.run(connect(site, bearer(due)))
    assert len(values(accept, b"x-refreshed-token")) == 1
    assert values(accept, b"set-cookie") == []


def test_what_the_app_accepts_with_is_kept(site: Site, due: str) -> None:
    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        headers = [(b"x-a", b"1"), (b"set-cookie", f"{COOKIE}=theirs".encode())]
        await send({"type": "websocket.accept", "subprotocol": "chat", "headers": headers})
        await send({"type": "websocket.send", "text": "hello"})
        await send({"type": "websocket.close", "code": 1000})

    accept, text, close = asyncio.run(connect(site, cookie(due), app=app))
    assert (accept["subprotocol"], values(accept, b"x-a")) == ("chat", [b"1"])
    assert len(values(accept, b"set-cookie")) == 1
    assert text == {"type": "websocket.send", "text": "hello"}
    assert close == {"type": "websocket.close", "code": 1000}


def test_a_websocket_of_nobody_is_the_apps_business(site: Site) -> None:
    for headers in ([], [cookie("forged")]):
        seen: list[Any] = []
        sent = asyncio.run(connect(site, *headers, seen=seen))
        assert types(sent) == ["websocket.accept"]
        assert seen[0].user.username is None


PROBLEMS: list[tuple[list[Header], str, int]] = [
    ([bearer("forged")], "invalid_token", 401),
    ([bearer("x y")], "invalid_request", 400),
    ([cookie("{one}"), cookie("{two}")], "invalid_request", 400),
    ([cookie("{one}"), (b"origin", b"https://elsewhere.example")], "cross_site", 403),
]


@pytest.mark.parametrize(("headers", "problem", "status"), PROBLEMS)
def test_a_websocket_with_a_problem_is_nobodys_and_a_guard_refuses_it(
    site: Site, headers: list[Header], problem: str, status: int
) -> None:
    tokens = {b"{one}": site.open().encode(), b"{two}": site.open("bob").encode()}
    fields = [(name, tokens_in(value, tokens)) for name, value in headers]
    seen: list[Any] = []
    sent = asyncio.run(connect(site, *fields, seen=seen))
    assert sent == [{"type": "websocket.close", "code": 1008}]
    assert (seen[0].user.username, seen[0].problem) == (None, problem)
    start, body = asyncio.run(connect(site, *fields, extensions=[DENIAL]))
    assert (start["type"], start["status"]) == (f"{DENIAL}.start", status)
    assert body["type"] == f"{DENIAL}.body"
    assert body["body"]
    assert values(start, b"vary") == [b"Cookie, Authorization"]


@pytest.mark.parametrize(("headers", "problem", "status"), PROBLEMS)
def test_an_app_may_accept_a_websocket_whatever_the_problem(
    site: Site, headers: list[Header], problem: str, status: int
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        assert (scope["user"].is_authenticated, scope["auth"].scopes) == (False, [])
        assert scope["sessiongate"].problem == problem
        await send({"type": "websocket.accept"})

    tokens = {b"{one}": site.open().encode(), b"{two}": site.open("bob").encode()}
    fields = [(name, tokens_in(value, tokens)) for name, value in headers]
    assert status
    assert types(asyncio.run(connect(site, *fields, app=app))) == ["websocket.accept"]


def tokens_in(value: bytes, tokens: dict[bytes, bytes]) -> bytes:
    for place, token in tokens.items():
        value = value.replace(place, token)
    return value


@pytest.mark.parametrize("extensions", [[], [DENIAL]])
def test_the_503_answers_the_connect(extensions: list[str]) -> None:
    log: list[str] = []
    store = BrittleStore()
    site = make_site("asgi", "opaque", store=store)
    header = cookie(site.open())
    store.down = True

    async def receive() -> Any:
        log.append("websocket.connect")
        return {"type": log[0]}

    async def send(message: Any) -> None:
        log.append(message["type"])

    guarded = SessionAuthMiddleware(_unreached, site.manager)
    scope = scope_of("", [header], "websocket") | {"extensions": {name: {} for name in extensions}}
    asyncio.run(guarded(scope, receive, send))
    denial = [f"{DENIAL}.start", f"{DENIAL}.body"]
    assert log == ["websocket.connect", *(denial if extensions else ["websocket.close"])]


def test_a_denial_of_the_app_carries_no_rotated_token(site: Site, due: str) -> None:
    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": f"{DENIAL}.start", "status": 403, "headers": []})
        await send({"type": f"{DENIAL}.body", "body": b""})

    start, _ = asyncio.run(connect(site, cookie(due), app=app, extensions=[DENIAL]))
    assert values(start, b"set-cookie") == []
    assert values(start, b"vary") == [b"Cookie, Authorization"]


@pytest.mark.parametrize("connected", [True, False])
@pytest.mark.parametrize("extensions", [[], [DENIAL]])
def test_a_websocket_whose_login_fails_is_refused_at_once(
    site: Site, extensions: list[str], *, connected: bool
) -> None:
    """Whether or not the app has heard of the connection; no further message is waited for."""

    async def app(_scope: Any, receive: Any, _send: Any) -> None:
        if connected:
            await receive()
        raise StoreError

    sent = asyncio.run(connect(site, app=app, extensions=extensions))
    if extensions:
        assert types(sent) == [f"{DENIAL}.start", f"{DENIAL}.body"]
        assert sent[0]["status"] == 503
        assert values(sent[0], b"retry-after")
    else:
        assert types(sent) == ["websocket.close"]


def test_login_before_the_accept_sets_the_cookie(site: Site) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        assert await scope["sessiongate"].alogin("alice") is not None
        await send({"type": "websocket.accept"})

    (accept,) = asyncio.run(connect(site, app=app))
    (ours,) = values(accept, b"set-cookie")
    token = ours.decode().partition("=")[2].partition(";")[0]
    assert site.ask(cookie(token)).who == "alice"


def test_a_websocket_needs_no_extensions_in_its_scope() -> None:
    store = BrittleStore()
    site = make_site("asgi", "opaque", store=store)
    guarded = SessionAuthMiddleware(_unreached, site.manager)
    scope = scope_of("", [bearer(site.open())], "websocket")
    store.down = True
    more: list[dict[str, Any]] = [{}, {"extensions": None}, {"extensions": {}}]
    for extensions in more:
        sent = asyncio.run(call_asgi(guarded, scope | extensions, {"type": "websocket.connect"}))
        assert types(sent) == ["websocket.close"]


async def _unreached(_scope: Any, _receive: Any, _send: Any) -> None:
    raise AssertionError


def test_send_is_a_coroutine_function(site: Site) -> None:
    """As the specification has it; asgiref warns of anything else."""
    got: list[bool] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        got.append(inspect.iscoroutinefunction(send))
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
        else:
            await send(START)

    run(site, app)
    asyncio.run(connect(site, app=app))
    assert got == [True, True]


# A browser's websocket cannot set Authorization: its token comes as a subprotocol.

OURS = "sessiongate.bearer"


def offering(
    chosen: str | None = None, seen: list[tuple[Any, list[str]]] | None = None
) -> Callable[..., Awaitable[None]]:
    """An app that accepts, with a subprotocol of its own or with none."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        if seen is not None:
            seen.append((scope["sessiongate"], scope["subprotocols"]))
        accept: dict[str, Any] = {"type": "websocket.accept"}
        await send(accept if chosen is None else accept | {"subprotocol": chosen})

    return app


@pytest.mark.parametrize("kind", ["opaque", "jwt"])
@pytest.mark.parametrize(
    ("before", "after"), [([], []), ([], ["chat"]), (["chat"], []), (["a"], ["b", "c"])]
)
def test_a_subprotocol_brings_a_bearer_token(
    kind: str, before: list[str], after: list[str]
) -> None:
    site = make_site("asgi", kind)
    seen: list[tuple[Any, list[str]]] = []
    offered = [*before, OURS, site.open(), *after]
    sent = asyncio.run(connect(site, app=offering(seen=seen), subprotocols=offered))
    ((session, shown),) = seen
    assert (session.user.username, session.transport, session.problem) == ("alice", "bearer", None)
    assert shown == [*before, *after], "the app is not shown the token"
    assert sent[0]["subprotocol"] == OURS


def test_the_choice_of_the_app_wins(site: Site) -> None:
    offered = [OURS, site.open(), "chat"]
    (accept,) = asyncio.run(connect(site, app=offering("chat"), subprotocols=offered))
    assert accept["subprotocol"] == "chat"


def test_a_token_that_is_due_comes_back_in_the_header(site: Site, due: str) -> None:
    (accept,) = asyncio.run(connect(site, app=offering(), subprotocols=[OURS, due]))
    (token,) = values(accept, b"x-refreshed-token")
    assert site.ask(bearer(token.decode())).who == "alice"
    assert values(accept, b"set-cookie") == []


@pytest.mark.parametrize("origin", [b"https://elsewhere.example", b"null"])
def test_such_a_websocket_is_not_asked_where_it_comes_from(site: Site, origin: bytes) -> None:
    seen: list[tuple[Any, list[str]]] = []
    held, shown = site.open("bob"), site.open()
    headers = [(b"origin", origin), cookie(held)]
    asyncio.run(connect(site, *headers, app=offering(seen=seen), subprotocols=[OURS, shown]))
    assert seen[0][0].user.username == "alice"


@pytest.mark.parametrize(
    "authorization", [bearer("{token}"), (b"authorization", b"Basic YTpi"), (b"authorization", b"")]
)
def test_beside_authorization_it_is_not_clear_which_counts(
    site: Site, authorization: Header
) -> None:
    token = site.open()
    name, value = authorization
    seen: list[tuple[Any, list[str]]] = []
    header = (name, value.replace(b"{token}", token.encode()))
    site.store.reset()
    asyncio.run(
        connect(site, header, cookie(token), app=offering(seen=seen), subprotocols=[OURS, token])
    )
    ((session, shown),) = seen
    assert (session.user.username, session.problem) == (None, "invalid_request")
    assert (shown, site.store.calls) == ([], 0)


@pytest.mark.parametrize(
    ("offered", "problem", "left"),
    [
        ([OURS], "invalid_request", []),
        (["chat", OURS], "invalid_request", ["chat"]),
        ([OURS, ""], "invalid_request", []),
        ([OURS, "a b"], "invalid_request", []),
        ([OURS, "{token},x"], "invalid_request", []),
        ([OURS, "{token}", OURS, "{token}"], "invalid_request", []),
        ([OURS, "{token}", "chat", OURS, "{token}"], "invalid_request", ["chat"]),
        ([OURS, "forged"], "invalid_token", []),
        ([OURS, "chat", "{token}"], "invalid_token", ["{token}"]),
        ([OURS, "{token}€"], "invalid_token", []),
        ([OURS.upper(), "{token}"], None, [OURS.upper(), "{token}"]),
        (["bearer", "{token}"], None, ["bearer", "{token}"]),
    ],
)
def test_a_malformed_pair_is_nobodys(
    site: Site, offered: list[str], problem: str | None, left: list[str]
) -> None:
    token = site.open()
    seen: list[tuple[Any, list[str]]] = []
    words = [word.replace("{token}", token) for word in offered]
    site.store.reset()
    held = [cookie(token)] if problem else []
    asyncio.run(connect(site, *held, app=offering(seen=seen), subprotocols=words))
    ((session, shown),) = seen
    assert (session.user.username, session.problem) == (None, problem), "no way to the cookie"
    assert shown == [word.replace("{token}", token) for word in left]
    assert site.store.calls == 0


def test_without_the_pair_nothing_is_answered(site: Site) -> None:
    (accept,) = asyncio.run(connect(site, cookie(site.open()), app=offering(), subprotocols=["a"]))
    assert "subprotocol" not in accept


def test_a_handshake_that_comes_as_an_http_request_is_no_safe_one() -> None:
    """As servers without websockets pass it on; alike on both stacks."""
    fields = [(b"upgrade", b"WebSocket"), (b"origin", b"https://elsewhere.example")]
    for stack in ("wsgi", "asgi"):
        site = make_site(stack, "opaque")
        response = site.ask(cookie(site.open()), *fields, view=bare)
        assert (response.who, response.problem) == (None, "cross_site")
        assert site.ask(cookie(site.open()), fields[1], view=bare).who == "alice"
        assert site.ask(cookie(site.open()), fields[0], view=bare).who == "alice"
