"""A client that speaks WSGI to an app that says who it was asked by, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sessiongate import SessionCookie
from sessiongate.wsgi import SessionAuthMiddleware

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sessiongate import SessionManager

_COOKIE = SessionCookie.for_http()


@dataclass(frozen=True)
class Answer:
    """What a request came back with."""

    status: int
    username: str | None
    problem: str | None
    token: str | None
    """The token that the response handed out."""


class Client:
    """One app behind the middleware, asked with any token by any transport."""

    def __init__(self, manager: SessionManager) -> None:
        self._app = SessionAuthMiddleware(_who, manager, cookie=_COOKIE)
        self.view: Callable[[dict[str, Any]], None] = _nothing
        """Run inside the request; a test may log in or out here, or wait."""

    def ask(self, token: str | None, *, transport: str = "cookie", method: str = "GET") -> Answer:
        environ: dict[str, Any] = {"REQUEST_METHOD": method, "PATH_INFO": "/", "test.client": self}
        if token is not None and transport == "cookie":
            environ["HTTP_COOKIE"] = f"{_COOKIE.name}={token}"
        elif token is not None:
            environ["HTTP_AUTHORIZATION"] = f"Bearer {token}"
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], *_: Any) -> Any:
            started.append((status, headers))

        body = b"".join(self._app(environ, start_response))
        status, headers = started[-1]
        username = body.decode() if status.startswith("200") else ""
        problem = environ["sessiongate"].problem
        return Answer(int(status[:3]), username or None, problem, _token(headers))


def _who(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    environ["test.client"].view(environ)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ.get("REMOTE_USER", "").encode()]


def _nothing(_environ: dict[str, Any]) -> None:
    pass


def _token(headers: list[tuple[str, str]]) -> str | None:
    for name, value in headers:
        if name.lower() == "x-refreshed-token":
            return value
        if name.lower() == "set-cookie":
            return value.partition("=")[2].partition(";")[0] or None
    return None
