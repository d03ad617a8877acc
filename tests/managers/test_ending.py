"""Logout: of one session, of another device, of all, of all but this one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sessiongate.core.rotation import WHEN_DUE

if TYPE_CHECKING:
    from tests.managers.verbs import Make

    from sessiongate import Event
    from sessiongate.testing import ManualClock


def test_an_ended_session_is_over_for_good(make: Make) -> None:
    m = make()
    token = m.create_session("alice")
    assert m.invalidate_session(token) == (True, "alice")
    assert m.invalidate_session(token) == (False, None)
    assert m.validate_session(token) is None
    assert m.refresh_session(token) is None
    assert m.n_active_sessions() == 0


def test_an_expired_session_is_none_to_end(make: Make, clock: ManualClock) -> None:
    m = make(session_timeout=60)
    token = m.create_session("alice")
    clock.advance(60)
    assert m.invalidate_session(token) == (False, None)


def test_a_jwt_session_ends_by_its_jti(make_jwt: Make) -> None:
    m = make_jwt()
    token = m.create_session("alice")
    jti = m.validate_session(token)["jti"]
    assert m.invalidate_session(jti=jti) == (True, "alice")
    assert m.validate_session(token) is None
    assert m.invalidate_session(jti=jti) == (False, None)


def test_a_jti_from_before_a_rotation_ends_the_session_and_is_no_replay(
    make_jwt: Make, clock: ManualClock
) -> None:
    events: list[Event] = []
    m = make_jwt(on_event=events.append)
    token = m.create_session("alice", existing="new")
    jti = m.validate_session(token)["jti"]
    clock.advance(1800)
    manager, operations = m.manager, m.manager.operations
    due = operations.read(token, manager.now())
    rotated: Any = manager.run(operations.present(manager.now(), due, WHEN_DUE))
    assert m.session_username(operations.codec.mint(rotated)) == "alice"
    clock.advance(31)
    assert m.invalidate_session(jti=jti) == (True, "alice")
    assert [event.kind for event in events] == ["login", "rotated", "logout"]


@pytest.mark.parametrize("jti", ["", "x", "\0", "é", "a.b", 5, b"x", "A" * 22 + ".0"])
def test_a_bad_jti_is_none(make_jwt: Make, jti: object) -> None:
    assert make_jwt().invalidate_session(jti=jti) == (False, None)


def test_the_jti_of_a_refreshed_jwt_ends_nothing(make_jwt: Make) -> None:
    m = make_jwt()
    old = m.create_session("alice")
    jti = m.validate_session(old)["jti"]
    new = m.refresh_session(old)
    assert m.invalidate_session(jti=jti) == (False, None)
    assert m.session_username(new) == "alice"


def test_jwt_and_jti_together_are_a_contradiction(make_jwt: Make) -> None:
    m = make_jwt()
    token = m.create_session("alice")
    with pytest.raises(ValueError, match=r"jwt_token or jti"):
        m.invalidate_session(token, m.validate_session(token)["jti"])
    assert m.invalidate_session() == (False, None)
    assert m.session_username(token) == "alice"


def test_the_devices_of_a_user(make_many: Make, clock: ManualClock) -> None:
    m = make_many(existing="new", session_timeout=600)
    m.create_session("bob")
    tokens = [m.create_session("alice", device={"name": "laptop"}, scopes=["read"])]
    clock.advance(1)
    tokens.append(m.create_session("alice"))
    first, second = m.user_sessions("alice")
    assert set(first) == {
        "handle",
        "created_at",
        "last_accessed",
        "expires_at",
        "scopes",
        "device",
    }
    assert (first["device"], first["scopes"]) == ({"name": "laptop"}, ["read"])
    assert (second["device"], second["scopes"]) == (None, [])
    assert first["created_at"] < second["created_at"]
    assert (first["expires_at"] - first["created_at"]).total_seconds() == 600
    assert m.user_sessions("nobody") == []


def test_a_handle_opens_nothing(make: Make) -> None:
    m = make()
    token = m.create_session("alice")
    (device,) = m.user_sessions("alice")
    assert token not in str(device)
    assert m.validate_session(device["handle"]) is None
    assert m.invalidate_session(device["handle"]) == (False, None)
    assert m.session_username(token) == "alice"


def test_a_handle_ends_its_session_for_its_owner_only(make_many: Make) -> None:
    m = make_many(existing="new")
    first, second = m.create_session("alice"), m.create_session("alice")
    handle = m.user_sessions("alice")[0]["handle"]
    assert m.invalidate_user_session("bob", handle) is False
    assert m.invalidate_user_session("alice", handle) is True
    assert m.invalidate_user_session("alice", handle) is False
    assert [m.session_username(t) for t in (first, second)] == [None, "alice"]


@pytest.mark.parametrize(
    "handle", ["", "x", "\0", "\ud800", "é" * 22, "A" * 22, "A" * 999, 5, None]
)
def test_a_bad_handle_is_false(make: Make, handle: object) -> None:
    assert make().invalidate_user_session("alice", handle) is False


def test_log_out_everywhere(make_many: Make) -> None:
    m = make_many(existing="new")
    bob = m.create_session("bob")
    tokens = [m.create_session("alice") for _ in range(3)]
    assert m.invalidate_user_sessions("alice") == 3
    assert m.invalidate_user_sessions("alice") == 0
    assert [m.session_username(t) for t in (bob, *tokens)] == ["bob", None, None, None]


@pytest.mark.parametrize("by", ["token", "handle", "key"])
def test_log_out_everywhere_but_here(make_many: Make, by: str) -> None:
    m = make_many(existing="new")
    first, here, last = (m.create_session("alice") for _ in range(3))
    keep = {
        "token": here,
        "handle": m.user_sessions("alice")[1]["handle"],
        "key": list(m.manager.sessions)[1],
    }[by]
    assert m.invalidate_user_sessions("alice", keep=keep) == 2
    assert [m.session_username(t) for t in (first, here, last)] == [None, "alice", None]


@pytest.mark.parametrize("keep", ["", "garbage", "\0", "\ud800", "A" * 22])
def test_keeping_what_is_no_session_keeps_nothing(make: Make, keep: str) -> None:
    m = make()
    m.create_session("alice")
    assert m.invalidate_user_sessions("alice", keep=keep) == 1


def test_keep_of_the_wrong_type_ends_nothing(make: Make) -> None:
    m = make()
    token = m.create_session("alice")
    with pytest.raises(TypeError, match="keep"):
        m.invalidate_user_sessions("alice", keep=5)
    assert m.session_username(token) == "alice"


def test_expired_sessions_are_not_counted_among_the_ended(
    make_many: Make, clock: ManualClock
) -> None:
    m = make_many(existing="new", session_timeout=60)
    m.create_session("alice")
    clock.advance(30)
    m.create_session("alice")
    clock.advance(30)
    assert len(m.user_sessions("alice")) == 1
    assert m.invalidate_user_sessions("alice") == 1
