"""What is no proof: one answer, nothing changed, and nobody logged out."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt import encode as jwt_encode
from tests.device_bound.device import HEADER, Device, jwk_of, signed
from tests.device_bound.playing import BOUND_FOR, Browser
from tests.http.harness import leave, set_cookies

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.http.harness import MakeSite, Response, Site

Make: TypeAlias = "Callable[[Device, str], str | None]"
"""What a device makes of a challenge."""

RSA = rsa.generate_private_key(65537, 2048)
TEXT = b"The proof does not count.\n"


def of_rsa(_: Device, challenge: str) -> str:
    jwk = {"kty": "RSA", "n": "AQAB" * 80, "e": "AQAB"}
    return jwt_encode({"jti": challenge}, RSA, "RS256", {"typ": "dbsc+jwt", "jwk": jwk})


ALWAYS: dict[str, Make] = {
    "none": lambda *_: None,
    "an empty one": lambda *_: "",
    "no JWT": lambda *_: "nonsense",
    "no challenge of ours": lambda device, _: signed(device.key, HEADER, {"jti": "x"}),
    "another algorithm": lambda device, c: device.registers(c, alg="HS256"),
    "no algorithm": lambda device, c: device.registers(c, alg="none").rpartition(".")[0] + ".",
    "RSA": of_rsa,
    "another kind of JWT": lambda device, c: device.registers(c, typ="JWT"),
    "a hostile size": lambda device, c: device.registers(c + "x" * 500_000),
    "a million dots": lambda *_: "." * 1_000_000,
    "two in one": lambda device, c: f"{device.registers(c)},{device.registers(c)}",
}
FIRST: dict[str, Make] = {
    "no key": lambda device, c: device.answers(c),
    "the key of another": lambda device, c: device.registers(c, jwk=jwk_of(Device().key)),
    "a key that is not on the curve": lambda device, c: device.registers(
        c, jwk=jwk_of(device.key) | {"x": "A" * 43}
    ),
}
LATER: dict[str, Make] = {
    "another key": lambda _, c: Device().answers(c),
    "a jwk where none belongs": lambda device, c: device.registers(c),
    "another key that it brings": lambda _, c: Device().registers(c),
}


def is_refusal(answer: Response, status: int) -> bool:
    return (answer.status, answer.body, set_cookies(answer)) == (status, TEXT, [])


@pytest.mark.parametrize("case", ALWAYS | FIRST)
def test_nothing_but_a_proof_binds(site: Site, case: str) -> None:
    browser = Browser(site)
    browser.log_in()
    assert browser.offered is not None
    path, challenge = browser.offered
    proof = (ALWAYS | FIRST)[case](browser.device, challenge)
    site.store.reset()
    assert is_refusal(browser.prove(path, proof, bare=False), 400)
    assert site.store.by_verb == {}
    assert site.kinds() == ["login"]
    assert browser.who == "alice"
    assert browser.bind().status == 200


@pytest.mark.parametrize("case", ALWAYS | LATER)
def test_nothing_but_a_proof_renews(site: Site, browser: Browser, case: str) -> None:
    challenge = browser.challenge or ""
    proof = (ALWAYS | LATER)[case](browser.device, challenge)
    answer = browser.prove(browser.instructions["refresh_url"], proof)
    assert is_refusal(answer, 403)
    assert answer.one("secure-session-challenge") is not None
    assert site.kinds() == ["login", "bound"]
    assert browser.who == "alice"
    assert browser.refresh().status == 200


def test_a_challenge_of_another_session_is_none(site: Site) -> None:
    one, other = Browser(site), Browser(site)
    one.log_in()
    other.log_in()
    assert one.offered is not None
    assert other.offered is not None
    # With the cookie of one, for the challenge of the other.
    proof = one.device.registers(other.offered[1])
    assert is_refusal(one.prove(one.offered[0], proof, bare=False), 400)
    one.bind()
    other.bind()
    proof = one.device.answers(other.challenge or "")
    assert is_refusal(one.prove(one.instructions["refresh_url"], proof), 403)
    proof = other.device.answers(other.challenge or "")
    assert is_refusal(one.prove(one.instructions["refresh_url"], proof), 403)
    assert other.refresh().status == one.refresh().status == 200


def test_a_proof_works_once(site: Site, browser: Browser) -> None:
    proof = browser.device.answers(browser.challenge or "")
    assert browser.refresh(proof=proof).status == 200
    token = browser.token
    for _ in range(2):
        assert is_refusal(browser.refresh(proof=proof), 403)
    assert browser.token == token
    assert browser.who == "alice"
    assert site.kinds() == ["login", "bound", "rotated"]


def test_a_binding_works_once(browser: Browser) -> None:
    assert is_refusal(browser.bind(), 400)
    assert browser.who == "alice"


def test_a_challenge_grows_old(site: Site, browser: Browser) -> None:
    site.clock.advance(2 * BOUND_FOR)
    answer = browser.refresh()
    assert is_refusal(answer, 403)
    assert browser.refresh().status == 200  # for the one that came with the refusal

    late = Browser(site)
    late.log_in()
    site.clock.advance(2 * BOUND_FOR)
    assert is_refusal(late.bind(), 400)
    assert late.who == "alice"


def test_what_binds_is_no_challenge_for_a_refresh(site: Site) -> None:
    browser = Browser(site)
    browser.log_in()
    assert browser.offered is not None
    challenge = browser.offered[1]
    browser.bind()
    assert is_refusal(browser.refresh(proof=browser.device.answers(challenge)), 403)
    assert browser.refresh().status == 200


def test_a_session_that_has_ended_is_over_for_each_proof(site: Site) -> None:
    unbound = Browser(site)
    unbound.log_in()
    unbound.ask(view=leave, method="POST")
    assert is_refusal(unbound.bind(bare=True), 400)
    assert unbound.who is None

    browser = Browser(site).logged_in()
    site.manager.invalidate_user_sessions("alice")
    answer = browser.refresh()
    assert (answer.status, b'"continue": false' in answer.body) == (200, True)
    assert set_cookies(answer) == []


def test_an_unbound_session_gives_no_challenge(site: Site) -> None:
    browser = Browser(site)
    browser.log_in()
    sid = (browser.token or "").removeprefix("sg_").partition(".")[0]
    answer = browser.prove(f"/.sessiongate/refresh/{sid}", None)
    assert (answer.status, b'"continue": false' in answer.body) == (200, True)
    assert answer.one("secure-session-challenge") is None
    unknown = browser.prove(f"/.sessiongate/refresh/{'A' * 22}", None)
    assert (unknown.status, unknown.one("secure-session-challenge")) == (200, None)


def test_a_session_that_has_rotated_meanwhile_is_not_bound(make: MakeSite) -> None:
    site = make(rotate_after=60)
    browser = Browser(site)
    browser.log_in()
    site.clock.advance(60)
    assert browser.ask().token
    assert is_refusal(browser.bind(), 400)
    assert browser.who == "alice"


@pytest.mark.parametrize("name", ["secure-session-response", "sec-session-response"])
@pytest.mark.parametrize("quote", ["", '"'])
def test_both_spellings_of_both_drafts_are_read(site: Site, name: str, quote: str) -> None:
    browser = Browser(site)
    browser.log_in()
    assert browser.offered is not None
    path, challenge = browser.offered
    spelt = name.encode(), f"{quote}{browser.device.registers(challenge)}{quote}".encode()
    assert browser.prove(path, None, spelt).status == 200


def test_two_proofs_that_differ_in_their_spelling_are_none(browser: Browser) -> None:
    proof = browser.device.answers(browser.challenge or "")
    older = (b"sec-session-response", proof.encode())
    assert is_refusal(browser.refresh(older, proof=proof), 403)
    assert browser.refresh().status == 200


def test_no_answer_ends_the_browsers_session(site: Site, browser: Browser) -> None:
    """A 401 or a 429 would; five refusals in a row are five new challenges."""
    for _ in range(5):
        answer = browser.prove(browser.instructions["refresh_url"], None)
        assert is_refusal(answer, 403)
        assert site.kinds()[2:] == []
    assert browser.refresh().status == 200
