"""The Starlette side of the demo: the same pages and API as in Flask, and a websocket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.status import HTTP_400_BAD_REQUEST
from starlette.templating import Jinja2Templates

from sessiongate.asgi import SessionAuthMiddleware
from sessiongate.devices.starlette import my_devices
from sessiongate.starlette import (
    current_user,
    login_required,
    login_user,
    logout_user,
    safe_redirect,
    user_context,
)
from shared import (
    FORBIDDEN,
    PAGE_HEADERS,
    STATIC,
    TEMPLATES,
    WRONG,
    Services,
    credentials_of,
    facts_of,
)

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection, Request
    from starlette.websockets import WebSocket

    from sessiongate.devices import DevicesPage
    from shared import Account

templates = Jinja2Templates(TEMPLATES, context_processors=[user_context])


def create_app(services: Services) -> Starlette:
    """Make the app. The middleware is all that it needs for sessions."""
    app = Starlette(
        routes=[
            Route("/", home),
            Route("/login", login_form, name="login_form"),
            Route("/login", login, methods=["POST"]),
            Route("/logout", logout, methods=["POST"]),
            Route("/account", account),
            *my_devices(login_url="login_form", render=devices, api_tokens=services.api_tokens),
            Route("/api/login", api_login, methods=["POST"]),
            Route("/api/me", api_me),
            Route("/api/logout", api_logout, methods=["POST"]),
            WebSocketRoute("/ws", websocket),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[
            Middleware(
                SessionAuthMiddleware,
                manager=services.manager,
                **services.middleware_options(),
            )
        ],
    )
    app.state.services = services
    return app


def our(connection: HTTPConnection) -> Services:
    """The services that this app was made with."""
    return cast("Services", connection.app.state.services)


def page(request: Request, template: str, status: int = 200, **context: Any) -> Response:
    """Render a page that says who you are: ``user_context`` gives it ``current_user``."""
    context["site"] = our(request).site
    return templates.TemplateResponse(request, template, context, status, PAGE_HEADERS)


async def check(request: Request, username: str, password: str) -> Account | None:
    """Check a password in a thread, because it is slow on purpose and would block the loop."""
    return await run_in_threadpool(our(request).accounts.check, username, password)


async def form_fields(request: Request, *names: str) -> list[str]:
    """The fields of a posted form; ``""`` if one is missing."""
    async with request.form() as form:
        return [str(form.get(name, "")) for name in names]


# The pages.


async def home(request: Request) -> Response:
    """For everybody."""
    return page(request, "home.html")


async def login_form(request: Request) -> Response:
    """Show the login form."""
    return page(request, "login.html", next=request.query_params.get("next", ""))


async def login(request: Request) -> Response:
    """Check the password, and redirect to the page that the visitor wanted."""
    username, password, way_back, remember = await form_fields(
        request, "username", "password", "next", "remember"
    )
    account = await check(request, username, password)
    if account is None:
        return page(request, "login.html", FORBIDDEN, error=WRONG, username=username, next=way_back)
    try:
        await login_user(request, username, scopes=account.scopes, remember=bool(remember))
    except HTTPException as refused:  # too many sessions, or another site sent the form
        error = refused.detail
        return page(request, "login.html", FORBIDDEN, error=error, username=username, next=way_back)
    return RedirectResponse(safe_redirect(way_back, "/account"), 303)


async def logout(request: Request) -> Response:
    """End the session, on the server and in the browser."""
    await logout_user(request)
    return RedirectResponse("/", 303)


@login_required(login_url="login_form")
async def account(request: Request) -> Response:
    """Show the session of this request."""
    facts = facts_of(request.scope["sessiongate"])
    return page(request, "account.html", facts=facts, websocket="/ws")


def devices(request: Request, found: DevicesPage) -> Response:
    """Show where this user is logged in, in the template of the demo."""
    return page(request, "devices.html", page=found)


# The API, for clients that keep a token themselves.


async def api_login(request: Request) -> Response:
    """Exchange a name and a password for a bearer token."""
    try:
        username, password = credentials_of(await request.json())
    except ValueError as error:
        raise HTTPException(HTTP_400_BAD_REQUEST) from error
    account = await check(request, username, password)
    if account is None:
        return JSONResponse({"error": WRONG}, FORBIDDEN)
    try:
        token = await login_user(request, username, scopes=account.scopes, transport="bearer")
    except HTTPException as refused:  # too many sessions
        return JSONResponse({"error": refused.detail}, refused.status_code)
    return JSONResponse({"token": token})


@login_required(scopes=["notes:read"])
async def api_me(request: Request) -> Response:
    """The account page, for programs. It names a scope, so API tokens may come as well."""
    return JSONResponse(facts_of(request.scope["sessiongate"]).as_json())


@login_required
async def api_logout(request: Request) -> Response:
    """End the session."""
    await logout_user(request)
    return Response(status_code=204)


# The websocket. Without a session it is refused before it is accepted.


@login_required
async def websocket(websocket: WebSocket) -> None:
    """Answer each message with the name of the user; a logout, on either app, closes it."""
    username = current_user(websocket).identity
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_json({"username": username, "text": text})
