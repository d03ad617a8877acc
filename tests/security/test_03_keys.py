"""Requirement 3: what is no secret is refused where one is asked for, whatever it is wrapped in.

RFC 8725, sections 2.1 and 3.1: a public key that serves as an HMAC secret lets
anyone sign. The sizes of secrets: ``tests/managers/test_manager_keys.py``.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode, encodebytes, urlsafe_b64encode
from hashlib import sha512
from itertools import product
from typing import TYPE_CHECKING, Any, cast

import pytest
from tests.tokens.material import KEY_OF, Private, certificate, forms, public_pem

from sessiongate import ConfigurationError, JWTSessionManager, SessionManager

if TYPE_CHECKING:
    from collections.abc import Callable

FORMS = [
    *("PEM public", "PEM private", "PEM certificate"),
    *("DER public", "DER private", "DER certificate"),
    *("SSH public", "SSH private", "SSH line", "SSH host"),
    *("JWK", "JWK set", "JWK list"),
]
RSA_FORMS = ["PEM PKCS#1", "DER PKCS#1"]
EC_FORMS = ["PEM SEC 1", "DER SEC 1"]
MORE = {"RSA": RSA_FORMS, "P-256": EC_FORMS, "P-521": EC_FORMS}

WRAPPED: dict[str, Callable[[bytes], str | bytes]] = {
    "bytes": bytes,
    "newline": lambda raw: raw + b"\n",
    "newlines around": lambda raw: b"\r\n" + raw + b"\r\n",
    "base64": b64encode,
    "base64url without padding": lambda raw: urlsafe_b64encode(raw).rstrip(b"="),
    "base64 in lines": lambda raw: encodebytes(raw).decode(),
    "base64 with BOM": lambda raw: "\ufeff" + b64encode(raw).decode(),
}
TEXT_ONLY: dict[str, Callable[[bytes], str | bytes]] = {
    "text": bytes.decode,
    "BOM": lambda raw: "\ufeff" + raw.decode(),
    "BOM behind space": lambda raw: b" \xef\xbb\xbf" + raw,
    "CRLF": lambda raw: raw.replace(b"\n", b"\r\n"),
    "stripped": bytes.strip,
}


def is_refused(secret: str | bytes) -> bool:
    """By both managers, alone and behind a right one."""
    for cls, given in product((SessionManager, JWTSessionManager), (secret, ["s" * 64, secret])):
        try:
            cls(secret_key=given)
        except ConfigurationError as error:
            if re.search(r"secret_key looks like .*shared secret", str(error)):
                continue
        return False
    return True


@pytest.mark.parametrize(
    ("key", "form"),
    [
        (key, form)
        for key in ("RSA", "P-256", "P-521", "Ed25519")
        for form in (*FORMS, *MORE.get(key, ()))
    ],
)
def test_key_material_is_no_secret(key: str, form: str, private_keys: dict[str, Private]) -> None:
    material = forms(private_keys[key])[form]
    wraps = WRAPPED | ({} if form.startswith("DER") else TEXT_ONLY)
    assert [name for name, wrap in wraps.items() if not is_refused(wrap(material))] == []


@pytest.mark.parametrize("algorithm", KEY_OF)
@pytest.mark.parametrize("given", ["s" * 64, b"s" * 64, None, 5, {"kty": "RSA"}, "", "-----BEGIN"])
def test_a_secret_is_no_asymmetric_key(algorithm: str, given: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"secret_key must be a PEM key that fits"):
        JWTSessionManager(secret_key=given, algorithm=algorithm)


@pytest.mark.parametrize("algorithm", KEY_OF)
def test_each_algorithm_takes_its_own_kind_of_key_only(
    algorithm: str, pems: dict[str, bytes]
) -> None:
    taken = []
    for name, pem in pems.items():
        try:
            JWTSessionManager(secret_key=pem, algorithm=algorithm)
        except ConfigurationError as error:
            assert "secret_key must be" in str(error)  # noqa: PT017 - some are to be taken
        else:
            taken.append(name)
    assert taken == [KEY_OF[algorithm]]


def test_a_small_rsa_key_is_told_what_it_lacks(pems: dict[str, bytes]) -> None:
    with pytest.raises(ConfigurationError, match="2048 bits or more"):
        JWTSessionManager(secret_key=pems["RSA-1024"], algorithm="RS256")


@pytest.mark.parametrize("algorithm", KEY_OF)
def test_the_first_key_must_be_private(
    algorithm: str, private_keys: dict[str, Private], pems: dict[str, bytes]
) -> None:
    name = KEY_OF[algorithm]
    public = public_pem(private_keys[name])
    for keys in (public, [public], [public, pems[name]]):
        with pytest.raises(ConfigurationError, match="must begin with a private key"):
            JWTSessionManager(secret_key=keys, algorithm=algorithm)
    JWTSessionManager(secret_key=[pems[name], public], algorithm=algorithm)


def test_secrets_and_public_keys_are_never_mixed(pems: dict[str, bytes]) -> None:
    for keys, algorithm in ((["s" * 64, pems["RSA"]], "HS512"), ([pems["RSA"], "s" * 64], "RS256")):
        with pytest.raises(ConfigurationError):
            JWTSessionManager(secret_key=keys, algorithm=algorithm)


def test_keys_of_two_kinds_are_never_mixed(pems: dict[str, bytes]) -> None:
    with pytest.raises(ConfigurationError):
        JWTSessionManager(secret_key=[pems["P-256"], pems["P-384"]], algorithm="ES256")


@pytest.mark.parametrize("cls", [SessionManager, JWTSessionManager])
@pytest.mark.parametrize("form", ["object", "public object", "certificate", "JWK", "JWK set"])
def test_a_key_as_an_object_is_no_secret(
    cls: type[SessionManager], form: str, private_keys: dict[str, Private]
) -> None:
    for name in ("RSA", "P-256", "Ed25519"):
        key = private_keys[name]
        jwk = json.loads(forms(key)["JWK"])
        objects: dict[str, Any] = {
            "object": key,
            "public object": key.public_key(),
            "certificate": certificate(key),
            "JWK": jwk,
            "JWK set": {"keys": [jwk]},
        }
        for given in (objects[form], ["s" * 64, objects[form]]):
            with pytest.raises(TypeError, match="secret_key must be str or bytes"):
                cls(secret_key=given)


@pytest.mark.parametrize("cls", [SessionManager, JWTSessionManager])
@pytest.mark.parametrize("given", ["", b"", " ", "\n", b"\t \r\n", [], (), ["s" * 64, ""]])
def test_an_empty_key_is_none(cls: type[SessionManager], given: Any) -> None:
    with pytest.raises(ConfigurationError, match="secret_key must"):
        cls(secret_key=given)


def test_secrets_that_look_a_little_alike_are_taken() -> None:
    """Base64 of random bytes is what most secrets are."""
    for seed in range(2000):
        raw = sha512(b"%d" % seed).digest()
        for secret in (raw, b64encode(raw), urlsafe_b64encode(raw), b"\x30\x3e" + raw[:62]):
            SessionManager(secret_key=secret)
    for text in ("MIIB" * 16, "LS0tLS1" * 10, "AAAAB3" * 12, "ssh" + "x" * 64, "keys: " + "k" * 64):
        SessionManager(secret_key=text)


@pytest.mark.parametrize(
    "algorithm",
    ["none", "None", "", "HS1", "hs256", "HS256 ", "ES256K", "dir", None, 5],
)
def test_an_algorithm_is_one_of_the_list(algorithm: Any) -> None:
    given: Any
    for given in (algorithm, [algorithm], ["HS256", "RS256"]):
        with pytest.raises(ConfigurationError, match="algorithm must be one of"):
            JWTSessionManager(secret_key="s" * 64, algorithm=given)


TIMES = [
    "session_timeout",
    "max_lifetime",
    "rotate_after",
    "rotation_grace",
    "touch_every",
    "leeway",
]


@pytest.mark.parametrize("name", [*TIMES, "leeway"])
@pytest.mark.parametrize("value", [-1, -0.001, float("nan"), float("inf"), -float("inf"), 10**12])
def test_times_are_finite_and_not_negative(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} must be"):
        JWTSessionManager(secret_key="s" * 64, **cast(Any, {name: value}))
