"""An API in FastAPI, for browsers by cookie and for programs by bearer token.

    uvicorn --app-dir examples --factory fastapi_app:demo --port 8003

It prints a password; http://127.0.0.1:8003/docs lets you try everything. Log in with ``/login``,
and the cookie does the rest; or get a token from ``/token`` and paste it into "Authorize". Where
a request brings both, the token decides.
"""

import secrets
from typing import Annotated, Any, Final, NamedTuple

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Security
from pydantic import BaseModel, SecretStr

from sessiongate.asgi import SessionAuthMiddleware
from sessiongate.fastapi import (
    CurrentSession,
    SessionSecurity,
    User,
    login_user,
    logout_user,
)
from sessiongate.stores import MemoryStore
from shared import (
    COOKIE,
    FORBIDDEN,
    WRONG,
    Accounts,
    Services,
    Site,
    facts_of,
    make_manager,
)

# Behind HTTPS, with the default cookie, import CurrentUser, OptionalUser and login_required
# from sessiongate.fastapi instead of these.
security = SessionSecurity(cookie=COOKIE)
CurrentUser = Annotated[User, Depends(security.current_user)]
OptionalUser = Annotated[User | None, Depends(security.optional_user)]
Reader = Annotated[User, Security(security.login_required, scopes=["notes:read"])]
Writer = Annotated[User, Security(security.login_required, scopes=["notes:write"])]

FRESH: Final = 120
"""Seconds. Dangerous operations need a login that is at most this old."""

router = APIRouter()


def create_app(services: Services) -> FastAPI:
    """Make the app. The middleware is all that it needs for sessions."""
    app = FastAPI(title="Notes", description="Log in as alice.")
    app.add_middleware(SessionAuthMiddleware, manager=services.manager, cookie=COOKIE)
    app.include_router(router)
    app.state.services = services
    app.state.notes = []
    return app


def demo() -> FastAPI:
    """Make the app with one user, for uvicorn. Its sessions end with the process."""
    accounts, password = Accounts(), secrets.token_urlsafe(9)
    accounts.add("alice", password, scopes=("notes:read", "notes:write"))
    print(f"\n  Log in as alice, password {password}\n", flush=True)
    manager = make_manager(MemoryStore(), secrets.token_urlsafe(64))
    return create_app(Services(manager, accounts, Site("FastAPI", "", "", "")))


async def our_services(request: Request) -> Services:
    """The services that this app was made with."""
    services: Services = request.app.state.services
    return services


async def our_notes(request: Request) -> list[str]:
    """The notes. In your app, they are in a database."""
    notes: list[str] = request.app.state.notes
    return notes


Ours = Annotated[Services, Depends(our_services)]
Notes = Annotated[list[str], Depends(our_notes)]


# Logging in. FastAPI runs a sync dependency in a thread, so the event loop does not wait for the
# password hash. ``login_user`` answers 403 at a limit and to pages of other sites.


class Credentials(BaseModel):
    """A name and a password."""

    username: str
    password: SecretStr


class Visitor(NamedTuple):
    """Somebody whose password was right."""

    username: str
    scopes: tuple[str, ...]


def check(credentials: Credentials, services: Ours) -> Visitor:
    """Check the password."""
    username, password = credentials.username, credentials.password.get_secret_value()
    account = services.accounts.check(username, password)
    if account is None:
        raise HTTPException(FORBIDDEN, WRONG)
    return Visitor(username, account.scopes)


Checked = Annotated[Visitor, Depends(check)]


REFUSED: Final[dict[int | str, dict[str, Any]]] = {
    403: {"description": "Wrong password, too many sessions, or a page of another site"}
}


@router.post("/login", status_code=204, responses=REFUSED)
async def login(request: Request, visitor: Checked) -> None:
    """Log a browser in: the response sets the cookie."""
    await login_user(request, visitor.username, scopes=visitor.scopes, transport="cookie")


@router.post("/token", responses=REFUSED)
async def get_token(request: Request, visitor: Checked) -> dict[str, str]:
    """Log a program in. It keeps the token, and takes newer ones from responses."""
    token = await login_user(request, visitor.username, scopes=visitor.scopes, transport="bearer")
    return {"token": token}


@router.post("/logout", status_code=204, dependencies=[Depends(security.login_required)])
async def logout(request: Request) -> None:
    """End the session."""
    await logout_user(request)


# For everybody, for users, and for users with a scope.


@router.get("/")
async def greet(user: OptionalUser) -> str:
    """Greet users by name, and strangers too."""
    return f"Hello, {user.username if user else 'stranger'}!"


@router.get("/me")
async def me(session: CurrentSession, _user: CurrentUser) -> dict[str, Any]:
    """Show the session of this request."""
    return facts_of(session).as_json()


@router.get("/devices")
async def devices(services: Ours, user: CurrentUser) -> list[dict[str, Any]]:
    """Show all sessions of this user."""
    return await services.manager.auser_sessions(user.identity)


@router.get("/notes")
async def read_notes(notes: Notes, _reader: Reader) -> list[str]:
    """Read the notes."""
    return notes


@router.post("/notes", status_code=201)
async def write_note(notes: Notes, text: str, writer: Writer) -> None:
    """Add one."""
    notes.append(f"{writer.username}: {text}")


@router.delete("/notes", status_code=204)
async def delete_notes(
    notes: Notes,
    _writer: Annotated[User, Depends(security.login_required(scopes=["notes:write"], fresh=FRESH))],
) -> None:
    """Delete all notes. The login must be recent."""
    notes.clear()
