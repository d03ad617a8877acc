"""``validate_session`` and ``session_username``: what is told of a token, and of a bad one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from tests.managers.verbs import KEY

from sessiongate import JWTSessionManager, SessionManager

if TYPE_CHECKING:
    from tests.managers.verbs import Make

    from sessiongate.testing import ManualClock

BAD = [
    "",
    " ",
    "x",
    ".",
    "..",
    "....",
    "sg_",
    "sg_.0.",
    "a.b.c",
    "\0",
    "\r\n",
    "é",
    "\ud800",
    "名前",
    "x" * 1_000_000,
    "." * 1_000_000,
    None,
    0,
    1.5,
    True,
    b"bytes",
    [],
    {},
    object(),
]


def test_an_opaque_session_has_exactly_these_facts(make_opaque: Make, clock: ManualClock) -> None:
    m = make_opaque(session_timeout=1800)
    token = m.create_session("alice")
    opened = datetime.fromtimestamp(clock(), UTC)
    clock.advance(5)
    assert m.validate_session(token) == {
        "username": "alice",
        "created_at": opened,
        "last_accessed": opened + timedelta(seconds=5),
        "expires_at": opened + timedelta(seconds=1800),
    }


def test_a_jwt_session_has_exactly_these_facts(make_jwt: Make, clock: ManualClock) -> None:
    m = make_jwt(session_timeout=1800)
    told = m.validate_session(m.create_session("alice"))
    jti = told.pop("jti")
    assert told == {
        "username": "alice",
        "issued_at": int(clock()),
        "expires_at": int(clock()) + 1800,
        "issuer": "plantdb-api",
        "audience": "plantdb-client",
    }
    assert type(told["issued_at"]) is type(told["expires_at"]) is int
    assert isinstance(jti, str)


def test_scopes_and_claims_are_told_only_where_given(make_many: Make) -> None:
    m = make_many()
    plain = m.validate_session(m.create_session("alice"))
    rich = m.validate_session(
        m.create_session(
            "alice", scopes=["write", "read"], claims={"tenant": {"id": 7}, "on": None}
        )
    )
    assert rich.keys() - plain.keys() == {"scopes", "tenant", "on"}
    assert rich["scopes"] == ["read", "write"]
    assert rich["tenant"] == {"id": 7}
    scoped = m.validate_session(m.create_session("bob", scopes=["read"]))
    assert scoped.keys() - plain.keys() == {"scopes"}


def test_what_is_told_cannot_change_the_session(make: Make) -> None:
    m = make()
    token = m.create_session("alice", claims={"roles": ["user"]})
    told = m.validate_session(token)
    told["roles"].append("admin")
    told["username"] = "mallory"
    again = m.validate_session(token)
    assert (again["username"], again["roles"]) == ("alice", ["user"])


def test_claims_are_those_of_the_moment_of_login(make: Make) -> None:
    m, claims = make(), {"roles": ["user"]}
    token = m.create_session("alice", claims=claims)
    claims["roles"].append("admin")
    assert m.validate_session(token)["roles"] == ["user"]


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: ascii(bad)[:20])
def test_a_bad_token_is_none_and_never_an_exception(make: Make, bad: object) -> None:
    m = make()
    token = m.create_session("alice")
    assert m.validate_session(bad) is None
    assert m.session_username(bad) is None
    assert m.refresh_session(bad) is None
    assert m.invalidate_session(bad) == (False, None)
    assert m.session_username(token) == "alice"


def test_a_token_of_the_other_manager_is_none() -> None:
    opaque, jwt = SessionManager(secret_key=KEY), JWTSessionManager(secret_key=KEY)
    assert opaque.validate_session(jwt.create_session("alice") or "") is None
    assert jwt.validate_session(opaque.create_session("alice") or "") is None


def test_a_token_of_an_unknown_session_is_none_and_makes_none(make: Make) -> None:
    elsewhere, here = make(), make()
    assert here.validate_session(elsewhere.create_session("alice")) is None
    assert here.n_active_sessions() == 0


def test_every_look_is_an_access(make_opaque: Make, clock: ManualClock) -> None:
    m = make_opaque()
    token = m.create_session("alice")
    clock.advance(1)
    m.session_username(token)
    assert m.manager.sessions[token]["last_accessed"].timestamp() == clock()


def test_a_look_extends_nothing(make: Make, clock: ManualClock) -> None:
    m = make(session_timeout=60)
    token = m.create_session("alice")
    until = m.validate_session(token)["expires_at"]
    clock.advance(59)
    assert m.validate_session(token)["expires_at"] == until


def test_the_parameters_have_their_documented_names(make_opaque: Make, make_jwt: Make) -> None:
    for m, name in ((make_opaque(), "session_id"), (make_jwt(), "jwt_token")):
        token = m.create_session(username="alice")
        assert m.validate_session(**{name: token})["username"] == "alice"
        assert m.session_username(**{name: token}) == "alice"
        token = m.refresh_session(**{name: token})
        assert m.invalidate_session(**{name: token}) == (True, "alice")
