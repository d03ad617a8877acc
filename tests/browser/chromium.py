"""The Chromium of this machine, driven by Playwright."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest
from playwright.sync_api import expect, sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext

__all__ = ["LONG", "cookies", "running_chromium", "running_with_profile", "version"]

LONG: Final = 60_000
"""Milliseconds, after which a test that hangs is a test that fails."""

_BINARIES: Final = ("chromium", "chromium-browser", "google-chrome")
_FLAGS: Final = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP *.test 127.0.0.1",  # a name reserved for tests, RFC 6761
)


def _binary() -> str:
    """Skip the test where there is no browser, or fail if there must be one."""
    for name in _BINARIES:
        if (path := shutil.which(name)) is not None:
            return path
    reason = f"needs a browser on the PATH: {', '.join(_BINARIES)}"
    if os.environ.get("SESSIONGATE_REQUIRE_BACKENDS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def running_chromium(home: Path | None = None, *flags: str) -> Iterator[Browser]:
    """One browser process, without a window and without a sandbox, which root cannot have.

    ``home``: where it finds whom it trusts; ``None``: as its user does.
    """
    binary = _binary()
    expect.set_options(timeout=LONG)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=binary,
            args=[*_FLAGS, *flags],
            env=_environment(home),
            chromium_sandbox=False,
            timeout=LONG,
            # Visitors have it, and it could show what a logout has hidden.
            ignore_default_args=["--disable-back-forward-cache"],
        )
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def running_with_profile(
    directory: Path, home: Path | None = None, *flags: str
) -> Iterator[BrowserContext]:
    """A browser whose profile is kept in a directory, as when a user starts it again."""
    binary = _binary()
    expect.set_options(timeout=LONG)
    with sync_playwright() as playwright:
        visitor = playwright.chromium.launch_persistent_context(
            directory,
            executable_path=binary,
            args=[*_FLAGS, *flags],
            env=_environment(home),
            chromium_sandbox=False,
            timeout=LONG,
        )
        visitor.set_default_timeout(LONG)
        try:
            yield visitor
        finally:
            visitor.close()


def version() -> int:
    """The first number of the browser's version, 0 where it says none."""
    said = subprocess.run([_binary(), "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"(\d+)\.\d", said.stdout)
    return 0 if found is None else int(found[1])


def _environment(home: Path | None) -> dict[str, str | float | bool]:
    return {**os.environ} if home is None else {**os.environ, "HOME": str(home)}


def cookies(visitor: BrowserContext) -> list[dict[str, Any]]:
    """What the browser keeps, with the attributes as it understood them."""
    return [dict(cookie) for cookie in visitor.cookies()]
