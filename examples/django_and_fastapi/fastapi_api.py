"""The API: FastAPI, which knows whoever is logged in at the site, and may log in itself."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, FastAPI, Request, WebSocket

from django_and_fastapi.common import COOKIE, manager
from sessiongate.asgi import SessionAuthMiddleware
from sessiongate.fastapi import CurrentUser, User, login_required, login_user, logout_user

__all__ = ["app"]

app = FastAPI()
app.add_middleware(SessionAuthMiddleware, manager=manager, cookie=COOKIE)


@app.get("/me")
async def me(user: CurrentUser) -> str:
    """Say who it is."""
    return f"FastAPI knows {user.username}"


@app.post("/notes")
async def write(
    user: Annotated[User, Depends(login_required(scopes=["notes:write"]))],
) -> str:
    """Do what only some may: scopes come from Django's login."""
    return f"{user.username} may write"


@app.post("/login")
async def login(request: Request) -> None:
    """Log in, after your own check; Django looks the user up by name."""
    await login_user(request, "alice")


@app.post("/logout")
async def logout(request: Request) -> None:
    """Log out of both."""
    await logout_user(request)


@app.websocket("/ws")
async def ticks(websocket: WebSocket, user: CurrentUser) -> None:
    """Greet, then wait; a logout in whatever app closes it."""
    await websocket.accept()
    await websocket.send_text(f"Hello, {user.username}")
    async for _ in websocket.iter_text():
        pass
