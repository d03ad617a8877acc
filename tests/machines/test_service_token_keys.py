"""The keys of service tokens: pairs only, each for its own algorithm, all published."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from tests.machines.issuing import AUDIENCE, ISSUER, KEYS, issued, parts, service_tokens
from tests.tokens.material import private_pem, public_pem

from sessiongate import ConfigurationError, ServiceTokens

if TYPE_CHECKING:
    from tests.http.harness import Site

PRIVATE_MEMBERS = {"d", "p", "q", "dp", "dq", "qi", "k"}


def verified(token: str, jwks: dict[str, Any]) -> Any:
    """The claims, by the one key of the set that the token names."""
    keys = {key.key_id: key for key in jwt.PyJWKSet.from_dict(jwks).keys}
    options: Any = {"verify_exp": False, "verify_iat": False}
    return jwt.decode(
        token, keys[parts(token)[0]["kid"]], audience=AUDIENCE, issuer=ISSUER, options=options
    )


@pytest.mark.parametrize("algorithm", KEYS)
@pytest.mark.parametrize("form", ["bytes", "text", "object"])
def test_each_key_signs_as_its_kind_does(site: Site, algorithm: str, form: str) -> None:
    key = KEYS[algorithm]
    forms = {"bytes": private_pem(key), "text": private_pem(key).decode(), "object": key}
    tokens = service_tokens(forms[form])
    token = issued(site, tokens, site.open())
    (public,) = tokens.jwks()["keys"]
    assert parts(token)[0]["alg"] == public["alg"] == algorithm
    assert public["use"] == "sig"
    assert not PRIVATE_MEMBERS & public.keys()
    assert verified(token, tokens.jwks())["sub"] == "alice"


@pytest.mark.parametrize("algorithm", ["RS512", "PS256"])
def test_another_algorithm_of_the_same_key_can_be_named(site: Site, algorithm: str) -> None:
    tokens = service_tokens(KEYS["RS256"], algorithm=algorithm)
    token = issued(site, tokens, site.open())
    assert parts(token)[0]["alg"] == algorithm
    assert verified(token, tokens.jwks())["sub"] == "alice"


def test_the_first_key_signs_and_all_are_published(site: Site) -> None:
    new, old, retired = KEYS["EdDSA"], KEYS["ES256"], public_pem(KEYS["RS256"])
    before, during = service_tokens(old), service_tokens(new, private_pem(old), retired, new)
    assert [key["alg"] for key in during.jwks()["keys"]] == ["EdDSA", "ES256", "RS256"]
    assert not any(PRIVATE_MEMBERS & key.keys() for key in during.jwks()["keys"])
    token = site.open()
    for tokens in (before, during):
        assert verified(issued(site, tokens, token), during.jwks())["sub"] == "alice"
    with pytest.raises(KeyError):
        verified(issued(site, before, token), service_tokens(new).jwks())


def test_what_is_published_is_a_copy() -> None:
    tokens = service_tokens()
    tokens.jwks()["keys"][0].clear()
    tokens.jwks()["keys"].clear()
    assert tokens.jwks()["keys"][0]["kty"] == "EC"


@pytest.mark.parametrize(
    ("key", "options", "why"),
    [
        ("s" * 64, {}, "must be a PEM key"),
        (b"s" * 64, {"algorithm": "HS256"}, "algorithm must be one of RS256"),
        (KEYS["ES256"], {"algorithm": "none"}, "algorithm must be one of"),
        (KEYS["ES256"], {"algorithm": "ES384"}, "private_key must be .* ES384"),
        (KEYS["ES256"], {"algorithm": "RS256"}, "private_key must be a PEM key that fits RS256"),
        (public_pem(KEYS["ES256"]), {}, "private_key must begin with a private key"),
        (None, {}, "private_key must be a PEM key"),
        (ec.generate_private_key(ec.SECP256K1()), {}, "private_key must be a PEM key.*P-256"),
        (rsa.generate_private_key(65537, 1024), {}, "private_key must be an RSA key of 2048"),
    ],
)
def test_any_other_key_is_refused(key: Any, options: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        service_tokens(key, **options)


def test_a_key_is_required() -> None:
    with pytest.raises(ConfigurationError, match="private_key must hold at least one key"):
        ServiceTokens([], issuer=ISSUER, client_id="web", audiences={})


def test_without_cryptography_the_extra_is_named() -> None:
    script = (
        "import sys; sys.modules['cryptography'] = None\n"
        "from sessiongate import ServiceTokens\n"
        "ServiceTokens('', issuer='i', client_id='c', audiences={})"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert "pip install 'sessiongate[crypto]'" in run.stderr
