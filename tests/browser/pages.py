"""What pages do: those of somebody else, with whatever a test writes, and their scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

__all__ = ["OPEN_WEBSOCKET", "anything", "page_at"]

OPEN_WEBSOCKET: Final = """url => new Promise(tell => {
  const socket = new WebSocket(url);
  socket.onopen = () => tell(true);
  socket.onclose = () => tell(false);
})"""
"""A script, given a URL: whether its websocket gets accepted."""


def anything(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """A site that shows the HTML which its query is."""
    start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
    return [unquote(environ["QUERY_STRING"]).encode()]


def page_at(site: str, html: str) -> str:
    """The address of such a page."""
    return f"{site}/?{quote(f'<!doctype html><title>Elsewhere</title>{html}')}"
