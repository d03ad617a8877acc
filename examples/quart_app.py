"""Notes in Quart: pages by cookie, an API by bearer token, and a websocket.

    hypercorn --bind 127.0.0.1:8004 'quart_app:demo()'      # in examples/

It prints a password. A logout, on whatever device, closes the websocket.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import Final

from quart import Quart, redirect, render_template_string, request, url_for, websocket
from quart.typing import ResponseReturnValue  # noqa: TC002 - Quart reads the hints of views

from sessiongate.quart import (
    SessionRefused,
    current_session,
    current_user,
    install,
    login_required,
    login_user,
    logout_user,
    safe_redirect,
)
from sessiongate.stores import MemoryStore
from shared import COOKIE, FORBIDDEN, WRONG, Accounts, Services, Site, facts_of, make_manager

PAGE: Final = """
<!doctype html><title>Notes</title>
{% if current_user.is_authenticated %}
<p>Hello, {{ current_user.username }}!</p>
<form method="post" action="{{ url_for('logout') }}"><button>Log out</button></form>
{% else %}
<p role="alert">{{ error }}</p>
<form method="post" action="{{ url_for('login') }}">
<input type="hidden" name="next" value="{{ next }}">
<label>Name <input name="username"></label>
<label>Password <input name="password" type="password"></label>
<button>Log in</button></form>
{% endif %}
"""


def create_app(services: Services) -> Quart:
    """Make the app. ``install`` is all that it needs for sessions."""
    app = Quart(__name__)
    install(app, services.manager, cookie=COOKIE)

    @app.get("/login")
    async def login_form() -> ResponseReturnValue:
        return await render_template_string(PAGE, next=request.args.get("next", ""))

    @app.post("/login")
    async def login() -> ResponseReturnValue:
        form = await request.form
        username, way_back = form.get("username", ""), form.get("next", "")
        # In a thread, because a password hash is slow on purpose and would block the loop.
        account = await asyncio.to_thread(
            services.accounts.check, username, form.get("password", "")
        )
        if account is None:
            return await render_template_string(PAGE, error=WRONG, next=way_back), FORBIDDEN
        try:
            await login_user(username, scopes=account.scopes)
        except SessionRefused as refused:  # too many sessions, or another site sent the form
            error = refused.description
            return await render_template_string(PAGE, error=error, next=way_back), FORBIDDEN
        return redirect(safe_redirect(way_back, url_for("home")), 303)

    @app.get("/")
    @login_required(login_url="login_form")
    async def home() -> ResponseReturnValue:
        return await render_template_string(PAGE)

    @app.post("/logout")
    async def logout() -> ResponseReturnValue:
        await logout_user()
        return redirect(url_for("login_form"), 303)

    @app.get("/api/me")
    @login_required(scopes=["notes:read"])
    async def me() -> ResponseReturnValue:
        return facts_of(current_session()).as_json()

    @app.websocket("/ws")
    @login_required
    async def talk() -> None:
        while True:
            text = str(await websocket.receive())
            await websocket.send(f"{current_user.username}: {text}")

    return app


def demo() -> Quart:
    """Make the app with one user. Its sessions end with the process."""
    accounts, password = Accounts(), secrets.token_urlsafe(9)
    accounts.add("alice", password, scopes=("notes:read",))
    print(f"\n  Log in as alice, password {password}\n", flush=True)
    manager = make_manager(MemoryStore(), secrets.token_urlsafe(64))
    return create_app(Services(manager, accounts, Site("Quart", "", "", "")))
