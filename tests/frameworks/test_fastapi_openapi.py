"""What the OpenAPI document says of logins, and that it is a valid one."""

# No `from __future__ import annotations`: it would hide from FastAPI what a test defines.
import copy
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Security, WebSocket
from fastapi.openapi.utils import get_openapi
from fastapi.security import APIKeyHeader
from fastapi.testclient import TestClient
from tests.frameworks.cases import World
from tests.frameworks.openapi import check_openapi

from sessiongate import APITokens, SessionCookie, SessionManager
from sessiongate.asgi import SessionAuthMiddleware
from sessiongate.fastapi import (
    CurrentSession,
    CurrentUser,
    OptionalUser,
    SessionSecurity,
    User,
    complete,
    current_user,
    login_required,
    optional_user,
)

Security_ = list[dict[str, list[str]]]


def either(*scopes: str) -> Security_:
    """A cookie or a bearer token: members of the list are alternatives (OpenAPI 3.1, 4.8.10)."""
    return [{"SessionCookie": list(scopes)}, {"BearerToken": list(scopes)}]


def or_nobody(*scopes: str) -> Security_:
    """The same, or neither."""
    return [*either(*scopes), {}]


def api(prefix: str = "") -> FastAPI:
    """One operation for each way to demand a login; its path is the expectation's key."""
    app = FastAPI(title="An API")
    router = APIRouter(prefix=f"{prefix}/router", dependencies=[Depends(login_required)])
    admin = APIRouter(
        prefix=f"{prefix}/admin", dependencies=[Depends(login_required(scopes=["admin"]))]
    )

    @app.get("/public")
    async def public() -> None: ...

    @app.post("/login")
    def login(session: CurrentSession, username: str) -> None: ...

    @app.get("/user")
    async def user(user: CurrentUser) -> None: ...

    @app.get("/optional")
    def optional(user: OptionalUser) -> None: ...

    @app.get("/plain", dependencies=[Depends(login_required)])
    def plain() -> None: ...

    @app.get("/called", dependencies=[Depends(login_required(fresh=60, login_url="/login"))])
    def called() -> None: ...

    @app.get("/scopes")
    def scopes(
        user: Annotated[User, Depends(login_required(scopes=["write", "read"]))],
    ) -> None: ...

    @app.get("/security")
    def security(user: Annotated[User, Security(login_required, scopes=["read"])]) -> None: ...

    @app.get("/optional-security")
    def optional_security(
        user: Annotated[User | None, Security(optional_user, scopes=["read"])],
    ) -> None: ...

    @app.get("/both", dependencies=[Security(login_required, scopes=["read"])])
    def both(
        user: CurrentUser, other: Annotated[User, Depends(login_required(scopes=["write"]))]
    ) -> None: ...

    @router.get("/inside")
    def inside() -> None: ...

    @admin.get("/inside")
    def for_admins(user: Annotated[User, Security(login_required, scopes=["write"])]) -> None: ...

    @app.websocket("/ws")
    async def ws(websocket: WebSocket, user: CurrentUser) -> None: ...

    app.include_router(router)
    app.include_router(admin)
    return app


EXPECTED: dict[str, Security_ | None] = {
    "/public": None,
    "/login": None,
    "/user": either(),
    "/optional": or_nobody(),
    "/plain": either(),
    "/called": either(),
    "/scopes": either("read", "write"),
    "/security": either("read"),
    "/optional-security": or_nobody("read"),
    "/both": either("read", "write"),
    "/router/inside": either(),
    "/admin/inside": either("admin", "write"),
}


REFUSALS: dict[str, set[str]] = {
    "/public": set(),
    "/login": set(),
    "/optional": set(),
    "/optional-security": {"403"},
}
"""Where they are not both: an optional user is refused for a scope at most."""


def document_of(app: FastAPI) -> Any:
    return TestClient(app).get("/openapi.json").json()


def test_the_document_is_valid() -> None:
    document = document_of(api())
    assert document["openapi"].startswith("3.1")
    check_openapi(document)


def test_it_shows_who_needs_what() -> None:
    paths = document_of(api())["paths"]
    shown = {
        path: operation.get("security")
        for path, operations in paths.items()
        for operation in operations.values()
    }
    assert shown == EXPECTED


def test_it_shows_the_refusals() -> None:
    for path, operations in document_of(api())["paths"].items():
        for operation in operations.values():
            refusals = {"401", "403"} & set(operation["responses"])
            assert refusals == REFUSALS.get(path, {"401", "403"}), path


def test_so_does_the_document_that_the_app_makes_without_a_request() -> None:
    app = api()
    assert app.openapi() == document_of(app) == app.openapi()


def test_what_the_app_says_of_a_refusal_stays() -> None:
    app = FastAPI()

    @app.get("/", responses={401: {"description": "Log in on the front page."}})
    async def who(user: CurrentUser) -> None: ...

    responses = document_of(app)["paths"]["/"]["get"]["responses"]
    assert responses["401"] == {"description": "Log in on the front page."}
    assert "another site" in responses["403"]["description"]


def test_other_schemes_of_the_app_stay() -> None:
    app = FastAPI()
    key = APIKeyHeader(name="X-Key")

    @app.get("/", dependencies=[Depends(key)])
    async def who(user: CurrentUser) -> None: ...

    document = document_of(app)
    check_openapi(document)
    assert document["paths"]["/"]["get"]["security"] == [{"APIKeyHeader": []}, *either()]
    assert set(document["components"]["securitySchemes"]) == {
        "APIKeyHeader",
        "BearerToken",
        "SessionCookie",
    }


def test_where_one_demand_is_optional_and_one_is_not_a_login_is_needed() -> None:
    app = FastAPI(dependencies=[Depends(login_required(scopes=["write"]))])

    @app.get("/")
    def who(user: Annotated[User | None, Security(optional_user, scopes=["read"])]) -> None: ...

    operation = document_of(app)["paths"]["/"]["get"]
    assert operation["security"] == either("read", "write")
    assert {"401", "403"} <= set(operation["responses"])


def test_an_app_of_optional_users_alone_shows_the_schemes() -> None:
    app = FastAPI()

    @app.get("/")
    def who(user: OptionalUser) -> None: ...

    document = document_of(app)
    check_openapi(document)
    assert set(document["components"]["securitySchemes"]) == {"SessionCookie", "BearerToken"}


def test_an_app_that_makes_its_document_itself_completes_it() -> None:
    app = api()

    def custom() -> dict[str, Any]:
        document = get_openapi(title="Mine", version="1", routes=app.routes)
        document["paths"]["/user"]["summary"] = "About you"
        return complete(document)

    app.openapi = custom  # type: ignore[method-assign] # as FastAPI documents it
    document = document_of(app)
    check_openapi(document)
    assert document["paths"]["/user"].pop("summary") == "About you"
    assert document["paths"] == document_of(api())["paths"]
    assert document["components"] == document_of(api())["components"]


def test_a_class_that_makes_its_document_on_top_of_fastapis_need_not() -> None:
    class Mine(FastAPI):
        def openapi(self) -> dict[str, Any]:
            return super().openapi() | {"x-mine": True}

    app = Mine(dependencies=[Depends(login_required)])
    app.get("/")(lambda: None)
    document = document_of(app)
    assert document["x-mine"] is True
    assert document["paths"]["/"]["get"]["security"] == either()


def test_a_document_that_shows_no_login_is_left_alone() -> None:
    app = FastAPI()
    app.get("/")(lambda: None)
    document = get_openapi(title="", version="1", routes=app.routes)
    assert complete(copy.deepcopy(document)) == document
    assert complete({}) == {}


def test_dependencies_ask_for_no_parameters() -> None:
    for path, operations in document_of(api())["paths"].items():
        for operation in operations.values():
            names = [parameter["name"] for parameter in operation.get("parameters", ())]
            assert names == (["username"] if path == "/login" else [])
            assert "requestBody" not in operation


def test_the_schemes_are_those_that_the_middleware_reads() -> None:
    schemes = document_of(api())["components"]["securitySchemes"]
    for scheme in schemes.values():
        assert scheme.pop("description")
    assert schemes == {
        "SessionCookie": {"type": "apiKey", "in": "cookie", "name": "__Host-session"},
        "BearerToken": {"type": "http", "scheme": "bearer"},
    }


def test_an_app_that_asks_nobody_shows_no_scheme() -> None:
    app = FastAPI()
    app.get("/")(lambda: None)
    assert "components" not in document_of(app)


@pytest.mark.parametrize(
    "cookie", [SessionCookie.for_http(), SessionCookie(name="__Secure-id"), None]
)
def test_a_security_of_ones_own_shows_its_cookie_and_the_kind_of_token(
    cookie: SessionCookie | None,
) -> None:
    security = SessionSecurity(cookie=cookie, bearer_format="JWT")
    app = FastAPI(dependencies=[Depends(security.login_required(scopes=["read"]))])

    @app.get("/")
    def who(
        user: Annotated[User, Depends(security.current_user)],
        same: Annotated[User | None, Depends(security.optional_user)],
    ) -> None: ...

    document = document_of(app)
    check_openapi(document)
    schemes = document["components"]["securitySchemes"]
    assert schemes["SessionCookie"]["name"] == (cookie or SessionCookie()).name
    assert schemes["BearerToken"]["bearerFormat"] == "JWT"
    assert document["paths"]["/"]["get"]["security"] == either("read")


def test_it_shows_where_an_api_token_will_do() -> None:
    app = FastAPI()
    tokens = APITokens(secret_key="k" * 64)
    app.add_middleware(
        SessionAuthMiddleware, manager=SessionManager(secret_key="k" * 64), api_tokens=tokens
    )
    reader = Depends(login_required(scopes=["read"]))

    @app.get("/session")
    def session(user: CurrentUser) -> None: ...

    @app.get("/scopes")
    def scopes(user: Annotated[User, Security(current_user, scopes=["read"])]) -> None: ...

    @app.get("/demand", dependencies=[reader])
    def demand() -> None: ...

    @app.get("/open", dependencies=[Depends(login_required(api_tokens=True))])
    def either_way() -> None: ...

    @app.get("/fresh", dependencies=[Depends(login_required(fresh=60, scopes=["read"]))])
    def fresh() -> None: ...

    closed = login_required(scopes=["read"], api_tokens=False)

    @app.get("/closed", dependencies=[Depends(closed)])
    def sessions_only() -> None: ...

    client = TestClient(app)
    headers = {"Authorization": f"Bearer {tokens.create('alice', name='ci', scopes=['read'])}"}
    document = client.get("/openapi.json").json()
    check_openapi(document)
    assert document == client.get("/openapi.json").json()
    named = {
        path: [name for one in operations["get"]["security"] for name in one]
        for path, operations in document["paths"].items()
    }
    everything = ["SessionCookie", "BearerToken", "APIToken"]
    assert set(document["components"]["securitySchemes"]) == set(everything)
    for path, names in named.items():
        admitted = client.get(path, headers=headers).status_code == 200
        assert names == (everything if admitted else everything[:2]), path
        assert admitted == (path in {"/scopes", "/demand", "/open"})


def test_a_client_that_follows_the_document_gets_in() -> None:
    """What "Authorize" on the docs page does: the credential goes where the scheme says."""
    world = World()
    app = FastAPI()

    @app.get("/who")
    async def who(user: CurrentUser) -> str:
        return user.display_name

    app.add_middleware(SessionAuthMiddleware, manager=world.manager)
    client = TestClient(app, base_url="https://testserver")
    assert "swagger" in client.get("/docs").text.lower()
    document = client.get("/openapi.json").json()
    schemes = document["components"]["securitySchemes"]
    for requirement in document["paths"]["/who"]["get"]["security"]:
        (name,) = requirement
        scheme, token = schemes[name], world.tokens["reader"]
        headers = (
            {"Cookie": f"{scheme['name']}={token}"}
            if scheme.get("in") == "cookie"
            else {"Authorization": f"{scheme['scheme']} {token}"}
        )
        assert client.get("/who", headers=headers).json() == "reader"
    assert client.get("/who").status_code == 401
