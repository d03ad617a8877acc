"""The apps that ``servers.py`` puts behind whole servers: bare, and the same behind us."""

from __future__ import annotations

from typing import Any, Final, cast

from flask import Flask
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from requesting import SECRET
from sessiongate import SessionManager
from sessiongate.asgi import SessionAuthMiddleware as ASGIMiddleware
from sessiongate.commands import List, Open
from sessiongate.flask import login_required as flask_login_required
from sessiongate.records import Row
from sessiongate.starlette import login_required as starlette_login_required
from sessiongate.stores import MemoryStore
from sessiongate.wsgi import SessionAuthMiddleware as WSGIMiddleware

__all__ = ["TOKEN", "asgi_bare", "asgi_ours", "wsgi_bare", "wsgi_ours"]

_store: Final = MemoryStore()
_manager: Final = SessionManager(secret_key=SECRET, max_concurrent_sessions=None, store=_store)


def _open_for_everybody() -> str:
    """One session of the same name in each worker, whose memories are apart: its token."""
    _manager.create_session("alice")
    (row,) = cast(tuple[Row, ...], _store.execute(List("alice", _manager.now())))
    known = row._replace(sid="a-session-of-everybody")
    _store.execute(Open(known, _manager.now(), "new", row.sid, None, None, evict=False))
    return _manager.flows.codec.mint(known)


TOKEN: Final = _open_for_everybody()


async def _bare(_request: Any) -> PlainTextResponse:
    return PlainTextResponse("ok")


@starlette_login_required
async def _ours(_request: Any) -> PlainTextResponse:
    return PlainTextResponse("ok")


asgi_bare = Starlette(routes=[Route("/", _bare)])
asgi_ours = ASGIMiddleware(Starlette(routes=[Route("/", _ours)]), _manager)

wsgi_bare = Flask("bare")
wsgi_bare.get("/")(lambda: "ok")

wsgi_ours = Flask("ours")
wsgi_ours.get("/")(flask_login_required(lambda: "ok"))
wsgi_ours.wsgi_app = WSGIMiddleware(wsgi_ours.wsgi_app, _manager)  # type: ignore[method-assign]
