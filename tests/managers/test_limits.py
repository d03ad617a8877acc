"""Limits: of the whole manager and of one user, refusing or evicting."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from sessiongate import JWTSessionManager, SessionManager, SingleSessionManager

if TYPE_CHECKING:
    from tests.managers.verbs import Make

    from sessiongate.testing import ManualClock


def test_at_the_limit_a_login_is_refused_and_the_log_says_so(
    make_many: Make, caplog: pytest.LogCaptureFixture
) -> None:
    m = make_many(3600, 2)
    tokens = [m.create_session(name) for name in ("alice", "bob", "carol")]
    assert tokens[2] is None
    assert [m.session_username(t) for t in tokens[:2]] == ["alice", "bob"]
    warnings = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert [r.getMessage() for r in warnings] == ["Reached max concurrent sessions limit (2)"]
    assert warnings[0].name == m.manager.logger.name


@pytest.mark.parametrize(
    "given", [{}, {"max_concurrent_sessions": 99}, {"max_concurrent_sessions": None}]
)
def test_the_single_session_manager_has_one_whatever_is_passed(
    given: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    m = SingleSessionManager(**given)
    assert m.max_concurrent_sessions == 1
    assert m.create_session("alice") is not None
    assert m.create_session("bob") is None
    assert "Reached max concurrent sessions limit (1)" in caplog.text


def test_the_default_limit_is_ten(make_many: Make) -> None:
    m = make_many()
    assert sum(m.create_session(f"user{i}") is not None for i in range(12)) == 10


def test_none_lifts_the_limit(make_many: Make) -> None:
    m = make_many(max_concurrent_sessions=None)
    assert all(m.create_session(f"user{i}") for i in range(50))


def test_expired_and_ended_sessions_make_room(make: Make, clock: ManualClock) -> None:
    m = make(session_timeout=60, max_concurrent_sessions=1)
    m.create_session("alice")
    clock.advance(60)
    bob = m.create_session("bob")
    assert m.session_username(bob) == "bob"
    m.invalidate_session(bob)
    assert m.create_session("carol") is not None


def test_evict_oldest_ends_the_oldest_of_all(make_many: Make) -> None:
    m = make_many(max_concurrent_sessions=2, on_limit="evict_oldest")
    tokens = [m.create_session(name) for name in ("alice", "bob", "carol")]
    assert [m.session_username(t) for t in tokens] == [None, "bob", "carol"]


def test_the_single_session_manager_can_evict() -> None:
    m = SingleSessionManager(on_limit="evict_oldest")
    alice, bob = m.create_session("alice"), m.create_session("bob")
    assert alice is not None
    assert bob is not None
    assert m.validate_session(alice) is None
    assert m.session_username(bob) == "bob"


def test_a_user_has_a_limit_of_their_own(make_many: Make, caplog: pytest.LogCaptureFixture) -> None:
    m = make_many(max_sessions_per_user=2, existing="new")
    assert [m.create_session("alice") is not None for _ in range(3)] == [True, True, False]
    assert m.create_session("bob") is not None
    assert "Reached max sessions per user limit (2)" in caplog.text


def test_eviction_at_the_users_limit_spares_the_others(make_many: Make) -> None:
    m = make_many(max_sessions_per_user=1, existing="new", on_limit="evict_oldest")
    bob = m.create_session("bob")
    first, second = m.create_session("alice"), m.create_session("alice")
    assert [m.session_username(t) for t in (bob, first, second)] == ["bob", None, "alice"]


def test_a_refused_login_changes_nothing(make_many: Make) -> None:
    m = make_many(max_concurrent_sessions=1)
    m.create_session("alice")
    before = dict(m.manager.sessions)
    assert m.create_session("bob") is None
    assert dict(m.manager.sessions) == before


def test_the_limit_is_the_second_positional_argument() -> None:
    for cls in (SessionManager, JWTSessionManager):
        assert cls(60, 3).max_concurrent_sessions == 3
