"""Each test runs on both stacks; those that name ``kind`` run with both token formats."""

from __future__ import annotations

from functools import partial
from typing import cast

import pytest
from tests.http.harness import MakeSite, Site, Stack, make_site


@pytest.fixture(params=["wsgi", "asgi"])
def stack(request: pytest.FixtureRequest) -> Stack:
    return cast(Stack, request.param)


@pytest.fixture
def kind() -> str:
    """The token format; a test overrides it where the format may matter."""
    return "opaque"


@pytest.fixture
def make(stack: Stack, kind: str) -> MakeSite:
    """Makes a site; middleware keywords in ``options``, the rest are the manager's."""
    return partial(make_site, stack, kind)


@pytest.fixture
def site(make: MakeSite) -> Site:
    return make()
