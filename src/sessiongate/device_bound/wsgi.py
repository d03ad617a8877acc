"""The two paths of device-bound sessions, as a WSGI app beside the middleware's own."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

from sessiongate.device_bound.binding import RULE, Binding, unavailable
from sessiongate.errors import StoreError
from sessiongate.http.fields import find_in_environ

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from sessiongate.http.authenticator import RequestAuthenticator


class Endpoints:
    """Answers on the two paths; all other requests go on to the app."""

    def __init__(self, app: WSGIApplication, authenticator: RequestAuthenticator) -> None:
        self._app = app
        self._manager = authenticator.manager
        self._binding = Binding(authenticator)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["sessiongate"].skipped != RULE:
            return self._app(environ, start_response)
        find = partial(find_in_environ, environ)
        try:
            root, path = (_text(environ, name) for name in ("SCRIPT_NAME", "PATH_INFO"))
            asked = environ["REQUEST_METHOD"], root, path, find
            answer = self._manager.run(self._binding.answer(asked))
        except StoreError:
            answer = unavailable()
        start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", answer.fields)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [answer.text.encode()]


def _text(environ: WSGIEnvironment, name: str) -> str:
    """A path, from the Latin-1 that PEP 3333 has it in."""
    text: str = environ.get(name, "")
    return text.encode("latin-1", "replace").decode(errors="replace")
