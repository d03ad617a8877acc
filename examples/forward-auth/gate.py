"""The gate: the login page, the logout, and what the proxies ask."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import HTMLResponse, RedirectResponse
from starlette.routing import Mount, Route

from sessiongate.asgi import SessionAuthMiddleware
from sessiongate.forward import ForwardAuth
from sessiongate.starlette import login_user, logout_user, safe_redirect
from shared import COOKIE, FORBIDDEN, PAGE_HEADERS, WRONG, Accounts

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from sessiongate import ServiceTokens, SessionManager

FORM = """<!doctype html><html lang="en"><title>Log in</title>
<p role="alert">{error}</p>
<form method="post">
  <input type="hidden" name="next" value="{next}">
  <label>Username <input name="username" autocomplete="username"></label>
  <label>Password <input name="password" type="password" autocomplete="current-password"></label>
  <button>Log in</button>
</form>
<form method="post" action="/logout"><button>Log out</button></form>
"""


def create_app(
    manager: SessionManager, accounts: Accounts, service_tokens: ServiceTokens
) -> Starlette:
    """Make the app. ``/verify`` stands outside of the middleware, for it has its own."""
    verify = ForwardAuth(manager, cookie=COOKIE, service_tokens=service_tokens)
    pages = Starlette(
        routes=[
            Route("/login", login_form),
            Route("/login", login, methods=["POST"]),
            Route("/logout", logout, methods=["POST"]),
        ],
        middleware=[Middleware(SessionAuthMiddleware, manager=manager, cookie=COOKIE)],
    )
    pages.state.accounts = accounts
    return Starlette(routes=[Route("/verify", verify), Mount("/", pages)])


def form(way_back: str, error: str = "", status: int = 200) -> Response:
    """The login page."""
    shown = FORM.format(error=escape(error), next=escape(way_back))
    return HTMLResponse(shown, status, PAGE_HEADERS)


async def login_form(request: Request) -> Response:
    """Ask for name and password."""
    return form(request.query_params.get("next", ""))


async def login(request: Request) -> Response:
    """Log in, and send the visitor back to where the proxy stopped them."""
    sent = {name: str(value) for name, value in (await request.form()).items()}
    username, way_back = sent.get("username", ""), sent.get("next", "")
    accounts: Accounts = request.app.state.accounts
    account = await run_in_threadpool(accounts.check, username, sent.get("password", ""))
    if account is None:
        return form(way_back, WRONG, FORBIDDEN)
    try:
        await login_user(request, username, scopes=account.scopes)
    except HTTPException as refused:  # too many sessions, or another site sent the form
        return form(way_back, refused.detail, FORBIDDEN)
    return RedirectResponse(safe_redirect(way_back), 303)


async def logout(request: Request) -> Response:
    """Log out."""
    await logout_user(request)
    return RedirectResponse("/login", 303)
