"""A client that was given an API token sends it, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.testing.clients import Seen, Visitor, Visitors

from sessiongate import APITokens, ConfigurationError, TokenLimitError
from sessiongate.testing import ManualClock, api_token_as, login_as

if TYPE_CHECKING:
    from sessiongate import SessionManager


@pytest.fixture
def tokens(clock: ManualClock) -> APITokens:
    return APITokens(secret_key="t" * 64, clock=clock, max_per_user=2)


@pytest.fixture
def accepting(visitors: Visitors, tokens: APITokens) -> Visitor:
    return visitors(api_tokens=tokens)


def test_the_app_sees_the_user_with_scopes(accepting: Visitor, tokens: APITokens) -> None:
    token = api_token_as(accepting.client, "alice", scopes=["read"], expires_in=60)
    assert accepting.sees() == Seen("alice", "bearer", ("read",))
    (shown,) = tokens.tokens("alice")
    assert (shown["name"], shown["scopes"]) == ("test", ["read"])
    assert shown["last_used"] is not None
    assert accepting.tokens() == []
    assert tokens.manager.validate_session(token) is not None


def test_it_may_not_log_out(accepting: Visitor) -> None:
    api_token_as(accepting.client, "alice")
    assert accepting.ask("POST", "/logout").status_code == 403
    assert accepting.ask("POST", "/login?username=bob").status_code == 403
    assert accepting.sees() == Seen("alice", "bearer")


def test_the_last_one_counts(accepting: Visitor) -> None:
    login_as(accepting.client, "alice")
    api_token_as(accepting.client, "bob")
    assert accepting.sees().username == "bob"
    api_token_as(accepting.client, "carol")
    assert accepting.sees().username == "carol"
    login_as(accepting.client, "alice")
    assert accepting.sees() == Seen("alice", "cookie")


def test_out_of_sight_and_at_the_limit(accepting: Visitor, tokens: APITokens) -> None:
    api_token_as(accepting.client, "alice", name="one", api_tokens=tokens)
    assert accepting.sees().username == "alice"
    api_token_as(accepting.client, "alice", name="two")
    with pytest.raises(TokenLimitError):
        api_token_as(accepting.client, "alice", name="three")
    assert accepting.sees().username == "alice"


def test_an_app_that_accepts_none(visitor: Visitor, manager: SessionManager) -> None:
    with pytest.raises(ConfigurationError, match="no api_tokens="):
        api_token_as(visitor.client, "alice")
    assert manager.n_active_sessions() == 0
