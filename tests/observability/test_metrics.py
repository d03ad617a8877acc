"""What is counted and timed, on both stacks; and that nothing of it names anybody."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from tests.http.harness import bare, bearer, cookie, enter, leave, renew, scope_of, show
from tests.stores.passing import PassingStore

from sessiongate import APITokens, SessionManager, StoreError
from sessiongate.asgi import SessionAuthMiddleware
from sessiongate.stores import MemoryStore, SQLiteStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.http.harness import MakeSite, Site
    from tests.observability.measured import Measured

    from sessiongate.stores._memory_feed import MemoryFeed

KEY = "k" * 64
REQUESTED = {("login", "requested"): 1}


def wait_for(condition: Callable[[], object]) -> None:
    """Wait for another thread."""
    due = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < due, "that takes too long"
        time.sleep(0.005)  # the other thread has the processor


class Failing(PassingStore):
    """A store that can be taken down, and says who asked."""

    down = False

    def before(self, name: str, *arguments: Any) -> None:
        if self.down:
            msg = f"{name} of {arguments[0]} for alice failed"
            raise StoreError(msg) from TimeoutError()


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_each_verdict_is_counted_with_its_transport(
    make: MakeSite, measured: Measured, *, late: bool
) -> None:
    """Whether it is instrumented before or after the middleware is made."""
    store = Failing()
    site = make(store=store)
    token = site.open()
    if late:
        site.ask()
    measured.instrument(site.manager)
    site.ask()
    site.ask(cookie("not minted here"))
    assert measured.values("checks") == {}, "no credential, no check"
    site.ask(cookie(token))
    site.ask(bearer(token))
    site.ask(bearer(token), view=bare)
    site.ask(bearer(f"{token}0"))
    site.ask((b"authorization", b"Bearer a b"))
    site.ask(cookie(token), (b"sec-fetch-site", b"cross-site"), method="POST")
    site.ask(cookie(token), cookie(site.open()))
    site.manager.invalidate_session(token)
    site.ask(cookie(token))
    store.down = True
    site.ask(cookie(token))
    site.ask(bearer(token))
    assert measured.values("checks") == {
        ("cookie", "user"): 1,
        ("bearer", "user"): 2,
        ("bearer", "invalid_token"): 1,
        ("bearer", "invalid_request"): 1,
        ("cookie", "cross_site"): 1,
        ("cookie", "invalid_request"): 1,
        ("cookie", "invalid_token"): 1,
        ("cookie", "unavailable"): 1,
        ("bearer", "unavailable"): 1,
    }


def test_a_login_and_a_logout_do_not_change_who_came(site: Site, measured: Measured) -> None:
    measured.instrument(site.manager)
    token = site.ask(view=enter).token
    assert measured.values("checks") == {}
    site.ask(cookie(token), view=leave)
    assert measured.values("checks") == {("cookie", "user"): 1}


def test_what_happens_to_sessions_is_counted(make: MakeSite, measured: Measured) -> None:
    site = make(session_timeout=1000, rotation_grace=10, max_sessions_per_user=1)
    measured.instrument(site.manager)
    first = site.ask(view=enter).token
    assert measured.values("events") == REQUESTED
    site.manager.create_session("alice", existing="new")
    second = site.ask(cookie(first), view=renew).token
    site.clock.advance(600)
    third = site.ask(cookie(second)).token
    site.ask(cookie(third))
    site.clock.advance(11)
    site.ask(cookie(second))
    assert measured.values("events") == {
        **REQUESTED,
        ("limit_reached", "user"): 1,
        ("rotated", "refreshed"): 1,
        ("rotated", "due"): 1,
        ("replayed", "stale_token"): 1,
    }
    site.ask(cookie(site.ask(view=enter).token), view=leave)
    assert measured.values("events")["logout", "requested"] == 1
    assert [event.kind for event in site.events].count("replayed") == 1, "the listener hears it too"


def test_what_one_wants_an_alarm_for_is_counted_from_zero(site: Site, measured: Measured) -> None:
    measured.instrument(site.manager)
    zeros = {
        (point.attributes["sessiongate.event"], point.attributes["sessiongate.reason"])
        for name, point in measured.points()
        if name == "sessiongate.events"
    }
    assert {("replayed", "stale_token"), ("store_failed", "read")} <= zeros
    assert measured.values("events") == {}


def test_a_listener_that_is_awaited_is_awaited(measured: Measured) -> None:
    heard: list[str] = []

    async def listen(event: Any) -> None:
        heard.append(event.kind)

    manager = SessionManager(on_event=listen)
    measured.instrument(manager)
    asyncio.run(manager.acreate_session("alice"))
    assert heard == ["login"]
    assert measured.values("events") == REQUESTED


def test_each_call_of_the_store_is_timed(
    make: MakeSite, measured: Measured, tmp_path: Path
) -> None:
    store = SQLiteStore(tmp_path / "sessions.db", timeout=60)
    site = make(store=store)
    measured.instrument(site.manager)
    token = site.ask(view=enter).token
    site.ask(cookie(token))
    site.ask(cookie(token), view=leave)
    store.close()
    assert measured.calls() == {("commit",): 1, ("read",): 3, ("swap",): 1}
    (reads,) = (
        point
        for name, point in measured.points()
        if name == "sessiongate.store.duration" and point.attributes["db.operation.name"] == "read"
    )
    assert reads.explicit_bounds[0] == 0.001, "most calls are faster than five seconds"
    assert 0 < reads.sum < 60


def test_a_call_that_fails_says_which_class_of_error(make: MakeSite, measured: Measured) -> None:
    store = Failing()
    site = make(store=store)
    token = site.open()
    measured.instrument(site.manager)
    store.down = True
    assert site.ask(cookie(token)).status == 503
    assert measured.calls() == {("read", "TimeoutError"): 1}
    assert measured.values("events") == {("store_failed", "read"): 1}


def test_the_system_is_the_one_of_the_conventions(measured: Measured, tmp_path: Path) -> None:
    class Named(Failing):
        system = "mariadb"

    sqlite = SQLiteStore(tmp_path / "sessions.db", timeout=60)
    for name, store in {"a": sqlite, "b": Named(), "c": Failing()}.items():
        manager = SessionManager(store=store, secret_key=KEY)
        measured.instrument(manager, name=name)
        manager.validate_session(manager.create_session("alice") or "")
        store.close()
    systems = {
        (point.attributes["sessiongate.manager"], point.attributes["db.system.name"])
        for name, point in measured.points()
        if name == "sessiongate.store.duration"
    }
    assert systems == {("a", "sqlite"), ("b", "mariadb"), ("c", "failing")}


class Overtaken(PassingStore):
    """Lets somebody else be faster, once."""

    faster: Any = None

    def before(self, name: str, *_arguments: Any) -> None:
        if name.removeprefix("a") in {"swap", "commit"} and self.faster is not None:
            faster, self.faster = self.faster, None
            faster()


def test_a_change_that_was_decided_anew_is_a_conflict(make: MakeSite, measured: Measured) -> None:
    memory = MemoryStore()
    store = Overtaken(memory)
    site = make(store=store, rotate_after=None)
    other = SessionManager(store=memory, secret_key=KEY, clock=site.clock)
    token = site.open()
    measured.instrument(site.manager)
    site.ask(cookie(token), view=leave)
    assert measured.values("store.conflicts") == {}
    token = site.open()
    store.faster = lambda: other.refresh_session(token)
    site.ask(cookie(token), view=leave)
    assert measured.values("store.conflicts") == {("swap", "counting"): 1}


def test_a_store_in_memory_has_no_times(measured: Measured) -> None:
    manager = SessionManager()
    measured.instrument(manager)
    manager.validate_session(manager.create_session("alice") or "")
    assert measured.calls() == {}
    assert measured.values("events") == REQUESTED


def test_looks_into_the_near_cache_are_counted(measured: Measured) -> None:
    """A hit is a check that needed no trip; a predecessor has to make one."""
    manager = SessionManager(near_cache=60, touch_every=60)
    measured.instrument(manager)
    token = manager.create_session("alice") or ""
    wait_for(lambda: manager.validate_session(token) and manager.hub.is_open)
    manager.validate_session(token)
    before = measured.values("near_cache.lookups")
    assert before["miss",] > 0
    manager.validate_session(token)
    manager.refresh_session(token)
    manager.validate_session(token)
    after = measured.values("near_cache.lookups")
    assert after["hit",] == before.get(("hit",), 0) + 1
    assert after["miss",] == before["miss",] + 2


class Broken(MemoryStore):
    """A store in memory whose feed can be broken."""

    broken = False

    def feed(self) -> MemoryFeed:
        if self.broken:
            msg = "the feed is broken"
            raise StoreError(msg)
        return super().feed()


def test_the_feed_is_seen(measured: Measured) -> None:
    store = Broken()
    manager = SessionManager(store=store, near_cache=60)
    measured.instrument(manager)
    assert measured.values("feed.age") == {}
    assert "sessiongate.feed.up" not in {name for name, _ in measured.points()}, "nobody needs it"
    manager.validate_session(manager.create_session("alice") or "")
    wait_for(lambda: manager.hub.is_open)
    assert measured.values("feed.up") == {(): 1}
    assert 0 < measured.values("feed.age")[()] < 60

    ill = Broken()
    ill.broken = True
    manager = SessionManager(store=ill, near_cache=60)
    measured.instrument(manager, name="ill")
    manager.validate_session(manager.create_session("alice") or "")
    wait_for(lambda: manager.hub.answers is False)
    told = {
        (name, point.attributes["sessiongate.manager"]): point.value
        for name, point in measured.points()
        if name.startswith("sessiongate.feed.")
    }
    assert told["sessiongate.feed.up", "ill"] == 0
    assert ("sessiongate.feed.age", "ill") not in told


def test_managers_of_a_process_are_told_apart(measured: Measured) -> None:
    manager, tokens = SessionManager(), APITokens()
    measured.instrument(manager, name="customers")
    measured.instrument(tokens)
    manager.create_session("alice")
    tokens.create("alice", name="ci")
    tokens.revoke_all("alice")
    assert measured.values("events", "customers") == REQUESTED
    assert measured.values("events", "api_tokens") == {
        ("token_created", "requested"): 1,
        ("token_revoked", "requested"): 1,
    }
    names = {
        point.attributes["sessiongate.manager"]
        for name, point in measured.points()
        if name == "sessiongate.watched"
    }
    assert names == {"customers", "api_tokens"}


def test_a_request_with_an_api_token_is_a_check_of_the_api_tokens(
    make: MakeSite, measured: Measured
) -> None:
    tokens = APITokens()
    site = make(options={"api_tokens": tokens})
    measured.instrument(site.manager)
    measured.instrument(tokens)
    site.ask(bearer(tokens.create("alice", name="ci")), view=bare)
    assert measured.values("checks", "api_tokens") == {("bearer", "user"): 1}
    assert measured.values("checks") == {}


def test_an_open_websocket_is_seen(measured: Measured) -> None:
    manager = SessionManager()
    measured.instrument(manager)
    token = manager.create_session("alice")
    seen: list[dict[tuple[str, ...], float]] = []

    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        seen.append(measured.values("watched"))

    async def nothing(*_: Any) -> Any: ...

    guarded = SessionAuthMiddleware(app, manager)
    scope = scope_of("GET", [cookie(token)], "websocket")
    asyncio.run(guarded(scope, nothing, nothing))
    assert seen == [{(): 1}]
    assert measured.values("watched") == {}
    assert measured.values("checks") == {("cookie", "user"): 1}


def test_nothing_that_is_told_names_anybody(make: MakeSite, measured: Measured) -> None:
    store = Failing()
    site = make(store=store)
    measured.instrument(site.manager)
    token = site.ask(view=enter).token or ""
    site.ask(cookie(token), view=renew)
    with measured.tracers.get_tracer("tests").start_as_current_span("request"):
        site.ask(cookie(token), view=show)
        store.down = True
        site.ask(cookie(token), view=show)
    told = repr(
        [
            *((name, point.attributes) for name, point in measured.points()),
            *((span.name, span.attributes, span.events, span.status) for span in measured.spans()),
        ]
    )
    assert "store_failed" in told
    assert "TimeoutError" in told
    for secret in ("alice", token, token[3:25], "failed for"):
        assert secret not in told


def test_twice_is_harmless(site: Site, measured: Measured, logged: list[str]) -> None:
    measured.instrument(site.manager)
    measured.instrument(site.manager)
    assert any("instrument() was called twice" in line for line in logged)
    site.ask(view=enter)
    assert measured.values("events") == REQUESTED


def test_what_is_no_manager_is_refused(measured: Measured) -> None:
    no_manager: Any = object()
    with pytest.raises(TypeError, match="must be a SessionManager or APITokens, not object"):
        measured.instrument(no_manager)


def test_a_manager_that_is_gone_is_measured_no_more(measured: Measured) -> None:
    measured.instrument(SessionManager())
    gc.collect()
    assert "sessiongate.watched" not in {name for name, _ in measured.points()}


def test_without_opentelemetry_the_import_says_what_to_install() -> None:
    script = """if True:
        import sys
        sys.modules["opentelemetry"] = None
        from sessiongate import ConfigurationError
        try:
            import sessiongate.observability
        except ConfigurationError as error:
            print(error)
    """
    command = [sys.executable, "-c", script]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ended.stdout == "OpenTelemetry is missing: pip install 'sessiongate[otel]'\n"
