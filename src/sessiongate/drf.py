"""For Django REST framework: sessions of ours, by cookie or bearer token.

    REST_FRAMEWORK = {"DEFAULT_AUTHENTICATION_CLASSES": ["sessiongate.drf.SessionAuthentication"]}

It needs ``sessiongate.django.SessionAuthMiddleware``, which has done the work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sessiongate.django.users import request_user
from sessiongate.kits.guard import CROSS_SITE, Guard

try:
    from rest_framework.authentication import BaseAuthentication
    from rest_framework.permissions import BasePermission
except ImportError as _missing:
    from sessiongate.errors import ConfigurationError

    msg = "Django REST framework is missing: pip install 'sessiongate[drf]'"
    raise ConfigurationError(msg) from _missing

if TYPE_CHECKING:
    from django.http import HttpRequest
    from rest_framework.request import Request
    from rest_framework.views import APIView

    from sessiongate.django.users import RequestUser
    from sessiongate.http.refusals import Refusal
    from sessiongate.http.request_session import RequestSession

__all__ = ["HasScopes", "SessionAuthentication"]


class SessionAuthentication(BaseAuthentication):
    """``request.user`` as Django has it; ``request.auth`` is the ``RequestSession``.

    No view needs a CSRF token: the cookie of a request that another site sent counts for nothing.
    A credential that is not valid makes nobody, so that public views stay public; a view that
    needs somebody answers 401 with an RFC 6750 challenge.

    API tokens are for views that have ``required_scopes``, or say ``api_tokens = True``.
    """

    def authenticate(self, request: Request) -> tuple[Any, RequestSession] | None:
        """Who it is; ``None``: nobody."""
        current = _request_user(request)
        if _accepts_api_tokens(request.parser_context.get("view")):
            current.accept_api_tokens()
        user = current.get()
        return (user, current.session) if user.is_authenticated else None

    def authenticate_header(self, request: Request) -> str | None:
        """The challenge of a 401; ``None`` makes it a 403."""
        refusal = _refusal(_request_user(request).session)
        if refusal is None or refusal is CROSS_SITE:
            return None
        return dict(refusal.headers).get("WWW-Authenticate")


class HasScopes(BasePermission):
    """A permission: the session has all of the ``required_scopes`` of the view."""

    message = "The session lacks a scope."
    code = "insufficient_scope"

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Whether it has."""
        session = _request_user(request).session
        needed = set(getattr(view, "required_scopes", ()))
        return bool(request.user and request.user.is_authenticated) and needed <= set(
            session.user.scopes
        )


def _request_user(request: Request) -> RequestUser:
    inner: HttpRequest = request._request  # noqa: SLF001 - as DRF's own classes do
    return request_user(inner, "sessiongate.drf")


def _accepts_api_tokens(view: Any) -> bool:
    named = bool(getattr(view, "required_scopes", ()))
    return bool(getattr(view, "api_tokens", named))


def _refusal(session: RequestSession) -> Refusal | None:
    return Guard().check(session, lambda: None)
