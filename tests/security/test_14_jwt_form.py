"""Requirement 14: no JWT is accepted whose header and frame we would not have written ourselves.

RFC 8725, sections 3.1 to 3.5 and 3.10. By the verbs and by both middlewares alike.
"""

from __future__ import annotations

import hmac
import json
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from joserfc.jwe import JWERegistry
from joserfc.jwk import OctKey
from joserfc.jwt import encode as jwe_encode
from tests.tokens.forger import SECRET, Forger, decode, encode

from sessiongate import JWTSessionManager

if TYPE_CHECKING:
    from collections.abc import Callable

    from sessiongate.testing import ManualClock


@pytest.fixture
def forger(clock: ManualClock) -> Forger:
    return Forger(clock)


def refused(forger: Forger, token: object) -> bool:
    """Not accepted, by no verb, and the store was not asked."""
    m: Any = forger.manager
    return (
        not forger.accepts(token)
        and (m.session_username(token), m.refresh_session(token)) == (None, None)
        and m.invalidate_session(token) == (False, None)
        and forger.store.calls == 0
    )


@pytest.mark.parametrize(
    "alg", ["none", "None", "NONE", "nOnE", "none ", "", None, 0, [], ["HS512"]]
)
@pytest.mark.parametrize("signature", ["", "signed", "e30"])
def test_none_in_any_spelling(forger: Forger, alg: Any, signature: str) -> None:
    token = forger.with_header(forger.header | {"alg": alg})
    if signature != "signed":
        token = token.rpartition(".")[0] + "." + signature
    assert refused(forger, token)
    bare = {"alg": alg, "typ": "JWT"}
    assert refused(forger, forger.with_header(bare))


@pytest.mark.parametrize(
    ("alg", "digest"),
    [
        ("HS256", "sha256"),
        ("HS384", "sha384"),
        ("HS512", "sha256"),
        ("hs512", "sha512"),
        ("RS512", "sha512"),
        ("HS256", "sha512"),
    ],
)
def test_another_algorithm_with_the_same_secret(forger: Forger, alg: str, digest: str) -> None:
    assert refused(forger, forger.with_header(forger.header | {"alg": alg}, digest))


@pytest.mark.parametrize("alg", ["HS256", "HS384"])
def test_the_same_service_with_another_algorithm(forger: Forger, alg: str) -> None:
    assert refused(forger, jwt.encode(forger.payload, SECRET, alg, forger.header | {"alg": alg}))


EXTRA: dict[str, Any] = {
    "crit": ["exp"],
    "jwk": {"kty": "oct", "k": encode(SECRET.encode())},
    "jku": "https://attacker.example/jwks.json",
    "x5u": "https://attacker.example/cert.pem",
    "x5c": ["MIIB"],
    "x5t": "abc",
    "b64": False,
    "cty": "JWT",
    "zip": "DEF",
    "enc": "A256GCM",
    "nonce": "x",
    "": "",
}


@pytest.mark.parametrize("name", EXTRA)
def test_any_further_member(forger: Forger, name: str) -> None:
    assert refused(forger, forger.with_header(forger.header | {name: EXTRA[name]}))


@pytest.mark.parametrize("crit", [[], ["b64"], ["kid"], "exp", None])
def test_crit_in_any_form(forger: Forger, crit: Any) -> None:
    assert refused(forger, forger.with_header(forger.header | {"crit": crit}))


@pytest.mark.parametrize(
    "kid", ["", "other", "../../dev/null", "0' OR '1'='1", "x" * 5000, None, 5]
)
def test_an_unknown_kid(forger: Forger, kid: Any) -> None:
    assert refused(forger, forger.with_header(forger.header | {"kid": kid}))


@pytest.mark.parametrize("name", ["alg", "typ", "kid"])
def test_a_missing_member(forger: Forger, name: str) -> None:
    header = {key: value for key, value in forger.header.items() if key != name}
    assert refused(forger, forger.with_header(header))


@pytest.mark.parametrize("typ", ["jwt", "at+jwt", "JOSE", "application/jwt", None, 1])
def test_another_type(forger: Forger, typ: Any) -> None:
    assert refused(forger, forger.with_header(forger.header | {"typ": typ}))


HEADER_BYTES: dict[str, Callable[[bytes], bytes]] = {
    "space": lambda raw: b" " + raw,
    "newline": lambda raw: raw + b"\n",
    "BOM": lambda raw: b"\xef\xbb\xbf" + raw,
    "UTF-16": lambda raw: raw.decode().encode("utf-16"),
    "duplicate": lambda raw: raw[:-1] + b',"alg":"HS512"}',
    "duplicate first": lambda raw: b'{"alg":"none",' + raw[1:],
    "escaped": lambda raw: raw.replace(b'"alg"', b'"\\u0061lg"'),
    "list": lambda raw: b"[" + raw + b"]",
    "null": lambda _: b"null",
    "empty": lambda _: b"",
    "deep": lambda _: b"[" * 3000,
}


@pytest.mark.parametrize("change", HEADER_BYTES.values(), ids=HEADER_BYTES)
def test_another_spelling_of_the_header(forger: Forger, change: Callable[[bytes], bytes]) -> None:
    raw = json.dumps(forger.header, separators=(",", ":")).encode()
    assert forger.accepts(forger.with_header(raw))
    forger.store.reset()
    assert refused(forger, forger.with_header(change(raw)))


FRAMES: dict[str, Callable[[list[str]], str]] = {
    "two parts": lambda p: ".".join(p[:2]),
    "two parts and a dot": lambda p: ".".join([*p[:2], ""]),
    "four parts": lambda p: ".".join([*p, ""]),
    "four full parts": lambda p: ".".join([*p, p[2]]),
    "five parts": lambda p: ".".join([*p, p[1], p[2]]),
    "empty header": lambda p: ".".join(["", *p[1:]]),
    "empty payload": lambda p: ".".join([p[0], "", p[2]]),
    "padded": lambda p: ".".join(p) + "=",
    "padded twice": lambda p: ".".join(p) + "==",
    "padded header": lambda p: f"{p[0]}=.{p[1]}.{p[2]}",
    "padded payload": lambda p: f"{p[0]}.{p[1]}=.{p[2]}",
    "space before": lambda p: " " + ".".join(p),
    "space behind": lambda p: ".".join(p) + " ",
    "space inside": " . ".join,
    "newline behind": lambda p: ".".join(p) + "\n",
    "newline inside": lambda p: f"{p[0]}.{p[1]}.{p[2][:9]}\n{p[2][9:]}",
    "NUL": lambda p: ".".join(p) + "\0",
    "bearer": lambda p: "Bearer " + ".".join(p),
    "junk in base64": lambda p: f"{p[0]}.{p[1]}.{p[2][:9]}*{p[2][9:]}",
    "truncated": lambda p: ".".join(p)[:-1],
    "extended": lambda p: ".".join(p) + "A",
    "non-ASCII": lambda p: ".".join(p) + "é",
    "full width dot": "\uff0e".join,
    "a megabyte": lambda p: f"{p[0]}.{p[1]}." + "A" * 1_000_000,
    "a million dots": lambda _: "." * 1_000_000,
    "json serialisation": lambda p: json.dumps(
        dict(zip(("protected", "payload", "signature"), p, strict=True))
    ),
}


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_another_frame(forger: Forger, frame: Callable[[list[str]], str]) -> None:
    assert refused(forger, frame(forger.token.split(".")))


@pytest.mark.parametrize("part", [0, 1, 2])
def test_another_base64_of_the_same_bytes(forger: Forger, part: int) -> None:
    """The bits that the last character leaves over must be zero (RFC 4648, section 3.5)."""
    parts = forger.token.split(".")
    old, alphabet = (
        parts[part],
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".decode(),
    )
    same = [old[:-1] + c for c in alphabet if decode(old[:-1] + c) == decode(old)]
    for other in set(same) - {old}:
        assert refused(forger, ".".join([*parts[:part], other, *parts[part + 1 :]]))


def test_the_standard_base64_alphabet_is_another(forger: Forger) -> None:
    payload = json.dumps(forger.payload | {"x": "\u00ff?>~~~" * 9}, ensure_ascii=False).encode()
    assert set("-_") & set(encode(payload))
    token = forger.with_payload(payload)
    assert forger.accepts(token)
    forger.store.reset()
    assert refused(forger, token.replace("-", "+").replace("_", "/"))


def test_a_signature_of_something_else(forger: Forger) -> None:
    head, body, _ = forger.token.split(".")
    for signature in (encode(b"\0" * 64), encode(b""), encode(b"\0"), encode(SECRET.encode())):
        assert refused(forger, f"{head}.{body}.{signature}")


def test_a_nested_or_encrypted_token(forger: Forger) -> None:
    assert refused(forger, forger.with_payload(forger.token.encode()))
    assert refused(forger, forger.with_payload(json.dumps(forger.token).encode()))
    key = OctKey.import_key(SECRET[:32])
    registry = JWERegistry(algorithms=["dir", "A128CBC-HS256"])
    header = {"alg": "dir", "enc": "A128CBC-HS256", "kid": forger.header["kid"]}
    jwe = jwe_encode(header, forger.payload, key, registry=registry)
    assert jwe.count(".") == 4
    assert refused(forger, jwe)


def test_a_token_longer_than_a_header_line_is_not_even_decoded(forger: Forger) -> None:
    big = forger.with_payload(forger.payload | {"x": "y" * 8192})
    fits = forger.with_payload(forger.payload | {"x": "y" * 4096})
    assert refused(forger, big)
    assert forger.accepts(fits)


def test_a_public_key_is_no_hmac_secret_for_its_own_verifier(
    pems: dict[str, bytes], clock: ManualClock
) -> None:
    """The classic confusion: HS256 keyed with the public key, sent to an RS256 verifier."""
    m = JWTSessionManager(secret_key=pems["RSA"], algorithm="RS256", clock=clock)
    token = m.create_session("alice") or ""
    header, payload, _ = token.split(".")
    public = json.dumps(m.jwks()["keys"][0]).encode()
    for alg in ("HS256", "RS256"):
        forged = encode(json.dumps(json.loads(decode(header)) | {"alg": alg}).encode())
        body = f"{forged}.{payload}".encode()
        assert (
            m.validate_session(f"{body.decode()}.{encode(hmac.digest(public, body, 'sha256'))}")
            is None
        )
    assert m.session_username(token) == "alice"
