"""Between the WSGI middleware and the app: the two paths, and the offer after a login."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from sessiongate.device_bound.binding import RULE, Binding, unavailable
from sessiongate.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from sessiongate.http.authenticator import RequestAuthenticator


class BoundApp:
    """The app of a middleware with ``device_bound=True``."""

    def __init__(self, app: WSGIApplication, authenticator: RequestAuthenticator) -> None:
        self._app = app
        self._manager = authenticator.manager
        self._binding = Binding(authenticator)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        session, root = environ["sessiongate"], _text(environ, "SCRIPT_NAME").rstrip("/")
        if session.skipped == RULE:
            return self._answer(environ, root, start_response)

        def start_with_offer(
            status: str, headers: list[tuple[str, str]], exc_info: Any = None, /
        ) -> Callable[[bytes], object]:
            offer = None if session.opened is None else self._binding.offer(session, root)
            if offer is not None:
                headers = [*headers, offer]
            if exc_info is None:
                return start_response(status, headers)
            return start_response(status, headers, exc_info)

        return self._app(environ, start_with_offer)

    def _answer(
        self, environ: WSGIEnvironment, root: str, start_response: StartResponse
    ) -> list[bytes]:
        def find(name: bytes) -> Sequence[bytes]:
            value = environ.get(f"HTTP_{name.decode().upper().replace('-', '_')}")
            return [] if value is None else [value.encode("latin-1", "replace")]

        try:
            asked = environ["REQUEST_METHOD"], root, _text(environ, "PATH_INFO"), find
            answer = self._manager.run(self._binding.answer(asked))
        except StoreError:
            answer = unavailable()
        start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", answer.fields)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [answer.text.encode()]


def _text(environ: WSGIEnvironment, name: str) -> str:
    """A path, from the Latin-1 that PEP 3333 has it in."""
    text: str = environ.get(name, "")
    return text.encode("latin-1", "replace").decode(errors="replace")
