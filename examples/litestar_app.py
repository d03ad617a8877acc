"""Notes in Litestar: a page by cookie, an API by bearer token, and a websocket.

    uvicorn --app-dir examples --factory litestar_app:demo --port 8005

It prints a password; http://127.0.0.1:8005/schema shows the API. A logout, on whatever device,
closes the websocket.
"""
# Litestar reads the hints of handlers: so there is no `from __future__ import annotations` here.

import asyncio
import secrets
from typing import Any, Final

from litestar import Litestar, Request, WebSocket, get, post
from litestar import websocket as websocket_route
from litestar.datastructures import State
from litestar.response import Redirect, Template
from litestar.template import TemplateConfig

from sessiongate.http.request_session import RequestSession
from sessiongate.litestar import (
    SessionAuth,
    SessionRefused,
    User,
    login_required,
    login_user,
    logout_user,
    safe_redirect,
)
from sessiongate.stores import MemoryStore
from shared import COOKIE, FORBIDDEN, WRONG, Accounts, Services, Site, facts_of, make_manager

try:
    from litestar.plugins.jinja import JinjaTemplateEngine
except ImportError:  # before Litestar 2.22
    from litestar.contrib.jinja import JinjaTemplateEngine

Visit = Request[User, RequestSession, State]
"""A request whose ``user`` and ``auth`` are those of the plugin."""

PAGE: Final = """
<!doctype html><title>Notes</title>
{% if request.user.is_authenticated %}
<p>Hello, {{ request.user.username }}!</p>
<form method="post" action="/logout"><button>Log out</button></form>
{% else %}
<p role="alert">{{ error }}</p>
<form method="post" action="/login">
<input type="hidden" name="next" value="{{ next|e }}">
<label>Name <input name="username"></label>
<label>Password <input name="password" type="password"></label>
<button>Log in</button></form>
{% endif %}
"""


def page(status: int = 200, **context: Any) -> Template:
    """Render the page; ``request`` is in the context of each template."""
    return Template(template_str=PAGE, context=context, status_code=status, media_type="text/html")


@get("/login", name="login_form")
async def login_form(request: Visit) -> Template:
    """Show the login form."""
    return page(next=request.query_params.get("next", ""))


@post("/login")
async def login(request: Visit, state: State) -> Template | Redirect:
    """Check the password, and redirect to the page that the visitor wanted."""
    form = await request.form()
    username, way_back = str(form.get("username", "")), str(form.get("next", ""))
    # In a thread, because a password hash is slow on purpose and would block the loop.
    password = str(form.get("password", ""))
    account = await asyncio.to_thread(state.services.accounts.check, username, password)
    if account is None:
        return page(FORBIDDEN, error=WRONG, next=way_back)
    try:
        await login_user(request, username, scopes=account.scopes)
    except SessionRefused as refused:  # too many sessions, or another site sent the form
        return page(FORBIDDEN, error=refused.detail, next=way_back)
    return Redirect(safe_redirect(way_back), status_code=303)


@get("/", guards=[login_required(login_url="login_form")])
async def home() -> Template:
    """Greet the user."""
    return page()


@post("/logout")
async def logout(request: Visit) -> Redirect:
    """End the session, on the server and in the browser."""
    await logout_user(request)
    return Redirect("/login", status_code=303)


@get("/api/me", guards=[login_required(scopes=["notes:read"])])
async def me(request: Visit) -> dict[str, Any]:
    """The session of this request, for programs."""
    return facts_of(request.auth).as_json()


@websocket_route("/ws", guards=[login_required])
async def talk(socket: WebSocket[User, RequestSession, State]) -> None:
    """Answer each message with the name of the user."""
    await socket.accept()
    async for text in socket.iter_data("text"):
        await socket.send_text(f"{socket.user.username}: {text}")


def create_app(services: Services) -> Litestar:
    """Make the app. The plugin is all that it needs for sessions."""
    return Litestar(
        [login_form, login, home, logout, me, talk],
        plugins=[SessionAuth(services.manager, cookie=COOKIE)],
        template_config=TemplateConfig(engine=JinjaTemplateEngine, directory="."),
        state=State({"services": services}),
    )


def demo() -> Litestar:
    """Make the app with one user, for uvicorn. Its sessions end with the process."""
    accounts, password = Accounts(), secrets.token_urlsafe(9)
    accounts.add("alice", password, scopes=("notes:read",))
    print(f"\n  Log in as alice, password {password}\n", flush=True)
    manager = make_manager(MemoryStore(), secrets.token_urlsafe(64))
    return create_app(Services(manager, accounts, Site("Litestar", "", "", "")))
