"""The front end and the API of the guide, each on an origin of its own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect
from tests.browser.pages import anything, page_at
from tests.examples.documents import ROOT, blocks
from tests.servers.running import serving_asgi, serving_wsgi

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

pytestmark = pytest.mark.slow

GUIDE = ROOT / "docs/single-page-app.md"


def at_home(address: str) -> str:
    return "http://localhost:" + address.rpartition(":")[2]


def test_the_page_of_the_guide_logs_in_and_is_known_after_a_reload(visitor: BrowserContext) -> None:
    code = next(block.code for block in blocks(GUIDE) if block.name == "cookie")
    (page,) = re.findall(r"```html\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    with serving_wsgi(anything) as there:
        names: dict[str, Any] = {"__name__": "guide"}
        exec(code.replace("https://app.example.com", at_home(there)), names)
        with serving_asgi(names["app"]) as here:
            tab = visitor.new_page()
            html = page.replace("http://localhost:8000", at_home(here))
            tab.goto(page_at(at_home(there), html))
            expect(tab.locator("#who")).to_have_text("Who are you?")
            tab.get_by_label("Password").fill("open sesame")
            tab.get_by_role("button").click()
            expect(tab.locator("#who")).to_have_text("Hello, alice!")
            tab.reload()
            expect(tab.locator("#who")).to_have_text("Hello, alice!")
