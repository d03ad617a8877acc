"""A slow response must not roll a browser back, however short the life of a token is."""

from __future__ import annotations

import pytest
from tests.http.harness import Call, MakeSite, Reply, Response, Way, bearer, cookie, show


@pytest.mark.parametrize(
    "rules", [{"rotate_after": 0}, {"rotate_after": 5}, {"session_timeout": 20}]
)
@pytest.mark.parametrize("way", [cookie, bearer])
@pytest.mark.parametrize("kind", ["opaque", "jwt"])
def test_a_slow_response_brings_no_token_that_was_replaced_since(
    make: MakeSite, way: Way, rules: dict[str, float]
) -> None:
    site = make(**rules)
    held = site.open()

    def keep(response: Response) -> None:
        nonlocal held
        assert response.who == "alice"
        held = response.token or held

    async def slow(call: Call) -> Reply:
        for _ in range(4):
            site.clock.advance(7)
            keep(await call.meanwhile(way(held), view=show))
        return Reply()

    site.clock.advance(10)
    keep(site.ask(way(held), view=slow))
    keep(site.ask(way(held)))
    assert "replayed" not in site.kinds()
