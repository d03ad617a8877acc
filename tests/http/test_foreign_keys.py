"""A token of our form and another key's: two workers that do not share a key are told so."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from tests.http.harness import KEY, MakeSite, Site, Way, bearer, cookie, make_site
from tests.tokens.conftest import pems, private_keys
from tests.tokens.forger import decode, encode

from sessiongate import JWTSessionManager, SessionManager
from sessiongate.reports.outages import Throttle
from sessiongate.testing import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable

both_ways = pytest.mark.parametrize("way", [cookie, bearer])


__all__ = ["pems", "private_keys"]  # fixtures


@pytest.fixture(params=["opaque", "jwt"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def theirs(make: MakeSite) -> str:
    """A token of a worker that made itself a random key."""
    return make(secret_key=None).open()


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The warnings since the last look."""
    found = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    caplog.clear()
    return found


@both_ways
def test_it_is_told_with_both_causes_and_no_part_of_the_token(
    make: MakeSite, theirs: str, way: Way, caplog: pytest.LogCaptureFixture
) -> None:
    site = make(logger=logging.getLogger("mine"))
    assert site.ask(way(theirs)).who is None
    assert {(r.name, r.levelname) for r in caplog.records if r.levelno >= logging.WARNING} == {
        ("mine", "WARNING")
    }
    (line,) = told(caplog)
    assert "random key: pass the same secret_key=…" in line
    assert "the key was changed: pass a list" in line
    assert not any(part in line for part in theirs.split("."))
    assert site.kinds() == [], "a stranger's token is no event"


@both_ways
def test_a_flood_is_one_line_a_minute(
    make: MakeSite, theirs: str, way: Way, caplog: pytest.LogCaptureFixture
) -> None:
    site, other = make(), make()
    for _ in range(100):
        site.ask(way(theirs))
    assert len(told(caplog)) == 1
    site.clock.advance(59)
    site.ask(way(theirs))
    assert told(caplog) == []
    other.ask(way(theirs))
    assert len(told(caplog)) == 1, "each manager tells for itself"
    site.clock.advance(1)
    for _ in range(3):
        site.ask(way(theirs), method="POST")
    assert len(told(caplog)) == 1
    site.clock.advance(-600)
    site.ask(way(theirs))
    assert len(told(caplog)) == 1, "a clock that was set back silences nothing"


def test_it_costs_no_store_call(make: MakeSite, theirs: str) -> None:
    site = make()
    for way in (cookie, bearer):
        site.ask(way(theirs))
    assert site.store.calls == 0


@both_ways
@pytest.mark.parametrize("keys", [["n" * 64, KEY], [KEY], KEY])
def test_a_key_that_is_listed_is_not_told_of(
    make: MakeSite, way: Way, keys: Any, caplog: pytest.LogCaptureFixture
) -> None:
    token = make(secret_key=KEY).open()
    site = make(secret_key=keys)
    site.ask(way(token))
    assert told(caplog) == []
    make(secret_key="n" * 64).ask(way(token))
    assert len(told(caplog)) == 1


OPAQUE_NOISE: dict[str, Callable[[str], str]] = {
    "cut": lambda token: token[:-1],
    "longer": lambda token: token + "0",
    "no prefix": lambda token: token[3:],
    "padded generation": lambda token: token.replace(".0.", ".00."),
    "other seal": lambda token: token[:-32] + "g" * 32,
    "twice": lambda token: token + token,
    "upper case": str.upper,
}
JWT_NOISE: dict[str, Callable[[str], str]] = {
    "cut": lambda token: token.rpartition(".")[0],
    "no signature": lambda token: token.rpartition(".")[0] + ".",
    "four parts": lambda token: token + ".x",
    "other issuer": lambda token: changed(token, iss="elsewhere"),
    "other audience": lambda token: changed(token, aud="another-client"),
    "more audiences": lambda token: changed(token, aud=["plantdb-client"]),
    "payload alone": lambda token: token.split(".")[1],
}


def changed(token: str, **claims: Any) -> str:
    """The token with other claims; its signature is not right any more."""
    header, payload, signature = token.split(".")
    body = json.dumps(json.loads(decode(payload)) | claims, separators=(",", ":"))
    return f"{header}.{encode(body.encode())}.{signature}"


@both_ways
def test_noise_is_not_told_of(
    make: MakeSite, kind: str, theirs: str, way: Way, caplog: pytest.LogCaptureFixture
) -> None:
    site = make()
    noise = OPAQUE_NOISE if kind == "opaque" else JWT_NOISE
    other = make_site("wsgi", "jwt" if kind == "opaque" else "opaque").open()
    for bad in ("forged", "sg_", "sg_x.0.y", "a.b.c", "eyJ.eyJ.x", "", "." * 4000, other):
        site.ask(way(bad))
    for name, change in noise.items():
        site.ask(way(change(theirs)))
        assert told(caplog) == [], name
    site.ask(way(theirs))
    assert len(told(caplog)) == 1


@pytest.mark.parametrize("kind", ["jwt"])
@both_ways
@pytest.mark.parametrize("change", [{"exp": 2**39}, {"iat": True}, {"nbf": 1}, {"jti": "x"}])
def test_a_jwt_of_our_key_is_not_told_of_whatever_it_claims(
    make: MakeSite, kind: str, way: Way, change: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert kind == "jwt"
    site = make()
    body = changed(site.open(), **change).rpartition(".")[0]
    token = f"{body}.{encode(hmac.digest(KEY.encode(), body.encode(), 'sha512'))}"
    site.ask(way(token))
    assert told(caplog) == []


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "EdDSA"])
@pytest.mark.parametrize("issuer", ["a", "ab", "abc", 'quo"ted', "schöne Grüße"])
@pytest.mark.parametrize("audience", ["a", "ab", "abc", "ünï"])
def test_a_jwt_of_another_algorithm_is_of_another_key(
    algorithm: str,
    issuer: str,
    audience: str,
    pems: dict[str, bytes],
    caplog: pytest.LogCaptureFixture,
) -> None:
    key = pems["Ed25519"] if algorithm == "EdDSA" else KEY
    names: dict[str, Any] = {"issuer": issuer, "audience": audience}
    before = JWTSessionManager(secret_key=key, algorithm=algorithm, **names)
    now = JWTSessionManager(secret_key=KEY, **names)
    for username in ("a", "bb", "ccc"):
        token = before.create_session(username)
        assert token is not None
        assert now.validate_session(token) is None
        assert JWTSessionManager(secret_key=KEY, **names).refresh_session(token) is None
    assert len(told(caplog)) == 4


@pytest.mark.parametrize("cls", [SessionManager, JWTSessionManager])
def test_each_verb_tells(cls: type[SessionManager], caplog: pytest.LogCaptureFixture) -> None:
    clock, token = ManualClock(), cls().create_session("alice") or ""
    m = cls(clock=clock)
    for verb in (m.validate_session, m.refresh_session, m.session_username, m.invalidate_session):
        verb(token)
        assert len(told(caplog)) == 1
        clock.advance(60)
    assert asyncio.run(m.avalidate_session(token)) is None
    assert len(told(caplog)) == 1


def test_of_many_threads_one_tells() -> None:
    throttle, together = Throttle(), threading.Barrier(8)

    def passes(at: int) -> bool:
        together.wait()
        return throttle.passes(at)

    with ThreadPoolExecutor(8) as pool:
        for now in range(0, 6_100_000_000, 61_000_000):
            # Each has read the clock a little earlier or later than the others.
            assert sum(pool.map(passes, [now + at for at in range(8)])) == 1


def test_a_worker_that_knows_the_key_says_nothing(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    ended = site.open()
    site.manager.invalidate_session(ended)
    for _ in range(3):
        site.ask(cookie(ended))
    assert told(caplog) == []
