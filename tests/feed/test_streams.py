"""Websockets and event streams end with their session; nothing else of a request does."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route
from tests.http.brittle import BrittleStore
from tests.http.harness import KEY, bearer

from sessiongate import SessionManager
from sessiongate.asgi import SessionAuthMiddleware as ASGIMiddleware
from sessiongate.feed.streams import OpenStream
from sessiongate.stores import MemoryStore
from sessiongate.testing import ManualClock
from sessiongate.wsgi import SessionAuthMiddleware as WSGIMiddleware

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

    from starlette.requests import Request

    from sessiongate.stores import Store

PATIENCE = 20
"""Seconds after which a test that hangs is one that fails."""
CLOSE = {"type": "websocket.close", "code": 1008, "reason": "session ended"}
GONE = {"type": "websocket.disconnect", "code": 1008, "reason": "session ended"}


def manager_of(store: Store | None = None, **options: Any) -> SessionManager:
    options = {"max_concurrent_sessions": None, "existing": "new", **options}
    return SessionManager(store=store or MemoryStore(), secret_key=KEY, **options)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def manager(clock: ManualClock) -> Iterator[SessionManager]:
    made = manager_of(clock=clock)
    yield made
    made.hub.stop()


class Socket:
    """A client of one websocket: what the app receives, and what came back."""

    def __init__(self, app: Any, manager: SessionManager, token: str) -> None:
        self.coming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.coming.put_nowait({"type": "websocket.connect"})
        self.sent: list[dict[str, Any]] = []
        self.came = asyncio.Event()
        self.blocked: Coroutine[Any, Any, Any] | None = None
        """What a message waits for."""
        scope = {
            "type": "websocket",
            "path": "/",
            "headers": [bearer(token)],
            "subprotocols": [],
            "client": ("127.0.0.1", 1),
        }
        running = ASGIMiddleware(app, manager)(scope, self.coming.get, self._send)
        self.task = asyncio.ensure_future(running)

    async def _send(self, message: Any) -> None:
        if self.blocked is not None:
            await self.blocked
        self.sent.append(dict(message))
        self.came.set()

    async def until(self, kind: str) -> dict[str, Any]:
        """Wait for the first message of this type."""
        async with asyncio.timeout(PATIENCE):
            while True:
                for message in self.sent:
                    if message["type"] == kind:
                        return message
                self.came.clear()
                await self.came.wait()

    async def over(self) -> None:
        async with asyncio.timeout(PATIENCE):
            await self.task


async def echo(_scope: Any, receive: Any, send: Any) -> None:
    """Accepts, and waits for messages until the client has gone."""
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


ENDS: dict[str, Callable[[SessionManager, str], object]] = {
    "logout": lambda manager, token: manager.invalidate_session(token),
    "everywhere": lambda manager, _: manager.invalidate_user_sessions("alice"),
    "replaced": lambda manager, _: manager.create_session("alice", existing="replace"),
}


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_websocket_closes(how: str, *, elsewhere: bool) -> None:
    store = MemoryStore()
    manager, other = manager_of(store), manager_of(store)

    async def main() -> None:
        token = await manager.acreate_session("alice") or ""
        socket = Socket(echo, manager, token)
        await socket.until("websocket.accept")
        ENDS[how](other if elsewhere else manager, token)
        await socket.over()
        assert socket.sent[1:] == [CLOSE]

    asyncio.run(main())
    manager.hub.stop()


def test_a_socket_of_another_session_stays_open(manager: SessionManager) -> None:
    async def main() -> None:
        mine, other = manager.create_session("alice") or "", manager.create_session("alice") or ""
        socket = Socket(echo, manager, mine)
        await socket.until("websocket.accept")
        manager.invalidate_session(other)
        manager.refresh_session(mine)  # a newer token is no end
        socket.coming.put_nowait({"type": "websocket.receive", "text": "hello"})
        assert (await socket.until("websocket.send"))["text"] == "hello"
        socket.coming.put_nowait({"type": "websocket.disconnect", "code": 1000})
        await socket.over()
        assert CLOSE not in socket.sent

    asyncio.run(main())
    assert manager.hub.watched == 0


def test_the_app_sees_that_its_client_has_gone(manager: SessionManager) -> None:
    seen: list[Any] = []

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        seen.append(await receive())
        seen.append(await receive())
        try:
            await send({"type": "websocket.send", "text": "late"})
        except OSError as error:
            seen.append(str(error))

    async def main() -> None:
        token = manager.create_session("alice") or ""
        socket = Socket(app, manager, token)
        await socket.until("websocket.accept")
        manager.invalidate_session(token)
        await socket.over()
        assert socket.sent[1:] == [CLOSE]

    asyncio.run(main())
    assert seen == [GONE, GONE, "session ended"]


def test_an_app_that_only_sends_ends_at_its_next_message(manager: SessionManager) -> None:
    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while True:
            await send({"type": "websocket.send", "text": "tick"})
            await asyncio.sleep(0)

    async def main() -> None:
        token = manager.create_session("alice") or ""
        socket = Socket(app, manager, token)
        await socket.until("websocket.send")
        manager.invalidate_session(token)
        await socket.over()
        assert CLOSE in socket.sent

    asyncio.run(main())


def test_a_client_that_does_not_read_its_close_is_not_waited_for(
    manager: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OpenStream, "patience", 0.01)

    async def main() -> None:
        token = manager.create_session("alice") or ""
        socket = Socket(echo, manager, token)
        await socket.until("websocket.accept")
        never = asyncio.Event()
        socket.blocked = never.wait()
        manager.invalidate_session(token)
        await socket.over()

    asyncio.run(main())
    assert manager.hub.watched == 0


def test_timeouts_and_cancellations_of_the_app_stay_its_own(manager: SessionManager) -> None:
    seen: list[str] = []
    waiting = asyncio.Event()

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        with suppress(TimeoutError):
            async with asyncio.timeout(0.01):
                await receive()
        seen.append("timeout")
        waiting.set()
        await receive()
        seen.append("gone")

    async def main() -> None:
        token = manager.create_session("alice") or ""
        socket = Socket(app, manager, token)
        await waiting.wait()
        manager.invalidate_session(token)
        await socket.over()
        cancelled = Socket(echo, manager, manager.create_session("bob") or "")
        await cancelled.until("websocket.accept")
        cancelled.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled.task
        assert CLOSE not in cancelled.sent

    asyncio.run(main())
    assert seen == ["timeout", "gone"]
    assert manager.hub.watched == 0


def test_an_error_of_the_app_is_its_own(manager: SessionManager) -> None:
    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        msg = "of the app"
        raise OSError(msg)

    async def main() -> None:
        token = manager.create_session("alice") or ""
        socket = Socket(app, manager, token)
        await socket.until("websocket.accept")
        manager.invalidate_session(token)
        with pytest.raises(OSError, match="of the app"):
            await socket.over()
        assert CLOSE in socket.sent

    asyncio.run(main())


def test_a_websocket_ends_with_the_lifetime(manager: SessionManager, clock: ManualClock) -> None:
    async def main() -> None:
        socket = Socket(echo, manager, manager.create_session("alice") or "")
        await socket.until("websocket.accept")
        clock.advance(3599)
        manager.hub.look()
        socket.coming.put_nowait({"type": "websocket.receive", "text": "hello"})
        await socket.until("websocket.send")
        clock.advance(1)
        manager.hub.look()
        await socket.over()
        assert CLOSE in socket.sent

    asyncio.run(main())


def test_a_session_that_was_extended_goes_on(manager: SessionManager, clock: ManualClock) -> None:
    async def main() -> None:
        token = manager.create_session("alice") or ""
        socket = Socket(echo, manager, token)
        await socket.until("websocket.accept")
        clock.advance(3000)
        assert manager.refresh_session(token)
        clock.advance(1000)
        manager.hub.look()
        socket.coming.put_nowait({"type": "websocket.receive", "text": "hello"})
        await socket.until("websocket.send")
        clock.advance(2600)
        manager.hub.look()
        await socket.over()

    asyncio.run(main())


def test_it_is_cut_at_its_end_while_the_store_is_down(clock: ManualClock) -> None:
    brittle = BrittleStore()
    manager = manager_of(brittle, clock=clock)

    async def main() -> None:
        socket = Socket(echo, manager, manager.create_session("alice") or "")
        await socket.until("websocket.accept")
        brittle.down = True
        manager.hub.look(everywhere=True)
        socket.coming.put_nowait({"type": "websocket.receive", "text": "hello"})
        await socket.until("websocket.send")
        clock.advance(3600)
        manager.hub.look()
        await socket.over()
        assert CLOSE in socket.sent

    asyncio.run(main())
    manager.hub.stop()


def test_without_a_feed_the_store_is_asked(clock: ManualClock) -> None:
    class Plain(MemoryStore):
        feed = None  # type: ignore[assignment]

    store = Plain()
    manager, other = manager_of(store, clock=clock), manager_of(store, clock=clock)

    async def main() -> None:
        token = manager.create_session("alice") or ""
        socket = Socket(echo, manager, token)
        await socket.until("websocket.accept")
        assert not manager.hub.is_open
        other.invalidate_session(token)
        manager.hub.look(everywhere=True)
        await socket.over()
        assert CLOSE in socket.sent

    asyncio.run(main())
    manager.hub.stop()


def test_many_sockets_of_one_session(manager: SessionManager) -> None:
    async def main() -> None:
        token = manager.create_session("alice") or ""
        sockets = [Socket(echo, manager, token) for _ in range(500)]
        for socket in sockets:
            await socket.until("websocket.accept")
        manager.invalidate_session(token)
        for socket in sockets:
            await socket.over()
            assert socket.sent[1:] == [CLOSE]

    asyncio.run(main())
    assert manager.hub.watched == 0


# Event streams, and what is none.


async def ticks() -> AsyncIterator[str]:
    yield "data: 1\n\n"
    await asyncio.Event().wait()


def streaming(media_type: str, chunks: Callable[[], Any] = ticks) -> Starlette:
    async def events(_request: Request) -> StreamingResponse:
        return StreamingResponse(chunks(), media_type=media_type)

    return Starlette(routes=[Route("/", events)])


@contextmanager
def guarded(app: Any, manager: SessionManager) -> Iterator[Any]:
    yield ASGIMiddleware(app, manager)
    manager.hub.stop()


async def get(app: Any, token: str, sent: list[dict[str, Any]], came: asyncio.Event) -> None:
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "method": "GET",
        "path": "/",
        "raw_path": b"/",
        "root_path": "",
        "query_string": b"",
        "headers": [bearer(token)],
        "client": ("127.0.0.1", 1),
    }
    asked = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> Any:
        message = next(asked, None)
        if message is None:
            await asyncio.Event().wait()
        return message

    async def send(message: Any) -> None:
        sent.append(dict(message))
        came.set()

    await app(scope, receive, send)


@pytest.mark.parametrize("media_type", ["text/event-stream", "text/event-stream; charset=utf-8"])
def test_an_event_stream_ends(manager: SessionManager, media_type: str) -> None:
    async def main() -> None:
        token = manager.create_session("alice") or ""
        sent: list[dict[str, Any]] = []
        came = asyncio.Event()
        with guarded(streaming(media_type), manager) as app:
            task = asyncio.ensure_future(get(app, token, sent, came))
            async with asyncio.timeout(PATIENCE):
                while len(sent) < 2:
                    came.clear()
                    await came.wait()
                manager.invalidate_session(token)
                await task
        assert sent[1]["body"] == b"data: 1\n\n"
        assert sent[2:] == [{"type": "http.response.body", "body": b"", "more_body": False}]

    asyncio.run(main())


async def _events(send: Any) -> None:
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
    await asyncio.Event().wait()


async def by_a_child(_scope: Any, _receive: Any, send: Any) -> None:
    await asyncio.create_task(_events(send))


async def by_one_of_a_group(_scope: Any, _receive: Any, send: Any) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(_events(send))


async def by_one_of_several(_scope: Any, receive: Any, send: Any) -> None:
    await asyncio.gather(_events(send), receive())


@pytest.mark.parametrize("app", [by_a_child, by_one_of_a_group, by_one_of_several])
def test_a_stream_that_another_task_of_the_app_sends_ends(
    manager: SessionManager, app: Callable[[Any, Any, Any], Any]
) -> None:
    async def main() -> None:
        token = manager.create_session("alice") or ""
        sent: list[dict[str, Any]] = []
        came = asyncio.Event()
        middleware = ASGIMiddleware(app, manager)
        task = asyncio.ensure_future(get(middleware, token, sent, came))
        async with asyncio.timeout(PATIENCE):
            while len(sent) < 2:
                came.clear()
                await came.wait()
            manager.invalidate_session(token)
            await task
        assert sent[2:] == [{"type": "http.response.body", "body": b"", "more_body": False}]

    asyncio.run(main())


def test_a_download_is_never_cut(manager: SessionManager) -> None:
    async def main() -> None:
        token = manager.create_session("alice") or ""
        sent: list[dict[str, Any]] = []

        async def parts() -> AsyncIterator[bytes]:
            yield b"one"
            manager.invalidate_session(token)
            for _ in range(20):
                await asyncio.sleep(0)
            yield b"two"

        with guarded(streaming("application/zip", parts), manager) as app:
            await get(app, token, sent, asyncio.Event())
        assert b"".join(message.get("body", b"") for message in sent) == b"onetwo"

    asyncio.run(main())


@pytest.mark.parametrize("media_type", ["text/event-stream", "application/zip"])
def test_wsgi_ends_an_event_stream_between_two_chunks(
    manager: SessionManager, media_type: str
) -> None:
    token = manager.create_session("alice") or ""

    def app(_environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", media_type)])
        yield b"one"
        manager.invalidate_session(token)
        yield b"two"
        yield b"three"

    environ: dict[str, Any] = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/",
        "HTTP_AUTHORIZATION": f"Bearer {token}",
    }
    body = WSGIMiddleware(app, manager)(environ, lambda *_: lambda _: None)
    chunks = list(body)
    body.close()  # type: ignore[attr-defined]
    expected = [b"one"] if media_type == "text/event-stream" else [b"one", b"two", b"three"]
    assert chunks == expected
    assert manager.hub.watched == 0


# ``.ended``.


def test_ended_can_be_awaited_and_asked(manager: SessionManager) -> None:
    async def main() -> None:
        token = manager.create_session("alice") or ""
        seen: list[bool] = []
        waiting = asyncio.Event()

        async def app(scope: Any, _receive: Any, send: Any) -> None:
            ended = scope["sessiongate"].ended
            assert scope["sessiongate"].ended is ended
            seen.append(ended.is_set())
            waiting.set()
            await ended.wait()
            await ended.wait()
            seen.append(ended.is_set())
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        with guarded(app, manager) as middleware:
            task = asyncio.ensure_future(get(middleware, token, [], asyncio.Event()))
            async with asyncio.timeout(PATIENCE):
                await waiting.wait()
                manager.invalidate_session(token)
                await task
        assert seen == [False, True]

    asyncio.run(main())
    assert manager.hub.watched == 0


def test_that_of_nobody_never_is() -> None:
    manager = manager_of()

    async def main() -> None:
        async def app(scope: Any, _receive: Any, send: Any) -> None:
            assert not scope["sessiongate"].ended.is_set()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        with guarded(app, manager) as middleware:
            await get(middleware, "nothing", [], asyncio.Event())

    asyncio.run(main())
