"""A login that no response brings to the client leaves no session; one that did not run says so."""

from __future__ import annotations

import asyncio
import gc
import logging
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from tests.http.brittle import BrittleStore
from tests.http.harness import (
    HOST,
    Call,
    MakeSite,
    Reply,
    Site,
    Stack,
    bearer,
    call_asgi,
    connect,
    cookie,
    enter,
    environ_of,
    make_site,
    scope_of,
    show,
)
from tests.stores.passing import PassingStore

from sessiongate.asgi import SessionAuthMiddleware as ASGIMiddleware
from sessiongate.errors import StoreError
from sessiongate.stores import MemoryStore
from sessiongate.wsgi import SessionAuthMiddleware as WSGIMiddleware

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sessiongate.stores import Store

PLAIN = [("Content-Type", "text/plain")]


class BugError(Exception):
    """What a view raises."""


class Interrupt(BaseException):
    """What a server raises to end a view."""


@pytest.mark.parametrize("error", [BugError, Interrupt, StoreError])
@pytest.mark.parametrize("transport", ["cookie", "bearer"])
def test_an_exception_after_a_login_leaves_no_session(
    site: Site, error: type[BaseException], transport: str
) -> None:
    """The server's 500, and Starlette's, go around the middleware: nobody has the token."""

    async def view(call: Call) -> Reply:
        assert await call.login("alice", transport=transport) is not None
        raise error

    if error is StoreError:
        assert site.ask(view=view).status == 503
    else:
        with pytest.raises(error):
            site.ask(view=view)
    assert site.manager.n_active_sessions() == 0
    assert site.kinds() == ["login", "logout"]


def test_of_several_logins_none_is_left(site: Site) -> None:
    held = site.open("bob")

    async def view(call: Call) -> Reply:
        assert await call.login("alice")
        assert await call.login("carol")
        raise BugError

    with pytest.raises(BugError):
        site.ask(cookie(held), view=view)
    assert site.manager.n_active_sessions() == 0, "what the client held ended with the login"


@pytest.mark.parametrize("verb", ["none", "refresh", "logout", "limit"])
def test_an_exception_ends_no_session_that_was_there_before(make: MakeSite, verb: str) -> None:
    site = make(max_concurrent_sessions=1)
    token = site.open()

    async def view(call: Call) -> Reply:
        if verb == "refresh":
            await call.refresh()
        elif verb == "logout":
            await call.logout()
        elif verb == "limit":
            call.session.user.row = None  # as if nobody had come, so that nothing makes room
            call.session.credentials = replace(call.session.credentials, tokens=())
            assert await call.login("bob") is None
        raise BugError

    with pytest.raises(BugError):
        site.ask(cookie(token), view=view)
    assert site.manager.n_active_sessions() == (0 if verb == "logout" else 1)
    if verb in {"none", "limit"}:
        assert site.ask(cookie(token)).who == "alice"


@pytest.mark.parametrize("stack", ["asgi"])
@pytest.mark.parametrize("error", [BugError, StoreError, Interrupt])
def test_once_the_response_has_started_the_session_stays(
    site: Site, error: type[BaseException]
) -> None:
    """Its header fields have gone out, and the token with them. On WSGI: further down."""
    tokens: list[str | None] = []

    async def view(call: Call) -> Reply:
        tokens.append(await call.login("alice"))
        await call.start(Reply())
        raise error

    with pytest.raises(error):
        site.ask(view=view)
    assert site.ask(cookie(tokens[0])).who == "alice"


def test_a_response_of_the_apps_own_after_an_error_keeps_the_session(site: Site) -> None:
    """As where a framework makes its error page inside of the middleware."""

    async def view(call: Call) -> Reply:
        assert await call.login("alice")
        return Reply(500)

    response = site.ask(view=view)
    assert (response.status, bool(response.token)) == (500, True)
    assert site.ask(cookie(response.token)).who == "alice"


def test_a_store_that_is_down_by_then_does_not_hide_the_error(make: MakeSite) -> None:
    store = BrittleStore()
    site = make(store=store)

    async def view(call: Call) -> Reply:
        assert await call.login("alice")
        store.down = True
        raise BugError

    with pytest.raises(BugError):
        site.ask(view=view)
    assert site.kinds() == ["login", "store_failed"]


@pytest.mark.parametrize("stack", ["wsgi"])
class TestBodiesThatStartLate:
    """A generator runs when the server reads it, outside of the call of the app."""

    @pytest.mark.parametrize("error", [BugError, StoreError, Interrupt])
    @pytest.mark.parametrize("said", ["nothing", "start", "empty", "first"])
    def test_an_exception(self, site: Site, said: str, error: type[BaseException]) -> None:
        """With the first byte the header fields go out, and no sooner (PEP 3333)."""

        def app(environ: Any, start_response: Any) -> Iterable[bytes]:
            environ["sessiongate"].login("alice")
            if said != "nothing":
                start_response("200 OK", PLAIN)
            if said == "empty":
                yield b""
            if said == "first":
                yield b"first"
            raise error

        body = _begin(site, app)
        if said == "nothing" and error is StoreError:
            list(body)
        else:
            with pytest.raises(error):
                list(body)
        body.close()
        assert site.manager.n_active_sessions() == int(said == "first")

    @pytest.mark.parametrize("written", [True, False])
    def test_an_exception_in_the_call_itself(self, site: Site, *, written: bool) -> None:
        def app(environ: Any, start_response: Any) -> Iterable[bytes]:
            environ["sessiongate"].login("alice")
            write = start_response("200 OK", PLAIN)
            if written:
                write(b"first")
            raise BugError

        with pytest.raises(BugError):
            _begin(site, app)
        assert site.manager.n_active_sessions() == int(written)

    @pytest.mark.parametrize("chunks", [[], [b""], [b"one", b"two"]])
    def test_a_body_that_ends_is_delivered(self, site: Site, chunks: list[bytes]) -> None:
        """Also an empty one, as of a redirect."""

        def app(environ: Any, start_response: Any) -> Iterable[bytes]:
            environ["sessiongate"].login("alice")
            start_response("302 Found", PLAIN)
            return chunks

        body = _begin(site, app)
        assert list(body) == chunks
        body.close()
        assert site.manager.n_active_sessions() == 1

    @pytest.mark.parametrize("chunks", [0, 1])
    def test_a_client_that_goes_away(self, site: Site, chunks: int) -> None:
        """The server closes the body; before the first chunk nothing has gone out."""

        class Body:
            def __init__(self, environ: Any, start_response: Any) -> None:
                environ["sessiongate"].login("alice")
                self._start = start_response

            def __iter__(self) -> Iterator[bytes]:
                self._start("200 OK", PLAIN)
                yield b"first"

        body = _begin(site, Body)
        chunk = iter(body)
        for _ in range(chunks):
            next(chunk)
        body.close()
        assert site.manager.n_active_sessions() == chunks

    def test_an_exception_of_close_is_the_apps_own(self, site: Site) -> None:
        class Body:
            def __init__(self, environ: Any, _start_response: Any) -> None:
                environ["sessiongate"].login("alice")

            def __iter__(self) -> Iterator[bytes]:
                return iter(())

            def close(self) -> None:
                raise BugError

        body = _begin(site, Body)
        with pytest.raises(BugError):
            body.close()
        assert site.manager.n_active_sessions() == 0


def _begin(site: Site, app: Any) -> Any:
    guarded = WSGIMiddleware(app, site.manager)
    return guarded(environ_of("GET", [HOST]), lambda *_: lambda _: None)


class Waiting(PassingStore):
    """Lets others run before each answer, as a store over a network does."""

    async def _acall(self, name: str, method: Any, *arguments: Any) -> Any:
        for _ in range(3):
            await asyncio.sleep(0)
        return await super()._acall(name, method, *arguments)


@pytest.mark.parametrize("stack", ["asgi"])
@pytest.mark.parametrize("store", [MemoryStore, Waiting])
class TestCancellation:
    """A client that hangs up, a timeout, a server that shuts down."""

    @pytest.mark.parametrize("started", [True, False])
    def test_a_cancelled_request_leaves_no_session(
        self, make: MakeSite, store: Callable[[], Store], *, started: bool
    ) -> None:
        site = make(store=store())

        async def main() -> None:
            inside = asyncio.Event()

            async def view(call: Call) -> Reply:
                assert await call.login("alice") is not None
                if started:
                    await call.start(Reply())
                inside.set()
                await asyncio.Event().wait()
                raise AssertionError

            task = asyncio.create_task(site.aask(view=view))
            await inside.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(main())
        assert site.manager.n_active_sessions() == int(started)

    def test_a_request_that_is_cancelled_again_and_again(
        self, make: MakeSite, store: Callable[[], Store]
    ) -> None:
        """As anyio does: a cancelled scope lets no await through."""
        site = make(store=store())

        async def main() -> None:
            with anyio.CancelScope() as scope:

                async def view(call: Call) -> Reply:
                    assert await call.login("alice") is not None
                    scope.cancel()
                    await anyio.sleep_forever()
                    raise AssertionError

                await site.aask(view=view)
            assert scope.cancelled_caught
            for _ in range(99):
                await asyncio.sleep(0)

        asyncio.run(main())
        assert site.manager.n_active_sessions() == 0


class Answering(PassingStore):
    """Commits, and is about to answer when the request is cancelled."""

    def __init__(self) -> None:
        super().__init__()
        self.committed = asyncio.Event()

    async def _acall(self, name: str, method: Any, *arguments: Any) -> Any:
        outcome = await super()._acall(name, method, *arguments)
        if name == "acommit" and not self.committed.is_set():
            self.committed.set()
            await asyncio.Event().wait()
        return outcome


@pytest.mark.parametrize("stack", ["asgi"])
def test_a_request_that_is_cancelled_during_the_commit_leaves_no_session(make: MakeSite) -> None:
    store = Answering()
    site = make(store=store)

    async def view(call: Call) -> Reply:
        await call.login("alice")
        raise AssertionError

    async def main() -> None:
        task = asyncio.create_task(site.aask(view=view))
        await store.committed.wait()
        assert site.manager.n_active_sessions() == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert site.manager.n_active_sessions() == 0


@pytest.mark.parametrize("error", [BugError, Interrupt])
def test_a_login_that_the_store_refuses_is_not_undone(
    make: MakeSite, error: type[BaseException]
) -> None:
    """Nor does it hide the login before it, which is."""
    store = BrittleStore()
    site = make(store=store)

    async def view(call: Call) -> Reply:
        assert await call.login("alice")
        store.down = True
        with pytest.raises(StoreError):
            await call.login("bob")
        store.down = False
        raise error

    with pytest.raises(error):
        site.ask(view=view)
    assert site.manager.n_active_sessions() == 0
    assert site.kinds() == ["login", "store_failed", "logout"]


@pytest.mark.parametrize("stack", ["asgi"])
class TestNotAwaited:
    """A login without ``await`` answers 200 and logs nobody in: the log says so."""

    @pytest.mark.parametrize("verb", ["alogin", "alogout", "arefresh"])
    def test_the_response_says_so(
        self, site: Site, verb: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        token = site.open()
        site.kinds()

        async def view(call: Call) -> Reply:
            arguments = ("bob",) if verb == "alogin" else ()
            _forgotten(getattr(call.session, verb)(*arguments))
            return Reply()

        with warnings.catch_warnings(record=True):
            warnings.simplefilter("always")
            response = site.ask(cookie(token), view=view)
            gc.collect()
        assert (response.status, response.token, site.kinds()) == (200, None, [])
        (line,) = _errors(caplog)
        assert f"{verb}()" in line
        assert "await" in line
        assert token not in line

    def test_a_websocket_says_so_as_well(
        self, site: Site, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            _forgotten(scope["sessiongate"].alogin("alice"))
            await send({"type": "websocket.accept"})

        with warnings.catch_warnings(record=True):
            warnings.simplefilter("always")
            asyncio.run(connect(site, app=app))
            gc.collect()
        assert len(_errors(caplog)) == 1

    def test_what_was_awaited_is_not_told(
        self, site: Site, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def view(call: Call) -> Reply:
            assert await call.session.alogin("alice") is not None
            assert await call.session.arefresh() is not None
            await call.session.alogout()
            coroutine = call.session.alogin("bob")  # kept for a moment
            assert await asyncio.create_task(coroutine) is not None
            return Reply()

        assert site.ask(view=view).token
        assert _errors(caplog) == []

    @pytest.mark.parametrize("view", [show, enter])
    def test_one_that_failed_was_awaited_too(
        self, site: Site, view: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def failing(call: Call) -> Reply:
            with pytest.raises(ValueError, match="username"):
                await call.session.alogin("")
            return await view(call)  # type: ignore[no-any-return]

        site.ask(view=failing)
        assert _errors(caplog) == []


def _forgotten(_coroutine: object) -> None:
    """What becomes of a coroutine that nobody awaits."""


def _errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        r.getMessage()
        for r in caplog.records
        if r.levelno >= logging.ERROR and r.name == "sessiongate"
    ]


# Two verbs in one request.


@pytest.mark.parametrize("kind", ["opaque", "jwt"])
@pytest.mark.parametrize("transport", ["cookie", "bearer"])
@pytest.mark.parametrize("held", ["cookie", "bearer", "both", "several", None])
def test_login_and_refresh_in_one_request(
    stack: Stack, kind: str, transport: str, held: str | None
) -> None:
    """A cookie that is valid; or the header, and of the cookie only a deletion."""
    site = make_site(stack, kind)
    old = site.open("bob")
    brought = {
        "cookie": [cookie(old)],
        "bearer": [bearer(old)],
        "both": [cookie(old), bearer(old)],
        "several": [cookie("x"), cookie(old)],
        None: [],
    }[held]
    tokens: list[str | None] = []

    async def view(call: Call) -> Reply:
        tokens.append(await call.login("alice", transport=transport))
        tokens.append(await call.refresh())
        return Reply()

    response = site.ask(*brought, view=view, method="POST")
    assert None not in tokens
    lines = response.all("set-cookie")
    if transport == "cookie":
        (line,) = lines
        assert line.startswith(f"__Host-session={tokens[1]};")
        assert response.one("x-refreshed-token") is None
    else:
        assert response.one("x-refreshed-token") == tokens[1]
        came = held in {"cookie", "both", "several"}
        assert [line.partition(";")[0] for line in lines] == ["__Host-session="] * came
    way = cookie if transport == "cookie" else bearer
    assert site.ask(way(tokens[1])).who == "alice"
    assert site.ask(way(tokens[0])).who is None
    assert site.ask(way(old)).who == (None if held else "bob")


@pytest.mark.parametrize("due", [True, False])
def test_a_refresh_of_both_ways_sends_both(site: Site, *, due: bool) -> None:
    token = site.open()
    if due:
        site.clock.advance(1800)

    async def view(call: Call) -> Reply:
        assert await call.refresh() is not None
        return Reply()

    response = site.ask(cookie(token), bearer(token), view=view)
    assert response.token
    assert len(response.all("set-cookie")) == 1
    assert response.one("x-refreshed-token") == response.token
    assert site.ask(cookie(response.token)).who == "alice"


def test_a_refresh_after_a_logout_keeps_the_deletion(site: Site) -> None:
    async def view(call: Call) -> Reply:
        await call.logout()
        assert await call.refresh() is None
        assert call.session.problem is None
        return Reply()

    assert site.ask(cookie(site.open()), view=view).token == ""


def test_a_refresh_that_comes_too_late_says_why_it_is_nobody(site: Site) -> None:
    token = site.open()

    async def view(call: Call) -> Reply:
        call.site.manager.invalidate_session(token)
        assert await call.refresh() is None
        return await show(call)

    response = site.ask(cookie(token), view=view)
    assert (response.status, response.token) == (401, None)


def test_a_refresh_changes_nothing_about_a_problem(site: Site) -> None:
    for headers in (
        [bearer("forged")],
        [bearer("a b")],
        [cookie(site.open()), cookie(site.open())],
    ):

        async def view(call: Call) -> Reply:
            problem = call.session.problem
            assert problem is not None
            assert await call.refresh() is None
            assert call.session.problem == problem
            return Reply()

        assert site.ask(*headers, view=view).token is None


def test_a_login_in_a_websocket_that_fails_leaves_no_session() -> None:
    site = make_site("asgi", "opaque")

    async def app(scope: Any, receive: Any, _send: Any) -> None:
        await receive()
        assert await scope["sessiongate"].alogin("alice") is not None
        raise BugError

    guarded = ASGIMiddleware(app, site.manager)
    with pytest.raises(BugError):
        asyncio.run(
            call_asgi(guarded, scope_of("", [HOST], "websocket"), {"type": "websocket.connect"})
        )
    assert site.manager.n_active_sessions() == 0
