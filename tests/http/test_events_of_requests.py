"""Each event of a request names how the client came, and why what ended did."""

from __future__ import annotations

from typing import Any

import pytest
from tests.http.harness import (
    Call,
    Header,
    MakeSite,
    Reply,
    Site,
    View,
    Way,
    bearer,
    cookie,
    leave,
    renew,
)

both_ways = pytest.mark.parametrize("way", [cookie, bearer])


def told(site: Site) -> list[tuple[str, str | None, str | None, str | None]]:
    """Kind, user, transport and reason of each event since the last look."""
    found = [(e.kind, e.username, e.transport, e.reason) for e in site.events]
    site.events.clear()
    return [(str(kind), *rest) for kind, *rest in found]  # type: ignore[misc]


def logging_in(username: str, **options: Any) -> View:
    async def view(call: Call) -> Reply:
        await call.login(username, **options)
        return Reply()

    return view


@pytest.mark.parametrize("transport", ["cookie", "bearer"])
def test_a_login_names_the_transport_that_it_chose(site: Site, transport: str) -> None:
    site.ask(view=logging_in("alice", transport=transport))
    assert told(site) == [("login", "alice", transport, "requested")]


@both_ways
def test_a_login_names_the_transport_of_its_request(site: Site, way: Way) -> None:
    held = site.open("bob")
    site.events.clear()
    site.ask(way(held), view=logging_in("alice"))
    transport = "cookie" if way is cookie else "bearer"
    assert told(site) == [
        ("logout", "bob", transport, "replaced"),
        ("login", "alice", transport, "requested"),
    ]


@both_ways
def test_the_other_verbs_name_the_transport(site: Site, way: Way) -> None:
    transport = "cookie" if way is cookie else "bearer"
    token = site.open()
    site.events.clear()
    site.clock.advance(1800)
    token = site.ask(way(token)).token or ""
    token = site.ask(way(token), view=renew).token or ""
    site.ask(way(token), view=leave)
    assert told(site) == [
        ("rotated", "alice", transport, "due"),
        ("rotated", "alice", transport, "refreshed"),
        ("logout", "alice", transport, "requested"),
    ]


def test_a_logout_of_a_session_that_is_nobodys_names_it_too(site: Site) -> None:
    """Of two live ones, and of a token that was just retired."""
    two: list[Header] = [cookie(site.open()), cookie(site.open())]
    old = site.open()
    site.manager.refresh_session(old)
    site.events.clear()
    for headers in (two, [cookie(old)]):
        site.ask(*headers, view=leave)
    assert told(site) == [("logout", "alice", "cookie", "requested")] * 3


@both_ways
def test_a_replay_names_the_transport(site: Site, way: Way) -> None:
    old = site.open()
    site.clock.advance(1800)
    site.ask(way(site.ask(way(old)).token))
    site.clock.advance(31)
    site.events.clear()
    site.ask(way(old))
    assert [(kind, transport) for kind, _, transport, _ in told(site)] == [
        ("replayed", "cookie" if way is cookie else "bearer")
    ]


@pytest.mark.parametrize("rule", ["max_concurrent_sessions", "max_sessions_per_user"])
def test_an_eviction_is_evicted_and_not_replaced(make: MakeSite, rule: str) -> None:
    site = make(**{rule: 2, "on_limit": "evict_oldest"})
    for _ in range(2):
        site.open()
        site.clock.advance(1)
    site.events.clear()
    site.ask(view=logging_in("alice"))
    assert told(site) == [
        ("logout", "alice", "cookie", "evicted"),
        ("login", "alice", "cookie", "requested"),
    ]


def test_what_a_login_replaces_is_replaced_also_at_a_limit(make: MakeSite) -> None:
    site = make(max_concurrent_sessions=2, on_limit="evict_oldest")
    held, _ = site.open("bob"), site.open("carol")
    site.events.clear()
    site.ask(cookie(held), view=logging_in("alice"))
    assert told(site) == [
        ("logout", "bob", "cookie", "replaced"),
        ("login", "alice", "cookie", "requested"),
    ]
