"""The largest and the smallest that is taken, and that one more is refused."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

from sessiongate import JWTSessionManager, SessionManager
from sessiongate.asgi import SessionAuthMiddleware as ASGIMiddleware
from sessiongate.stores import MemoryStore
from sessiongate.testing import CountingStore
from sessiongate.wsgi import SessionAuthMiddleware as WSGIMiddleware

if TYPE_CHECKING:
    from tests.managers.verbs import Make

CENTURY: Final = 100 * 366 * 86400
"""Seconds; the longest duration."""


def text(size: int) -> str:
    """A value that is this long as JSON."""
    return "x" * (size - len('""'))


def nested(levels: int) -> Any:
    """A value this deep, of lists and objects, with a number at the bottom."""
    value: Any = 1
    for level in range(levels - 1):
        value = [value] if level % 2 else {"a": value}
    return value


@pytest.mark.parametrize("username", ["x", "x" * 256, "\N{GRINNING FACE}" * 256, " ", "a\xa0b"])
def test_usernames(make: Make, username: str) -> None:
    """Characters count, not bytes; what else is refused is in ``test_bad_arguments.py``."""
    m = make()
    token = m.refresh_session(m.create_session(username))
    assert m.validate_session(token)["username"] == username
    assert len(m.user_sessions(username)) == 1
    assert m.invalidate_session(token) == (True, username)


def test_scopes(make: Make) -> None:
    m = make()
    with pytest.raises(ValueError, match=r"^scopes must be at most 256"):
        m.create_session("alice", scopes=["s" * 257])
    token = m.create_session("alice", scopes=["s" * 256, "!", "~"])
    assert m.validate_session(token)["scopes"] == ["!", "s" * 256, "~"]


def test_names_of_claims(make: Make) -> None:
    m = make()
    with pytest.raises(ValueError, match=r"^the name of a claim must be at most 256"):
        m.create_session("alice", claims={"n" * 257: 1})
    assert m.validate_session(m.create_session("alice", claims={"n" * 256: 1}))["n" * 256] == 1


def test_the_size_of_claims(make: Make) -> None:
    """With the scopes, for they are kept together."""
    m, around = make(), len('{"claims":{"a":},"scopes":[]}')
    with pytest.raises(ValueError, match=r"^claims must be at most 4096 .* got 4097"):
        m.create_session("alice", claims={"a": text(4097 - around)})
    claims = {"a": text(4096 - around)}
    assert m.validate_session(m.create_session("alice", claims=claims))["a"] == claims["a"]


def test_the_size_of_a_device(make: Make) -> None:
    m = make()
    with pytest.raises(ValueError, match=r"^device must be at most 4096 .* got 4097"):
        m.create_session("alice", device=text(4097))
    m.create_session("alice", device=text(4096))
    assert m.user_sessions("alice")[0]["device"] == text(4096)


def test_the_depth_of_claims(make: Make) -> None:
    """The claims are a level, and what keeps them with the scopes is another."""
    m = make()
    with pytest.raises(ValueError, match=r"^claims must not be nested deeper than 16"):
        m.create_session("alice", claims={"x": nested(15)})
    claims = {"x": nested(14)}
    assert m.validate_session(m.create_session("alice", claims=claims))["x"] == claims["x"]


def test_the_depth_of_a_device(make: Make) -> None:
    m = make()
    with pytest.raises(ValueError, match=r"^device must not be nested deeper than 16"):
        m.create_session("alice", device=nested(17))
    m.create_session("alice", device=nested(16))
    assert m.user_sessions("alice")[0]["device"] == nested(16)


@pytest.mark.parametrize("name", ["issuer", "audience"])
def test_names_in_a_jwt(name: str) -> None:
    m = JWTSessionManager(**{name: "x" * 256})  # type: ignore[arg-type]
    told = m.validate_session(m.create_session("alice") or "")
    assert told is not None
    assert told[name] == "x" * 256


@pytest.mark.parametrize("middleware", [WSGIMiddleware, ASGIMiddleware])
@pytest.mark.parametrize(("name", "longest"), [("realm", 256), ("refreshed_token_header", 64)])
def test_names_of_the_middleware(middleware: Any, name: str, longest: int) -> None:
    middleware(None, SessionManager(), **{name: "x" * longest})
    with pytest.raises(ValueError, match=rf"^{name} must be"):
        middleware(None, SessionManager(), **{name: "x" * (longest + 1)})


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("session_timeout", {}),
        ("max_lifetime", {}),
        ("rotation_grace", {}),
        ("touch_every", {}),
        ("leeway", {}),
        ("rotate_after", {"session_timeout": CENTURY}),
    ],
)
def test_the_longest_time(name: str, options: dict[str, Any]) -> None:
    longest: Any = CENTURY - (name == "rotate_after")
    given: dict[str, Any] = options | {name: longest}
    m = JWTSessionManager(**given)
    assert m.session_username(m.create_session("alice") or "") == "alice"
    given[name] = timedelta(seconds=longest)
    JWTSessionManager(**given)
    given[name] = CENTURY + 1
    with pytest.raises(ValueError, match=rf"^{name} must be"):
        JWTSessionManager(**given)


@pytest.mark.parametrize("shortest", [1e-6, 1e-9, timedelta(microseconds=1)])
def test_the_shortest_time(shortest: Any) -> None:
    """What is more than nothing never becomes nothing."""
    m = SessionManager(shortest, rotate_after=None, clock=lambda: 1_700_000_000)
    assert m.session_username(m.create_session("alice") or "") == "alice"


def test_a_limit_of_one(make_many: Make) -> None:
    for limit in ("max_concurrent_sessions", "max_sessions_per_user"):
        m = make_many(existing="new", **{limit: 1})
        assert m.create_session("alice") is not None
        assert m.create_session("alice") is None


@pytest.mark.parametrize(
    ("size", "asked"), [(15, False), (16, True), (128, True), (129, False), (0, False)]
)
def test_what_could_be_a_handle_is_asked_about(size: int, asked: bool) -> None:  # noqa: FBT001
    store = CountingStore(MemoryStore())
    m = SessionManager(store=store, secret_key="k" * 64)
    m.invalidate_user_session("alice", "h" * size)
    assert bool(store.calls) is asked
