"""Another service knows the user by a service token: PyJWT in Python, jose in Node, over HTTP."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import httpx
import jwt
import pytest
from tests.http.harness import make_site
from tests.machines.issuing import (
    AUDIENCE,
    ISSUER,
    KEYS,
    issued,
    parts,
    service_tokens,
    signed,
)
from tests.machines.verifiers import LANGUAGES, asked, installed, publishing, running
from tests.servers.running import serving_wsgi
from tests.tokens.material import public_pem

from service_tokens import web
from sessiongate import SessionManager

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.http.harness import Site

INVALID = (401, 'Bearer error="invalid_token"')
ALGORITHMS = ["ES256", "EdDSA", "RS256"]


@pytest.fixture(scope="module", params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    language: str = request.param
    return language


@pytest.fixture(scope="module")
def folder(language: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("service_tokens")
    return installed(folder) if language == "node" else folder


@pytest.fixture(scope="module")
def service(language: str, folder: Path) -> Iterator[str]:
    """One that trusts the keys of all three algorithms."""
    tokens = service_tokens(*(KEYS[algorithm] for algorithm in ALGORITHMS))
    with publishing(tokens) as jwks_url, running(language, folder, jwks_url) as url:
        yield url


@pytest.fixture
def now_site() -> Site:
    """A site whose clock shows the time, as that of the other service does."""
    site = make_site("wsgi", "opaque")
    site.clock.set(time.time())
    return site


@pytest.fixture
def token(now_site: Site) -> str:
    """A good one, by ES256."""
    return issued(now_site, service_tokens(), now_site.open(scopes=["read"]))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_it_knows_the_user(service: str, now_site: Site, algorithm: str) -> None:
    tokens = service_tokens(KEYS[algorithm])
    token = issued(now_site, tokens, now_site.open("Zoë", scopes=["read"]))
    assert asked(service, token) == (200, "Zoë")


def test_it_refuses_a_user_without_the_scope(service: str, now_site: Site) -> None:
    for scopes in ([], ["list"]):
        token = issued(now_site, service_tokens(), now_site.open(scopes=scopes))
        assert asked(service, token)[0] == 403


def test_it_asks_the_anonymous_for_a_token(service: str) -> None:
    assert asked(service, None) == (401, "Bearer")


def test_it_refuses_an_expired_one(service: str, now_site: Site) -> None:
    now_site.clock.advance(-121)
    token = issued(now_site, service_tokens(), now_site.open(scopes=["read"]))
    assert asked(service, token) == INVALID


@pytest.mark.parametrize(
    ("header", "claims"),
    [
        ({"typ": "JWT"}, {}),
        ({"typ": None}, {}),
        ({"typ": "dpop+jwt"}, {}),
        ({"kid": "another"}, {}),
        ({}, {"iss": "https://other.example"}),
        ({}, {"iss": None}),
        ({}, {"aud": "https://other.example"}),
        ({}, {"aud": None}),
        ({}, {"client_id": "other"}),
        ({}, {"client_id": None}),
        ({}, {"sub": None}),
        ({}, {"jti": None}),
        ({}, {"iat": None}),
        ({}, {"exp": None}),
    ],
)
def test_it_refuses_what_is_not_quite_one(
    service: str, token: str, header: dict[str, Any], claims: dict[str, Any]
) -> None:
    head, said = parts(token)
    assert asked(service, signed(head, said, KEYS["ES256"])) == (200, "alice")
    changed, payload = (
        {name: value for name, value in (old | new).items() if value is not None}
        for old, new in ((head, header), (said, claims))
    )
    assert asked(service, signed(changed, payload, KEYS["ES256"])) == INVALID


def test_it_refuses_a_forged_one(service: str, token: str) -> None:
    header, claims = parts(token)
    stranger, public = service_tokens(KEYS["ES384"]), public_pem(KEYS["ES256"])
    kid = stranger.jwks()["keys"][0]["kid"]
    forged = {
        "its signature": token[:-8] + "AAAAAAAA",
        "no signature": jwt.encode(claims, "", "none", {"typ": "at+jwt", "kid": header["kid"]}),
        "another key": signed(header | {"alg": "EdDSA"}, claims, KEYS["EdDSA"]),
        "a shared secret": signed(header | {"alg": "HS256"}, claims, public),
        "a stranger": signed(header | {"alg": "ES384", "kid": kid}, claims, KEYS["ES384"]),
    }
    for what, one in forged.items():
        assert asked(service, one) == INVALID, what


@pytest.mark.slow
def test_a_key_is_changed_without_a_refusal(
    language: str, folder: Path, now_site: Site, token: str
) -> None:
    """First the new key is published, then it signs; the old one goes last."""
    old, new = KEYS["ES256"], KEYS["EdDSA"]
    announced, changed, done = (
        service_tokens(old, new),
        service_tokens(new, public_pem(old)),
        service_tokens(new),
    )
    session = now_site.open(scopes=["read"])
    with publishing(announced) as jwks_url, running(language, folder, jwks_url) as url:
        assert asked(url, issued(now_site, announced, session)) == (200, "alice")
        # Its keys are cached now, and the new one is among them.
        assert asked(url, issued(now_site, changed, session)) == (200, "alice")
    with publishing(changed) as jwks_url, running(language, folder, jwks_url) as url:
        assert asked(url, issued(now_site, changed, session)) == (200, "alice")
        assert asked(url, token) == (200, "alice")
    with publishing(done) as jwks_url, running(language, folder, jwks_url) as url:
        assert asked(url, issued(now_site, done, session)) == (200, "alice")
        assert asked(url, token) == INVALID


def test_without_the_keys_it_says_nothing_of_the_user(
    language: str, folder: Path, token: str
) -> None:
    with publishing(service_tokens()) as jwks_url:
        pass  # and is gone
    with running(language, folder, jwks_url) as url:
        assert asked(url, token)[0] == 503


def test_the_whole_example_works(language: str, folder: Path) -> None:
    tokens = service_tokens(audiences={AUDIENCE: ["read"]})
    with (
        publishing(tokens) as jwks_url,
        running(language, folder, jwks_url) as reports_url,
        serving_wsgi(web.create_app(SessionManager(), tokens, reports_url)) as address,
        httpx.Client(base_url=f"http://{address}", trust_env=False) as browser,
    ):
        assert browser.get("/report").status_code == 401
        wrong = {"username": "alice", "password": "?"}
        assert browser.post("/login", data=wrong).status_code == 403
        browser.post("/login", data=wrong | {"password": "open sesame"}).raise_for_status()
        assert browser.get("/report").json()["user"] == "alice"
        assert ISSUER not in browser.get("/report").text
