"""Refusals as Django's own exceptions, so that ``handler403`` and ``handler400`` of an app serve.

Django has no exception for a 401 and none for a 503: those are responses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.core.exceptions import BadRequest, PermissionDenied
from django.http import HttpResponse, HttpResponseRedirect

from sessiongate.kits.guard import SEE_OTHER

if TYPE_CHECKING:
    from sessiongate.http.refusals import Refusal


class _Refused(Exception):  # noqa: N818 - named like the exceptions of the other kits
    """An exception with the header fields of a refusal, which the middleware adds."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.text.strip())
        self.refusal = refusal


class CredentialsRefused(_Refused, BadRequest):
    """400: what came is malformed, or two live sessions came."""


class ScopeRequired(_Refused, PermissionDenied):
    """403: the session lacks a scope."""


class SessionRefused(_Refused, PermissionDenied):
    """403: the request came from another site, or there are too many sessions."""


EXCEPTIONS: Final[dict[int, type[CredentialsRefused | ScopeRequired]]] = {
    400: CredentialsRefused,
    403: ScopeRequired,
}
"""For the others there is a response."""


def answer(refusal: Refusal) -> HttpResponse:
    """A refusal as a response."""
    headers = dict(refusal.headers)
    if refusal.status != SEE_OTHER:
        headers["Content-Type"] = "text/plain; charset=utf-8"
        return HttpResponse(refusal.text, status=refusal.status, headers=headers)
    response = HttpResponseRedirect(headers.pop("Location"), headers=headers)
    response.status_code = SEE_OTHER
    return response
