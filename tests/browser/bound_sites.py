"""Sites whose sessions a browser may bind, over HTTPS that it trusts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.browser.pages import anything
from tests.http.brittle import BrittleStore
from tests.servers.running import serving_asgi, serving_wsgi
from tests.servers.sites import flask_site, starlette_site

from sessiongate import Event, SessionManager
from sessiongate.testing import ManualClock

if TYPE_CHECKING:
    from contextlib import ExitStack

    from playwright.sync_api import BrowserContext

__all__ = ["BOUND_FOR", "HOSTS", "OVER", "Sites"]

BOUND_FOR: Final = 600
OVER: Final = BOUND_FOR + 30
"""Seconds after a proof, from which on its cookie counts for nothing."""
HOSTS: Final = ("app.test", "evil.test", "one.site.test", "two.site.test")


class Sites:
    """One site under each stack, over one manager whose clock the test moves."""

    def __init__(self, stack: ExitStack, certificate: tuple[str, str]) -> None:
        self.clock, self.events, self.store = ManualClock(), list[Event](), BrittleStore()
        self.manager = SessionManager(
            session_timeout=7200,
            store=self.store,
            max_concurrent_sessions=None,
            secret_key="k" * 64,
            clock=self.clock,
            on_event=self.events.append,
        )
        sites = (
            serving_wsgi(flask_site(self.manager, device_bound=True), certificate),
            serving_asgi(starlette_site(self.manager, device_bound=True), certificate),
            serving_wsgi(anything, certificate),
        )
        self._ports = [stack.enter_context(site).rpartition(":")[2] for site in sites]

    def at(self, kind: str, host: str = "app.test") -> str:
        """The address of a site: ``"flask"``, ``"starlette"``, or somebody else's."""
        port = self._ports[("flask", "starlette", "anything").index(kind)]
        return f"https://{host}:{port}"

    def let_expire(self, visitor: BrowserContext) -> None:
        """Let the cookie be over, for the browser and for the server."""
        visitor.clear_cookies()
        self.clock.advance(OVER)

    def kinds(self) -> list[str]:
        found: list[str] = [event.kind for event in self.events]
        self.events.clear()
        return found
