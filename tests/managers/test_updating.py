"""A live session changes what it may do: at once, for every holder, under a new token."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from tests.managers.verbs import KEY

from sessiongate import Event, JWTSessionManager, SessionManager
from sessiongate.stores import MemoryStore

if TYPE_CHECKING:
    from tests.managers.verbs import Make

    from sessiongate.testing import ManualClock


def test_scopes_and_claims_change_for_every_holder(make: Make) -> None:
    m = make(rotation_grace=30)
    old = m.create_session("alice", scopes=("admin", "read"), claims={"theme": "dark"})
    new = m.update_session(old, scopes=("read",))
    assert new not in {None, old}
    for token in (old, new):
        told = m.validate_session(token)
        assert (told["scopes"], told["theme"]) == (["read"], "dark")
    newer = m.update_session(new, claims={"theme": "light", "team": 7})
    told = m.validate_session(newer)
    assert (told["scopes"], told["theme"], told["team"]) == (["read"], "light", 7)
    bare = m.validate_session(m.update_session(newer, scopes=(), claims={}))
    assert not bare.keys() & {"scopes", "theme", "team"}


def test_the_old_token_dies_as_after_a_rotation(make: Make, clock: ManualClock) -> None:
    heard: list[Event] = []
    m = make(on_event=heard.append)
    old = m.create_session("alice", scopes=("admin",))
    new = m.update_session(old, scopes=())
    assert m.session_username(new) == "alice"
    clock.advance(29)
    assert m.session_username(old) == "alice"
    clock.advance(1)
    heard.clear()
    assert m.session_username(old) is None
    assert [event.kind for event in heard] == ["replayed"]
    assert m.session_username(new) is None, "whoever holds the old one may be a thief"


def test_it_is_told_once_and_names_no_token(make: Make) -> None:
    heard: list[Event] = []
    m = make(on_event=heard.append)
    token = m.create_session("alice")
    heard.clear()
    token = m.update_session(token, scopes=("admin",))
    (event,) = heard
    assert (event.kind, event.username, event.reason) == ("changed", "alice", "requested")
    assert token not in repr(event)
    heard.clear()
    assert m.update_session(token, scopes=("admin",)) == token, "nothing changed"
    assert heard == []


def test_a_jwt_carries_the_new_claims(make_jwt: Make) -> None:
    m = make_jwt()
    token = m.create_session("alice", scopes=("admin",), claims={"team": 1})
    claims = jwt.decode(
        m.update_session(token, scopes=("read",), claims={"team": 2}),
        options={"verify_signature": False},
    )
    assert claims["team"] == 2
    assert "admin" not in str(claims)


def test_it_extends_the_session_as_a_rotation_does(make: Make, clock: ManualClock) -> None:
    m = make(max_lifetime=5000)
    token = m.create_session("alice")
    clock.advance(3000)
    token = m.update_session(token, scopes=("a",))
    clock.advance(1999)
    assert m.session_username(token) == "alice"
    clock.advance(1)
    assert m.session_username(token) is None


@pytest.mark.parametrize(
    "end",
    [
        lambda m, token: m.invalidate_session(token),
        lambda m, _: m.invalidate_user_sessions("alice"),
        lambda m, token: m.refresh_session(token),
    ],
)
def test_what_has_ended_is_not_changed(make: Make, end: Any) -> None:
    m = make()
    token = m.create_session("alice")
    end(m, token)
    left = m.n_active_sessions()
    assert m.update_session(token, scopes=("admin",)) is None
    assert m.n_active_sessions() == left
    assert all(not row["scopes"] for row in m.user_sessions("alice"))


@pytest.mark.parametrize("token", ["", "sg_", "x" * 9000, "\N{GRINNING FACE}", None, 7])
def test_what_is_no_token_changes_nothing(make: Make, token: Any) -> None:
    assert make().update_session(token, scopes=("admin",)) is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "scopes= or claims="),
        ({"scopes": "admin"}, "scopes must be a list"),
        ({"scopes": ["a b"]}, "scopes must be ASCII"),
        ({"scopes": [7]}, "scopes must be a str"),
        ({"claims": ["a"]}, "claims must be a mapping"),
        ({"claims": {"exp": 1}}, "must not contain 'exp'"),
        ({"claims": {"a": float("nan")}}, "NaN"),
        ({"claims": {"a": "x" * 5000}}, "4096"),
    ],
)
def test_unfit_scopes_and_claims(make: Make, options: dict[str, Any], words: str) -> None:
    m = make()
    token = m.create_session("alice", scopes=("read",))
    for verb, whose in (("update_session", token), ("update_user_sessions", "alice")):
        with pytest.raises((TypeError, ValueError), match=words):
            getattr(m, verb)(whose, **options)
    assert m.validate_session(token)["scopes"] == ["read"]


def test_all_of_a_user_at_once(make_many: Make) -> None:
    heard: list[Event] = []
    m = make_many(existing="new", max_concurrent_sessions=None, on_event=heard.append)
    mine = [m.create_session("alice", scopes=("admin", name)) for name in ("a", "b", "c")]
    other = m.create_session("bob", scopes=("admin",))
    heard.clear()
    assert m.update_user_sessions("alice", scopes=("read",)) == 3
    assert [event.kind for event in heard] == ["changed"] * 3
    for token in mine:
        assert m.validate_session(token)["scopes"] == ["read"]
    assert m.validate_session(other)["scopes"] == ["admin"]
    assert m.update_user_sessions("alice", scopes=("read",)) == 3, "all have them"
    assert m.update_user_sessions("nobody", scopes=()) == 0


def test_a_session_that_is_shared_knowingly_keeps_its_holders(
    make_many: Make, clock: ManualClock
) -> None:
    m = make_many(existing="reuse")
    token = m.create_session("alice")
    assert m.create_session("alice") == token
    new = m.update_session(token, scopes=("read",))
    clock.advance(600)
    assert m.session_username(new) == "alice"
    assert m.validate_session(token)["scopes"] == ["read"], "no replay"


def test_thirty_two_at_once_get_one_successor() -> None:
    for manager_class in (SessionManager, JWTSessionManager):
        m = manager_class(store=MemoryStore(), secret_key=KEY)
        token = m.create_session("alice") or ""
        with ThreadPoolExecutor(32) as pool:
            found = set(
                pool.map(
                    lambda _, m=m, token=token: m.update_session(token, scopes=("a",)), range(32)
                )
            )
        assert len(found) == 1
        assert None not in found


def test_updates_that_differ_each_take_effect() -> None:
    m = SessionManager(store=MemoryStore(), secret_key=KEY)
    token = m.create_session("alice") or ""
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: m.update_session(token, claims={"n": n}), range(8)))
    assert None not in found
    told = m.validate_session(token)
    assert told is not None
    assert told["n"] in range(8)


def test_a_demotion_and_a_logout_in_either_order() -> None:
    for first in itertools.permutations(("update", "logout")):
        m = SessionManager(store=MemoryStore(), secret_key=KEY)
        token = m.create_session("alice", scopes=("admin",)) or ""
        for step in first:
            if step == "update":
                m.update_user_sessions("alice", scopes=())
            else:
                assert m.invalidate_session(token) == (True, "alice")
        assert m.session_username(token) is None
        assert m.n_active_sessions() == 0


def test_a_session_that_cannot_be_changed_keeps_no_other_from_it(make_many: Make) -> None:
    m = make_many(existing="new", max_concurrent_sessions=None)
    for claims in ({}, {"x": "y" * 4030}, {}):
        assert m.create_session("alice", scopes=("admin",), claims=claims)
    with pytest.raises(ValueError, match="4096"):
        m.update_user_sessions("alice", scopes=["r" * 30, "w"])
    found = [row["scopes"] for row in m.user_sessions("alice")]
    assert found == [["r" * 30, "w"], ["admin"], ["r" * 30, "w"]]


def test_an_administrator_extends_nobodys_session(make_many: Make, clock: ManualClock) -> None:
    m = make_many()
    token = m.create_session("alice")
    before = m.user_sessions("alice")[0]
    clock.advance(3000)
    assert m.update_user_sessions("alice", scopes=["a"]) == 1
    after = m.user_sessions("alice")[0]
    assert after == before | {"scopes": ["a"]}
    clock.advance(600)
    assert m.session_username(token) is None


@pytest.mark.parametrize("verb", ["update_session", "update_user_sessions"])
def test_there_are_no_other_keywords(make: Make, verb: str) -> None:
    m = make()
    unknown: dict[str, Any] = {"longest": 10**9}
    with pytest.raises(TypeError, match="longest"):
        getattr(m, verb)(m.create_session("alice"), scopes=["a"], **unknown)
