"""The checkbox of the login form: who is still known when the browser is started again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect
from tests.browser.chromium import running_with_profile
from tests.examples.running_demo import Demo

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with Demo.start(tmp_path_factory.mktemp("demo")) as demo:
        yield demo


@pytest.mark.parametrize("stays", [True, False])
@pytest.mark.parametrize("framework", ["flask", "starlette"])
def test_a_restart_of_the_browser(
    demo: Demo, tmp_path: Path, framework: str, *, stays: bool
) -> None:
    account = f"{getattr(demo, framework)}/account"
    with running_with_profile(tmp_path) as visitor:
        tab = visitor.new_page()
        tab.goto(account)
        tab.get_by_label("Username").fill("alice")
        tab.get_by_label("Password").fill(demo.password)
        if stays:
            tab.get_by_label("Stay logged in").check()
        tab.get_by_role("button", name="Log in").click()
        expect(tab.get_by_role("heading", name="Hello, alice")).to_be_visible()
    with running_with_profile(tmp_path) as visitor:
        tab = visitor.new_page()
        tab.goto(account)
        heading = "Hello, alice" if stays else "Log in"
        expect(tab.get_by_role("heading", name=heading)).to_be_visible()
