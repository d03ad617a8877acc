"""A browser for each module, and as many visitors as a test wants."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from tests.browser.authority import Authority
from tests.browser.bound_sites import HOSTS, Sites
from tests.browser.certificate import self_signed
from tests.browser.chromium import LONG, running_chromium

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, BrowserContext


# Not for the whole run: until Playwright stops, asyncio takes its loop for the thread's own,
# and nobody's asyncio.run() works.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with running_chromium() as browser:
        yield browser


@pytest.fixture
def new_visitor(chromium: Browser) -> Iterator[Callable[[], BrowserContext]]:
    """Each has a browser profile of its own, and so cookies of their own."""
    visitors: list[BrowserContext] = []

    def make() -> BrowserContext:
        visitor = chromium.new_context(ignore_https_errors=True)
        visitor.set_default_timeout(LONG)
        visitors.append(visitor)
        return visitor

    yield make
    for visitor in visitors:
        visitor.close()


@pytest.fixture
def visitor(new_visitor: Callable[[], BrowserContext]) -> BrowserContext:
    return new_visitor()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    return self_signed(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def certified(authority: Authority) -> tuple[str, str]:
    """A certificate that the browsers of ``authority.home`` trust."""
    return authority.certify(HOSTS)


@pytest.fixture
def sites(certified: tuple[str, str]) -> Iterator[Sites]:
    """Sites whose sessions are bound; a module may have its own."""
    with ExitStack() as stack:
        yield Sites(stack, certified)
