"""Each test runs on Flask, on Starlette and on FastAPI."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

import pytest
from tests.devices.site import STACKS, Site, Stack, make_site

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(params=STACKS)
def stack(request: pytest.FixtureRequest) -> Stack:
    return cast(Stack, request.param)


@pytest.fixture
def make(stack: Stack) -> Callable[..., Site]:
    return partial(make_site, stack)


@pytest.fixture
def site(make: Callable[..., Site]) -> Site:
    return make()
