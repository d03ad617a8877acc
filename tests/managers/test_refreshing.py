"""``refresh_session``: one new token, and the old one dead at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.managers.verbs import Make

    from sessiongate.testing import ManualClock


def test_the_old_token_is_dead_at_once_and_merely_invalid(make: Make) -> None:
    m = make()
    old = m.create_session("alice")
    new = m.refresh_session(old)
    assert new not in {None, old}
    for _ in range(3):
        assert m.validate_session(old) is None
        assert m.session_username(old) is None
        assert m.refresh_session(old) is None
        assert m.invalidate_session(old) == (False, None)
    assert m.session_username(new) == "alice"
    assert m.n_active_sessions() == 1


def test_validity_is_extended_by_the_timeout(make: Make, clock: ManualClock) -> None:
    m = make(session_timeout=100)
    token = m.create_session("alice")
    clock.advance(99)
    token = m.refresh_session(token)
    clock.advance(99)
    assert m.session_username(token) == "alice"
    clock.advance(1)
    assert m.validate_session(token) is None


def test_an_opaque_refresh_expires_strictly_later(make_opaque: Make, clock: ManualClock) -> None:
    m = make_opaque()
    token = m.create_session("alice")
    ends = []
    for _ in range(5):
        ends.append(m.validate_session(token)["expires_at"])
        clock.advance(0.000_001)
        token = m.refresh_session(token)
    assert sorted(set(ends)) == ends


def test_a_jwt_refresh_has_its_own_jti_even_within_a_second(make_jwt: Make) -> None:
    m = make_jwt()
    old = m.create_session("alice")
    first = m.validate_session(old)
    new = m.refresh_session(old)
    second = m.validate_session(new)
    assert new != old
    assert first.pop("jti") != second.pop("jti")
    assert first == second


def test_it_needs_no_free_slot(make: Make) -> None:
    m = make(max_concurrent_sessions=1, max_sessions_per_user=1)
    assert m.refresh_session(m.create_session("alice")) is not None


def test_scopes_and_claims_stay(make: Make) -> None:
    m = make()
    token = m.refresh_session(m.create_session("alice", scopes=["read"], claims={"tenant": 7}))
    told = m.validate_session(token)
    assert (told["scopes"], told["tenant"]) == (["read"], 7)


def test_the_login_stays_when_it_was(make_opaque: Make, clock: ManualClock) -> None:
    m = make_opaque()
    token = m.create_session("alice")
    opened = m.validate_session(token)["created_at"]
    clock.advance(10)
    assert m.validate_session(m.refresh_session(token))["created_at"] == opened


def test_a_shared_token_can_be_refreshed_and_its_holders_are_out(make: Make) -> None:
    m = make()
    mine = m.create_session("alice")
    yours = m.create_session("alice")
    new = m.refresh_session(mine)
    assert m.validate_session(yours) is None
    assert m.session_username(new) == "alice"


@pytest.mark.parametrize("rounds", [20])
def test_of_a_chain_only_the_last_is_valid(make: Make, rounds: int) -> None:
    m = make()
    tokens = [m.create_session("alice")]
    for _ in range(rounds):
        tokens.append(m.refresh_session(tokens[-1]))
    assert [m.session_username(t) for t in tokens] == [None] * rounds + ["alice"]


def test_an_expired_token_is_not_refreshed(make: Make, clock: ManualClock) -> None:
    m = make(session_timeout=60)
    token = m.create_session("alice")
    clock.advance(60)
    assert m.refresh_session(token) is None
