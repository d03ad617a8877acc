"""Events: which, in what order, to whom, and what a bad listener cannot do."""

from __future__ import annotations

import asyncio
import logging
import re
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from tests.hygiene import TOKEN
from tests.managers.verbs import KEY, Verbs
from tests.stores.passing import PassingStore

from sessiongate import Event, JWTSessionManager, SessionManager, StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.managers.verbs import Make

    from sessiongate.testing import ManualClock

Kind = type[SessionManager]


class BrokenStore(PassingStore):
    """A store that is down."""

    def before(self, name: str, *arguments: Any) -> None:  # noqa: ARG002
        msg = "out of order"
        raise StoreError(msg)


class AsyncListener:
    """An object whose call is to be awaited; it does so for real."""

    def __init__(self) -> None:
        self.heard: list[Event] = []

    async def __call__(self, event: Event) -> None:
        await asyncio.sleep(0)
        self.heard.append(event)


def gist(events: list[Event]) -> list[tuple[str, str | None, str | None]]:
    return [(event.kind, event.username, event.reason) for event in events]


def live(m: Verbs) -> None:
    """One of each event that a manager can tell, by its public verbs."""
    token = m.create_session("alice")
    m.create_session("alice")
    m.create_session("bob", existing="new")
    m.create_session("carol")
    token = m.refresh_session(token)
    m.validate_session(token)
    m.create_session("alice", existing="replace")
    m.invalidate_session(m.create_session("alice"))
    m.invalidate_user_session("bob", m.user_sessions("bob")[0]["handle"])
    m.create_session("dora")
    m.invalidate_user_sessions("dora")


TOLD = [
    ("login", "alice", "requested"),
    ("login", "alice", "reused"),
    ("login", "bob", "requested"),
    ("limit_reached", "carol", "total"),
    ("rotated", "alice", "refreshed"),
    ("logout", "alice", "replaced"),
    ("login", "alice", "requested"),
    ("login", "alice", "reused"),
    ("logout", "alice", "requested"),
    ("logout", "bob", "requested"),
    ("login", "dora", "requested"),
    ("logout", "dora", "requested"),
]


def test_a_listener_hears_each_in_order(make_many: Make, clock: ManualClock) -> None:
    heard: list[Event] = []
    live(make_many(max_concurrent_sessions=2, on_event=heard.append))
    assert gist(heard) == TOLD
    assert {event.at for event in heard} == {datetime.fromtimestamp(clock(), UTC)}
    assert {event.transport for event in heard} == {None}


@pytest.mark.parametrize("cls", [SessionManager, JWTSessionManager])
def test_an_async_listener_hears_the_same(cls: Kind) -> None:
    listener = AsyncListener()
    live(Verbs(cls(max_concurrent_sessions=2, on_event=listener), "async"))
    assert gist(listener.heard) == TOLD


def test_the_session_of_an_event_is_its_handle(make: Make) -> None:
    heard: list[Event] = []
    m = make(on_event=heard.append, max_concurrent_sessions=1)
    m.create_session("alice")
    m.create_session("bob")
    (device,) = m.user_sessions("alice")
    assert [event.session for event in heard] == [device["handle"], None]


def test_evictions_are_told_before_the_login(make_many: Make) -> None:
    heard: list[Event] = []
    m = make_many(max_concurrent_sessions=1, on_limit="evict_oldest", on_event=heard.append)
    m.create_session("alice")
    m.create_session("bob")
    assert gist(heard)[1:] == [("logout", "alice", "evicted"), ("login", "bob", "requested")]


def test_a_users_limit_is_told_as_such(make_many: Make) -> None:
    heard: list[Event] = []
    m = make_many(max_sessions_per_user=1, existing="new", on_event=heard.append)
    m.create_session("alice")
    m.create_session("alice")
    assert gist(heard)[1:] == [("limit_reached", "alice", "user")]


def test_what_changes_nothing_is_no_event(make: Make, clock: ManualClock) -> None:
    heard: list[Event] = []
    m = make(on_event=heard.append, session_timeout=60)
    token = m.create_session("alice")
    heard.clear()
    m.validate_session(token)
    m.session_username(token)
    m.user_sessions("alice")
    m.n_active_sessions()
    list(m.manager.sessions)
    m.validate_session("garbage")
    m.invalidate_session("garbage")
    m.invalidate_user_session("bob", m.user_sessions("alice")[0]["handle"])
    clock.advance(60)
    m.validate_session(token)
    m.cleanup_expired_sessions()
    assert heard == []


def test_a_refreshed_token_is_never_told_as_a_replay(make: Make) -> None:
    heard: list[Event] = []
    m = make(on_event=heard.append)
    old = m.create_session("alice")
    m.refresh_session(old)
    heard.clear()
    m.validate_session(old)
    m.refresh_session(old)
    m.invalidate_session(old)
    assert heard == []


def test_a_store_that_is_down_is_told_and_raised(make: Make) -> None:
    heard: list[Event] = []
    up = make()
    m = make(store=BrokenStore(), on_event=heard.append)
    token = up.create_session("alice")
    with pytest.raises(StoreError):
        m.create_session("alice")
    with pytest.raises(StoreError):
        m.validate_session(token)
    with pytest.raises(StoreError):
        m.invalidate_session(token)
    with pytest.raises(StoreError):
        m.n_active_sessions()
    assert gist(heard) == [
        ("store_failed", None, f"{verb}: out of order")
        for verb in ("together", "read", "read", "sweep")
    ]


def test_an_event_holds_no_token(make: Make) -> None:
    heard: list[Event] = []
    m = make(on_event=heard.append)
    token = m.refresh_session(m.create_session("alice"))
    m.invalidate_session(token)
    assert len(heard) == 3
    assert not any(TOKEN.search(repr(event)) for event in heard)


# Listeners that misbehave.


def deaf(_: Event) -> NoReturn:
    msg = "the listener is broken"
    raise RuntimeError(msg)


def stopping(_: Event) -> NoReturn:
    raise StopIteration


async def deaf_later(_: Event) -> NoReturn:
    deaf(_)


@pytest.mark.parametrize("listener", [deaf, stopping, lambda _: 5])
def test_a_listener_changes_no_verdict(
    make_many: Make, listener: Callable[[Event], Any], caplog: pytest.LogCaptureFixture
) -> None:
    m = make_many(max_concurrent_sessions=1, on_event=listener)
    token = m.refresh_session(m.create_session("alice"))
    assert m.create_session("bob") is None
    assert m.session_username(token) == "alice"
    assert m.invalidate_session(token) == (True, "alice")
    assert m.n_active_sessions() == 0
    failures = [r for r in caplog.records if r.levelno == logging.ERROR]
    said = [r.getMessage().split(",")[0] for r in failures]
    kinds = ["login", "rotated", "limit_reached", "logout"]
    expected = [f"on_event failed at a {kind} event" for kind in kinds]
    assert said == (expected if listener in {deaf, stopping} else [])
    assert all(r.exc_info for r in failures)


def test_an_async_listener_changes_no_verdict(caplog: pytest.LogCaptureFixture) -> None:
    m = Verbs(SessionManager(on_event=deaf_later), "async")
    token = m.create_session("alice")
    assert m.invalidate_session(token) == (True, "alice")
    assert caplog.text.count("the listener is broken") == 2


def test_a_broken_listener_does_not_hide_a_broken_store(make: Make) -> None:
    with pytest.raises(StoreError):
        make(store=BrokenStore(), on_event=deaf).create_session("alice")


async def aside(_: Event) -> None:
    """An async listener as a function."""


ASYNC: dict[str, Callable[..., Awaitable[None]]] = {
    "function": aside,
    "partial": partial(aside),
    "object": AsyncListener(),
}


@pytest.mark.parametrize("listener", ASYNC.values(), ids=ASYNC)
@pytest.mark.parametrize("cls", [SessionManager, JWTSessionManager])
def test_an_async_listener_is_refused_by_the_sync_verbs_before_anything_is_done(
    cls: Kind, listener: Callable[[Event], Awaitable[None]]
) -> None:
    m = cls(secret_key=KEY, on_event=listener)
    with pytest.raises(TypeError, match=r"on_event is an async function: use the a… verbs"):
        m.create_session("alice")
    assert len(m.sessions) == 0
    token = asyncio.run(m.acreate_session("alice")) or ""
    for verb in (m.validate_session, m.refresh_session, m.invalidate_session):
        with pytest.raises(TypeError, match="on_event"):
            verb(token)
    assert asyncio.run(m.asession_username(token)) == "alice"


def test_an_async_listener_in_disguise_is_told_of_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    m = SessionManager(on_event=lambda event: aside(event))  # noqa: PLW0108 - the disguise
    assert m.create_session("alice") is not None
    assert "on_event is an async function" in caplog.text


def test_log_lines_name_the_event_and_cannot_be_forged(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    m = make()
    m.invalidate_session(m.create_session("alice' (requested) \U0001f600"))
    lines = [r.getMessage() for r in caplog.records if r.name == "sessiongate"]
    assert [re.match(r"session (\w+): user ", line)[1] for line in lines] == ["login", "logout"]  # type: ignore[index]
    assert all("\n" not in line for line in lines)


def test_the_given_logger_is_the_one(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("mine")
    m = make(logger=logger, max_concurrent_sessions=1)
    m.create_session("alice")
    m.create_session("bob")
    assert m.manager.logger is logger
    assert {r.name for r in caplog.records if r.levelno >= logging.WARNING} == {"mine"}
    assert isinstance(SessionManager().logger, logging.Logger)
