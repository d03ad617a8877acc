"""``create_session``: what it returns for the first login, the second, and at a limit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.managers.verbs import Make

    from sessiongate.testing import ManualClock


def test_a_token_is_url_safe_and_fit_for_a_bearer_header(make: Make) -> None:
    token = make().create_session("alice")
    assert re.fullmatch(r"[A-Za-z0-9._~+/-]+=*", token)  # b64token of RFC 6750
    assert re.fullmatch(r"[A-Za-z0-9._~-]+", token)


def test_the_token_says_nothing_of_the_user(make_opaque: Make) -> None:
    assert "alice" not in make_opaque().create_session("alice")


def test_no_two_sessions_share_a_token(make_many: Make) -> None:
    m = make_many(max_concurrent_sessions=None, existing="new")
    assert len({m.create_session("alice") for _ in range(100)}) == 100


def test_a_user_with_a_session_gets_its_token(make: Make) -> None:
    m = make()
    assert m.create_session("alice") == m.create_session("alice")
    assert m.n_active_sessions() == 1


def test_reuse_needs_no_free_slot(make: Make) -> None:
    m = make(max_concurrent_sessions=1)
    assert m.create_session("alice") == m.create_session("alice")


def test_reuse_after_a_refresh_gives_the_new_token(make: Make) -> None:
    m = make()
    fresh = m.refresh_session(m.create_session("alice"))
    assert m.create_session("alice") == fresh


def test_an_expired_session_is_not_reused(make: Make, clock: ManualClock) -> None:
    m = make(session_timeout=60)
    old = m.create_session("alice")
    clock.advance(60)
    new = m.create_session("alice")
    assert new is not None
    assert new != old
    assert m.n_active_sessions() == 1


def test_an_ended_session_is_not_reused(make: Make) -> None:
    m = make()
    old = m.create_session("alice")
    m.invalidate_session(old)
    assert m.create_session("alice") != old


@pytest.mark.parametrize("more", [{"scopes": ["admin"]}, {"claims": {"tenant": 7}}])
def test_reuse_never_hands_out_other_scopes_or_claims(
    make_many: Make, more: dict[str, object]
) -> None:
    m = make_many()
    plain = m.create_session("alice")
    strong = m.create_session("alice", **more)
    assert plain != strong
    assert m.create_session("alice") == plain
    assert m.create_session("alice", **more) == strong


def test_reuse_takes_scopes_in_any_order(make: Make) -> None:
    m = make()
    token = m.create_session("alice", scopes=["b", "a"], claims={"x": 1, "y": 2})
    assert m.create_session("alice", scopes=("a", "b", "a"), claims={"y": 2, "x": 1}) == token


def test_new_opens_one_beside_it(make_many: Make) -> None:
    m = make_many(existing="new")
    first, second = m.create_session("alice"), m.create_session("alice")
    assert m.session_username(first) == m.session_username(second) == "alice"
    assert m.n_active_sessions() == 2


def test_replace_ends_all_the_others_of_this_user(make_many: Make) -> None:
    m = make_many(existing="new")
    bob, first, second = map(m.create_session, ("bob", "alice", "alice"))
    third = m.create_session("alice", existing="replace")
    assert [m.session_username(t) for t in (bob, first, second, third)] == [
        "bob",
        None,
        None,
        "alice",
    ]


def test_replace_needs_no_free_slot(make: Make) -> None:
    m = make(max_concurrent_sessions=1, existing="replace")
    first = m.create_session("alice")
    second = m.create_session("alice")
    assert second is not None
    assert m.validate_session(first) is None


def test_the_call_overrides_the_manager(make_many: Make) -> None:
    m = make_many(existing="replace")
    first = m.create_session("alice")
    assert m.create_session("alice", existing="reuse") == first
    assert m.create_session("alice", existing="new") != first
    assert m.n_active_sessions() == 2


def test_usernames_are_kept_exactly(make_many: Make) -> None:
    m = make_many(max_concurrent_sessions=None)
    names = ["alice", "Alice", " alice", "\u00e9", "e\u0301", "名前", "a" * 256, "\U0001f600" * 256]
    tokens = [m.create_session(name) for name in names]
    assert [m.session_username(token) for token in tokens] == names
