"""Requirement 8: nothing but a login makes a row; no request in flight brings a session back.

Here for two processes over one store. Within one, for each verb and really at once:
``tests/http/test_verbs.py``; under every interleaving: ``tests/rotation``; with real servers:
``tests/servers/test_processes.py``.
"""

from __future__ import annotations

import pytest
from tests.http.harness import Call, MakeSite, Reply, Way, bearer, cookie, leave, renew

from sessiongate.stores import MemoryStore

pytestmark = [
    pytest.mark.parametrize("kind", ["opaque", "jwt"]),
    pytest.mark.parametrize("way", [cookie, bearer]),
]


@pytest.mark.parametrize("due", [True, False])
@pytest.mark.parametrize("then", ["nothing", "refresh", "logout"])
def test_a_logout_elsewhere_is_final_for_a_request_in_flight(
    make: MakeSite, way: Way, then: str, *, due: bool
) -> None:
    store = MemoryStore()
    here, there = make(store=store), make(store=store)
    token = here.open()
    for site in (here, there):
        site.clock.advance(1800 if due else 0)

    async def slow(call: Call) -> Reply:
        await there.aask(way(token), view=leave)
        assert call.session.user.username == "alice"
        if then == "refresh":
            assert await call.refresh() is None
        elif then == "logout":
            await call.logout()
        return Reply(body=[b"un", b"disturbed"])

    late = here.ask(way(token), view=slow)
    assert (late.status, late.body) == (200, b"undisturbed")
    for site in (here, there):
        assert site.manager.n_active_sessions() == 0
        for dead in {token, late.token or token}:
            assert site.ask(way(dead), view=renew).who is None
            assert site.ask(way(dead)).token is None
