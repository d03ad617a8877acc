"""What is kept of a client when somebody logs in: as much as a page needs, whatever came."""

from __future__ import annotations

import gc
import json
from typing import TYPE_CHECKING, Any
from weakref import finalize

import pytest
from tests.http.harness import Reply, cookie

if TYPE_CHECKING:
    from tests.http.harness import Call, MakeSite, Site, View

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def logging_in(**options: Any) -> View:
    async def view(call: Call) -> Reply:
        await call.login("alice", **options)
        return Reply()

    return view


def peer(site: Site, address: str | None) -> dict[str, Any]:
    """The place where a server puts the address of its peer."""
    if site.stack == "asgi":
        return {"client": None if address is None else (address, 50000)}
    return {"REMOTE_ADDR": address or ""}


def recorded(site: Site, *agents: bytes, address: str | None = "192.0.2.7", **options: Any) -> Any:
    headers = [(b"user-agent", agent) for agent in agents]
    site.ask(*headers, view=logging_in(**options), **peer(site, address))
    return site.manager.user_sessions("alice")[-1]["device"]


def test_user_agent_and_ip_are_recorded_by_themselves(site: Site) -> None:
    assert recorded(site, FIREFOX.encode()) == {"user_agent": FIREFOX, "ip": "192.0.2.7"}


def test_what_is_not_known_is_left_out(site: Site) -> None:
    assert recorded(site) == {"ip": "192.0.2.7"}
    assert recorded(site, b"curl/8", address=None) == {"user_agent": "curl/8"}
    assert recorded(site, b" \x00 ", address=None) is None


def test_what_the_app_says_wins(site: Site) -> None:
    assert recorded(site, b"curl/8", device={"name": "phone"}) == {"name": "phone"}
    assert recorded(site, b"curl/8", device={}) == {}


def test_it_can_be_turned_off(make: MakeSite) -> None:
    site = make(options={"record_device": False})
    assert recorded(site, b"curl/8") is None
    assert recorded(site, b"curl/8", device={"name": "phone"}) == {"name": "phone"}


def test_a_second_login_records_where_it_was_made(site: Site) -> None:
    token = site.open(device={"name": "another"})
    site.ask(cookie(token), (b"user-agent", b"curl/8"), view=logging_in(), **peer(site, None))
    (session,) = site.manager.user_sessions("alice")
    assert session["device"] == {"user_agent": "curl/8"}


def test_nobody_can_write_the_address_into_a_header(site: Site) -> None:
    forged = [
        (name, b"198.51.100.1")
        for name in (b"x-forwarded-for", b"forwarded", b"x-real-ip", b"remote-addr")
    ]
    site.ask(*forged, view=logging_in(), **peer(site, "192.0.2.7"))
    assert site.manager.user_sessions("alice")[0]["device"] == {"ip": "192.0.2.7"}


@pytest.mark.parametrize(
    ("agent", "kept"),
    [
        (b"a\x00b\x1b[31mc", "a b [31mc"),
        (b"a\r\n\tb", "a b"),
        ("\u202eevil\u2028line".encode(), "evil line"),
        ("Gerät 🙂".encode(), "Gerät 🙂"),
        (b"caf\xe9", "caf\ufffd"),
        (b"<script>", "<script>"),
    ],
)
def test_hostile_bytes_become_plain_text(site: Site, agent: bytes, kept: str) -> None:
    assert recorded(site, agent, address=None) == {"user_agent": kept}


@pytest.mark.parametrize("unit", [b"x", "é".encode(), "🙂".encode(), b"\xff", b'"', b"\\"])
def test_a_huge_one_is_cut_and_fits_into_every_row(site: Site, unit: bytes) -> None:
    kept = recorded(site, unit * 100_000, address="2001:db8::1")
    assert len(kept["user_agent"]) == 256
    assert len(json.dumps(kept)) <= 4096


@pytest.mark.parametrize("stack", ["wsgi"])
@pytest.mark.parametrize(
    ("agent", "kept"), [("Gerät 名前 🙂", "Ger\ufffdt ?? ?"), ("\ud800", "?")], ids=ascii
)
def test_one_beyond_latin_1_is_no_500(site: Site, agent: str, kept: str) -> None:
    """No server puts it into an environ (PEP 3333), but test clients do."""
    place: dict[str, Any] = {"HTTP_USER_AGENT": agent}
    assert site.ask(view=logging_in(), **place).status == 200
    assert site.manager.user_sessions("alice")[0]["device"] == {"user_agent": kept}


def test_both_stacks_join_several_user_agents_alike(site: Site) -> None:
    assert recorded(site, b"one", b"two", address=None) == {"user_agent": "one,two"}


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("2001:DB8:0::1", "2001:db8::1"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::1"),
        ("fe80::1%<b>", "fe80::1"),
    ],
)
def test_an_address_has_one_spelling(site: Site, address: str, kept: str) -> None:
    assert recorded(site, address=address) == {"ip": kept}


@pytest.mark.parametrize("address", ["", "testclient", "/run/app.sock", "<b>", "1.2.3.4, 5.6.7.8"])
def test_what_is_no_address_is_left_out(site: Site, address: str) -> None:
    assert recorded(site, address=address) is None


def test_a_request_is_gone_when_it_is_answered(site: Site) -> None:
    """No environ, no scope waits for the garbage collector."""

    class Witness:
        """Dies with the request that it was put into."""

    freed: list[str] = []

    async def look(_call: Call) -> Reply:
        return Reply()

    def ask() -> None:
        witness = Witness()
        finalize(witness, freed.append, "now")
        places: dict[str, Any] = {"test.witness": witness}
        site.ask(cookie(site.open()), view=look, **places)

    gc.disable()
    try:
        ask()
        assert freed == ["now"]
    finally:
        gc.enable()
