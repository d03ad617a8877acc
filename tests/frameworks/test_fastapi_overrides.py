"""`dependency_overrides` in the tests of an app: for `current_user` and for `login_required`."""

# No `from __future__ import annotations`: it would hide from FastAPI what a test defines.
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Request, Security
from fastapi.testclient import TestClient
from tests.frameworks.cases import FRESH, SCOPES, World

from sessiongate import ConfigurationError
from sessiongate.asgi import SessionAuthMiddleware
from sessiongate.fastapi import (
    CurrentUser,
    OptionalUser,
    SessionSecurity,
    User,
    current_user,
    login_required,
    optional_user,
)


@dataclass
class Somebody:
    """What a test puts in the place of a user."""

    username: str = "somebody"
    scopes: tuple[str, ...] = ()


def plain() -> Somebody:
    return Somebody()


async def plain_async() -> Somebody:
    return Somebody()


def reader(username: str = "somebody") -> Somebody:
    return Somebody(username, ("read",))


async def reader_async() -> Somebody:
    return Somebody(scopes=("read",))


DEMANDS = {
    "/current": Depends(current_user),
    "/required": Depends(login_required),
    "/called": Depends(login_required()),
    "/fresh": Depends(login_required(fresh=FRESH)),
}
READ = {
    "/scopes": Depends(login_required(scopes=["read"])),
    "/security": Security(login_required(fresh=FRESH), scopes=["read"]),
}
WRITE = {"/write": Depends(login_required(scopes=SCOPES))}


def app_of(**overrides: Callable[..., Any]) -> FastAPI:
    """An app that demands in all ways, as a parameter and of an operation; no middleware."""
    app = FastAPI()
    for path, demand in (DEMANDS | READ | WRITE).items():

        def who(user: Annotated[User, demand]) -> Any:
            return user.username

        app.get(path)(who)
        app.get(f"/operation{path}", dependencies=[demand])(lambda: "somebody")
    originals: dict[str, Callable[..., Any]] = {
        "current_user": current_user,
        "login_required": login_required,
    }
    for name, override in overrides.items():
        app.dependency_overrides[originals[name]] = override
    return app


PLACES = pytest.mark.parametrize("place", ["", "/operation"])
ORIGINALS = pytest.mark.parametrize("original", ["current_user", "login_required"])


@PLACES
@ORIGINALS
@pytest.mark.parametrize("override", [plain, plain_async])
def test_one_override_holds_for_all_demands(override: Any, original: str, place: str) -> None:
    client = TestClient(app_of(**{original: override}))
    # FastAPI replaces the very dependency; the other one is replaced by ours.
    for path in DEMANDS:
        answer = client.get(place + path)
        assert (answer.status_code, answer.json()) == (200, "somebody"), path


@PLACES
@ORIGINALS
@pytest.mark.parametrize("override", [plain, plain_async])
def test_without_the_scopes_it_is_refused(override: Any, original: str, place: str) -> None:
    client = TestClient(app_of(**{original: override}))
    for path in READ | WRITE:
        refused = client.get(place + path)
        assert refused.status_code == 403, path
        assert "insufficient_scope" in refused.headers["WWW-Authenticate"]


@PLACES
@ORIGINALS
@pytest.mark.parametrize("override", [reader, reader_async, lambda: reader("somebody")])
def test_with_the_scopes_it_is_let_in(override: Any, original: str, place: str) -> None:
    client = TestClient(app_of(**{original: override}))
    for path in READ:
        assert client.get(place + path).json() == "somebody", path
    assert client.get(place + "/write").status_code == 403


def test_scopes_of_a_router_are_asked_for_too() -> None:
    app = app_of(current_user=reader_async)
    router = APIRouter(prefix="/admin", dependencies=[Depends(login_required(scopes=["admin"]))])

    @router.get("/")
    def who(user: CurrentUser) -> Any:
        return user.username

    app.include_router(router)
    assert TestClient(app).get("/admin/").status_code == 403


def test_what_has_no_scopes_at_all_has_none() -> None:
    client = TestClient(app_of(current_user=lambda: None))
    assert client.get("/operation/required").status_code == 200
    assert client.get("/scopes").status_code == 403


def test_an_override_that_refuses_is_refused() -> None:
    def nobody() -> Any:
        raise PermissionError

    client = TestClient(app_of(current_user=nobody))
    with pytest.raises(PermissionError):
        client.get("/required")


def test_an_override_that_takes_parameters_is_told_what_to_do() -> None:
    def by_request(request: Request) -> Any:
        return Somebody(request.headers["X-User"])

    client = TestClient(app_of(current_user=by_request), headers={"X-User": "eve"})
    assert client.get("/current").json() == "eve", "this one FastAPI replaces by itself"
    with pytest.raises(ConfigurationError, match="takes no parameters"):
        client.get("/required")


def test_so_is_one_that_yields() -> None:
    def yielding() -> Any:
        yield Somebody()

    client = TestClient(app_of(current_user=yielding))
    assert client.get("/current").json() == "somebody"
    with pytest.raises(ConfigurationError, match="returns the user"):
        client.get("/required")


def test_taken_back_it_is_as_before() -> None:
    app, world = app_of(current_user=plain), World()
    app.add_middleware(SessionAuthMiddleware, manager=world.manager)
    client = TestClient(app, base_url="https://testserver")
    assert client.get("/required").json() == "somebody"
    app.dependency_overrides.clear()
    assert client.get("/required").status_code == 401
    assert client.get("/required", headers=world.headers("reader")).json() == "reader"


def test_it_is_that_of_ones_own_security() -> None:
    security, app = SessionSecurity(), FastAPI()

    @app.get("/")
    def who(user: Annotated[User, Depends(security.login_required(scopes=["read"]))]) -> Any:
        return user.username

    app.dependency_overrides[security.current_user] = reader
    assert TestClient(app).get("/").json() == "somebody"


def test_an_override_is_of_its_app_alone() -> None:
    world, other = World(), app_of()
    other.add_middleware(SessionAuthMiddleware, manager=world.manager)
    assert TestClient(app_of(current_user=plain)).get("/required").status_code == 200
    assert TestClient(other).get("/required").status_code == 401


def test_the_optional_user_is_not_overridden_with_it() -> None:
    world, app = World(), app_of(current_user=plain)

    @app.get("/optional")
    def who(user: OptionalUser) -> Any:
        return user and user.username

    app.add_middleware(SessionAuthMiddleware, manager=world.manager)
    client = TestClient(app, base_url="https://testserver")
    assert client.get("/optional").json() is None


def test_the_optional_user_has_a_name_of_its_own() -> None:
    app = app_of()

    @app.get("/optional")
    def who(user: OptionalUser) -> Any:
        return user and user.username

    app.dependency_overrides[optional_user] = plain
    assert TestClient(app).get("/optional").json() == "somebody"


def test_scopes_of_the_very_dependency_that_is_replaced_are_not_looked_for() -> None:
    app = app_of(current_user=plain)

    @app.get("/secured")
    def who(user: Annotated[User, Security(current_user, scopes=["read"])]) -> Any:
        return user.username

    assert TestClient(app).get("/secured").json() == "somebody"
