"""Requirement 2: each login and each change of privileges brings a new token; the old one dies.

OWASP ASVS 5.0, requirement 7.2.4. More of the verbs is in ``tests/http/test_verbs.py``.
"""

from __future__ import annotations

import sys
from typing import Any

import pytest
from tests.http.harness import Call, Reply, Site, Way, bearer, cookie, enter, renew

pytestmark = pytest.mark.parametrize("kind", ["opaque", "jwt"])

both_ways = pytest.mark.parametrize("way", [cookie, bearer])


@both_ways
def test_a_login_gets_a_token_that_nobody_had_before(site: Site, way: Way) -> None:
    tokens = [site.open()]
    for _ in range(3):
        tokens.append(site.ask(way(tokens[-1]), view=enter).token or "")
        assert site.ask(way(tokens[-1])).who == "alice"
        assert [site.ask(way(old)).who for old in tokens[:-1]] == [None] * len(tokens[:-1])
    assert len(set(tokens)) == 4


@both_ways
def test_more_scopes_are_a_new_token(site: Site, way: Way) -> None:
    plain = site.open()

    async def promote(call: Call) -> Reply:
        await call.login("alice", scopes=["admin"])
        return Reply()

    async def scopes(call: Call) -> Reply:
        return Reply(body=[" ".join(call.session.user.scopes).encode()])

    promoted = site.ask(way(plain), view=promote).token
    assert promoted not in {None, plain}
    assert site.ask(way(promoted), view=scopes).body == b"admin"
    assert site.ask(way(plain)).who is None
    renewed = site.ask(way(promoted), view=renew).token
    assert site.ask(way(renewed), view=scopes).body == b"admin"
    assert site.ask(way(promoted)).who is None


@pytest.mark.parametrize("end", ["\xe9", "\u20ac", "\uff10", "\U0001f511", "\xff", "\x80"])
def test_what_is_not_ascii_is_a_401_and_never_a_500(site: Site, end: str) -> None:
    token = site.open()
    site.store.reset()
    for bad in (token + end, token[:-1] + end, end + token, end, end * 40):
        assert site.ask(bearer(bad)).status == 401
        assert site.ask((b"authorization", b"Bearer " + bad.encode("utf-16"))).status in {400, 401}
        assert site.ask(cookie(bad)).who is None
        assert site.manager.validate_session(bad) is None
        assert bad not in site.manager.sessions
    assert site.store.calls == 0


def test_the_seal_is_compared_in_constant_time(site: Site) -> None:
    """With the function made for that, whichever byte is wrong."""
    token = site.open()
    calls: list[str] = []

    def note(_frame: Any, event: str, function: Any) -> None:
        if event == "c_call":
            calls.append(function.__name__)

    for at in (-2, -12, -30):
        wrong = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
        wrong = wrong if token.startswith("eyJ") else token[:at] + "x" + token[at + 1 :]
        calls.clear()
        before = sys.getprofile()
        sys.setprofile(note)
        try:
            assert site.manager.validate_session(wrong) is None
        finally:
            sys.setprofile(before)
        assert calls.count("compare_digest") == 1
