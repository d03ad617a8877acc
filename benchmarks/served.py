"""The apps that ``servers.py`` puts behind whole servers: bare, and the same behind us."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from flask import Flask
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from by_hand import by_hand
from requesting import SECRET, cookie
from sessiongate import SessionManager
from sessiongate.asgi import SessionAuthMiddleware as ASGIMiddleware
from sessiongate.stores import MemoryStore
from sessiongate.testing.commands import List, Open, execute
from sessiongate.wsgi import SessionAuthMiddleware as WSGIMiddleware

__all__ = ["COOKIES", "asgi_bare", "asgi_floor", "asgi_ours", "wsgi_bare", "wsgi_ours"]

_store: Final = MemoryStore()
_manager: Final = SessionManager(secret_key=SECRET, max_concurrent_sessions=None, store=_store)


def _open_for_everybody() -> str:
    """One session of the same name in each worker, whose memories are apart: its token."""
    _manager.create_session("alice")
    (row,) = execute(_store, List("alice", _manager.now()))
    known = replace(row, sid="a-session-of-everybody")
    execute(_store, Open(known, _manager.now(), "new", ((row.sid, None),), None, None, evict=False))
    return _manager.operations.codec.mint(known)


async def _view(_request: Any) -> PlainTextResponse:
    return PlainTextResponse("ok")


asgi_bare = Starlette(routes=[Route("/", _view)])
asgi_floor, (_, _floor_cookie) = by_hand(asgi_bare)
asgi_ours = ASGIMiddleware(asgi_bare, _manager)

wsgi_bare = Flask("bare")
wsgi_bare.get("/")(lambda: "ok")
wsgi_ours = WSGIMiddleware(wsgi_bare.wsgi_app, _manager)

_, _our_cookie = cookie(_open_for_everybody())
COOKIES: Final = {
    **dict.fromkeys(("asgi_bare", "asgi_ours", "wsgi_bare", "wsgi_ours"), _our_cookie.decode()),
    "asgi_floor": _floor_cookie.decode(),
}
"""What a client of each app sends."""
