"""The pictures of the documents, taken from the running demo. To take them again:

python -m tests.browser.pictures
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

from playwright.sync_api import FloatRect
from tests.browser.chromium import running_chromium
from tests.examples.running_demo import Demo

IMAGES: Final = Path(__file__).parents[2] / "docs/images"
WIDTH: Final = 720


def main() -> None:
    """Log in to the Starlette half, use its websocket, and take the page in light and dark."""
    with (
        tempfile.TemporaryDirectory() as data,
        Demo.start(Path(data)) as demo,
        running_chromium() as browser,
    ):
        visitor = browser.new_context(
            viewport={"width": WIDTH, "height": 900}, device_scale_factor=2
        )
        tab = visitor.new_page()
        tab.goto(f"{demo.starlette}/account")
        tab.get_by_label("Username").fill("alice")
        tab.get_by_label("Password").fill(demo.password)
        tab.get_by_role("button", name="Log in").click()
        tab.get_by_role("button", name="Send").click()
        tab.get_by_role("status").filter(has_text="alice").wait_for()
        main = tab.locator("main").bounding_box()
        assert main is not None
        upper = FloatRect(x=0, y=0, width=WIDTH, height=main["y"] + main["height"])
        tab.screenshot(path=IMAGES / "demo.png", clip=upper)
        tab.emulate_media(color_scheme="dark")
        tab.screenshot(path=IMAGES / "demo-dark.png", clip=upper)


if __name__ == "__main__":
    main()
