"""Requirement 6: idle and absolute lifetime, both by the server's clock alone.

OWASP ASVS 5.0, requirements 7.3.1 and 7.3.2. The managers' side of it is in
``tests/managers/test_lifetimes.py``.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.http.harness import (
    MakeSite,
    Site,
    Way,
    attributes,
    bearer,
    cookie,
    enter,
    set_cookies,
)

from sessiongate import SessionCookie

both_kinds = pytest.mark.parametrize("kind", ["opaque", "jwt"])
both_ways = pytest.mark.parametrize("way", [cookie, bearer])


def is_over(site: Site, way: Way, token: str) -> bool:
    response = site.ask(way(token))
    problem = None if response.who else "invalid_token"
    assert (response.status, response.problem) == (200 if response.who else 401, problem)
    return response.who is None


@both_kinds
@both_ways
def test_dead_at_the_very_instant(make: MakeSite, way: Way) -> None:
    site = make(session_timeout=100, rotate_after=None)
    seen, unseen = site.open(), site.open()
    site.clock.advance(99.999)
    assert not is_over(site, way, seen)
    site.clock.advance(0.001)
    assert is_over(site, way, unseen)


@both_kinds
@both_ways
def test_a_clock_set_back_revives_nothing(make: MakeSite, way: Way) -> None:
    site = make(session_timeout=100, rotate_after=None)
    token = site.open()
    site.clock.advance(100)
    assert is_over(site, way, token)
    site.clock.advance(-50)
    assert is_over(site, way, token)
    assert site.manager.n_active_sessions() == 0


@both_kinds
@both_ways
def test_the_absolute_lifetime_ends_what_is_used_all_the_time(make: MakeSite, way: Way) -> None:
    site = make(session_timeout=100, max_lifetime=250)
    token = site.open()
    for _ in range(4):
        site.clock.advance(60)
        token = site.ask(way(token)).token or token
    assert not is_over(site, way, token)
    site.clock.advance(9.999)
    assert not is_over(site, way, token)
    site.clock.advance(0.001)
    assert is_over(site, way, token)


@both_kinds
def test_nothing_that_the_client_says_of_times_extends_anything(make: MakeSite) -> None:
    site = make(session_timeout=100, rotate_after=None)
    token = site.open()
    site.clock.advance(100)
    field = f"Max-Age=99999; __Host-session={token}; Max-Age=99999; Expires=Fri, 31 Dec 9999"
    dated = (b"date", b"Thu, 01 Jan 1970 00:00:00 GMT")
    since = (b"if-modified-since", b"Fri, 31 Dec 9999 23:59:59 GMT")
    assert site.ask((b"cookie", field.encode()), dated, since).who is None
    assert site.ask(bearer(token), dated, since).who is None


@pytest.mark.parametrize(
    ("timeout", "max_age"),
    [(3600, 3600), (90.5, 91), (timedelta(days=800), 400 * 86400)],
)
def test_a_persistent_cookie_lives_as_long_as_the_session(
    make: MakeSite, timeout: Any, max_age: int
) -> None:
    site = make(session_timeout=timeout, options={"cookie": SessionCookie(persistent=True)})
    (ours,) = set_cookies(site.ask(view=enter))
    assert f"Max-Age={max_age}" in attributes(ours)[1]


def test_a_persistent_cookie_ends_with_the_absolute_lifetime(make: MakeSite) -> None:
    site = make(
        session_timeout=100, max_lifetime=120, options={"cookie": SessionCookie(persistent=True)}
    )
    token = site.open()
    site.clock.advance(60)
    (ours,) = set_cookies(site.ask(cookie(token)))
    assert "Max-Age=60" in attributes(ours)[1]
