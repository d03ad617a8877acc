"""Sessions that outlive the browser: a longer idle lifetime, chosen at each login."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from tests.managers.verbs import KEY

from sessiongate import SessionManager
from sessiongate.stores import MemoryStore, SQLiteStore

if TYPE_CHECKING:
    from pathlib import Path

    from tests.managers.verbs import Make

    from sessiongate.testing import ManualClock

DAY = 86_400


def test_each_login_chooses(make_many: Make, clock: ManualClock) -> None:
    m = make_many(existing="new", remember_for=30 * DAY)
    short = m.create_session("alice")
    long = m.create_session("alice", remember=True)
    clock.advance(3600)
    assert m.validate_session(short) is None
    clock.advance(30 * DAY - 3600 - 1)
    assert m.session_username(long) == "alice"
    clock.advance(1)
    assert m.session_username(long) is None


def test_thirty_days_unless_said_otherwise(make: Make, clock: ManualClock) -> None:
    token = (m := make()).create_session("alice", remember=True)
    clock.advance(30 * DAY - 1)
    assert m.session_username(token) == "alice"
    clock.advance(1)
    assert m.session_username(token) is None


def test_a_refresh_extends_it_by_its_own_lifetime(make: Make, clock: ManualClock) -> None:
    m = make(remember_for=timedelta(days=2))
    token = m.create_session("alice", remember=True)
    for _ in range(3):
        clock.advance(2 * DAY - 1)
        token = m.refresh_session(token)
        assert token is not None
    clock.advance(2 * DAY)
    assert m.session_username(token) is None


def test_never_past_the_absolute_lifetime(make: Make, clock: ManualClock) -> None:
    m = make(remember_for=10 * DAY, max_lifetime=3 * DAY)
    token = m.create_session("alice", remember=True)
    clock.advance(2 * DAY)
    token = m.refresh_session(token)
    clock.advance(DAY - 1)
    assert m.session_username(token) == "alice"
    clock.advance(1)
    assert m.session_username(token) is None


def test_it_never_lives_shorter_than_the_others(make: Make, clock: ManualClock) -> None:
    m = make(60 * DAY, remember_for=60)
    token = m.create_session("alice", remember=True)
    clock.advance(60 * DAY - 1)
    assert m.session_username(token) == "alice"


def test_reuse_never_answers_the_other_kind(make_many: Make, clock: ManualClock) -> None:
    m = make_many(existing="reuse")
    short = m.create_session("alice")
    long = m.create_session("alice", remember=True)
    assert long != short
    assert m.create_session("alice") == short
    assert m.create_session("alice", remember=True) == long
    clock.advance(3600)
    assert m.session_username(short) is None
    assert m.session_username(long) == "alice"


def test_a_jwt_states_the_longer_end(make_jwt: Make, clock: ManualClock) -> None:
    m = make_jwt(remember_for=10 * DAY)
    for remember, lifetime in ((False, 3600), (True, 10 * DAY)):
        token = m.create_session("alice", existing="new", remember=remember)
        claims = jwt.decode(token, options={"verify_signature": False})
        assert claims["exp"] - claims["iat"] == lifetime
    clock.advance(10 * DAY - 1)
    assert m.session_username(token) == "alice"


@pytest.mark.parametrize("remember", [1, 0, "yes", None])
def test_it_is_true_or_false(make: Make, remember: Any) -> None:
    m = make()
    with pytest.raises(TypeError, match="remember must be True or False"):
        m.create_session("alice", remember=remember)
    assert m.n_active_sessions() == 0


@pytest.mark.parametrize("wrong", [0, -1, float("nan"), "30 days", True])
def test_a_lifetime_that_is_none(make: Make, wrong: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="remember_for"):
        make(remember_for=wrong)


def test_it_is_remembered_over_a_restart(tmp_path: Path, clock: ManualClock) -> None:
    tokens: list[str | None] = []
    for _ in range(2):
        with_store = SQLiteStore(tmp_path / "sessions.db", timeout=60)
        m = SessionManager(store=with_store, secret_key=KEY, clock=clock)
        tokens = tokens or [m.create_session("alice", remember=True)]
        clock.advance(10 * DAY)
        assert m.session_username(tokens[0] or "") == "alice"
        tokens = [m.refresh_session(tokens[0] or "")]
        with_store.close()
    clock.advance(29 * DAY)
    with_store = SQLiteStore(tmp_path / "sessions.db", timeout=60)
    m = SessionManager(store=with_store, secret_key=KEY, clock=clock)
    assert m.session_username(tokens[0] or "") == "alice"
    with_store.close()


def test_limits_count_it_like_any_other() -> None:
    m = SessionManager(3600, 1, store=MemoryStore())
    assert m.create_session("alice", remember=True)
    assert m.create_session("bob") is None
