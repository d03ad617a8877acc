"""The two paths of device-bound sessions, as a WSGI app beside the middleware's own."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

from sessiongate.device_bound.binding import RULE, Binding, unavailable
from sessiongate.errors import StoreError
from sessiongate.http.fields import find_in_environ, path_in_environ

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
            root, path = (path_in_environ(environ, name) for name in ("SCRIPT_NAME", "PATH_INFO"))
            asked = environ["REQUEST_METHOD"], root, path, find
            answer = self._manager.run(self._binding.answer(asked))
        except StoreError:
            answer = unavailable()
        start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", answer.fields)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [answer.text.encode()]
