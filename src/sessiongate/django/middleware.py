"""The middleware of Django: headers in, a decision, headers out. No rule stands here."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from http.cookies import CookieError, Morsel
from typing import TYPE_CHECKING, Any, cast

from asgiref.sync import sync_to_async
from django.apps import apps
from django.contrib.auth import HASH_SESSION_KEY
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse
from django.utils.cache import patch_cache_control, patch_vary_headers

from sessiongate.core.row import scopes_and_claims_of
from sessiongate.django import data
from sessiongate.django.apps import SessionGateConfig
from sessiongate.django.configuration import configured
from sessiongate.django.streams import end_with
from sessiongate.django.users import FollowedSession, RequestUser, of_request
from sessiongate.errors import StoreError
from sessiongate.http import websockets
from sessiongate.http.authenticator import RequestAuthenticator
from sessiongate.http.fields import CLIENT_FIELDS, find_in_environ, find_in_headers
from sessiongate.http.response import ResponseFields
from sessiongate.http.websockets import WEBSOCKET

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from django.contrib.auth.base_user import AbstractBaseUser
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

    from sessiongate.http.request_session import RequestSession
    from sessiongate.http.response import ResponseChanges

_EVENTS = "text/event-stream"


class SessionAuthMiddleware(AuthenticationMiddleware):
    """Attaches the user to each request and rotates the token in the response.

    In place of Django's ``AuthenticationMiddleware``, below ``SessionMiddleware``. Sets
    ``request.user`` and ``request.auser``, as Django does: one query, when they are first asked
    for; and ``request.sessiongate``, the ``RequestSession``. For WSGI and ASGI; never blocks the
    event loop. ``CsrfViewMiddleware`` asks nothing of a request that brings a bearer token.

    The setting ``SESSIONGATE`` has ``manager``, a ``SessionManager`` or its dotted path, and
    perhaps: ``scopes``, a function of a user that gives those of a new session; ``user_field``,
    the field that is the username of a session, by default the user's ``USERNAME_FIELD``;
    ``move_django_sessions``, ``True`` to let those in who are logged in by Django's own sessions;
    and the keywords of ``MiddlewareSettings``, of which ``trusted_origins`` is by default
    ``CSRF_TRUSTED_ORIGINS`` without its wildcards.

    A request whose credential is not valid goes on as an anonymous one. Only
    where the store cannot say who it is, the answer is a 503 of the middleware.

    Raises:
        ImproperlyConfigured: The setting is missing or unfit, or the middleware misplaced.
    """

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        super().__init__(get_response)
        if not apps.is_installed(SessionGateConfig.name):
            msg = f"add {SessionGateConfig.name!r} to INSTALLED_APPS: it connects login() to us"
            raise ImproperlyConfigured(msg)
        self._configuration = configured()
        manager, options = self._configuration.manager, self._configuration.options
        try:
            self._authenticator = RequestAuthenticator(
                manager, awaits=self.async_mode, make_session=FollowedSession, **options
            )
            for one in (self._authenticator, self._authenticator.for_api_tokens):
                if one is not None:
                    one.reporter.check_listener()
        except (ValueError, TypeError) as error:
            msg = f"SESSIONGATE: {error}"
            raise ImproperlyConfigured(msg) from error
        self._fields = ResponseFields(self._authenticator.settings, str)

    def __call__(self, request: HttpRequest) -> Any:
        """Handle a request."""
        if self.async_mode:
            return self.__acall__(request)
        authenticator, session = self._parse(request)
        if session.pending_flow is not None:
            authenticator.manager.run(session.pending_flow)
        if authenticator.reporter.observer is not None and session.skipped is None:
            authenticator.reporter.observer.checked(session)
        if session.store_failed:
            return self._unavailable()
        self._attach(request, session)
        data.bind(request, session, self._configuration)
        response = cast("HttpResponseBase", self.get_response(request))
        try:
            self._keep_data(request)
        except StoreError:
            response = self._unavailable()
        return self._complete(authenticator, request, response)

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        """``__call__``, to await."""
        authenticator, session = self._parse(request)
        check = session.pending_check
        if check is not None:
            try:
                found = await authenticator.manager.asked.aread(check[0].sid)
                authenticator.apply_data(session, check, found)
            except StoreError as error:
                session.pending_flow = authenticator.failing(session, error)
        if session.pending_flow is not None:
            await authenticator.manager.arun(session.pending_flow)
        if authenticator.reporter.observer is not None and session.skipped is None:
            authenticator.reporter.observer.checked(session)
        if session.store_failed:
            return self._unavailable()
        self._attach(request, session)
        bind = partial(data.bind, request, session, self._configuration)
        await sync_to_async(bind)() if data.is_loaded(request.session) else bind()
        response = await cast("Awaitable[HttpResponseBase]", self.get_response(request))
        if request.session.modified:
            try:
                await sync_to_async(self._keep_data)(request)
            except StoreError:
                response = self._unavailable()
        return self._complete(authenticator, request, response)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Answer 503 where a view let a ``StoreError`` through, and note what a refusal needs."""
        current = of_request(request)
        if current is not None:
            current.refusal = getattr(error, "refusal", None)
        return self._unavailable() if isinstance(error, StoreError) else None

    def _parse(self, request: HttpRequest) -> tuple[RequestAuthenticator, RequestSession]:
        if not hasattr(request, "session"):
            msg = (
                "'sessiongate.django.SessionAuthMiddleware' must stand below "
                "'django.contrib.sessions.middleware.SessionMiddleware' in MIDDLEWARE"
            )
            raise ImproperlyConfigured(msg)
        authenticator, passive = self._authenticator, False
        if authenticator.minds_paths:
            rule = authenticator.find_skipped(request.path_info)
            if rule is not None:
                return authenticator, authenticator.skipped[rule]
            passive = authenticator.find_passive(request.path_info) is not None
        method, meta, scope = request.method or "GET", request.META, getattr(request, "scope", None)
        find: Any = find_in_environ
        fields: Any = meta
        shown = {key: meta[key] for key in CLIENT_FIELDS if key in meta}
        if scope is not None:
            # Django joins several fields of one name by commas, cookies too.
            find, fields = find_in_headers, scope["headers"]
            shown = fields
        cookies, authorizations = find(fields, b"cookie"), find(fields, b"authorization")
        if any(websockets.is_handshake(method, value) for value in find(fields, b"upgrade")):
            method = WEBSOCKET
        client = find, shown, (meta.get("REMOTE_ADDR"),)
        if authorizations and authenticator.for_api_tokens is not None:
            authenticator = authenticator.choose(authorizations)
        return authenticator, authenticator.parse_request(
            method, cookies, authorizations, client, passive
        )

    def _attach(self, request: HttpRequest, session: RequestSession) -> None:
        current = RequestUser(request, session, self._configuration)
        given: Any = request
        given.sessiongate, given._sessiongate = session, current  # noqa: SLF001 - ours
        if session.credentials.by_authorization:
            # No other site can make a browser send this header, so no form token is needed.
            given._dont_enforce_csrf_checks = True  # noqa: SLF001 - as all do who need it

    def _keep_data(self, request: HttpRequest) -> None:
        """Bind data that the view has changed; after a new password, a new session.

        ``update_session_auth_hash`` leaves nothing but the hash for others to see.
        """
        current, stored = of_request(request), request.session
        if current is None or not stored.modified:
            return
        session, row = current.session, current.session.user.row
        if row is None or session.api_token is not None:
            return
        if data.has_new_hash(stored) and current.password_hash != stored.get(HASH_SESSION_KEY):
            user, username = cast("AbstractBaseUser", request.user), row.username
            # REST framework puts there whom another class of its authentication has found.
            if user.is_authenticated and current.configuration.username_of(user) == username:
                scopes, claims = scopes_and_claims_of(row)
                current.open(user, remember=row.remembered, scopes=scopes, claims=claims)
                manager = current.configuration.manager
                manager.invalidate_user_sessions(username, keep=session.session)
        elif not data.is_owned(stored):
            data.own(stored, session)

    def _complete(
        self, authenticator: RequestAuthenticator, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        """Add what the session adds to a response."""
        current = of_request(request)
        if current is None or current.session.skipped is not None:
            return response
        session = current.session
        if current.refusal is not None:
            for name, value in current.refusal.headers:
                response.headers.setdefault(name, value)
        kind = response.headers.get("Content-Type", "")
        if session.user.row is not None and response.streaming and kind.startswith(_EVENTS):
            end_with(session, response)
        elif session.watch is not None and not response.streaming:
            authenticator.manager.hub.unwatch(session.watch)
        changes = authenticator.prepare_response(session, response.status_code)
        if changes is None:
            patch_vary_headers(response, ("Cookie", "Authorization"))
        else:
            self._apply(response, changes)
        return response

    def _apply(self, response: HttpResponseBase, changes: ResponseChanges) -> None:
        response.status_code = changes.status
        name = self._authenticator.settings.cookie.name
        cookies: Any = response.cookies
        put: Any = dict[str, Any].__setitem__
        fields = list(response.items())
        if name in cookies:
            fields.append(("set-cookie", cookies.pop(name).OutputString()))
        fields = self._fields.apply(fields, changes)
        for known in list(response.headers):
            del response[known]
        for key, value in fields:
            if key == "set-cookie":
                # The last is what a test client keeps; the others have keys of their own.
                if name in cookies:
                    put(cookies, f"{name} {len(cookies)}", cookies[name])
                put(cookies, name, _Written(value))
            else:
                response[key] = value
        # Django's cache middleware keeps what is no-store, if it is not private as well.
        patch_cache_control(response, private=True)

    def _unavailable(self) -> HttpResponse:
        fields, body = self._fields.unavailable()
        return HttpResponse(body, status=503, headers=dict(fields))


class _Written(Morsel[str]):
    """A ``Set-Cookie`` field as it was written: ``Morsel`` does not know all attributes."""

    _field: str = ""

    def __init__(self, field: str) -> None:
        super().__init__()
        name, _, value = field.partition(";")[0].partition("=")
        self.set(name, value, value)
        for attribute in field.split("; ")[1:]:
            key, _, value = attribute.partition("=")
            with suppress(CookieError):
                self[key] = value or True
        self._field = field

    def OutputString(self, attrs: Any = None) -> str:  # noqa: N802 - as it is called
        return self._field or super().OutputString(attrs)  # a copy has no field
