"""Requirement 7: a logout ends the session on the server: one, all of them, all but this one.

OWASP ASVS 5.0, requirements 7.4.1 and 7.4.3. Here as other requests see it; that it deletes the
cookie, repeats its attributes, is idempotent and no oracle: ``tests/http/test_verbs.py`` and
``test_09_cookie_attributes.py``; that it claims nothing in an outage: ``test_17_outages.py``.
"""

from __future__ import annotations

import pytest
from tests.http.harness import Call, Reply, Site, View, Way, bearer, cookie, leave

pytestmark = [
    pytest.mark.parametrize("kind", ["opaque", "jwt"]),
    pytest.mark.parametrize("way", [cookie, bearer]),
]


def ending(which: str, handle: str | None = None) -> View:
    """A view of the page that lists a user's devices."""

    async def view(call: Call) -> Reply:
        manager, username = call.site.manager, call.session.user.username or ""
        if which == "all":
            count = manager.invalidate_user_sessions(username)
        elif which == "all but this":
            count = manager.invalidate_user_sessions(username, keep=call.session.session)
        else:
            count = int(manager.invalidate_user_session(username, handle or ""))
        return Reply(body=[str(count).encode()])

    return view


def who(site: Site, way: Way, *tokens: str) -> list[str | None]:
    return [site.ask(way(token)).who for token in tokens]


def test_all_of_a_users_sessions(site: Site, way: Way) -> None:
    one, two, other = site.open(), site.open(), site.open("bob")
    assert site.ask(way(one), view=ending("all")).body == b"2"
    assert who(site, way, one, two, other) == [None, None, "bob"]


def test_all_but_this_one(site: Site, way: Way) -> None:
    here, there, other = site.open(), site.open(), site.open("bob")
    assert site.ask(way(here), view=ending("all but this")).body == b"1"
    assert who(site, way, here, there, other) == ["alice", None, "bob"]


def test_one_by_its_handle_and_of_this_user_only(site: Site, way: Way) -> None:
    here, there, other = site.open(), site.open(), site.open("bob")
    _, handle, foreign = (event.session for event in site.events)
    assert site.ask(way(here), view=ending("one", foreign)).body == b"0"
    assert site.ask(way(here), view=ending("one", handle)).body == b"1"
    assert site.ask(way(here), view=ending("one", handle)).body == b"0"
    assert who(site, way, here, there, other) == ["alice", None, "bob"]


def test_every_token_of_the_session(site: Site, way: Way) -> None:
    tokens = [site.open()]
    for _ in range(3):
        site.clock.advance(1800)
        tokens.append(site.ask(way(tokens[-1])).token or "")
    assert len(set(tokens)) == 4
    site.ask(way(tokens[-1]), view=leave)
    site.kinds()
    assert who(site, way, *tokens) == [None] * 4
    assert site.kinds() == [], "what is over is no replay"
