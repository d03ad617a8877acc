"""Refusals as exceptions of Werkzeug, which Flask and Quart share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol

from werkzeug import exceptions
from werkzeug.wrappers import Response

from sessiongate.kits.guard import CROSS_SITE, SEE_OTHER
from sessiongate.kits.page import Page

if TYPE_CHECKING:
    from collections.abc import Callable

    from werkzeug.datastructures import Headers

    from sessiongate.http.refusals import Refusal
    from sessiongate.kits.page import LoginURL


class _Refused(exceptions.HTTPException):
    """An HTTP exception with the header fields of a refusal."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.text.strip())
        self._extra = refusal.headers

    def get_headers(self, *args: Any, **kwargs: Any) -> list[tuple[str, str]]:
        return [*super().get_headers(*args, **kwargs), *self._extra]


class CredentialsRefused(_Refused, exceptions.BadRequest):
    """400: what came is malformed, or two live sessions came."""


class LoginRequired(_Refused, exceptions.Unauthorized):
    """401: not logged in, or too long ago."""


class ScopeRequired(_Refused, exceptions.Forbidden):
    """403: the session lacks a scope."""


class SessionRefused(_Refused, exceptions.Forbidden):
    """403: the request came from another site, or there are too many sessions."""


class StoreUnavailable(_Refused, exceptions.ServiceUnavailable):
    """503: the store of the sessions does not answer."""


_BY_STATUS: Final = {400: CredentialsRefused, 401: LoginRequired, 403: ScopeRequired}


def refuse(refusal: Refusal) -> NoReturn:
    """Raise the exception of a refusal; a redirect is no error, so no handler of the app sees it.

    Raises:
        HTTPException: Always.
    """
    if refusal.status == SEE_OTHER:
        exceptions.abort(Response(status=SEE_OTHER, headers=refusal.headers))
    raise (SessionRefused if refusal is CROSS_SITE else _BY_STATUS[refusal.status])(refusal)


class _Request(Protocol):
    """What the requests of both have in common."""

    method: str
    path: str
    query_string: bytes
    headers: Headers

    @property
    def script_root(self) -> str: ...


def page_of(request: _Request, url_for: Callable[[str], str]) -> Page:
    """The page that a guard asks about."""

    def locate(login_url: LoginURL) -> str:
        return login_url() if callable(login_url) else url_for(login_url)

    prefix, query = request.script_root, request.query_string.decode("latin-1")
    path = prefix + request.path
    return Page(request.method, path, query, request.headers.get, prefix, locate)
