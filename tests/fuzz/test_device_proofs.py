"""Whatever a proof or a challenge is: no exception, and only what was signed for us counts."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.device_bound.device import HEADER, Device, encode, jwk_of, signed

from sessiongate.core.row import SECOND
from sessiongate.device_bound.challenges import Challenges
from sessiongate.device_bound.fields import read_proof
from sessiongate.device_bound.proofs import Proofs

DEVICE = Device()
PROOFS = Proofs()
FIRST, LATER = DEVICE.registers("c"), DEVICE.answers("c")
NOW = 1_700_000_000 * SECOND
CHALLENGES = Challenges([b"k" * 64], valid_for=600 * SECOND)
OURS = CHALLENGES.issue("refresh", "A" * 22, 3, NOW)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
NAMES = st.sampled_from(["alg", "typ", "jwk", "crit", "kid", "b64", "x"])
MEMBERS = JSON | st.sampled_from(["ES256", "none", "HS256", "dbsc+jwt", "JWT", jwk_of(DEVICE.key)])
HEADERS = st.dictionaries(NAMES, MEMBERS, max_size=3).map(lambda some: {**HEADER, **some})
KEYS = st.dictionaries(
    st.sampled_from(["kty", "crv", "x", "y", "d"]),
    JSON | st.binary(max_size=33).map(encode) | st.sampled_from(["EC", "P-256"]),
    max_size=2,
).map(lambda some: {**jwk_of(DEVICE.key), **some})
EDITS = st.tuples(st.integers(0, 700), st.integers(0, 4), st.text("A.=é\n,\0", max_size=3))


@given(header=HEADERS, payload=JSON | st.binary(max_size=40) | st.just({"jti": "c"}))
def test_signed_nonsense_is_refused(header: dict[str, Any], payload: Any) -> None:
    text = signed(DEVICE.key, header, payload)
    later = PROOFS.read(text, registers=False)
    if later is not None:
        assert header == HEADER
        assert later.challenge == payload["jti"]
        assert PROOFS.verify(later, DEVICE.public)
    first = PROOFS.read(text, registers=True)
    if first is not None:
        assert header == {**HEADER, "jwk": jwk_of(DEVICE.key)}
        assert first.key == DEVICE.public


@given(jwk=KEYS)
def test_only_its_own_key_signs_a_registration(jwk: dict[str, Any]) -> None:
    proof = PROOFS.read(DEVICE.registers("c", jwk=jwk), registers=True)
    if proof is not None and PROOFS.verify(proof, proof.key):
        assert jwk == jwk_of(DEVICE.key)


@given(edit=EDITS, registers=st.booleans())
def test_an_altered_proof_is_refused(edit: tuple[int, int, str], registers: bool) -> None:  # noqa: FBT001
    good = FIRST if registers else LATER
    at, removed, added = edit
    text = good[:at] + added + good[at + removed :]
    proof = PROOFS.read(text, registers=registers)
    assert (proof is not None and PROOFS.verify(proof, DEVICE.public)) == (text == good)


@given(text=st.text(max_size=60), fields=st.lists(st.binary(max_size=40), max_size=3))
def test_any_text_is_read_without_an_error(text: str, fields: list[bytes]) -> None:
    assert PROOFS.read(text, registers=True) is None
    assert PROOFS.read(text, registers=False) is None
    assert CHALLENGES.read("refresh", text, NOW) is None
    found = read_proof(lambda name: fields if name == b"secure-session-response" else [])
    assert (found is None) == (not fields)
    assert not found or found.isascii()


@given(edit=EDITS)
def test_an_altered_challenge_is_none_of_ours(edit: tuple[int, int, str]) -> None:
    at, removed, added = edit
    text = OURS[:at] + added + OURS[at + removed :]
    found = CHALLENGES.read("refresh", text, NOW)
    assert found == (("A" * 22, 3) if text == OURS else None)
