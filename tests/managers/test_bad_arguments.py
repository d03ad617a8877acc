"""Bad arguments: an error that names the argument, and nothing done."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest

from sessiongate import (
    ConfigurationError,
    JWTSessionManager,
    SessionManager,
    SingleSessionManager,
)
from sessiongate.stores import MemoryStore

if TYPE_CHECKING:
    from tests.managers.verbs import Make

SECONDS = ("session_timeout", "max_lifetime", "rotate_after", "rotation_grace", "touch_every")
HUGE = 10**5000
"""So large that Python refuses to print it."""
POSITIVE = ("session_timeout", "max_lifetime")


@pytest.mark.parametrize("name", [*SECONDS, "leeway"])
@pytest.mark.parametrize(
    "value",
    [-1, -0.001, timedelta(seconds=-1), math.nan, math.inf, -math.inf, 1e300, 10**400, HUGE],
    ids=lambda value: type(value).__name__,
)
def test_times_out_of_range(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^{name} must be"):
        JWTSessionManager(**{name: value})


@pytest.mark.parametrize("name", POSITIVE)
@pytest.mark.parametrize("value", [0, 0.0, timedelta()])
def test_times_that_must_be_more_than_nothing(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^{name} must be more than 0"):
        SessionManager(**{name: value})


@pytest.mark.parametrize("name", [*SECONDS, "leeway"])
@pytest.mark.parametrize("value", ["60", True, b"60", [60], 1j, Decimal(60)])
def test_times_of_the_wrong_type(name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=rf"^{name} must be seconds"):
        JWTSessionManager(**{name: value})


@pytest.mark.parametrize("name", ["max_concurrent_sessions", "max_sessions_per_user"])
@pytest.mark.parametrize(
    ("value", "error"),
    [(0, ValueError), (-1, ValueError), (1.0, TypeError), ("1", TypeError), (True, TypeError)],
)
def test_limits(name: str, value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=rf"^{name} must be"):
        SessionManager(**{name: value})


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"existing": "share"}, "existing"),
        ({"existing": None}, "existing"),
        ({"on_limit": "explode"}, "on_limit"),
        ({"on_limit": True}, "on_limit"),
        ({"rotate_after": "quarter"}, "rotate_after"),
        ({"rotate_after": 3600}, "rotate_after"),
        ({"session_timeout": 60, "rotate_after": 61}, "rotate_after"),
        ({"clock": 5}, "clock"),
        ({"on_event": "print"}, "on_event"),
        ({"store": "redis://localhost"}, "store"),
        ({"store": MemoryStore}, "store"),
        ({"store": {}}, "store"),
        ({"logger": "sessions"}, "logger"),
        ({"secret_key": ""}, "secret_key"),
        ({"secret_key": b" \n"}, "secret_key"),
        ({"secret_key": []}, "secret_key"),
        ({"secret_key": [None]}, "secret_key"),
        ({"secret_key": 5}, "secret_key"),
        ({"secret_key": {"a": "b"}}, "secret_key"),
        ({"secret_key": bytearray(64)}, "secret_key"),
        ({"secret_key": "\ud800" * 64}, "secret_key"),
    ],
)
@pytest.mark.parametrize("cls", [SessionManager, SingleSessionManager, JWTSessionManager])
def test_rules_that_are_none(
    cls: type[SessionManager], options: dict[str, Any], named: str
) -> None:
    with pytest.raises((ValueError, TypeError), match=rf"^{named} .*(must|needs|\bnot\b)"):
        cls(**options)


@pytest.mark.parametrize("algorithm", ["none", "NONE", "HS1", "hs512", "", None, 5, ["HS512"]])
def test_algorithms_that_are_none(algorithm: Any) -> None:
    with pytest.raises(ConfigurationError, match="algorithm must be one of HS256"):
        JWTSessionManager(algorithm=algorithm)


@pytest.mark.parametrize("name", ["issuer", "audience"])
@pytest.mark.parametrize("value", ["", "a\nb", "x" * 257, None, ["a"], 5])
def test_names_that_no_token_may_state(name: str, value: Any) -> None:
    with pytest.raises((ValueError, TypeError), match=rf"^{name} must"):
        JWTSessionManager(**{name: value})


def test_unknown_options_are_refused() -> None:
    for cls in (SessionManager, SingleSessionManager, JWTSessionManager):
        with pytest.raises(TypeError, match="max_sesions"):
            cls(max_sesions=5)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="leeway"):
        SessionManager(leeway=5)  # type: ignore[call-arg]


USERNAMES = [
    ("", ValueError),
    ("x" * 257, ValueError),
    ("alice\r\nSet-Cookie: a=b", ValueError),
    ("a\0", ValueError),
    ("a\x1b[2J", ValueError),
    ("a\x7f", ValueError),
    ("a\x85", ValueError),
    ("a\u2028", ValueError),
    ("\ud800", ValueError),
    (None, TypeError),
    (5, TypeError),
    (b"alice", TypeError),
    (["alice"], TypeError),
]


@pytest.mark.parametrize(("username", "error"), USERNAMES, ids=lambda v: ascii(v)[:24])
def test_usernames(make: Make, username: Any, error: type[Exception]) -> None:
    m = make()
    for verb in ("create_session", "user_sessions", "invalidate_user_sessions"):
        with pytest.raises(error, match=r"^username must"):
            getattr(m, verb)(username)
    with pytest.raises(error, match=r"^username must"):
        m.invalidate_user_session(username, "A" * 22)
    assert m.n_active_sessions() == 0


DEEP: Any = []
for _ in range(20):
    DEEP = [DEEP]
ROUND: list[Any] = []
ROUND.append(ROUND)

OURS = [
    *("iss", "sub", "aud", "exp", "nbf", "iat", "jti", "scope", "scopes", "username"),
    *("created_at", "last_accessed", "issued_at", "expires_at", "issuer", "audience"),
]

OPTIONS = [
    ({"existing": "share"}, ValueError, "existing"),
    ({"scopes": "read"}, TypeError, "scopes"),
    ({"scopes": 5}, TypeError, "scopes"),
    ({"scopes": None}, TypeError, "scopes"),
    ({"scopes": [5]}, TypeError, "scopes"),
    ({"scopes": [""]}, ValueError, "scopes"),
    ({"scopes": ["a b"]}, ValueError, "scopes"),
    ({"scopes": ['a"']}, ValueError, "scopes"),
    ({"scopes": ["é"]}, ValueError, "scopes"),
    ({"scopes": ["a\n"]}, ValueError, "scopes"),
    ({"claims": [("a", 1)]}, TypeError, "claims"),
    ({"claims": {5: 1}}, TypeError, "claim"),
    ({"claims": {"": 1}}, ValueError, "claim"),
    ({"claims": {"a": object()}}, TypeError, "claims"),
    ({"claims": {"a": {1, 2}}}, TypeError, "claims"),
    ({"claims": {"a": b"x"}}, TypeError, "claims"),
    ({"claims": {"a": math.nan}}, ValueError, "claims"),
    ({"claims": {"a": math.inf}}, ValueError, "claims"),
    ({"claims": {"a": "\ud800"}}, ValueError, "claims"),
    ({"claims": {"a": HUGE}}, ValueError, "claims"),
    ({"claims": {"a": "x" * 5000}}, ValueError, "claims"),
    ({"claims": {"a": DEEP}}, ValueError, "claims"),
    ({"claims": {"a": ROUND}}, ValueError, "claims"),
    ({"claims": {"a": {5: 1}}}, TypeError, "claims"),
    ({"device": object()}, TypeError, "device"),
    ({"device": "x" * 5000}, ValueError, "device"),
    ({"device": {"a": {1: 2}}}, TypeError, "device"),
]


@pytest.mark.parametrize(("options", "error", "named"), OPTIONS, ids=[name for *_, name in OPTIONS])
def test_options_of_a_login(
    make: Make, options: dict[str, Any], error: type[Exception], named: str
) -> None:
    m = make()
    with pytest.raises(error, match=rf"\b{named} must"):
        m.create_session("alice", **options)
    assert m.n_active_sessions() == 0


@pytest.mark.parametrize("name", OURS)
def test_claims_that_the_session_writes_itself(make: Make, name: str) -> None:
    m = make()
    with pytest.raises(ValueError, match=f"claims must not contain '{name}'"):
        m.create_session("alice", claims={name: "x"})
    assert m.n_active_sessions() == 0


def test_any_mapping_of_json_values_will_do(make: Make) -> None:
    m = make()
    claims = MappingProxyType({"a": MappingProxyType({"b": (1, 2.5, None, True)})})
    told = m.validate_session(m.create_session("alice", claims=claims, device=claims))
    assert told["a"] == {"b": [1, 2.5, None, True]}
    assert m.user_sessions("alice")[0]["device"] == {"a": told["a"]}


def test_no_message_repeats_a_secret() -> None:
    secret = "hunter2-" * 3
    with pytest.raises(ConfigurationError) as caught:
        SessionManager(secret_key=secret, strict_keys=True)
    assert secret not in str(caught.value)
    with pytest.raises(ConfigurationError) as caught:
        JWTSessionManager(secret_key=f"ssh-rsa {secret}", algorithm="RS256")
    assert not re.search("hunter2", str(caught.value))
