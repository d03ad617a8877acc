"""The same for programs: JSON, by cookie or by bearer token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.devices.site import COOKIE, HTML

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.devices.site import Site

TRANSPORTS = pytest.mark.parametrize("transport", ["cookie", "bearer"])
NOBODY = "AAAAAAAAAAAAAAAAAAAAAA"
CURL = {"user_agent": "curl/8.10.1", "ip": "192.0.2.7"}


@TRANSPORTS
def test_it_lists_the_devices(site: Site, transport: str) -> None:
    site.clock.set(1_772_000_000)
    there = site.open(device="kiosk")
    here = site.open(device=CURL)
    site.open("bob")
    site.clock.advance(60)
    answer = site.ask("GET", "/devices/api", here, transport=transport)

    assert answer.status == 200
    mine, other = answer.json["devices"]
    assert mine == {
        "handle": site.handles()[1],
        "name": "curl",
        "ip": "192.0.2.7",
        "created_at": "2026-02-25T06:13:20+00:00",
        "last_accessed": "2026-02-25T06:14:20+00:00",
        "expires_at": "2026-02-25T07:14:20+00:00",
        "is_current": True,
        "is_remembered": False,
        "is_device_bound": False,
        "device": CURL,
    }
    assert (other["name"], other["ip"], other["is_current"]) == ("kiosk", None, False)
    assert there not in answer.text
    assert here not in answer.text


@TRANSPORTS
def test_it_ends_one(site: Site, transport: str) -> None:
    there, here = site.open(), site.open()
    path = f"/devices/api/{site.handles()[0]}"
    answer = site.ask("DELETE", path, here, transport=transport)
    assert (answer.status, answer.text) == (204, "")
    assert site.manager.validate_session(there) is None
    assert site.ask("DELETE", path, here, transport=transport).status == 404


@TRANSPORTS
def test_it_ends_all_others(site: Site, transport: str) -> None:
    here, there, bob = site.open(), site.open(), site.open("bob")
    answer = site.ask("POST", "/devices/api/end-others", here, transport=transport)
    assert (answer.status, answer.json) == (200, {"ended": 1})
    assert site.manager.validate_session(there) is None
    assert site.manager.validate_session(here)
    assert site.manager.validate_session(bob)


@TRANSPORTS
def test_ending_the_own_session_is_a_logout(site: Site, transport: str) -> None:
    here = site.open()
    answer = site.ask("DELETE", f"/devices/api/{site.handles()[0]}", here, transport=transport)
    assert answer.status == 204
    deleted = answer.headers.get("Set-Cookie", "").startswith(f"{COOKIE}=;")
    assert deleted == (transport == "cookie")
    assert site.manager.validate_session(here) is None


@TRANSPORTS
@pytest.mark.parametrize("which", [0, 1], ids=["own", "other"])
def test_the_event_of_it_names_the_transport(site: Site, transport: str, which: int) -> None:
    here, _ = site.open(), site.open()
    handle = site.handles()[which]
    site.events.clear()
    site.ask("DELETE", f"/devices/api/{handle}", here, transport=transport)
    (event,) = site.events
    assert (event.kind, event.username, event.session) == ("logout", "alice", handle)
    assert (event.transport, event.reason) == (transport, "requested")


@TRANSPORTS
@pytest.mark.parametrize("path", ["/devices/end-others", "/devices/api/end-others"])
def test_the_events_of_ending_all_others_name_the_transport(
    site: Site, transport: str, path: str
) -> None:
    here, *others = [site.open() for _ in range(3)]
    assert here
    handles = set(site.handles()[1:])
    site.events.clear()
    site.ask("POST", path, here, transport=transport)
    assert len(others) == len(site.events)
    assert {event.session for event in site.events} == handles
    for event in site.events:
        assert (event.kind, event.transport, event.reason) == ("logout", transport, "requested")


@pytest.mark.parametrize("handle", [NOBODY, "x", "end-others", "a" * 5000])
def test_unknown_and_somebody_elses_are_the_same(site: Site, handle: str) -> None:
    here, bob = site.open(), site.open("bob")
    unknown = site.ask("DELETE", f"/devices/api/{handle}", here)
    others = site.ask("DELETE", f"/devices/api/{site.handles('bob')[0]}", here)
    assert unknown.status == others.status == 404
    assert unknown.json == others.json == {"error": "There is no such device."}
    assert dict(unknown.headers) == dict(others.headers)
    assert site.manager.validate_session(bob)


def test_unknown_and_somebody_elses_cost_the_same(site: Site) -> None:
    here, _ = site.open(), site.open("bob")
    for handle in (NOBODY, site.handles("bob")[0]):
        assert site.cost("DELETE", f"/devices/api/{handle}", here) == {"read": 2}


def test_a_program_is_never_sent_to_a_login_page(make: Callable[..., Site]) -> None:
    site = make(login_url="/login")
    for method, path in (("GET", ""), ("DELETE", f"/{NOBODY}"), ("POST", "/end-others")):
        for headers in ({}, HTML):
            refused = site.ask(method, f"/devices/api{path}", **headers)
            assert refused.status == 401
            assert refused.headers["WWW-Authenticate"] == 'Bearer realm="sessiongate"'


def test_another_site_cannot_call_it(site: Site) -> None:
    here, there = site.open(), site.open()
    for method, end in (("DELETE", site.handles()[1]), ("POST", "end-others")):
        assert (
            site.ask(method, f"/devices/api/{end}", here, Sec_Fetch_Site="cross-site").status == 403
        )
    assert site.manager.validate_session(there)


def test_it_is_kept_by_no_cache_and_sniffed_by_nobody(site: Site) -> None:
    here = site.open(device={"name": "<script>alert(1)</script>"})
    answer = site.ask("GET", "/devices/api", here)
    assert answer.json["devices"][0]["name"] == "<script>alert(1)</script>"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
