"""For views: the same names as in the other kits, beside Django's own."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, overload

from asgiref.sync import iscoroutinefunction
from django.contrib import auth
from django.http import HttpRequest, HttpResponse
from django.shortcuts import resolve_url
from django.urls import path as url_path

from sessiongate.django.refusals import EXCEPTIONS, SessionRefused, answer
from sessiongate.django.users import request_user
from sessiongate.errors import ConfigurationError
from sessiongate.kits.guard import CROSS_SITE, Guard, guarded
from sessiongate.kits.jwks import PATH, jwks_answer
from sessiongate.kits.page import Page, safe_redirect

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.base_user import AbstractBaseUser
    from django.urls import URLPattern

    from sessiongate.http.request_session import LoginOptions
    from sessiongate.http.user import User
    from sessiongate.kits.guard import GuardOptions
    from sessiongate.kits.jwks import HasJWKS
    from sessiongate.kits.page import LoginURL

__all__ = [
    "alogin_user",
    "alogout_user",
    "current_user",
    "jwks_path",
    "login_required",
    "login_user",
    "logout_user",
    "safe_redirect",
]

View = TypeVar("View", bound="Callable[..., Any]")


def current_user(request: HttpRequest) -> User:
    """Whose session it is, as in the other kits: ``username``, ``scopes``, ``info``.

    ``request.user`` is Django's. This one asks no database: a user who was deleted there is still
    named here.

    Raises:
        ConfigurationError: The request did not pass the middleware.
    """
    return request_user(request, "current_user").session.user


def login_user(
    request: HttpRequest,
    user: AbstractBaseUser,
    backend: str | None = None,
    **options: Unpack[LoginOptions],
) -> str | None:
    """Django's ``login()``, with the keywords of a session of ours; returns its token.

    Args:
        request: The request.
        user: Who logs in; the password has been checked.
        backend: As in ``login()``.
        options: See ``LoginOptions``, such as ``remember=True`` or ``transport="bearer"``.

    Raises:
        SessionRefused: 403: a limit is reached, or the request came from
            another site. Nothing was opened.
        ConfigurationError: The request did not pass the middleware.
        StoreError: The store is down; nothing was opened.
    """
    current = request_user(request, "login_user()")
    current.options = options
    auth.login(request, user, backend)
    return current.token


async def alogin_user(
    request: HttpRequest,
    user: AbstractBaseUser,
    backend: str | None = None,
    **options: Unpack[LoginOptions],
) -> str | None:
    """``login_user``, to await."""
    current = request_user(request, "alogin_user()")
    current.options = options
    await auth.alogin(request, user, backend)
    return current.token


def logout_user(request: HttpRequest) -> None:
    """Django's ``logout()``: ends the session of this request.

    Raises:
        SessionRefused: 403: the request came from another site; nothing was done.
        ConfigurationError: The request did not pass the middleware.
        StoreError: The store is down; the session may live on.
    """
    request_user(request, "logout_user()")
    auth.logout(request)


async def alogout_user(request: HttpRequest) -> None:
    """``logout_user``, to await."""
    request_user(request, "alogout_user()")
    await auth.alogout(request)


@overload
def login_required(view: View, /) -> View: ...
@overload
def login_required(**demands: Unpack[GuardOptions]) -> Callable[[View], View]: ...
def login_required(
    view: Callable[..., Any] | None = None, /, **demands: Unpack[GuardOptions]
) -> Any:
    """Let only logged-in users see a view. Django's own does too, if nothing more is asked.

    For sync and async views and methods of class-based views; for whole classes by
    ``method_decorator``.

    Args:
        view: The view, where the decorator is used without parentheses.
        demands: ``scopes``, ``fresh``, ``api_tokens`` and ``login_url``, as in
            ``sessiongate.starlette.login_required``; ``settings.LOGIN_URL`` is only used where
            it is named.

    Raises:
        TypeError, ValueError: What is decorated is no function, or an argument
            is unfit; at once.
        ConfigurationError: The request did not pass the middleware; at the request.

    Refusals are ``ScopeRequired`` and ``SessionRefused`` (403) and ``CredentialsRefused`` (400),
    which ``handler403`` and ``handler400`` see; and a response of 401, for which Django has no
    exception.
    """
    guard = Guard(**demands)

    def check(args: tuple[Any, ...], kwargs: dict[str, Any]) -> HttpResponse | None:
        request = _request_of(args, kwargs)
        refusal = guard.check(
            request_user(request, "login_required").session, lambda: _page(request)
        )
        if refusal is None:
            return None
        exception = SessionRefused if refusal is CROSS_SITE else EXCEPTIONS.get(refusal.status)
        if exception is not None:
            raise exception(refusal)
        return answer(refusal)

    def decorate(view: Any) -> Any:
        return _knowing_user(guarded(view, check, "use method_decorator"), guard)

    return decorate if view is None else decorate(view)


def _knowing_user(view: Any, guard: Guard) -> Any:
    """The view, after the user was looked up: a session of one who may not log in is ended."""
    if iscoroutinefunction(view):  # pyright: ignore[reportDeprecated] - as Django marks them

        @functools.wraps(view)
        async def asynchronous(*args: Any, **kwargs: Any) -> Any:
            current = request_user(_request_of(args, kwargs), "login_required")
            if guard.accepts_api_tokens:
                current.accept_api_tokens()
            await current.aget()
            return await view(*args, **kwargs)

        return asynchronous

    @functools.wraps(view)
    def synchronous(*args: Any, **kwargs: Any) -> Any:
        current = request_user(_request_of(args, kwargs), "login_required")
        if guard.accepts_api_tokens:
            current.accept_api_tokens()
        current.get()
        return view(*args, **kwargs)

    return synchronous


def jwks_path(tokens: HasJWKS, path: str = PATH) -> URLPattern:
    """The public keys of ``ServiceTokens``, for services that verify its tokens.

    For ``urlpatterns``. Caches may keep the answer for five minutes. It names nobody and costs no
    store call.

    Args:
        tokens: The keys are read once, here.
        path: Where it is.
    """
    body, headers = jwks_answer(tokens)

    def jwks(_request: HttpRequest) -> HttpResponse:
        return HttpResponse(body, headers=headers)

    return url_path(path.removeprefix("/"), jwks, name="jwks")


def _page(request: HttpRequest) -> Page:
    prefix: str = request.META.get("SCRIPT_NAME", "")
    query: str = request.META.get("QUERY_STRING", "")
    path, method = request.path, request.method or "GET"
    return Page(method, path, query, request.headers.get, prefix, _locate)


def _locate(login_url: LoginURL) -> str:
    return login_url() if callable(login_url) else resolve_url(login_url)


def _request_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> HttpRequest:
    for found in (*args, *kwargs.values()):
        if isinstance(found, HttpRequest):
            return found
        inner = getattr(found, "_request", None)  # that of a view of DRF
        if isinstance(inner, HttpRequest):
            return inner
    msg = "a login_required view must take a `request`"
    raise ConfigurationError(msg)
