"""Each test runs on both stacks, under a middleware that binds sessions."""

from __future__ import annotations

from typing import Any, cast

import pytest
from tests.device_bound.playing import Browser
from tests.http.harness import MakeSite, Site, Stack, make_site


@pytest.fixture(params=["wsgi", "asgi"])
def stack(request: pytest.FixtureRequest) -> Stack:
    return cast(Stack, request.param)


@pytest.fixture
def make(stack: Stack) -> MakeSite:
    """Makes a site; middleware keywords in ``options``, the rest are the manager's."""

    def made(options: dict[str, Any] | None = None, **rules: Any) -> Site:
        return make_site(
            stack, "opaque", options={"device_bound": True, **(options or {})}, **rules
        )

    return made


@pytest.fixture
def site(make: MakeSite) -> Site:
    return make()


@pytest.fixture
def browser(site: Site) -> Browser:
    """One that is logged in, and whose session is bound."""
    return Browser(site).logged_in()
