"""One small site in Flask, in Starlette and in FastAPI, and a client that asks it."""

# No `from __future__ import annotations`: it would hide from FastAPI what a function defines.
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from fastapi import Depends, FastAPI
from fastapi import HTTPException as FastAPIException
from flask import Flask, jsonify
from flask import request as flask_request
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient
from werkzeug.exceptions import HTTPException as WerkzeugException

from sessiongate import SessionManager
from sessiongate import fastapi as for_fastapi
from sessiongate import flask as for_flask
from sessiongate import starlette as for_starlette
from sessiongate.asgi import SessionAuthMiddleware

__all__ = [
    "FRONT_END",
    "KITS",
    "Kit",
    "Reply",
    "add_cors",
    "add_json_errors",
    "make_app",
    "make_kit",
]

FRONT_END = "https://front.example"
"""Another origin, whose scripts may read the answers of the site."""


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Any
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class Kit:
    """An app and its client; what a browser would follow is not followed."""

    def __init__(self, app: Any, root_path: str = "") -> None:
        self.app = app
        self._root_path = root_path

    def ask(self, method: str, path: str, /, **headers: str) -> Reply:
        """One request; ``Sec_Fetch_Site="none"`` is the header of that name."""
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        if isinstance(self.app, Flask):
            answer = self.app.test_client(use_cookies=False).open(
                path.removeprefix(self._root_path),
                method=method,
                headers=fields,
                base_url=f"https://testserver{self._root_path}",
            )
            return Reply(answer.status_code, answer.headers, answer.text)
        client = TestClient(
            self.app, "https://testserver", root_path=self._root_path, follow_redirects=False
        )
        answered = client.request(method, path, headers=fields)
        return Reply(answered.status_code, answered.headers, answered.text)


def flask_site(manager: SessionManager, **demands: Any) -> Flask:
    app = Flask(__name__)
    for_flask.install(app, manager)

    @app.route("/private", methods=["GET", "POST"])
    @for_flask.login_required(**demands)
    def private() -> str:
        return for_flask.current_user.display_name

    @app.route("/enter", endpoint="entrance")
    def entrance() -> str:
        return "Who are you?"

    @app.post("/open")
    def everybody() -> dict[str, Any]:
        session = flask_request.environ["sessiongate"]
        return {"username": session.user.username, "problem": session.problem}

    @app.post("/login/<username>")
    def log_in(username: str) -> str:
        for_flask.login_user(username)
        return "Welcome!"

    @app.post("/form-post/<username>")
    def form_post(username: str) -> str:
        for_flask.login_user(username, cross_site=True)
        return "Welcome!"

    @app.post("/quiet/<username>")
    def quiet(username: str) -> Any:
        return jsonify(flask_request.environ["sessiongate"].login(username) is not None)

    @app.post("/logout")
    def log_out() -> str:
        for_flask.logout_user()
        return "Bye!"

    return app


def endpoints(kit: Any) -> dict[str, Any]:
    """The endpoints of Starlette and FastAPI, with the verbs of either."""

    async def entrance(_request: Request) -> Response:
        return PlainTextResponse("Who are you?")

    async def everybody(request: Request) -> Response:
        session = request.scope["sessiongate"]
        return JSONResponse({"username": session.user.username, "problem": session.problem})

    async def log_in(request: Request) -> Response:
        await kit.login_user(request, request.path_params["username"])
        return PlainTextResponse("Welcome!")

    async def form_post(request: Request) -> Response:
        username = request.path_params["username"]
        await kit.login_user(request, username, cross_site=True)
        return PlainTextResponse("Welcome!")

    async def quiet(request: Request) -> Response:
        token = await request.scope["sessiongate"].alogin(request.path_params["username"])
        return JSONResponse(token is not None)

    async def log_out(request: Request) -> Response:
        await kit.logout_user(request)
        return PlainTextResponse("Bye!")

    return {
        "/open": everybody,
        "/login/{username}": log_in,
        "/form-post/{username}": form_post,
        "/quiet/{username}": quiet,
        "/logout": log_out,
        "/enter": entrance,
    }


async def whoever(request: Request) -> Response:
    return PlainTextResponse(request.user.display_name)


def starlette_site(manager: SessionManager, **demands: Any) -> Starlette:
    private = for_starlette.login_required(**demands)(whoever)
    app = Starlette(routes=[Route("/private", private, methods=["GET", "POST"])])
    for path, endpoint in endpoints(for_starlette).items():
        name, methods = ("entrance", ["GET"]) if path == "/enter" else (None, ["POST"])
        app.router.routes.append(Route(path, endpoint, methods=methods, name=name))
    app.add_middleware(SessionAuthMiddleware, manager=manager)
    return app


def fastapi_site(manager: SessionManager, **demands: Any) -> FastAPI:
    app = FastAPI()
    private = [Depends(for_fastapi.login_required(**demands))]
    app.api_route("/private", methods=["GET", "POST"], dependencies=private)(whoever)
    for path, endpoint in endpoints(for_fastapi).items():
        name, methods = ("entrance", ["GET"]) if path == "/enter" else (None, ["POST"])
        app.api_route(path, methods=methods, name=name)(endpoint)
    app.add_middleware(SessionAuthMiddleware, manager=manager)
    return app


MakeApp: TypeAlias = Callable[..., Any]
KITS: dict[str, MakeApp] = {
    "flask": flask_site,
    "starlette": starlette_site,
    "fastapi": fastapi_site,
}


def make_app(name: str, manager: SessionManager, **demands: Any) -> Any:
    """The site whose private page has these demands."""
    return KITS[name](manager, **demands)


def make_kit(name: str, manager: SessionManager, **demands: Any) -> Kit:
    """The same, with the client."""
    return Kit(make_app(name, manager, **demands))


def add_cors(app: Any) -> None:
    """Let the scripts of ``FRONT_END`` read answers, as each framework has it done."""
    if isinstance(app, Flask):

        @app.after_request
        def allow(response: Any) -> Any:
            response.headers["Access-Control-Allow-Origin"] = FRONT_END
            return response
    else:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=[FRONT_END],
            allow_methods=["*"],
            allow_credentials=True,
        )


def add_json_errors(app: Any) -> None:
    """Have all errors answered in the format of the app."""
    if isinstance(app, Flask):

        @app.errorhandler(WerkzeugException)
        def flask_errors(error: WerkzeugException) -> Any:
            response = jsonify(error=error.description)
            headers = [h for h in error.get_headers() if not h[0].startswith("Content-")]
            return response, error.code, headers
    else:
        # A handler of FastAPI's class does not see Starlette's, which it is derived from.
        kind = FastAPIException if isinstance(app, FastAPI) else HTTPException

        async def asgi_errors(_request: Request, error: Exception) -> Response:
            assert isinstance(error, kind)
            return JSONResponse({"error": error.detail}, error.status_code, error.headers)

        app.add_exception_handler(kind, asgi_errors)
