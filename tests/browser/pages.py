"""What pages do: those of somebody else, with whatever a test writes, and their scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

    from playwright.sync_api import Page

__all__ = ["OPEN_WEBSOCKET", "anything", "page_at", "sticking_out"]

OPEN_WEBSOCKET: Final = """url => new Promise(tell => {
  const socket = new WebSocket(url);
  socket.onopen = () => tell(true);
  socket.onclose = () => tell(false);
})"""
"""A script, given a URL: whether its websocket gets accepted."""


_STICKING_OUT: Final = """() => {
  const wide = document.documentElement.clientWidth;
  const out = [...document.querySelectorAll("main, main *, header *, footer *, nav *")]
    .filter(one => !one.closest("pre") && one.getBoundingClientRect().right > wide + 0.5)
    .map(one => one.tagName);
  return document.documentElement.scrollWidth > wide ? ["page", ...out] : out;
}"""


def sticking_out(tab: Page) -> Any:
    """What is cut at the right edge or makes the page scroll; ``<pre>`` may scroll itself."""
    return tab.evaluate(_STICKING_OUT)


def anything(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """A site that shows the HTML which its query is."""
    start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
    return [unquote(environ["QUERY_STRING"]).encode()]


def page_at(site: str, html: str) -> str:
    """The address of such a page."""
    return f"{site}/?{quote(f'<!doctype html><title>Elsewhere</title>{html}')}"
