"""What is no secret is refused where a secret is asked for, whatever it is wrapped in.

RFC 8725, sections 2.1 and 3.1: a public key that serves as an HMAC secret lets
anyone sign.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.tokens.material import KEY_OF, Private, forms, public_pem

from sessiongate import ConfigurationError, JWTSessionManager, SessionManager

if TYPE_CHECKING:
    from collections.abc import Callable

FORMS = [
    *("PEM public", "PEM private", "PEM certificate"),
    *("DER public", "DER private", "DER certificate"),
    *("SSH public", "SSH private", "JWK", "JWK set", "JWK list"),
]
RSA_FORMS = ["PEM PKCS#1", "DER PKCS#1"]

WRAPPED: dict[str, Callable[[bytes], str | bytes]] = {
    "bytes": bytes,
    "text": lambda raw: raw.decode("latin-1"),
    "newline": lambda raw: raw + b"\n",
    "newline before": lambda raw: b"\r\n" + raw,
    "newlines after": lambda raw: raw + b"\r\n\n",
}
TEXT_ONLY: dict[str, Callable[[bytes], str | bytes]] = {
    "BOM": lambda raw: b"\xef\xbb\xbf" + raw,
    "BOM in text": lambda raw: "\ufeff" + raw.decode(),
    "UTF-16": lambda raw: raw.decode().encode("utf-16"),
    "UTF-16-LE": lambda raw: raw.decode().encode("utf-16-le"),
    "UTF-16-BE": lambda raw: raw.decode().encode("utf-16-be"),
    "without newline": lambda raw: raw.rstrip(b"\n"),
    "CRLF": lambda raw: raw.replace(b"\n", b"\r\n"),
}


def _cases() -> list[Any]:
    return [
        pytest.param(key, form, wrap, id=f"{key}, {form}, {name}")
        for key in ("RSA", "P-256", "P-521", "Ed25519")
        for form in (*FORMS, *(RSA_FORMS if key == "RSA" else ()))
        for name, wrap in (WRAPPED | ({} if form.startswith("DER") else TEXT_ONLY)).items()
    ]


@pytest.mark.parametrize("cls", [SessionManager, JWTSessionManager])
@pytest.mark.parametrize(("key", "form", "wrap"), _cases())
def test_key_material_is_no_secret(
    cls: type[SessionManager],
    key: str,
    form: str,
    wrap: Callable[[bytes], str | bytes],
    private_keys: dict[str, Private],
) -> None:
    material = wrap(forms(private_keys[key])[form])
    for given in (material, ["s" * 64, material]):
        with pytest.raises(ConfigurationError, match=r"secret_key looks like .*shared secret"):
            cls(secret_key=given)


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
