"""What we issue: exactly the claims promised, and other libraries accept it."""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from joserfc import jwt as jose
from joserfc.errors import SecurityWarning
from joserfc.jwk import KeySet, OctKey, import_key
from joserfc.jws import JWSRegistry
from tests.tokens.forger import SECRET, Forger, decode
from tests.tokens.material import KEY_OF, Private, public_pem

from sessiongate import JWTSessionManager

if TYPE_CHECKING:
    from sessiongate.testing import ManualClock

HMAC = ["HS256", "HS384", "HS512"]
NAMES: dict[str, Any] = {"issuer": "https://id.example.com", "audience": "api"}
KTY: dict[str, Any] = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
REQUIRED = ["iss", "sub", "aud", "exp", "iat", "jti"]


def by_pyjwt(token: str, key: Any, algorithm: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(
        token, key, [algorithm], {"require": REQUIRED, "strict_aud": True}, **NAMES
    )
    return claims


def by_joserfc(token: str, key: Any, algorithm: str) -> dict[str, Any]:
    registry = JWSRegistry(algorithms=[algorithm])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)  # of EdDSA, whose name RFC 9864 splits
        found = jose.decode(token, key, [algorithm], registry)
    rules = jose.JWTClaimsRegistry(
        iss={"essential": True, "value": NAMES["issuer"]},
        aud={"essential": True, "value": NAMES["audience"]},
        **{name: {"essential": True} for name in ("sub", "exp", "iat", "jti")},  # type: ignore[arg-type]
    )
    rules.validate(found.claims)
    return found.claims


@pytest.mark.parametrize("algorithm", HMAC)
def test_others_verify_with_the_shared_secret(algorithm: str, clock: ManualClock) -> None:
    m = JWTSessionManager(secret_key=SECRET, algorithm=algorithm, clock=clock, **NAMES)
    token = m.create_session("alice") or ""
    mine = m.validate_session(token)
    assert mine is not None
    assert mine["username"] == "alice"
    for claims in (
        by_pyjwt(token, SECRET, algorithm),
        by_joserfc(token, OctKey.import_key(SECRET), algorithm),
    ):
        assert claims == {
            "iss": NAMES["issuer"],
            "sub": "alice",
            "aud": NAMES["audience"],
            "exp": mine["expires_at"],
            "iat": mine["issued_at"],
            "jti": mine["jti"],
        }


@pytest.mark.parametrize("algorithm", KEY_OF)
def test_others_verify_with_the_public_key(
    algorithm: str, clock: ManualClock, pems: dict[str, bytes], private_keys: dict[str, Private]
) -> None:
    name = KEY_OF[algorithm]
    m = JWTSessionManager(secret_key=pems[name], algorithm=algorithm, clock=clock, **NAMES)
    token = m.create_session("alice") or ""
    assert m.session_username(token) == "alice"
    public = public_pem(private_keys[name])
    assert by_pyjwt(token, public, algorithm)["sub"] == "alice"
    assert by_joserfc(token, import_key(public, KTY[algorithm[:2]]), algorithm)["sub"] == "alice"


@pytest.mark.parametrize("algorithm", KEY_OF)
def test_the_exported_key_set_verifies(
    algorithm: str, clock: ManualClock, pems: dict[str, bytes]
) -> None:
    name = KEY_OF[algorithm]
    m = JWTSessionManager(secret_key=pems[name], algorithm=algorithm, clock=clock, **NAMES)
    exported = json.loads(json.dumps(m.jwks()))
    (key,) = exported["keys"]
    assert not key.keys() & {"d", "p", "q", "dp", "dq", "qi", "k"}
    assert (key["use"], key["alg"]) == ("sig", algorithm)
    token = m.create_session("alice") or ""
    assert by_joserfc(token, KeySet.import_key_set(exported), algorithm)["sub"] == "alice"
    resolved = jwt.PyJWKSet.from_dict(exported)[jwt.get_unverified_header(token)["kid"]]
    assert by_pyjwt(token, resolved, algorithm)["sub"] == "alice"
    assert import_key(key).thumbprint() == key["kid"]  # RFC 7638


def test_a_key_that_only_verifies_is_exported_as_well(pems: dict[str, bytes]) -> None:
    m = JWTSessionManager(secret_key=[pems["P-256"]], algorithm="ES256")
    assert len(m.jwks()["keys"]) == 1
    assert JWTSessionManager(secret_key=SECRET).jwks() == {"keys": []}


def test_the_header_says_no_more_than_it_must(clock: ManualClock) -> None:
    forger = Forger(clock)
    assert forger.header.keys() == {"alg", "typ", "kid"}
    assert (forger.header["alg"], forger.header["typ"]) == ("HS512", "JWT")
    assert SECRET not in forger.header["kid"]


def test_the_payload_is_exactly_what_is_promised(clock: ManualClock) -> None:
    m = JWTSessionManager(600, secret_key=SECRET, clock=clock)
    token = m.create_session("älice", scopes=["b", "a"], claims={"tenant": [1, None]}, device="x")
    payload = json.loads(decode((token or "").split(".")[1]))
    jti = payload.pop("jti")
    assert payload == {
        "iss": "plantdb-api",
        "sub": "älice",
        "aud": "plantdb-client",
        "exp": int(clock()) + 600,
        "iat": int(clock()),
        "scope": "a b",
        "tenant": [1, None],
    }
    assert len(jti) <= 256


def test_claims_of_any_depth_that_is_taken_are_read_again(clock: ManualClock) -> None:
    deep: Any = 1
    taken = 0
    for levels in range(1, 20):
        deep = [deep] if levels % 2 else {"a": deep}
        m = JWTSessionManager(secret_key=SECRET, clock=clock)
        try:
            token = m.create_session("alice", claims={"x": deep})
        except ValueError:
            break
        told = m.validate_session(token or "")
        assert told is not None
        assert told["x"] == deep
        taken = levels
    assert taken >= 10


def test_minting_is_a_function_of_the_session(clock: ManualClock) -> None:
    m = JWTSessionManager(secret_key=SECRET, clock=clock)
    token = m.create_session("alice")
    clock.advance(5)
    assert m.create_session("alice") == token


def test_what_is_too_large_for_a_header_line_is_refused_at_login(clock: ManualClock) -> None:
    m = JWTSessionManager(secret_key=SECRET, clock=clock)
    longest = m.create_session("\U0001f600" * 256, claims={"x": "y" * 1500})
    assert m.validate_session(longest or "") is not None
    with pytest.raises(ValueError, match="claims and scopes make a token of"):
        m.create_session("\U0001f600" * 256, claims={"x": "y" * 3900})


def test_a_revoked_or_refreshed_jwt_is_dead_though_its_signature_is_right(
    clock: ManualClock,
) -> None:
    m = JWTSessionManager(secret_key=SECRET, clock=clock, **NAMES)
    first = m.create_session("alice") or ""
    second = m.refresh_session(first) or ""
    m.invalidate_session(second)
    for token in (first, second):
        assert by_pyjwt(token, SECRET, "HS512")["sub"] == "alice"
        assert m.validate_session(token) is None
