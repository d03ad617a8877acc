"""Time: idle timeout, absolute lifetime, leeway, touches, and a clock that is set back."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from tests.managers.verbs import KEY, Verbs

from sessiongate import JWTSessionManager, SessionManager
from sessiongate.core.row import SECOND
from sessiongate.stores import MemoryStore
from sessiongate.testing import CountingStore, ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.managers.verbs import Make


@pytest.mark.parametrize("timeout", [60, 60.0, timedelta(minutes=1)])
def test_dead_at_the_very_instant(
    make: Make, clock: ManualClock, timeout: float | timedelta
) -> None:
    m = make(session_timeout=timeout)
    assert m.manager.session_timeout == timeout
    token = m.create_session("alice")
    clock.advance(59.999)
    assert m.session_username(token) == "alice"
    assert m.n_active_sessions() == 1
    clock.set(1_700_000_060)
    assert m.n_active_sessions() == 0
    assert m.validate_session(token) is None


def test_fractions_of_a_second_count(make_opaque: Make, clock: ManualClock) -> None:
    m = make_opaque(session_timeout=0.25)
    token = m.create_session("alice")
    clock.advance(0.249)
    assert m.session_username(token) == "alice"
    clock.advance(0.001)
    assert m.session_username(token) is None


def test_a_jwt_states_whole_seconds_and_keeps_to_them(make_jwt: Make, clock: ManualClock) -> None:
    clock.advance(0.75)
    m = make_jwt(session_timeout=1.5)  # rounded up: NumericDates are whole in our tokens
    told = m.validate_session(m.create_session("alice"))
    assert (told["issued_at"], told["expires_at"]) == (1_700_000_000, 1_700_000_002)


LOOKS: dict[str, Callable[[Verbs, str], object]] = {
    "validate": lambda m, token: m.validate_session(token),
    "refresh": lambda m, token: m.refresh_session(token),
    "invalidate": lambda m, token: m.invalidate_session(token),
    "count": lambda m, _: m.n_active_sessions(),
    "cleanup": lambda m, _: m.cleanup_expired_sessions(),
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_a_clock_set_back_revives_nothing(
    make: Make, clock: ManualClock, look: Callable[[Verbs, str], object]
) -> None:
    m = make(session_timeout=60)
    token = m.create_session("alice")
    clock.advance(60)
    look(m, token)
    clock.advance(-30)
    assert m.validate_session(token) is None
    assert m.n_active_sessions() == 0


def test_no_refresh_goes_past_the_absolute_lifetime(make: Make, clock: ManualClock) -> None:
    m = make(session_timeout=60, max_lifetime=100)
    token = m.create_session("alice")
    clock.advance(59)
    token = m.refresh_session(token)
    (session,) = m.manager.sessions.values()
    assert (session["expires_at"] - session["created_at"]).total_seconds() == 100
    clock.advance(40)
    token = m.refresh_session(token)
    assert m.session_username(token) == "alice"
    clock.advance(1)
    assert m.session_username(token) is None
    assert m.refresh_session(token) is None


def test_a_lifetime_shorter_than_the_timeout_wins(make: Make, clock: ManualClock) -> None:
    m = make(session_timeout=3600, max_lifetime=timedelta(seconds=10))
    token = m.create_session("alice")
    clock.advance(10)
    assert m.validate_session(token) is None


def test_leeway_forgives_late_tokens(make_jwt: Make, clock: ManualClock) -> None:
    m = make_jwt(session_timeout=60, leeway=5)
    token = m.create_session("alice")
    stated = m.validate_session(token)["expires_at"]
    (session,) = m.manager.sessions.values()
    (device,) = m.user_sessions("alice")
    assert stated == clock() + 60
    assert session["expires_at"].timestamp() == device["expires_at"].timestamp() == stated
    clock.advance(64.9)
    assert m.session_username(token) == "alice"
    clock.set(1_700_000_065)
    assert m.session_username(token) is None
    assert m.n_active_sessions() == 0


@pytest.mark.parametrize("leeway", [0, 5, 60])
def test_a_login_on_a_machine_whose_clock_is_ahead_is_a_login(
    clock: ManualClock, leeway: int
) -> None:
    store, behind = MemoryStore(), ManualClock(clock() - 10)
    m = JWTSessionManager(secret_key=KEY, store=store, clock=behind, leeway=leeway)
    token = JWTSessionManager(secret_key=KEY, store=store, clock=clock).create_session("alice")
    assert token is not None
    assert m.session_username(token) == "alice"
    behind.advance(-0.001)
    assert m.session_username(token) is None


def test_a_refresh_within_the_leeway_of_the_last_second_gives_a_live_token(
    make_jwt: Make, clock: ManualClock
) -> None:
    m = make_jwt(session_timeout=60, max_lifetime=60, leeway=10)
    token = m.create_session("alice")
    clock.advance(65)
    token = m.refresh_session(token)
    assert m.session_username(token) == "alice"
    clock.advance(5)
    assert m.session_username(token) is None


def test_cleanup_removes_the_expired_and_them_only(make_many: Make, clock: ManualClock) -> None:
    store = MemoryStore()
    m = make_many(session_timeout=60, max_concurrent_sessions=None, store=store)
    for i in range(1200):  # more than one bite of a sweep
        m.manager.create_session(f"user{i}")
    clock.advance(30)
    token = m.create_session("alice")
    clock.advance(30)
    assert m.cleanup_expired_sessions() is None
    assert store.sweep(round(clock() * SECOND), 10_000) == 0
    assert len(m.manager.sessions) == 1
    assert m.session_username(token) == "alice"


def test_a_long_clean_up_lets_the_event_loop_go_on(clock: ManualClock) -> None:
    manager = SessionManager(60, None, clock=clock, existing="new")
    for number in range(2000):
        manager.create_session(f"user {number}")
    clock.advance(60)

    async def turns_of_others() -> int:
        cleaning = asyncio.ensure_future(manager.acleanup_expired_sessions())
        turns = 0
        while not cleaning.done():
            await asyncio.sleep(0)
            turns += 1
        return turns

    assert asyncio.run(turns_of_others()) >= 4
    assert manager.n_active_sessions() == 0


def test_the_last_access_may_lag_as_far_as_allowed(make_opaque: Make, clock: ManualClock) -> None:
    m = make_opaque(touch_every=10)
    token = m.create_session("alice")
    opened = clock()
    for passed, shown in ((9, 0), (1, 10), (9, 10), (1, 20)):
        clock.advance(passed)
        told = m.validate_session(token)
        assert told["last_accessed"].timestamp() == opened + shown


def test_each_verb_is_a_read_and_a_change(make: Make, clock: ManualClock) -> None:
    store = CountingStore(MemoryStore())
    m = make(store=store)
    token = m.create_session("alice")
    m.validate_session(token)
    token = m.refresh_session(token)
    m.session_username(token)
    m.user_sessions("alice")
    m.invalidate_session(token)
    assert store.by_verb == {"together": 1, "read": 4, "of_user": 1, "swap": 2}
    assert clock() == 1_700_000_000


def test_malformed_tokens_cost_none(make: Make) -> None:
    store = CountingStore(MemoryStore())
    m = make(store=store)
    for bad in ("", "x", "sg_" + "A" * 22 + ".0." + "0" * 32, "e30.e30.e30", None, "x" * 10_000):
        m.validate_session(bad)
        m.refresh_session(bad)
        m.invalidate_session(bad)
        m.invalidate_user_session("alice", bad)
    assert store.calls == 0


def test_without_a_clock_it_is_the_time_of_day() -> None:
    before = time.time()
    m = SessionManager(session_timeout=60)
    told = m.validate_session(m.create_session("alice") or "")
    assert told is not None
    assert before - 0.001 <= told["created_at"].timestamp() <= time.time() + 0.001
