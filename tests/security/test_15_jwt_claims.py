"""Requirement 15: JWT claims are all there, exact, strictly typed; what PyJWT refuses, we refuse.

By the manager and by both middlewares alike. What we issue, and that other libraries accept
it, is in ``tests/tokens/test_jwt_issue.py``.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.http.harness import bearer, cookie, make_site
from tests.tokens.forger import SECRET, Forger

from sessiongate.testing import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.http.harness import Stack

CLAIMS = ["iss", "sub", "aud", "exp", "iat", "jti"]


@pytest.fixture
def forger(clock: ManualClock) -> Forger:
    return Forger(clock)


@pytest.mark.parametrize("name", CLAIMS)
def test_each_claim_is_required(forger: Forger, name: str) -> None:
    payload = {key: value for key, value in forger.payload.items() if key != name}
    assert not forger.accepts(forger.with_payload(payload))


NO_TEXT: list[Any] = [None, True, 0, 1.5, [], ["plantdb-client"], {}, ""]
NO_DATE: list[Any] = [None, True, False, "", "1700000000", [], {}, -1, 10**30, 1e300, 2**40 + 1]


@pytest.mark.parametrize("name", ["iss", "aud", "sub", "jti"])
@pytest.mark.parametrize("value", NO_TEXT, ids=repr)
def test_names_are_texts(forger: Forger, name: str, value: Any) -> None:
    assert not forger.accepts(forger.with_payload(forger.payload | {name: value}))


@pytest.mark.parametrize("name", ["iat", "exp"])
@pytest.mark.parametrize("value", NO_DATE, ids=repr)
def test_dates_are_numbers(forger: Forger, name: str, value: Any) -> None:
    assert not forger.accepts(forger.with_payload(forger.payload | {name: value}))


def test_a_bool_is_no_date_even_where_it_would_be_the_right_number() -> None:
    forger = Forger(ManualClock(1))
    assert forger.payload["iat"] == 1
    assert forger.accepts(forger.with_payload(forger.payload | {"iat": 1.0}))
    assert not forger.accepts(forger.with_payload(forger.payload | {"iat": True}))


@pytest.mark.parametrize("name", ["iss", "aud"])
@pytest.mark.parametrize(
    "change", [str.upper, lambda v: v + "/", lambda v: v[:-1], lambda v: f" {v}"]
)
def test_issuer_and_audience_are_exact(
    forger: Forger, name: str, change: Callable[[str], str]
) -> None:
    payload = forger.payload | {name: change(forger.payload[name])}
    assert not forger.accepts(forger.with_payload(payload))


@pytest.mark.parametrize(
    "value", ["x" * 257, "a\nb", "a\0", "\x7f", "\ud800", "\u2028", "a\x85"], ids=ascii
)
@pytest.mark.parametrize("name", ["sub", "jti"])
def test_names_are_short_and_clean(forger: Forger, name: str, value: str) -> None:
    assert not forger.accepts(forger.with_payload(forger.payload | {name: value}))


JTIS: dict[str, Callable[[str], str]] = {
    "another session": lambda _: "A" * 22 + ".0",
    "next generation": lambda jti: jti[:-1] + "1",
    "padded generation": lambda jti: jti[:-1] + "00",
    "no generation": lambda jti: jti[:-2],
    "newline": lambda jti: jti + "\n",
    "huge generation": lambda jti: jti[:-1] + "9" * 200,
    "other digits": lambda jti: jti[:-1] + "\N{ARABIC-INDIC DIGIT ZERO}",
}


@pytest.mark.parametrize("change", JTIS.values(), ids=JTIS)
def test_a_jti_of_no_session(forger: Forger, change: Callable[[str], str]) -> None:
    payload = forger.payload | {"jti": change(forger.payload["jti"])}
    assert not forger.accepts(forger.with_payload(payload))


@pytest.mark.parametrize("by", [1, 0.5, 3600, 10**9])
def test_no_token_lives_longer_than_we_would_issue(forger: Forger, by: float) -> None:
    payload = forger.payload | {"exp": forger.payload["exp"] + by}
    assert not forger.accepts(forger.with_payload(payload))


@pytest.mark.parametrize("by", [10.000001, 10.5, 11, 60])
@pytest.mark.parametrize("leeway", [0, 600])
def test_no_token_is_from_the_future(clock: ManualClock, by: float, leeway: int) -> None:
    forger = Forger(clock, leeway=leeway)
    payload = forger.payload | {"iat": forger.payload["iat"] + by}
    token = forger.with_payload(payload)
    assert not forger.accepts(token)
    clock.advance(by - 10 + 0.000001)
    assert forger.accepts(token)


@pytest.mark.parametrize("by", [0.4, 1, 9.999999, 10])
@pytest.mark.parametrize("leeway", [0, 5, 600])
def test_a_clock_that_is_a_little_ahead_is_forgiven(
    clock: ManualClock, by: float, leeway: int
) -> None:
    forger = Forger(clock, leeway=leeway)
    payload = forger.payload | {"iat": forger.payload["iat"] + by}
    assert forger.accepts(forger.with_payload(payload))


@pytest.mark.parametrize("leeway", [0, 5])
def test_nothing_is_forgiven_in_exp_but_the_leeway(clock: ManualClock, leeway: int) -> None:
    forger = Forger(clock, leeway=leeway)
    token = forger.with_payload(forger.payload | {"exp": forger.payload["iat"] + 10})
    clock.advance(10 + leeway - 0.001)
    assert forger.accepts(token)
    clock.advance(0.001)
    assert not forger.accepts(token)


def test_a_shorter_life_is_kept_to(forger: Forger, clock: ManualClock) -> None:
    token = forger.with_payload(forger.payload | {"exp": forger.payload["iat"] + 1.5})
    clock.advance(1.499)
    assert forger.accepts(token)
    clock.advance(0.001)
    before = dict(forger.manager.sessions)
    clock.advance(1)
    assert not forger.accepts(token)
    assert forger.manager.refresh_session(token) is None
    assert forger.manager.invalidate_session(token) == (False, None)
    assert dict(forger.manager.sessions) == before, "an expired token touches nothing that lives on"
    assert forger.manager.session_username(forger.token) == "alice"


@pytest.mark.parametrize("nbf", [0, 10**10, "x", None])
def test_a_claim_with_a_meaning_of_its_own_is_refused(forger: Forger, nbf: Any) -> None:
    assert not forger.accepts(forger.with_payload(forger.payload | {"nbf": nbf}))


def test_what_a_token_adds_is_not_believed(forger: Forger) -> None:
    payload = forger.payload | {"scope": "admin", "tenant": 7}
    told = forger.manager.validate_session(forger.with_payload(payload))
    assert told is not None
    assert told["username"] == "alice"
    assert not told.keys() & {"scopes", "scope", "tenant"}


def test_a_token_that_names_another_user_is_none(forger: Forger) -> None:
    assert forger.manager.validate_session(forger.with_payload(forger.payload)) is not None
    payload = forger.payload | {"sub": "mallory"}
    assert forger.manager.validate_session(forger.with_payload(payload)) is None


def dated(raw: bytes, number: bytes) -> bytes:
    """With both dates the same, so that they seem to be no time apart."""
    at = raw.replace(b'"iat":', b'"iat":' + number + b',"y":')
    return at.replace(b'"exp":', b'"exp":' + number + b',"z":')


JSONS: dict[str, Callable[[bytes], bytes]] = {
    "duplicate member": lambda raw: raw[:-1] + b',"sub":"bob"}',
    "duplicate member first": lambda raw: b'{"sub":"bob",' + raw[1:],
    "same value twice": lambda raw: raw[:-1] + b',"aud":"plantdb-client"}',
    "duplicate deep inside": lambda raw: raw[:-1] + b',"x":{"a":1,"a":2}}',
    "escaped duplicate": lambda raw: raw[:-1] + b',"s\\u0075b":"bob"}',
    "NaN": lambda raw: raw[:-1] + b',"x":NaN}',
    "Infinity": lambda raw: raw[:-1] + b',"x":Infinity}',
    "minus Infinity": lambda raw: raw[:-1] + b',"x":[-Infinity]}',
    "trailing comma": lambda raw: raw[:-1] + b",}",
    "comment": lambda raw: raw + b"// x",
    "single quotes": lambda raw: raw.replace(b'"', b"'"),
    "two values": lambda raw: raw + raw,
    "BOM": lambda raw: b"\xef\xbb\xbf" + raw,
    "UTF-16": lambda raw: raw.decode().encode("utf-16"),
    "UTF-16-LE": lambda raw: raw.decode().encode("utf-16-le"),
    "UTF-32": lambda raw: raw.decode().encode("utf-32"),
    "Latin-1": lambda raw: raw[:-1] + b',"x":"\xe9"}',
    "overlong UTF-8": lambda raw: raw[:-1] + b',"x":"\xc0\xaf"}',
    "surrogate in UTF-8": lambda raw: raw[:-1] + b',"x":"\xed\xa0\x80"}',
    "raw control character": lambda raw: raw[:-1] + b',"x":"\n"}',
    "deep list": lambda raw: raw[:-1] + b',"x":' + b"[" * 2500 + b"]" * 2500 + b"}",
    "deep object": lambda raw: raw[:-1] + b',"x":' + b'{"a":' * 900 + b"1" + b"}" * 901,
    "endless number": lambda raw: raw[:-1] + b',"x":' + b"9" * 5000 + b"}",
    "exp NaN": lambda raw: raw.replace(b'"exp":', b'"exp":NaN,"y":'),
    "exp 1e999": lambda raw: raw.replace(b'"exp":', b'"exp":1e999,"y":'),
    "iat 1e999": lambda raw: raw.replace(b'"iat":', b'"iat":1e999,"y":'),
    "exp and iat 1e999": lambda raw: raw.replace(b'"iat":', b'"iat":1e999,"y":').replace(
        b'"exp":', b'"exp":1e999,"z":'
    ),
    "iat -1e999": lambda raw: raw.replace(b'"iat":', b'"iat":-1e999,"y":'),
    "iat = exp = 1e999": lambda raw: dated(raw, b"1e999"),
    "iat = exp = -1e999": lambda raw: dated(raw, b"-1e999"),
    "iat = exp = 1e303": lambda raw: dated(raw, b"1e303"),
    "leading zero": lambda raw: raw.replace(b'"exp":', b'"exp":0'),
    "list": lambda raw: b"[" + raw + b"]",
    "text": lambda raw: json.dumps(raw.decode()).encode(),
    "number": lambda _: b"5",
    "null": lambda _: b"null",
    "empty": lambda _: b"",
    "NUL behind": lambda raw: raw + b"\0",
}


@pytest.mark.parametrize("change", JSONS.values(), ids=JSONS)
def test_strict_json(forger: Forger, change: Callable[[bytes], bytes]) -> None:
    raw = json.dumps(forger.payload, separators=(",", ":")).encode()
    assert forger.accepts(forger.with_payload(raw))
    assert not forger.accepts(forger.with_payload(change(raw)))


def test_a_shared_secret_alone_makes_no_session(forger: Forger) -> None:
    claims = forger.payload | {"jti": "A" * 22 + ".0"}
    token = jwt.encode(claims, SECRET, "HS512", forger.header)
    assert not forger.accepts(token)
    assert forger.manager.n_active_sessions() == 1


# Against PyJWT, on tokens whose parts were made up by a machine.

DAY = 86400
FORGER = Forger(ManualClock(int(time.time())), DAY)  # PyJWT reads the real clock, perhaps later
FAR = st.sampled_from([-(10**6), -(10**5), 0, DAY // 2, DAY, DAY + 1, 10**6])
DATES = (
    FAR.map(lambda by: FORGER.payload["iat"] + by)
    | FAR.map(lambda by: float(FORGER.payload["iat"] + by))
    | FAR.map(lambda by: str(FORGER.payload["iat"] + by))
)
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=5,
)
VALUES = DATES | ANY | st.sampled_from(list(FORGER.payload.values()))
NAMES = st.sampled_from([*CLAIMS, "nbf", "scope", "x"])
HEADERS = st.sampled_from(["alg", "typ", "kid", "crit", "jwk", "b64", "x"])
EDITS = st.sampled_from(["", "=", ".", " ", "\n", "A", ".A", "é", "\0"])


def pyjwt_accepts(token: str) -> bool:
    try:
        jwt.decode(
            token,
            SECRET,
            ["HS512"],
            {"require": CLAIMS, "strict_aud": True},
            audience="plantdb-client",
            issuer="plantdb-api",
        )
    except Exception:  # noqa: BLE001 - PyJWT raises more than its own errors on odd input
        return False
    return True


@given(
    st.dictionaries(NAMES, VALUES, max_size=3),
    st.sets(NAMES, max_size=1),
    st.dictionaries(HEADERS, ANY, max_size=1),
    EDITS,
)
def test_whatever_pyjwt_refuses_we_refuse(
    changes: dict[str, Any], gone: set[str], header: dict[str, Any], edit: str
) -> None:
    payload = {k: v for k, v in (FORGER.payload | changes).items() if k not in gone}
    token = FORGER.sign(
        json.dumps(FORGER.header | header, separators=(",", ":")).encode(),
        json.dumps(payload, separators=(",", ":")).encode(),
    )
    assert not FORGER.accepts(token + edit) or pyjwt_accepts(token + edit)


@pytest.mark.parametrize("at", range(0, 300, 7))
def test_any_changed_character_is_refused_by_both(forger: Forger, at: int) -> None:
    at %= len(forger.token) - 1  # the last one may leave bits over: see the canonical base64
    new = "B" if forger.token[at] == "A" else "A"
    token = forger.token[:at] + new + forger.token[at + 1 :]
    assert not forger.accepts(token)
    assert not pyjwt_accepts(token)


def test_both_accept_the_token_itself(forger: Forger) -> None:
    assert pyjwt_accepts(forger.token)
    assert forger.accepts(forger.token)


@pytest.mark.parametrize("stack", ["wsgi", "asgi"])
def test_a_token_from_the_future_does_not_shut_out_another(stack: Stack) -> None:
    site = make_site(stack, "jwt")
    ours, theirs = site.open("alice"), site.open("bob")
    site.clock.advance(1800)
    response = site.ask(bearer(ours))  # rotated by a server whose clock is ahead
    ahead = response.one("x-refreshed-token")
    assert site.ask(cookie(ahead), bearer(theirs)).who == "bob"
    assert site.ask(cookie(ahead), cookie(theirs)).problem == "invalid_request"
    site.clock.advance(-13)
    assert site.ask(cookie(ahead), bearer(ours)).who == "alice"
    assert site.ask(cookie(ahead), bearer(theirs)).who == "bob"
    assert site.ask(cookie(ahead), cookie(theirs)).who == "bob"
    assert site.ask(cookie(ahead)).who is None
    assert site.ask(bearer(ahead)).status == 401
