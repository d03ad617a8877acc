"""What a request costs the store (promise 1)."""

from __future__ import annotations

import pytest
from tests.http.harness import Call, Header, Reply, Site, Way, bearer, cookie, enter, leave, renew

pytestmark = pytest.mark.parametrize("kind", ["opaque", "jwt"])

both_ways = pytest.mark.parametrize("way", [cookie, bearer])


async def look(call: Call) -> Reply:
    """All that a view may read of the handle."""
    handle, user = call.session, call.session.user
    assert (user.username, user.identity, user.display_name) == ("alice", "alice", "alice")
    assert user.info is not None
    assert (user.scopes, handle.transport in {"cookie", "bearer"}) == ((), True)
    assert None not in {handle.session, handle.age, handle.expires_at, handle.rotates_at}
    assert "alice" in repr(handle)
    return Reply()


def test_nobody_costs_nothing(site: Site) -> None:
    assert site.cost() == {}
    assert site.cost((b"cookie", b"a=1; b=2")) == {}
    assert site.cost((b"authorization", b"Basic YTpi")) == {}


@pytest.mark.parametrize(
    "header",
    [
        cookie(""),
        cookie("x"),
        cookie("a.b.c"),
        cookie("sg_AAAAAAAAAAAAAAAAAAAAAA.0.00000000000000000000000000000000"),
        cookie("eyJhbGciOiJub25lIn0.e30."),
        bearer("x"),
        bearer("sg_AAAAAAAAAAAAAAAAAAAAAA.0.00000000000000000000000000000000"),
        bearer("eyJhbGciOiJub25lIn0.e30."),
        (b"authorization", b"Bearer"),
        (b"authorization", b"Bearer a b"),
        (b"cookie", b"__Host-session=a; __Host-session=b"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_malformed_and_forged_cost_nothing(site: Site, header: Header, method: str) -> None:
    assert site.cost(header, method=method) == {}


def test_tokens_of_another_key_cost_nothing(site: Site) -> None:
    token = type(site.manager)(secret_key="o" * 64, clock=site.clock).create_session("alice")
    assert token is not None
    assert site.cost(cookie(token)) == {}
    assert site.cost(bearer(token)) == {}


@both_ways
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
def test_a_user_costs_one_read(site: Site, way: Way, method: str) -> None:
    assert site.cost(way(site.open()), view=look, method=method) == {"read": 1}


@both_ways
def test_a_rotation_costs_one_trip_more(site: Site, way: Way) -> None:
    token = site.open()
    site.clock.advance(1800)
    site.kinds()
    assert site.cost(way(token)) == {"read": 1, "swap": 1}
    assert site.kinds() == ["rotated"]
    assert site.cost(way(token)) == {"read": 1}, "the successor is there"


@both_ways
def test_the_ended_cost_one_read_and_the_expired_are_removed(site: Site, way: Way) -> None:
    ended, expired = site.open(), site.open()
    site.manager.invalidate_session(ended)
    site.clock.advance(3600)
    assert site.cost(way(ended)) == {"read": 1}
    assert site.cost(way(expired)) == {"read": 1, "swap": 1}
    assert site.cost(way(expired)) == {"read": 1}


def test_each_verb_costs_a_read_and_a_change(site: Site) -> None:
    assert site.cost(view=enter) == {"commit": 1}
    assert site.cost(view=leave) == {}
    assert site.cost(view=renew) == {}
    assert site.cost(cookie(site.open()), view=enter) == {"read": 2, "commit": 1}
    assert site.cost(cookie(site.open()), view=renew) == {"read": 2, "swap": 1}
    assert site.cost(cookie(site.open()), view=leave) == {"read": 2, "swap": 1}


def test_a_list_of_devices_costs_one_call(site: Site) -> None:
    token = site.open()

    async def devices(call: Call) -> Reply:
        assert len(call.site.manager.user_sessions("alice")) == 1
        return Reply()

    assert site.cost(cookie(token), view=devices) == {"read": 1, "of_user": 1}


def test_what_does_not_count_costs_nothing(site: Site) -> None:
    token = site.open()
    cross_site = (b"sec-fetch-site", b"cross-site")
    assert site.cost(cookie(token), cross_site, method="POST") == {}
    assert site.cost(cookie(token), bearer("forged")) == {}
    assert site.cost(cookie(token), bearer(site.open("bob"))) == {"read": 1}


def test_of_several_cookies_each_session_costs_one_call(site: Site) -> None:
    tokens = [site.open() for _ in range(5)]
    for token in tokens:
        site.manager.invalidate_session(token)
    dead = [cookie(token) for token in tokens]
    assert site.cost(*dead[:2]) == {"read": 2}
    assert site.cost(*dead[:2], cookie(site.open())) == {"read": 3}
    assert site.cost(*dead) == {"read": 4}, "a fifth is ignored"
    assert site.cost(*dead[:1], cookie("forged"), *dead[:1]) == {"read": 1}
