"""A service token is no session here, whatever the manager, the way and the key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.http.harness import Site, bearer, cookie
from tests.machines.issuing import AUDIENCE, ISSUER, KEYS, issued, parts, service_tokens, signed
from tests.tokens.material import private_pem

from sessiongate import ConfigurationError

if TYPE_CHECKING:
    from tests.http.harness import MakeSite, Stack

SAME: dict[str, Any] = {
    "secret_key": private_pem(KEYS["ES256"]),
    "algorithm": "ES256",
    "issuer": ISSUER,
    "audience": AUDIENCE,
}
"""A manager that could not be more like the service tokens."""


@pytest.mark.parametrize("kind", ["opaque", "jwt"])
def test_the_middleware_takes_it_for_nobodys(site: Site) -> None:
    token = issued(site, service_tokens(), site.open())
    site.store.reset()
    by_bearer, by_cookie = site.ask(bearer(token)), site.ask(cookie(token))
    assert (by_bearer.who, by_bearer.problem) == (None, "invalid_token")
    assert (by_cookie.who, by_cookie.problem) == (None, None)  # a cookie that was not made here
    assert by_bearer.status == 401
    assert site.store.calls == 0


@pytest.mark.parametrize("kind", ["jwt"])
def test_not_even_a_manager_with_the_same_key_issuer_and_audience_takes_it(
    make: MakeSite,
) -> None:
    token, alike = issued(site := make(), service_tokens(), site.open()), make(**SAME)
    assert alike.ask(bearer(alike.open())).who == "alice"
    alike.store.reset()
    header, claims = parts(token)
    # As the manager writes them: all but typ, and the jti of a live session.
    (jti,) = alike.manager.sessions
    claims["jti"] = jti
    forged = signed(header, claims, KEYS["ES256"])
    for presented in (token, forged):
        assert alike.ask(bearer(presented)).problem == "invalid_token"
        assert alike.ask(cookie(presented)).who is None
        assert alike.manager.validate_session(presented) is None
        assert alike.manager.refresh_session(presented) is None
        assert alike.manager.invalidate_session(presented) == (False, None)
    assert alike.store.by_verb.get("read", 0) == 0
    taken = signed({**header, "typ": "JWT"}, claims, KEYS["ES256"])
    assert alike.manager.validate_session(taken) is not None  # nothing else was wrong


@pytest.mark.parametrize("kind", ["jwt"])
def test_the_same_key_for_both_is_refused(make: MakeSite) -> None:
    site = make(**SAME)
    for keys in ([KEYS["ES256"]], [KEYS["EdDSA"], KEYS["ES256"]]):
        with pytest.raises(ConfigurationError, match="private_key is also a key of"):
            issued(site, service_tokens(*keys), site.open())


@pytest.mark.parametrize("kind", ["jwt"])
def test_the_same_issuer_and_audience_with_another_key_are_harmless(make: MakeSite) -> None:
    site, tokens = make(**SAME), service_tokens(KEYS["EdDSA"])
    token = issued(site, tokens, site.open())
    assert site.ask(bearer(token)).problem == "invalid_token"


def test_the_handle_in_it_opens_nothing(stack: Stack, make: MakeSite) -> None:
    site = make()
    handle = parts(issued(site, service_tokens(), site.open()))[1]["sid"]
    assert stack in {"wsgi", "asgi"}
    for way in (bearer, cookie):
        assert site.ask(way(handle)).who is None
