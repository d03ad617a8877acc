"""A middleware inside another, each with its own manager: an app sees its own user.

Example: a Flask app that has its own sessions is mounted in an app that has sessions, too.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from tests.http.harness import KEY, PLAIN, call_asgi, call_wsgi, environ_of, scope_of

from sessiongate import SessionCookie, SessionManager
from sessiongate.asgi import SessionAuthMiddleware as ASGIMiddleware
from sessiongate.wsgi import SessionAuthMiddleware as WSGIMiddleware

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.http.harness import Header

OUTER, INNER = SessionCookie(name="__Host-outer"), SessionCookie(name="__Host-inner")


class Nest:
    """An outer and an inner manager; what the inner app was told, before and after it answers."""

    def __init__(self) -> None:
        self.outer, self.inner = (SessionManager(secret_key=KEY) for _ in range(2))
        self.told: list[tuple[str | None, str | None]] = []
        """Of each look: the server's variable or the scope's user, and the request's session."""

    def request(self, outer: str | None, inner: str | None) -> list[Header]:
        """The fields of a browser that is logged in as these users."""
        known = [
            f"{cookie.name}={manager.create_session(username)}"
            for cookie, manager, username in (
                (OUTER, self.outer, outer),
                (INNER, self.inner, inner),
            )
            if username is not None
        ]
        return [(b"cookie", "; ".join(known).encode())] if known else []

    def wsgi(self, login: str | None) -> Any:
        def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            def look() -> None:
                user = environ["sessiongate"].user
                self.told.append((environ.get("REMOTE_USER"), user.username))

            def body() -> Iterator[bytes]:
                look()
                yield b"hello"
                look()

            look()
            if login is not None:
                environ["sessiongate"].login(login)  # REMOTE_USER follows when it answers
            start_response("200 OK", [("Content-Type", "text/plain")])
            look()
            return body()

        inner = WSGIMiddleware(app, self.inner, cookie=INNER)
        return WSGIMiddleware(inner, self.outer, cookie=OUTER)

    def asgi(self, login: str | None) -> Any:
        async def app(scope: Any, _receive: Any, send: Any) -> None:
            def look() -> None:
                user = scope["sessiongate"].user
                self.told.append((scope["user"].username, user.username))

            look()
            if login is not None:
                await scope["sessiongate"].alogin(login)
            look()
            await send({"type": "http.response.start", "status": 200, "headers": [PLAIN]})
            look()
            await send({"type": "http.response.body", "body": b"hello"})
            look()

        inner = ASGIMiddleware(app, self.inner, cookie=INNER)
        return ASGIMiddleware(inner, self.outer, cookie=OUTER)


CASES = [
    ("alice", "bob", None),
    ("alice", None, None),
    (None, "bob", None),
    (None, None, None),
    ("alice", "alice", None),
    ("alice", None, "carol"),
    (None, None, "carol"),
    ("alice", "bob", "carol"),
]
"""Users of the outer and of the inner cookie, and who logs in inside."""


@pytest.mark.parametrize(("outer", "inner", "login"), CASES)
def test_a_wsgi_app_is_told_of_its_own_user(
    outer: str | None, inner: str | None, login: str | None
) -> None:
    nest = Nest()
    headers = nest.request(outer, inner)
    assert call_wsgi(nest.wsgi(login), environ_of("GET", headers))[0] == 200
    after = login or inner
    assert nest.told == [(inner, inner), *[(after, after)] * 3]


@pytest.mark.parametrize(("outer", "inner", "login"), CASES)
def test_an_asgi_app_is_told_of_its_own_user(
    outer: str | None, inner: str | None, login: str | None
) -> None:
    nest = Nest()
    headers = nest.request(outer, inner)
    asyncio.run(call_asgi(nest.asgi(login), scope_of("GET", headers)))
    after = login or inner
    assert nest.told == [(inner, inner), *[(after, after)] * 3]
