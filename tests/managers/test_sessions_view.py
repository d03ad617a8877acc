"""``sessions``: a live, read-only mapping that touches nothing and gives nothing away."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.managers.verbs import Make

    from sessiongate.testing import ManualClock


def test_an_opaque_token_is_the_key(make_opaque: Make, clock: ManualClock) -> None:
    m = make_opaque(session_timeout=60)
    token = m.create_session("alice", scopes=["read"], claims={"x": 1}, device="phone")
    now = datetime.fromtimestamp(clock(), UTC)
    assert token in m.manager.sessions
    assert m.manager.sessions[token] == {
        "username": "alice",
        "created_at": now,
        "last_accessed": now,
        "expires_at": now + timedelta(seconds=60),
    }
    assert list(m.manager.sessions) == [token]


def test_the_jti_is_the_key_of_a_jwt(make_jwt: Make) -> None:
    m = make_jwt()
    token = m.create_session("alice")
    jti = m.validate_session(token)["jti"]
    assert list(m.manager.sessions) == [jti]
    assert m.manager.sessions[jti].keys() == {
        "username",
        "created_at",
        "last_accessed",
        "expires_at",
    }
    assert token not in m.manager.sessions


def test_it_is_live(make_many: Make, clock: ManualClock) -> None:
    m = make_many(session_timeout=60)
    sessions = m.manager.sessions
    assert len(sessions) == 0
    token = m.create_session("alice")
    (key,) = sessions
    m.create_session("bob")
    assert [s["username"] for s in sessions.values()] == ["alice", "bob"]
    m.refresh_session(token)
    assert key not in sessions
    assert len(sessions) == 2
    clock.advance(60)
    assert (len(sessions), list(sessions), dict(sessions)) == (0, [], {})


def test_it_is_read_only(make: Make) -> None:
    m = make()
    m.create_session("alice")
    sessions = m.manager.sessions
    assert isinstance(sessions, Mapping)
    (key,) = sessions
    with pytest.raises(TypeError):
        sessions[key] = {}  # type: ignore[index]
    with pytest.raises(TypeError):
        del sessions[key]  # type: ignore[attr-defined]
    with pytest.raises(AttributeError):
        m.manager.sessions = {}  # type: ignore[misc]
    sessions[key]["username"] = "mallory"
    assert sessions[key]["username"] == "alice"


def test_a_look_is_no_access(make: Make, clock: ManualClock) -> None:
    m = make()
    m.create_session("alice")
    (before,) = m.manager.sessions.values()
    clock.advance(5)
    assert list(m.manager.sessions.values()) == [before]
    m.user_sessions("alice")
    assert next(iter(m.manager.sessions.items()))[1] == before


def test_a_missing_key_does_not_repeat_the_token(make: Make) -> None:
    m = make()
    token = m.create_session("alice")
    m.invalidate_session(token)
    with pytest.raises(KeyError) as caught:
        m.manager.sessions[token]
    assert token not in repr(caught.value)
    assert caught.value.__context__ is None
    assert m.manager.sessions.get(token) is None


@pytest.mark.parametrize("key", [None, 5, b"x", "", "\0", "é", "\ud800", [], "x" * 100_000])
def test_no_key_is_more_than_missing(make: Make, key: object) -> None:
    assert key not in make().manager.sessions


def test_a_loop_survives_sessions_that_end_meanwhile(make_many: Make) -> None:
    m = make_many()
    users = ["alice", "bob", "carol"]
    for view in ("items", "values"):
        for user in users:
            m.create_session(user)
        seen = []
        for found in getattr(m.manager.sessions, view)():
            seen.append(found[1] if view == "items" else found)
            for user in users:
                m.invalidate_user_sessions(user)
        assert [session["username"] for session in seen] == users
        assert len(m.manager.sessions) == 0


def test_its_repr_counts_and_shows_none(make: Make) -> None:
    m = make()
    token = m.create_session("alice")
    assert repr(m.manager.sessions) == "<1 sessions>"
    assert token not in repr(m.manager.sessions)
