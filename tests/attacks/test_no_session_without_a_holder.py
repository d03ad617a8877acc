"""A session whose token no response brings to anybody does not stay open."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from tests.http.brittle import BrittleStore
from tests.http.conftest import kind, make, site, stack
from tests.http.harness import (
    HOST,
    Call,
    MakeSite,
    Reply,
    call_asgi,
    connect,
    environ_of,
    make_site,
    scope_of,
)
from tests.stores.passing import PassingStore

from sessiongate import SessionManager
from sessiongate.asgi import SessionAuthMiddleware as ASGIMiddleware
from sessiongate.errors import StoreError
from sessiongate.stores import MemoryStore
from sessiongate.wsgi import SessionAuthMiddleware as WSGIMiddleware

if TYPE_CHECKING:
    from sessiongate.events import Event

__all__ = ["kind", "make", "site", "stack"]


def test_of_an_asgi_app_that_logs_in_and_sends_nothing() -> None:
    site = make_site("asgi", "opaque")

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        assert await scope["sessiongate"].alogin("alice")

    asyncio.run(call_asgi(ASGIMiddleware(app, site.manager), scope_of("POST", [HOST])))
    assert site.manager.n_active_sessions() == 0


def test_of_a_wsgi_app_that_logs_in_and_never_starts() -> None:
    site = make_site("wsgi", "opaque")

    def app(environ: Any, _start: Any) -> list[bytes]:
        assert environ["sessiongate"].login("alice")
        return []

    body: Any = WSGIMiddleware(app, site.manager)(
        environ_of("POST", [HOST]), lambda *_: lambda _: None
    )
    list(body)
    body.close()
    assert site.manager.n_active_sessions() == 0


def test_of_a_websocket_that_logs_in_and_is_closed_unaccepted() -> None:
    site = make_site("asgi", "opaque")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        assert await scope["sessiongate"].alogin("alice")
        await send({"type": "websocket.close", "code": 1008})

    asyncio.run(connect(site, app=app))
    assert site.manager.n_active_sessions() == 0


@pytest.mark.parametrize("body", [None, 7])
def test_of_a_wsgi_body_that_is_no_iterable(body: Any) -> None:
    site = make_site("wsgi", "opaque")

    def app(environ: Any, start: Any) -> Any:
        assert environ["sessiongate"].login("alice")
        start("200 OK", [])
        return body

    with pytest.raises(TypeError):
        list(WSGIMiddleware(app, site.manager)(environ_of("POST", [HOST]), lambda *_: print))
    assert site.manager.n_active_sessions() == 0


def test_of_a_login_before_a_failure_that_becomes_the_503(make: MakeSite) -> None:
    """The response of the app is an error for want of the store; its cookie is dropped."""
    brittle = BrittleStore()
    site = make(store=brittle)

    async def view(call: Call) -> Reply:
        assert await call.login("alice")
        brittle.down = True
        with pytest.raises(StoreError):
            await call.refresh()
        brittle.down = False
        return Reply(500)

    response = site.ask(view=view, method="POST")
    assert response.status == 503
    assert response.token or site.manager.n_active_sessions() == 0


def test_of_a_login_that_is_cancelled_while_the_listener_is_told() -> None:
    told = asyncio.Event()

    async def listener(event: Event) -> None:
        if event.kind == "login":
            told.set()
            await asyncio.sleep(3600)

    manager = SessionManager(on_event=listener)

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        await scope["sessiongate"].alogin("alice")

    async def main() -> int:
        asked = asyncio.create_task(
            call_asgi(ASGIMiddleware(app, manager), scope_of("POST", [HOST]))
        )
        await told.wait()
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        return await manager.an_active_sessions()

    assert asyncio.run(main()) == 0


class Slow(PassingStore):
    """Answers a while after it has done what it was asked, as over a network."""

    async def _acall(self, name: str, method: Any, *arguments: Any) -> Any:
        answer = await super()._acall(name, method, *arguments)
        for _ in range(3):
            await asyncio.sleep(0)
        return answer


@pytest.mark.parametrize("pauses", range(4))
def test_of_a_login_that_is_cancelled_at_any_pause(pauses: int) -> None:
    manager = SessionManager(store=Slow(MemoryStore()), secret_key="k" * 64)

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        await scope["sessiongate"].alogin("alice")
        await asyncio.sleep(3600)

    async def main() -> int:
        asked = asyncio.create_task(
            call_asgi(ASGIMiddleware(app, manager), scope_of("POST", [HOST]))
        )
        for _ in range(pauses + 1):
            await asyncio.sleep(0)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        for _ in range(99):
            await asyncio.sleep(0)
        return await manager.an_active_sessions()

    assert asyncio.run(main()) == 0


def test_of_an_asgi_app_whose_client_has_gone() -> None:
    """From ASGI 2.4 on ``send`` raises an ``OSError`` then, and apps swallow it."""
    manager = SessionManager()

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        assert await scope["sessiongate"].alogin("alice")
        with suppress(OSError):
            await send({"type": "http.response.start", "status": 200, "headers": []})

    async def gone(_message: Any) -> None:
        raise OSError

    async def receive() -> Any:
        raise AssertionError

    asyncio.run(ASGIMiddleware(app, manager)(scope_of("POST", [HOST]), receive, gone))
    assert manager.n_active_sessions() == 0
