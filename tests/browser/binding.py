"""A Chromium that binds sessions to a key of its own, and what it says of them.

The key is one of software: that proves the protocol, and not that nobody can steal the key.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Final

import pytest
from playwright.sync_api import Error
from tests.browser.chromium import LONG, version

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

__all__ = ["FLAGS", "FLAGS_WITH_QUOTA", "Watched", "ask", "log_in", "log_in_or_skip", "who"]

_KEYS: Final = "EnableBoundSessionCredentialsSoftwareKeysForManualTesting"
FLAGS: Final = f"--enable-features=DeviceBoundSessions:RefreshQuota/false,{_KEYS}"
"""Either feature alone does nothing."""
FLAGS_WITH_QUOTA: Final = f"--enable-features=DeviceBoundSessions,{_KEYS}"
_KNOWN_TO_BIND: Final = 147
"""The version from which on every Chromium does."""

_ASK: Final = """async ([method, url]) => {
  const answer = await fetch(url, { method });
  return [answer.status, answer.ok ? await answer.json() : null];
}"""
_DETAILS: Final = {
    "creationEventDetails": ("created", "fetchResult"),
    "refreshEventDetails": ("refreshed", "refreshResult"),
    "terminationEventDetails": ("ended", "deletionReason"),
}


class Watched:
    """A tab, and what its browser says of bound sessions, such as ``("created", "Success")``."""

    def __init__(self, visitor: BrowserContext, url: str) -> None:
        self.tab: Page = visitor.new_page()
        self.tab.goto(url)
        self._seen: dict[str, tuple[str, str]] = {}
        devtools = visitor.new_cdp_session(self.tab)
        devtools.on("Network.deviceBoundSessionEventOccurred", self._note)
        devtools.send("Network.enable")
        devtools.send("Network.enableDeviceBoundSessions", {"enable": True})

    def _note(self, event: dict[str, Any]) -> None:
        for details, (what, result) in _DETAILS.items():
            if details in event:
                self._seen[event["eventId"]] = what, event[details][result]

    @property
    def events(self) -> list[tuple[str, str]]:
        """What was said, each once."""
        return list(self._seen.values())

    def wait_for(self, what: str, result: str, times: int = 1) -> None:
        """Return when that was said so often."""
        self.wait_until(lambda: self.events.count((what, result)) >= times)

    def wait_until(self, happened: Any) -> None:
        """Let the browser's messages in until something has happened."""
        until = time.monotonic() + LONG / 1000
        while not happened():
            assert time.monotonic() < until, self.events
            self.tab.wait_for_timeout(20)


def ask(tab: Page, path: str, method: str = "GET") -> Any:
    """The status and the JSON that a script of the page gets."""
    return tab.evaluate(_ASK, [method, path])


def log_in(watched: Watched, name: str = "alice") -> None:
    """Log in by a script, and wait until the session is bound."""
    bound = watched.events.count(("created", "Success"))
    assert ask(watched.tab, f"/login?username={name}", "POST")[0] == 200
    watched.wait_for("created", "Success", bound + 1)


def log_in_or_skip(visitor: BrowserContext, url: str) -> Watched:
    """The first login of a browser; where it binds no session, the test is skipped, loudly."""
    watched = Watched(visitor, url)
    try:
        log_in(watched)
    except (AssertionError, Error) as error:
        found = version()
        reason = f"Chromium {found} bound no session to its device: {error!r:.500}"
        if found >= _KNOWN_TO_BIND and os.environ.get("SESSIONGATE_REQUIRE_BACKENDS") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return watched


def who(tab: Page) -> str | None:
    name: str | None = ask(tab, "/who")[1]["username"]
    return name
