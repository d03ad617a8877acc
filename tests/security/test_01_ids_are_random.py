"""Requirement 1: ids come from a CSPRNG, mean nothing, and only those that the server made count.

OWASP ASVS 5.0, section 7.2; RFC 6750, section 2.1, for the alphabet.
"""

from __future__ import annotations

import random
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from tests.http.harness import MakeSite, Site, Way, bearer, cookie, enter, show

pytestmark = pytest.mark.parametrize("kind", ["opaque", "jwt"])

B64TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
MANY = 1000


def ids(site: Site, username: str = "alice") -> list[bytes]:
    """The ids of sessions that were opened with the general generator in one state."""
    found = []
    for _ in range(MANY):
        random.seed(0)
        site.open(username)
        (event,) = site.events
        site.events.clear()
        assert event.session is not None
        found.append(urlsafe_b64decode(event.session + "=="))
    return found


def test_an_id_has_128_bits_that_nobody_foretells(site: Site) -> None:
    found = ids(site)
    assert {len(one) for one in found} == {16}
    assert len(set(found)) == MANY
    numbers = [int.from_bytes(one) for one in found]
    for bit in range(128):
        # Nine standard deviations: as good as never wrong, and a bit that stands still is seen.
        assert 350 < sum(number >> bit & 1 for number in numbers) < 650


def test_an_id_holds_nothing_of_its_user(site: Site) -> None:
    name = "alice@example.com"
    for encoded in (name.encode(), urlsafe_b64encode(name.encode())[:20]):
        assert not any(encoded[:12] in one for one in ids(site, name))


@pytest.mark.parametrize("way", [cookie, bearer])
def test_a_token_is_a_b64token(site: Site, way: Way) -> None:
    for username in ("alice", "Ägidius", 'a b;c="d",e'):
        token = site.open(username)
        assert B64TOKEN.fullmatch(token)
        assert site.ask(way(token)).who == username


@pytest.mark.parametrize("way", [cookie, bearer])
def test_an_id_that_no_row_has_makes_none(site: Site, make: MakeSite, way: Way) -> None:
    """Even where the seal is right: of a store that was lost, or of another one."""
    unknown = make().open()
    for view in (show, enter):
        site.ask(way(unknown), view=view)
        tokens = [event.session for event in site.events]
        assert len(tokens) == (1 if view is enter else 0)
    assert site.manager.n_active_sessions() == len(site.events)
    assert site.ask(way(unknown)).who is None
    assert all((event.session or "?") not in unknown for event in site.events)


def test_an_id_of_the_clients_own_is_not_taken(site: Site) -> None:
    for chosen in ("A" * 22, "sg_" + "A" * 22, "sg_" + "A" * 22 + ".0." + "0" * 32, "admin"):
        response = site.ask(cookie(chosen), view=enter)
        assert response.token
        assert chosen not in response.token
    assert site.manager.n_active_sessions() == 4
