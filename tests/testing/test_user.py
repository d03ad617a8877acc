"""``testing.user``: what a view sees of a user, where no middleware runs."""

# No `from __future__ import annotations`: it would hide from FastAPI what a test defines.

from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient
from tests.http.harness import Call, Reply, cookie, make_site

from sessiongate.fastapi import User, current_user, optional_user
from sessiongate.testing import user

GIVEN: dict[str, Any] = {"scopes": ["read", "write"], "claims": {"team": "red"}}


def seen(one: Any) -> dict[str, Any]:
    """All that is public of it; of the times only that they are there."""
    info = one.info
    times = {"created_at", "last_accessed", "expires_at"}
    return {
        "names": {name for name in dir(one) if not name.startswith("_")},
        "username": one.username,
        "is_authenticated": one.is_authenticated,
        "scopes": one.scopes,
        "info": info and {key: key in times or value for key, value in info.items()},
        "display_name": one.display_name,
        "identity": one.identity,
        "repr": repr(one),
    }


@pytest.mark.parametrize("stack", ["wsgi", "asgi"])
@pytest.mark.parametrize("given", [{}, GIVEN])
def test_it_is_what_a_request_has(stack: Any, given: dict[str, Any]) -> None:
    site = make_site(stack, "opaque")
    there: list[dict[str, Any]] = []

    async def view(call: Call) -> Reply:
        there.append(seen(call.session.user))
        return Reply()

    async def enter(call: Call) -> Reply:
        await call.login("alice", **given)
        return Reply()

    site.ask(cookie(site.ask(view=enter).token), view=view)
    site.ask(view=view)
    assert there[0] == seen(user("alice", **given))
    assert there[1] == seen(user(None))
    assert isinstance(user("alice"), User)


def test_fastapi_takes_it_in_place_of_its_own() -> None:
    app = FastAPI()

    @app.get("/")
    async def home(who: Annotated[User, Depends(current_user)]) -> dict[str, Any]:
        return {"name": who.username, "scopes": who.scopes}

    @app.get("/public")
    async def public(who: Annotated[User, Depends(optional_user)]) -> bool:
        return who.is_authenticated

    app.dependency_overrides[current_user] = lambda: user("alice", scopes=["read"])
    app.dependency_overrides[optional_user] = lambda: user(None)
    client = TestClient(app)
    assert client.get("/").json() == {"name": "alice", "scopes": ["read"]}
    assert client.get("/public").json() is False


def test_what_no_login_would_take_is_an_error() -> None:
    with pytest.raises(ValueError, match="username must not be empty"):
        user("")
    with pytest.raises(TypeError, match="scopes must be a list"):
        user("alice", scopes="read")


def test_nobody_logged_in(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    user("alice")
    assert caplog.records == []
