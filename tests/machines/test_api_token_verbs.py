"""The verbs of ``APITokens``, in both colours and on each store."""

from __future__ import annotations

import asyncio
import logging
import re
import string
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.http.harness import KEY

from sessiongate import (
    APITokens,
    ConfigurationError,
    JWTSessionManager,
    SessionManager,
    StoreError,
    TokenLimitError,
    WeakKeyWarning,
)
from sessiongate.stores import MemoryStore, SQLiteStore
from sessiongate.testing import CountingStore, ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sessiongate.events import Event
    from sessiongate.stores import Store

Ask: TypeAlias = "Callable[..., Any]"

DAY = 86_400
DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase


def valid(tokens: APITokens, token: str) -> bool:
    """Whether a request with it would find its user; without a touch."""
    return tokens.manager.validate_session(token) is not None


def called(tokens: APITokens, verb: str, *args: Any, **keywords: Any) -> Any:
    return getattr(tokens, verb)(*args, **keywords)


def awaited(tokens: APITokens, verb: str, *args: Any, **keywords: Any) -> Any:
    return asyncio.run(getattr(tokens, f"a{verb}")(*args, **keywords))


@pytest.fixture(params=[called, awaited])
def ask(request: pytest.FixtureRequest) -> Ask:
    """A verb, or its twin."""
    verb: Ask = request.param
    return verb


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def tokens(clock: ManualClock) -> APITokens:
    return APITokens(secret_key=KEY, clock=clock)


def test_a_token_is_one_word_of_fifty_letters_and_digits_with_a_checksum(tokens: APITokens) -> None:
    for _ in range(200):
        token = tokens.create("alice", name="ci")
        assert re.fullmatch(r"sgp_[0-9A-Za-z]{50}", token)
        number = 0
        for digit in token[-6:]:
            number = number * 62 + DIGITS.index(digit)
        assert number == crc32(token[:-6].encode())


def test_what_is_shown_of_a_token(
    fresh_store: Callable[[], Store], clock: ManualClock, ask: Ask
) -> None:
    tokens = APITokens(store=fresh_store(), secret_key=KEY, clock=clock)
    made_at = datetime.fromtimestamp(clock(), UTC)
    forever = ask(tokens, "create", "alice", name="backup")
    clock.advance(1)
    options: dict[str, Any] = {"scopes": ["write", "read"], "claims": {"team": 7}}
    short = ask(tokens, "create", "alice", name="ci", expires_in=90 * DAY, **options)
    ask(tokens, "create", "bob", name="ci")
    first, second = ask(tokens, "tokens", "alice")
    handles = first.pop("handle"), second.pop("handle")
    assert first == {
        "name": "backup",
        "scopes": [],
        "created_at": made_at,
        "last_used": None,
        "expires_at": None,
    }
    later = made_at + timedelta(seconds=1)
    assert second == {
        "name": "ci",
        "scopes": ["read", "write"],
        "created_at": later,
        "last_used": None,
        "expires_at": later + timedelta(days=90),
    }
    shown = repr(handles) + repr(tokens)
    for token in (forever, short):
        assert token not in shown
        assert not valid(tokens, handles[0])
    information = tokens.manager.validate_session(short)
    assert information is not None
    assert (information["username"], information["team"]) == ("alice", 7)
    assert ask(tokens, "tokens", "carol") == []


def test_last_use_is_known_from_the_first_one_on(
    fresh_store: Callable[[], Store], clock: ManualClock, ask: Ask
) -> None:
    tokens = APITokens(store=fresh_store(), secret_key=KEY, clock=clock)
    token = tokens.create("alice", name="ci")
    assert valid(tokens, token)
    (shown,) = ask(tokens, "tokens", "alice")
    assert shown["last_used"] == shown["created_at"]
    clock.advance(400)  # more than a store may lag behind
    assert valid(tokens, token)
    (shown,) = ask(tokens, "tokens", "alice")
    assert shown["last_used"] == datetime.fromtimestamp(clock(), UTC)


def test_a_token_dies_at_its_end_and_not_before(
    fresh_store: Callable[[], Store], clock: ManualClock, ask: Ask
) -> None:
    tokens = APITokens(store=fresh_store(), secret_key=KEY, clock=clock)
    token = ask(tokens, "create", "alice", name="ci", expires_in=timedelta(days=90))
    for _ in range(89):  # no use extends it
        clock.advance(DAY)
        assert valid(tokens, token)
    clock.advance(DAY - 1)
    assert valid(tokens, token)
    clock.advance(1)
    assert not valid(tokens, token)
    assert ask(tokens, "tokens", "alice") == []
    clock.advance(-1)  # a clock that is set back revives nothing
    assert not valid(tokens, token)


def test_a_token_without_an_end_lives_on(
    fresh_store: Callable[[], Store], clock: ManualClock
) -> None:
    tokens = APITokens(store=fresh_store(), secret_key=KEY, clock=clock)
    token = tokens.create("alice", name="ci")
    for _ in range(20):
        clock.advance(365 * DAY)
        tokens.manager.cleanup_expired_sessions()
        assert valid(tokens, token)
    assert tokens.tokens("alice")[0]["expires_at"] is None


def test_revoking(fresh_store: Callable[[], Store], clock: ManualClock, ask: Ask) -> None:
    tokens = APITokens(store=fresh_store(), secret_key=KEY, clock=clock)
    alices = [tokens.create("alice", name=f"n{n}") for n in range(3)]
    bobs = tokens.create("bob", name="ci")
    handles = [shown["handle"] for shown in tokens.tokens("alice")]
    assert ask(tokens, "revoke", "bob", handles[0]) is False  # another user's
    assert ask(tokens, "revoke", "alice", "nonsense") is False
    assert ask(tokens, "revoke", "alice", alices[0]) is False  # a token is no handle
    assert all(valid(tokens, token) for token in alices)
    assert ask(tokens, "revoke", "alice", handles[0]) is True
    assert ask(tokens, "revoke", "alice", handles[0]) is False
    assert [valid(tokens, token) for token in alices] == [False, True, True]
    assert ask(tokens, "revoke_all", "alice") == 2
    assert ask(tokens, "revoke_all", "alice") == 0
    assert [valid(tokens, token) for token in (*alices, bobs)] == [False] * 3 + [True]


def test_the_limit_of_a_user(
    fresh_store: Callable[[], Store], clock: ManualClock, ask: Ask
) -> None:
    tokens = APITokens(store=fresh_store(), secret_key=KEY, clock=clock, max_per_user=2)
    ask(tokens, "create", "alice", name="one")
    ask(tokens, "create", "alice", name="two", expires_in=DAY)
    with pytest.raises(TokenLimitError, match=r"2 API tokens.*revoke one") as refused:
        ask(tokens, "create", "alice", name="three")
    assert refused.value.status == 403
    assert len(tokens.tokens("alice")) == 2
    assert ask(tokens, "create", "bob", name="one")
    clock.advance(DAY)  # what has expired counts no more
    assert ask(tokens, "create", "alice", name="three")


def test_the_limit_is_exact_in_a_crowd(fresh_store: Callable[[], Store]) -> None:
    tokens = APITokens(store=fresh_store(), secret_key=KEY, max_per_user=3)

    def make(_: int) -> None:
        with suppress(TokenLimitError):
            tokens.create("alice", name="ci")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(make, range(16)))
    assert len(tokens.tokens("alice")) == 3


def test_a_retired_key_ends_its_tokens_and_a_new_one_leaves_the_old(clock: ManualClock) -> None:
    store = MemoryStore()
    old = APITokens(store=store, secret_key="a" * 64, clock=clock)
    token = old.create("alice", name="ci")
    both = APITokens(store=store, secret_key=["b" * 64, "a" * 64], clock=clock)
    assert valid(both, token)
    newer = both.create("alice", name="cd")
    assert not valid(old, newer)
    retired = APITokens(store=store, secret_key="b" * 64, clock=clock)
    assert valid(retired, newer)
    assert not valid(retired, token)


def test_one_secret_for_tokens_and_sessions_opens_neither_with_the_other(
    clock: ManualClock,
) -> None:
    """Even over one store, which the middleware refuses."""
    store = MemoryStore()
    tokens = APITokens(store=store, secret_key=KEY, clock=clock)
    managers = [
        cls(store=store, secret_key=KEY, clock=clock) for cls in (SessionManager, JWTSessionManager)
    ]
    token = tokens.create("alice", name="ci")
    for manager in managers:
        assert manager.validate_session(token) is None
        assert manager.invalidate_session(token) == (False, None)
        assert not valid(tokens, manager.create_session("bob") or "")
    assert valid(tokens, token)


@given(st.data())
def test_no_other_text_is_a_token_and_most_errors_cost_no_store_call(data: st.DataObject) -> None:
    store = CountingStore(MemoryStore())
    tokens = APITokens(store=store, secret_key=KEY)
    token = tokens.create("alice", name="ci")
    at = data.draw(st.integers(0, len(token) - 1))
    wrong = data.draw(
        st.one_of(
            st.text(max_size=80),
            st.text(DIGITS, min_size=50, max_size=50).map("sgp_".__add__),
            st.sampled_from(DIGITS + "-_. é").map(lambda c: token[:at] + c + token[at + 1 :]),
            st.just(token[:at]),
            st.just(token + "0"),
            st.just(token.swapcase()),
        )
    )
    store.reset()
    if wrong != token:
        assert not valid(tokens, wrong)
        assert store.calls == 0
    assert valid(tokens, token)


def test_each_way_of_writing_the_id_is_taken_once() -> None:
    """Sixty-two to the 22nd is more than 128 bits: what is beyond has no token."""
    tokens = APITokens(secret_key=KEY)
    assert not valid(tokens, "sgp_" + "z" * 50)
    codec = tokens.manager.operations.codec
    assert codec.examine("sgp_" + "z" * 50) == "checksum"


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"name": ""}, ValueError, "name must not be empty"),
        ({"name": "a\nb"}, ValueError, "control characters"),
        ({"name": "n" * 257}, ValueError, "256"),
        ({"name": None}, TypeError, "name must be a str"),
        ({"name": "ci", "scopes": "read"}, TypeError, "scopes must be a list"),
        ({"name": "ci", "scopes": ["a b"]}, ValueError, "scopes"),
        ({"name": "ci", "claims": {"sub": "bob"}}, ValueError, "sub"),
        ({"name": "ci", "expires_in": 0}, ValueError, "expires_in must be more than 0"),
        ({"name": "ci", "expires_in": "90d"}, TypeError, "expires_in must be seconds"),
        ({"name": "ci", "expires_in": float("inf")}, ValueError, "expires_in"),
    ],
)
def test_bad_arguments_make_nothing(
    tokens: APITokens, arguments: dict[str, Any], error: type[Exception], words: str, ask: Ask
) -> None:
    with pytest.raises(error, match=words):
        ask(tokens, "create", "alice", **arguments)
    assert tokens.tokens("alice") == []


def test_bad_usernames_and_settings(tmp_path: Path) -> None:
    tokens = APITokens(secret_key=KEY)
    for verb in (tokens.tokens, tokens.revoke_all):
        with pytest.raises(ValueError, match="username"):
            verb("")
    with pytest.raises(ValueError, match="username"):
        tokens.create("a\0b", name="ci")
    with pytest.raises(ConfigurationError, match="secret_key is required with SQLiteStore"):
        APITokens(store=SQLiteStore(tmp_path / "tokens.db"))
    with pytest.raises(ConfigurationError, match="asks for 32 or more"):
        APITokens(secret_key="short", strict_keys=True)
    with pytest.warns(WeakKeyWarning, match="an API token asks for 32"):
        APITokens(secret_key="short")
    with pytest.raises(ValueError, match="max_per_user must be 1 or more"):
        APITokens(secret_key=KEY, max_per_user=0)


def test_events_and_lines_tell_of_tokens_and_hold_none(
    caplog: pytest.LogCaptureFixture, clock: ManualClock, ask: Ask
) -> None:
    events: list[Event] = []
    caplog.set_level(logging.INFO)
    tokens = APITokens(secret_key=KEY, clock=clock, max_per_user=1, on_event=events.append)
    token = ask(tokens, "create", "alice", name="ci")
    handle = tokens.tokens("alice")[0]["handle"]
    with pytest.raises(TokenLimitError):
        ask(tokens, "create", "alice", name="cd")
    assert ask(tokens, "revoke", "alice", handle)
    assert [(event.kind, event.username) for event in events] == [
        ("token_created", "alice"),
        ("limit_reached", "alice"),
        ("token_revoked", "alice"),
    ]
    said = caplog.text
    assert f"API token: token_created: user 'alice', token {handle}" in said
    assert "Reached max_per_user limit of API tokens (1)" in said
    assert token not in said + repr(events)


def test_a_store_that_is_down_is_an_error(tmp_path: Path, ask: Ask) -> None:
    store = SQLiteStore(tmp_path / "tokens.db")
    tokens = APITokens(store=store, secret_key=KEY)
    token = tokens.create("alice", name="ci")
    store.close()
    for verb, arguments in {"tokens": ("alice",), "revoke_all": ("alice",)}.items():
        with pytest.raises(StoreError):
            ask(tokens, verb, *arguments)
    with pytest.raises(StoreError):
        valid(tokens, token)
