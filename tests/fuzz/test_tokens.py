"""Whatever a token is: no exception, and only what was minted here is taken.

JWTs are taken apart, changed and signed again with the right key, and PyJWT is asked as well:
what it refuses, we refuse.
"""

from __future__ import annotations

import hmac
import json
from dataclasses import replace
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fuzz.corpus import OPAQUE, PAYLOADS, replay
from tests.fuzz.rows import ROW
from tests.tokens.forger import decode, encode

from sessiongate import JWTSessionManager, SessionManager
from sessiongate.testing import ManualClock
from sessiongate.tokens.opaque import OpaqueCodec

SECRET = "s" * 64
NOW = 1_700_000_000
TIMEOUT = 600
CLAIMS = ["iss", "sub", "aud", "exp", "iat", "jti"]


def manager() -> JWTSessionManager:
    return JWTSessionManager(
        TIMEOUT,
        None,
        SECRET,
        issuer="i",
        audience="a",
        clock=ManualClock(NOW),
        existing="new",
    )


AHEAD = 10
"""Seconds that the clock of another server may be ahead."""

MANAGER = manager()
GENUINE = MANAGER.create_session("alice") or ""
HEADER, PAYLOAD, SIGNATURE = GENUINE.split(".")
FACTS: dict[str, Any] = json.loads(decode(PAYLOAD))

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
DATES = st.sampled_from([-TIMEOUT - 1, -TIMEOUT, -1, 0, 1, TIMEOUT - 1, TIMEOUT, TIMEOUT + 1])
VALUES = (
    JSON
    | DATES.map(lambda by: NOW + by)
    | DATES.map(lambda by: float(NOW + by) + 0.5)
    | DATES.map(lambda by: str(NOW + by))
    | st.sampled_from([*FACTS.values(), ["a"], ["i"], [FACTS["sub"]], "x" * 257, 1e400, -0.0])
    | st.sampled_from([f"{FACTS['jti'].split('.')[0]}.{g}" for g in (0, 1, 2, "00", "-1", "")])
)
NAMES = st.sampled_from([*CLAIMS, "nbf", "scope", "client_id", "x"])
MEMBERS = st.lists(st.tuples(NAMES, VALUES), max_size=4)
SPACES = st.sampled_from(["", " ", "\n", "\ufeff", "\x00", "]", "}", ",", "//"])
HEADERS = st.dictionaries(
    st.sampled_from(["alg", "typ", "kid", "crit", "jwk", "jku", "x5c", "b64", "zip", "cty", "x"]),
    JSON | st.sampled_from(["none", "None", "HS256", "HS512", "RS256", "JWT", ["exp"], ["b64"]]),
    max_size=2,
)
EDITS = st.sampled_from(["", "=", ".", " ", "\n", "A", ".A", "é", "\0", "\ud800"])


@st.composite
def payloads(draw: st.DrawFn) -> bytes:
    """The genuine payload as text, with one member changed, or many, repeated, and odd bytes."""
    much = draw(st.booleans())
    gone = draw(st.sets(NAMES, max_size=1)) if much else set[str]()
    members = [(name, value) for name, value in FACTS.items() if name not in gone]
    members += draw(MEMBERS) if much else [draw(st.tuples(NAMES, VALUES))]
    if draw(st.booleans()):
        members = list(dict(members).items())  # each once: the last one counts
    text = ",".join(f"{json.dumps(name)}:{json.dumps(value)}" for name, value in members)
    before, behind = (draw(SPACES), draw(SPACES)) if much else ("", "")
    return (before + "{" + text + "}" + behind).encode()


@st.composite
def tokens(draw: st.DrawFn) -> str:
    """A token with another header or payload and the right signature, or another signature."""
    changed = draw(st.sampled_from(["header", "payload", "payload", "payload", "signature"]))
    header = {**json.loads(decode(HEADER)), **(draw(HEADERS) if changed == "header" else {})}
    raw = json.dumps(header, separators=(",", ":")).encode()
    payload = draw(payloads() if changed == "payload" else st.just(decode(PAYLOAD)))
    body = f"{encode(raw)}.{encode(payload)}"
    if changed != "signature":
        return f"{body}.{encode(hmac.digest(SECRET.encode(), body.encode(), 'sha512'))}"
    digest = draw(st.sampled_from(["sha512", "sha512", "sha512", "sha384", "sha256"]))
    key = draw(st.sampled_from([SECRET.encode()] * 4 + [b"", SECRET.encode() + b"\0", b"x" * 64]))
    sealed = encode(hmac.digest(key, body.encode(), digest))
    token = f"{body}.{draw(st.sampled_from([sealed, sealed, sealed, sealed, '', SIGNATURE]))}"
    at = draw(st.integers(0, len(token)))
    return token[:at] + draw(EDITS) + token[at + draw(st.integers(0, 1)) :]


def pyjwt(token: str) -> dict[str, Any] | None:
    """What PyJWT makes of it. Its clock is the world's, so it is not asked for the time."""
    options: Any = {"require": CLAIMS, "strict_aud": True}
    options |= {"verify_exp": False, "verify_iat": False, "verify_nbf": False}
    try:
        return jwt.decode(token, SECRET, ["HS512"], options, audience="a", issuer="i")
    except Exception:  # noqa: BLE001 - PyJWT raises more than its own errors on odd input
        return None


@given(tokens())
@replay([GENUINE, f"{GENUINE}=", f"{HEADER}.{PAYLOAD}.", f"{HEADER}..{SIGNATURE}", "..", "." * 9])
def test_what_pyjwt_refuses_we_refuse(token: str) -> None:
    told = MANAGER.validate_session(token)
    if told is None:
        return
    claims = pyjwt(token)
    assert claims is not None
    # Accepted is only what we would have written: the session's own facts, within its times.
    assert claims["jti"] == FACTS["jti"] == told["jti"]
    assert claims["sub"] == told["username"] == "alice"
    assert claims["iss"] == told["issuer"] == "i"
    assert claims["aud"] == told["audience"] == "a"
    assert type(claims["exp"]) in {int, float}
    assert type(claims["iat"]) in {int, float}
    assert 0 <= claims["iat"] - AHEAD <= NOW < claims["exp"] <= claims["iat"] + TIMEOUT
    assert "nbf" not in claims
    assert token.count(".") == 2
    assert token.startswith(f"{HEADER}.")
    assert told["expires_at"] == FACTS["exp"], "what a token says extends nothing"


@given(payloads().map(bytes.decode))
@replay(PAYLOADS)
def test_a_right_signature_is_not_enough(payload: str) -> None:
    for name, value in (("EXP", FACTS["exp"]), ("IAT", FACTS["iat"]), ("JTI", FACTS["jti"])):
        payload = payload.replace(name, json.dumps(value))
    body = f"{HEADER}.{encode(payload.encode())}"
    token = f"{body}.{encode(hmac.digest(SECRET.encode(), body.encode(), 'sha512'))}"
    if MANAGER.validate_session(token) is not None:
        members = json.loads(payload, object_pairs_hook=list)
        assert len({name for name, _ in members}) == len(members)
        assert dict(members).keys() >= set(CLAIMS)
        assert "nbf" not in dict(members)
        assert pyjwt(token) is not None


def test_the_genuine_token_is_taken() -> None:
    """Without this the properties above could hold for a manager that takes nothing."""
    assert MANAGER.session_username(GENUINE) == "alice"
    assert pyjwt(GENUINE) == FACTS


CODEC = OpaqueCodec(["k" * 64, "o" * 64], strict=True)
OLD = OpaqueCodec(["o" * 64], strict=True)
SIDS = st.text("ABCdef012_-", min_size=16, max_size=40)
GENERATIONS = st.integers(0, 2**53 - 1)


@given(SIDS, GENERATIONS)
def test_an_opaque_token_says_what_it_was_minted_for(sid: str, generation: int) -> None:
    row = replace(ROW, sid=sid, generation=generation)
    for codec in (CODEC, OLD):
        token = codec.mint(row)
        payload = CODEC.verify(token)
        assert payload is not None
        assert (payload.sid, payload.generation) == (sid, generation)
    assert OLD.verify(CODEC.mint(row)) is None, "the new key is not known there"


@st.composite
def mutants(draw: st.DrawFn) -> str:
    """A genuine opaque token, changed in one place or more, or parts of two put together."""
    one, other = (
        CODEC.mint(replace(ROW, sid=draw(SIDS), generation=draw(st.integers(0, 11))))
        for _ in range(2)
    )
    if draw(st.booleans()):
        cut = draw(st.integers(0, len(one)))
        return one[:cut] + other[cut:]
    at, length = draw(st.integers(0, len(one))), draw(st.integers(0, 3))
    return one[:at] + draw(st.text(max_size=3)) + one[at + length :]


OPAQUE_MANAGER = SessionManager(
    TIMEOUT, None, secret_key=["k" * 64, "o" * 64], clock=ManualClock(NOW)
)


@given(mutants() | st.text())
@replay(OPAQUE)
def test_only_what_was_minted_is_a_token(token: str) -> None:
    payload = CODEC.parse_key(token)
    if payload is not None:
        row = replace(ROW, sid=payload.sid, generation=payload.generation)
        assert token in {CODEC.mint(row), OLD.mint(row)}
    assert OPAQUE_MANAGER.validate_session(token) is None
    assert OPAQUE_MANAGER.refresh_session(token) is None
    assert OPAQUE_MANAGER.invalidate_session(token) == (False, None)
    assert token not in OPAQUE_MANAGER.sessions


STRANGERS = (manager(), OPAQUE_MANAGER)
"""They have the keys, and other sessions."""
OTHERS = [one.create_session("bob") or "" for one in STRANGERS]


@pytest.mark.parametrize("verb", ["validate_session", "refresh_session", "session_username"])
@given(token=JSON | st.binary() | tokens())
def test_no_verb_raises_nor_touches_another_session(verb: str, token: Any) -> None:
    for one, other in zip(STRANGERS, OTHERS, strict=True):
        assert getattr(one, verb)(token) is None
        assert one.session_username(other) == "bob"
