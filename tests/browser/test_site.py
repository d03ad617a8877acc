"""The documentation as a site: nothing for axe to complain about, nothing from elsewhere."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect
from tests.browser.chromium import LONG
from tests.examples.documents import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow


QUICK: Final[dict[str, Any]] = {"resultTypes": ["violations"], "preload": False, "iframes": False}
"""Leave out what axe could tell besides."""
COLOURS: Final[dict[str, Any]] = {"runOnly": {"type": "rule", "values": ["color-contrast"]}}


class Site(NamedTuple):
    address: str
    pages: list[str]


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any, **__: Any) -> None:
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Built from a copy, so that several runs do not meet."""
    here = tmp_path_factory.mktemp("site")
    for part in ("docs", "src"):
        shutil.copytree(ROOT / part, here / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "zensical.toml", here)
    scripts = sysconfig.get_path("scripts")  # Ruff formats the signatures
    built = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--strict"],
        cwd=here,
        env=os.environ | {"PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    root = here / "site"
    pages = [page.relative_to(root).as_posix() for page in sorted(root.rglob("*.html"))]
    handler = functools.partial(_Quiet, directory=root)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield Site(f"http://127.0.0.1:{server.server_port}", pages)
        server.shutdown()
        thread.join()


def open_tab(chromium: Browser, width: int, scheme: Literal["light", "dark"] = "light") -> Page:
    visitor = chromium.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, reduced_motion="reduce"
    )
    visitor.set_default_timeout(LONG)
    return visitor.new_page()


@pytest.mark.parametrize(
    ("width", "scheme", "rules"),
    [
        (1280, "light", {}),
        (1280, "dark", COLOURS),
        (360, "light", {"rules": {"color-contrast": {"enabled": False}}}),
    ],
)
def test_axe_finds_no_fault_on_any_page_in_light_or_dark(
    chromium: Browser, site: Site, width: int, scheme: Any, rules: dict[str, Any]
) -> None:
    """All rules, but each only where it can find something new: most do not look at colours."""
    axe, tab = Axe(), open_tab(chromium, width, scheme)
    asked: set[str] = set()
    tab.on("request", lambda request: asked.add(request.url))
    faults: list[str] = []
    for page in site.pages:
        tab.goto(f"{site.address}/{page}")
        found: Any = axe.run(tab, options=QUICK | rules).response["violations"]
        faults += [
            f"{page}: {fault['id']}: {node['target']}" for fault in found for node in fault["nodes"]
        ]
        if tab.evaluate("document.documentElement.scrollWidth > innerWidth"):
            faults.append(f"{page} scrolls sideways")
    tab.context.close()
    assert faults == []
    assert {url for url in asked if not url.startswith(site.address)} == set()


def test_the_search_finds_a_page(chromium: Browser, site: Site) -> None:
    tab = open_tab(chromium, 1280)
    tab.goto(site.address)
    tab.get_by_role("button", name="Search").click()
    tab.keyboard.type("rotate_after")
    result = tab.get_by_role("link", name="Configuration").first
    expect(result).to_be_visible()
    tab.context.close()


@pytest.mark.parametrize(
    ("scheme", "picture", "other", "charts"),
    [("light", "demo", "demo-dark", "none"), ("dark", "demo-dark", "demo", "invert")],
)
def test_pictures_are_dark_where_the_page_is(
    chromium: Browser, site: Site, scheme: Any, picture: str, other: str, charts: str
) -> None:
    tab = open_tab(chromium, 1280, scheme)
    tab.goto(site.address)
    expect(tab.locator(f"img[src$='/{picture}.png']")).to_be_visible()
    expect(tab.locator(f"img[src$='/{other}.png']")).to_be_hidden()
    tab.goto(f"{site.address}/costs/")
    expect(tab.locator("img[src$='.svg']").last).to_have_css("filter", re.compile(charts))
    tab.context.close()


def test_the_icon_is_that_of_the_demo() -> None:
    icon = Path("docs/images/icon.svg"), Path("examples/static/gate.svg")
    assert len({(ROOT / file).read_bytes() for file in icon}) == 1
