"""FastAPI's dependencies: of parameters, operations, routers and apps; sync and async."""

# No `from __future__ import annotations`: it would hide from FastAPI what a test defines.
import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Security
from fastapi.responses import PlainTextResponse, Response
from fastapi.testclient import TestClient
from starlette.endpoints import HTTPEndpoint
from tests.frameworks.cases import (
    CASES,
    FRESH,
    HTML,
    LOGIN_URL,
    LOGIN_URL_WITH_QUERY,
    SCOPES,
    Case,
    World,
    check,
    way_back,
)

from sessiongate import ConfigurationError, SessionCookie, SessionManager
from sessiongate.asgi import SessionAuthMiddleware
from sessiongate.fastapi import (
    CurrentSession,
    CurrentUser,
    OptionalUser,
    SessionSecurity,
    User,
    current_session,
    current_user,
    login_required,
    login_user,
    logout_user,
    optional_user,
    safe_redirect,
)
from sessiongate.stores import MemoryStore
from sessiongate.testing import CountingStore

page = login_required(login_url=LOGIN_URL)
fresh_page = login_required(fresh=FRESH, login_url=LOGIN_URL)
write_page = login_required(scopes=SCOPES, login_url=LOGIN_URL_WITH_QUERY)

PageUser = Annotated[User, Depends(page)]


def text(user: User) -> PlainTextResponse:
    return PlainTextResponse(user.display_name)


def by_parameters() -> FastAPI:
    """Each operation gets the user as an argument."""
    app, inner = FastAPI(), APIRouter(prefix="/mounted")

    @app.get("/sync")
    def sync(user: CurrentUser) -> Any:
        return text(user)

    @app.get("/async")
    async def coroutine(user: Annotated[User, Depends(current_user)]) -> Any:
        return text(user)

    @app.get("/class")
    async def plain(user: Annotated[User, Depends(login_required)]) -> Any:
        return text(user)

    @app.get("/write")
    async def write(user: Annotated[User, Security(login_required, scopes=SCOPES)]) -> Any:
        return text(user)

    @app.get("/fresh")
    def fresh(user: Annotated[User, Depends(login_required(fresh=FRESH))]) -> Any:
        return text(user)

    @app.api_route("/page", methods=["GET", "HEAD", "POST"])
    @inner.get("/page")
    async def a_page(user: PageUser) -> Any:
        return text(user)

    @app.get("/deep/{rest:path}")
    async def deep(rest: str, user: PageUser) -> Any:
        assert rest
        return text(user)

    @app.get("/fresh-page")
    async def a_fresh_page(user: Annotated[User, Depends(fresh_page)]) -> Any:
        return text(user)

    @app.get("/write-page")
    def a_write_page(user: Annotated[User, Depends(write_page)]) -> Any:
        return text(user)

    @inner.get("/inside")
    def inside(user: CurrentUser) -> Any:
        return text(user)

    app.include_router(inner)
    return app


def by_operations() -> FastAPI:
    """The operations know nothing of it; routers, operations and a mounted app demand it."""
    app = FastAPI()
    pages = APIRouter(dependencies=[Depends(page)])
    mounted = FastAPI(dependencies=[Depends(page)])

    def sync(request: Request) -> Any:
        return PlainTextResponse(request.user.display_name)

    async def coroutine(request: Request) -> Any:
        return PlainTextResponse(request.user.display_name)

    for path, demand in {
        "/sync": Depends(login_required),
        "/async": Depends(login_required()),
        "/class": Depends(current_user),
        "/write": Depends(login_required(scopes=SCOPES)),
        "/fresh": Depends(login_required(fresh=FRESH)),
        "/fresh-page": Depends(fresh_page),
        "/write-page": Depends(write_page),
        "/mounted/inside": Security(login_required),
    }.items():
        app.get(path, dependencies=[demand])(sync if path == "/sync" else coroutine)
    pages.add_api_route("/page", coroutine, methods=["GET", "HEAD", "POST"])
    pages.add_api_route("/deep/{rest:path}", sync)
    mounted.add_api_route("/page", sync)
    app.include_router(pages)
    app.mount("/mounted", mounted)
    return app


def by_decorators() -> FastAPI:
    """As in Starlette: the endpoints take a request."""
    app = FastAPI()

    def sync(request: Request) -> Any:
        return PlainTextResponse(request.user.display_name)

    async def coroutine(request: Request) -> Any:
        return PlainTextResponse(request.user.display_name)

    for path, endpoint in {
        "/sync": login_required(sync),
        "/async": login_required(coroutine),
        "/class": login_required()(coroutine),
        "/mounted/inside": login_required(sync),
        "/write": login_required(scopes=SCOPES)(coroutine),
        "/fresh": login_required(fresh=FRESH)(sync),
        "/fresh-page": fresh_page(coroutine),
        "/write-page": write_page(sync),
        "/deep/{rest:path}": page(coroutine),
        "/mounted/page": page(sync),
    }.items():
        app.get(path)(endpoint)
    app.api_route("/page", methods=["GET", "HEAD", "POST"])(page(coroutine))
    return app


def client_of(app: FastAPI, world: World, **options: Any) -> TestClient:
    app.add_middleware(SessionAuthMiddleware, manager=world.manager, **options)
    client = TestClient(app, base_url="https://testserver", follow_redirects=False)
    del client.headers["Accept"]  # of its own it says */*
    return client


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize("make", [by_parameters, by_operations, by_decorators])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_operation_answers_as_it_should(
    world: World, make: Callable[[], FastAPI], case: Case
) -> None:
    headers = world.headers(case.visitor, case.transport) | case.headers
    client = client_of(make(), world)
    response = client.request(case.method, case.path, headers=headers)
    check(case, response.status_code, response.headers)
    if case.status == 200:
        assert response.text == case.visitor
    elif "next=" in response.headers.get("Location", ""):
        target = safe_redirect(way_back(response.headers["Location"]), "/elsewhere")
        assert client.get(target, headers=world.headers("writer")).text == "writer"


@pytest.mark.parametrize("transport", ["cookie", "bearer"])
def test_a_whole_app_may_demand_a_login(world: World, transport: str) -> None:
    app = FastAPI(dependencies=[Depends(login_required)])

    @app.get("/who")
    async def who(user: CurrentUser) -> str:
        return user.display_name

    client = client_of(app, world)
    assert client.get("/who").status_code == 401
    assert client.get("/who", headers=world.headers("reader", transport)).json() == "reader"


def test_the_user_is_optional_where_asked(world: World) -> None:
    app = FastAPI()

    @app.get("/who")
    def who(user: OptionalUser) -> Any:
        return {"user": user and user.username}

    @app.get("/write")
    async def write(user: Annotated[User | None, Security(optional_user, scopes=["write"])]) -> Any:
        return {"user": user and user.username}

    client = client_of(app, world)
    for path in ("/who", "/write"):
        assert client.get(path).json() == {"user": None}
        assert client.get(path, headers=world.headers("forged")).json() == {"user": None}
        assert client.get(path, headers=world.headers("writer")).json() == {"user": "writer"}
    refused = client.get("/write", headers=world.headers("reader"))
    assert refused.status_code == 403
    assert 'scope="write"' in refused.headers["WWW-Authenticate"]


@pytest.mark.parametrize("transport", ["cookie", "bearer"])
def test_a_token_that_is_not_valid_leaves_the_user_anonymous_where_asked(
    world: World, transport: str
) -> None:
    app = FastAPI()

    @app.get("/who")
    async def who(user: OptionalUser) -> Any:
        return user and user.username

    client = client_of(app, world)
    answer = client.get("/who", headers=world.headers("forged", transport))
    assert (answer.status_code, answer.json()) == (200, None)


def test_the_scopes_of_all_levels_are_needed_and_named_together(world: World) -> None:
    """An operation adds to what its router demands; a dependency to what it depends on."""
    app = FastAPI()
    router = APIRouter(dependencies=[Security(login_required, scopes=["read"])])
    writer = login_required(scopes=["write"])

    def editor(user: Annotated[User, Security(writer, scopes=["edit"])]) -> User:
        return user

    @router.get("/edit")
    async def edit(user: Annotated[User, Security(editor, scopes=["publish"])]) -> str:
        return user.display_name

    app.include_router(router)
    client = client_of(app, world)
    world.tokens["editor"] = world.manager.create_session(
        "editor", scopes=["read", "write", "edit", "publish"]
    )
    world.tokens["half"] = world.manager.create_session("half", scopes=["read", "edit", "publish"])
    assert client.get("/edit", headers=world.headers("editor")).json() == "editor"
    refused = client.get("/edit", headers=world.headers("half", "bearer"))
    assert refused.status_code == 403
    assert refused.json() == {"detail": "The session lacks a scope."}
    assert refused.headers["WWW-Authenticate"] == (
        'Bearer realm="sessiongate", error="insufficient_scope", scope="edit publish write"'
    )


def test_one_operation_is_judged_by_all_of_its_demands(world: World) -> None:
    """FastAPI keeps what a dependency gave for a request, but not for other demands."""
    app = FastAPI(dependencies=[Depends(login_required)])

    @app.get("/both", dependencies=[Depends(login_required(fresh=FRESH))])
    async def both(
        user: Annotated[User, Depends(login_required(scopes=["write"]))],
        same: CurrentUser,
    ) -> bool:
        return user is same

    client = client_of(app, world)
    assert client.get("/both").status_code == 401
    assert client.get("/both", headers=world.headers("old")).status_code == 401
    assert client.get("/both", headers=world.headers("reader")).status_code == 401
    assert client.get("/both", headers=world.headers("writer")).json() is True


def entrance() -> FastAPI:
    """Logins and logouts of both colours."""
    app = FastAPI()

    @app.post("/login/async")
    async def log_in(request: Request) -> str | None:
        return await login_user(request, "carol", scopes=["read"])

    @app.post("/login/sync")
    def log_in_sync(session: CurrentSession) -> str | None:
        return session.login("carol", scopes=["read"])

    @app.post("/logout/async")
    async def log_out(request: Request, user: CurrentUser) -> Any:
        before = user.username
        await logout_user(request)
        return [before, user.username]

    @app.post("/logout/sync")
    def log_out_sync(session: Annotated[Any, Depends(current_session)], user: OptionalUser) -> Any:
        before = user and user.username
        session.logout()
        return [before, user and user.username]

    @app.get("/fresh")
    def fresh(user: Annotated[User, Depends(login_required(fresh=FRESH))]) -> str:
        return user.display_name

    return app


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_login_and_logout_are_seen_at_once(world: World, colour: str) -> None:
    client = client_of(entrance(), world)
    token = client.post(f"/login/{colour}").json()
    assert client.cookies["__Host-session"] == token
    assert client.get("/fresh").json() == "carol"
    assert client.post(f"/logout/{colour}").json() == ["carol", None]
    assert not client.cookies
    assert client.get("/fresh", headers={"Authorization": f"Bearer {token}"}).status_code == 401


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_a_step_up_is_a_new_login(world: World, colour: str) -> None:
    client = client_of(entrance(), world)
    client.post(f"/login/{colour}")
    world.clock.advance(FRESH)
    assert client.get("/fresh").status_code == 200
    world.clock.advance(1)
    refused = client.get("/fresh")
    assert refused.status_code == 401
    assert refused.json() == {"detail": "A fresh login is required."}
    assert f'max_age="{FRESH}"' in refused.headers["WWW-Authenticate"]
    client.post(f"/login/{colour}")
    assert client.get("/fresh").json() == "carol"


@pytest.mark.parametrize("transport", ["cookie", "bearer"])
def test_a_rotated_token_comes_with_the_response(world: World, transport: str) -> None:
    client = client_of(by_parameters(), world)
    headers = world.headers("reader", transport)
    world.clock.advance(1801)
    answer = client.get("/async", headers=headers)
    assert answer.text == "reader"
    successor = (
        client.cookies["__Host-session"]
        if transport == "cookie"
        else answer.headers["X-Refreshed-Token"]
    )
    client.cookies.clear()
    bearer = {"Authorization": f"Bearer {successor}"}
    assert client.get("/sync", headers=bearer).text == "reader"


def test_all_dependencies_of_a_request_cost_one_store_call() -> None:
    store = CountingStore(MemoryStore())
    manager = SessionManager(secret_key="k" * 64, store=store, touch_every=60)
    app = FastAPI(dependencies=[Depends(login_required)])

    @app.get("/")
    def who(user: CurrentUser, again: Annotated[User, Depends(login_required(fresh=60))]) -> Any:
        return [user.username, again.username]

    app.add_middleware(SessionAuthMiddleware, manager=manager)
    client = TestClient(app, base_url="https://testserver")
    headers = {"Authorization": f"Bearer {manager.create_session('alice')}"}
    store.reset()
    assert client.get("/", headers=headers).json() == ["alice", "alice"]
    assert store.calls == 1
    assert client.get("/").status_code == 401
    assert store.calls == 1


def test_error_handlers_of_the_app_see_refusals(world: World) -> None:
    app = by_parameters()

    async def handler(_request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return PlainTextResponse(f"no: {error.detail}", error.status_code, error.headers)

    app.add_exception_handler(HTTPException, handler)
    client = client_of(app, world)
    assert client.get("/sync").text == "no: Authentication is required."
    assert client.get("/write", headers=world.headers("reader")).text.startswith("no: ")
    assert client.get("/page", headers=HTML).headers["Location"] == f"{LOGIN_URL}?next=/page"


def test_handlers_of_fastapis_own_exception_see_decorated_operations_too(world: World) -> None:
    """A handler of FastAPI's class does not see Starlette's, which it is derived from."""
    app = by_decorators()

    async def handler(_request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return PlainTextResponse(f"no: {error.detail}", error.status_code, error.headers)

    app.add_exception_handler(HTTPException, handler)
    client = client_of(app, world)
    assert client.get("/sync").text == "no: Authentication is required."
    assert client.get("/async").text == "no: Authentication is required."
    assert client.get("/write", headers=world.headers("reader")).text.startswith("no: ")


def test_the_user_can_be_overridden_in_the_tests_of_an_app() -> None:
    app = by_parameters()
    app.dependency_overrides[current_user] = lambda: SimpleNamespace(display_name="me")
    client = TestClient(app)
    assert client.get("/async").text == "me"
    assert client.get("/class").text == "me", "login_required gives what current_user gives"


def test_login_required_gives_even_a_none_that_stands_in_for_the_user() -> None:
    app = FastAPI()

    @app.get("/")
    def who(user: Annotated[User | None, Depends(login_required)]) -> bool:
        return user is None

    app.dependency_overrides[current_user] = lambda: None
    assert TestClient(app).get("/").json() is True


@pytest.mark.parametrize("path", ["/sync", "/async", "/class", "/write", "/fresh", "/page"])
def test_without_the_middleware_the_remedy_is_named(path: str) -> None:
    client = TestClient(by_parameters())
    with pytest.raises(ConfigurationError, match=r"app\.add_middleware\(SessionAuthMiddleware"):
        client.get(path)


def test_it_refuses_even_if_fastapi_did_not_await_it(world: World) -> None:
    """It finds out by itself whether to await; what it depends on has judged before."""
    demand = login_required(scopes=["write"])
    del vars(demand)["__call__"]
    app = FastAPI(dependencies=[Depends(demand)])
    app.get("/")(lambda: "in")
    client = client_of(app, world)
    assert client.get("/").status_code == 401
    assert client.get("/", headers=world.headers("reader")).status_code == 403


def test_without_fastapi_the_remedy_is_named() -> None:
    script = "import sys; sys.modules['fastapi'] = None; import sessiongate.fastapi"
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert run.returncode == 1
    assert "ConfigurationError: FastAPI is missing: pip install 'sessiongate[fastapi]'" in (
        run.stderr
    )


@pytest.mark.parametrize(
    ("demands", "message"),
    [
        ({"scopes": "read"}, "scopes must be a list"),
        ({"fresh": "soon"}, "fresh must be seconds"),
        ({"login_url": ""}, "login_url must be the address"),
    ],
)
def test_unfit_demands_are_refused_at_once(demands: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        login_required(**demands)


def test_scopes_may_come_from_an_iterator(world: World) -> None:
    app = FastAPI()
    app.get("/", dependencies=[Depends(login_required(scopes=iter(SCOPES)))])(lambda: "in")
    client = client_of(app, world)
    assert client.get("/", headers=world.headers("reader")).status_code == 403
    assert client.get("/", headers=world.headers("writer")).json() == "in"


@pytest.mark.parametrize("given", [LOGIN_URL, ["write"], 5])
def test_positional_arguments_are_refused(given: Any) -> None:
    with pytest.raises(TypeError, match="takes keywords"):
        login_required(given)


def test_demands_beside_an_endpoint_count(world: World) -> None:
    async def who(request: Request) -> Any:
        return PlainTextResponse(request.user.display_name)

    decorated: Any = login_required
    app = FastAPI()
    app.get("/")(decorated(who, scopes=["write"]))
    client = client_of(app, world)
    assert client.get("/", headers=world.headers("reader")).status_code == 403
    assert client.get("/", headers=world.headers("writer")).text == "writer"


def test_demands_cannot_get_lost() -> None:
    reader: Any = login_required(scopes=["read"])
    with pytest.raises(TypeError, match="scope"):
        login_required(scope=["write"])  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="scopes"):
        reader(scopes=["write"])
    with pytest.raises(TypeError, match="endpoint"):
        reader()


def test_a_class_is_not_decorated_itself() -> None:
    with pytest.raises(TypeError, match="methods of the class"):
        login_required(HTTPEndpoint)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cookie": "session"}, "cookie must be a SessionCookie"),
        ({"bearer_format": 5}, "bearer_format must be a str"),
    ],
)
def test_an_unfit_security_is_refused(options: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        SessionSecurity(**options)


def test_a_security_of_ones_own_is_another_cookie_with_the_same_rules(world: World) -> None:
    cookie = SessionCookie.for_http("id")
    security = SessionSecurity(cookie=cookie)
    app = FastAPI(dependencies=[Depends(security.login_required)])

    @app.get("/who")
    async def who(user: Annotated[User, Depends(security.current_user)]) -> str:
        return user.display_name

    client = client_of(app, world, cookie=cookie)
    assert client.get("/who", headers=world.headers("reader")).status_code == 401
    headers = {"Cookie": f"id={world.tokens['reader']}"}
    assert client.get("/who", headers=headers).json() == "reader"
