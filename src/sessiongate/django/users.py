"""Who ``request.user`` is: the user of Django's that a session of ours names."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, cast, final

from asgiref.sync import sync_to_async
from django.apps import apps
from django.conf import settings
from django.contrib import auth
from django.contrib.auth import (
    BACKEND_SESSION_KEY,
    HASH_SESSION_KEY,
    SESSION_KEY,
    load_backend,
)
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.utils.crypto import constant_time_compare
from django.utils.functional import SimpleLazyObject

from sessiongate.core.row import scopes_and_claims_of
from sessiongate.django import data
from sessiongate.django.apps import LABEL, SessionGateConfig
from sessiongate.django.lookup import look_up
from sessiongate.django.refusals import SessionRefused
from sessiongate.errors import ConfigurationError
from sessiongate.http.request_session import RequestSession
from sessiongate.kits import verbs

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.base_user import AbstractBaseUser
    from django.contrib.sessions.backends.base import SessionBase
    from django.http import HttpRequest

    from sessiongate.core.row import Row
    from sessiongate.django.configuration import Configuration
    from sessiongate.http.credentials import Transport
    from sessiongate.http.refusals import Refusal
    from sessiongate.http.request_session import LoginOptions

CLAIM: Final = "django"
"""The claim that holds which backend let the user in, and Django's own hash of the password."""


@final
class FollowedSession(RequestSession):
    """A ``RequestSession`` whose own verbs, such as ``logout()``, are told to ``follow``."""

    follow: Callable[[], None] | None = None

    def _set_session(self, row: Row | None, transport: Transport | None) -> None:
        super()._set_session(row, transport)
        if self.follow is not None:
            self.follow()


class RequestUser:
    """What ``request.user`` is made of; follows ``login()`` and ``logout()``. For one request."""

    def __init__(
        self, request: HttpRequest, session: RequestSession, configuration: Configuration
    ) -> None:
        self.session: RequestSession = session
        self.configuration: Configuration = configuration
        self.options: LoginOptions = {}
        """Of the login under way, where ``login_user`` was called."""
        self.token: str | None = None
        """Of the last login of this request."""
        self.refusal: Refusal | None = None
        """Whose header fields the response needs."""
        self._accepts_api_tokens = False
        self._request = request
        self._found: tuple[str | None, AbstractBaseUser] | None = None
        """The session, and its user."""
        self._attached_to = session.session
        if isinstance(session, FollowedSession):
            session.follow = self._follow
        self.attach()

    def attach(self) -> None:
        """Put the user on the request: looked up when first asked for, in sync or async."""
        given: Any = self._request
        given.user, given.auser = SimpleLazyObject(self.get), self.aget

    def _follow(self) -> None:
        """Forget who the user was: the request has another session, or none."""
        if self._attached_to != self.session.session:
            self._attached_to = self.session.session
            self.attach()

    def get(self) -> AbstractBaseUser | AnonymousUser:
        """The user; one query, once. A session without a user who may log in is ended."""
        session = self.session
        if session.user.row is None or self._is_handed_over():
            self._move()
        if session.user.row is None or (session.api_token and not self._accepts_api_tokens):
            return AnonymousUser()
        if self._found is None or self._found[0] != session.session:
            user, has_old_hash = find_user(session, self.configuration)
            if user is None:
                self._refuse()
                return AnonymousUser()
            self._found = session.session, user
            if has_old_hash and not session.response_started:
                self._renew_hash(user)
        return self._found[1]

    async def aget(self) -> AbstractBaseUser | AnonymousUser:
        """``get``, to await."""
        found = self._found
        if found is not None and found[0] == self.session.session:
            return self.get()
        return await sync_to_async(self.get)()

    def accept_api_tokens(self) -> None:
        """Let ``request.user`` be that of an API token: a view has said so.

        Otherwise it is nobody, so that Django's own ``@login_required`` and the admin refuse it.
        """
        self._accepts_api_tokens = True
        if self.session.api_token is not None:
            self.attach()

    def open(self, user: AbstractBaseUser, **options: Any) -> str:
        """Open a session of ours for this user; the options count for more than the setting's.

        Raises:
            SessionRefused: A limit is reached, or the request came from another site.
        """
        session, stored = self.session, self._request.session
        wanted = login_options(user, stored, self.configuration, **options)
        username = self.configuration.username_of(user)
        self.token = session.run(verbs.login(session, SessionRefused, username, **wanted))
        self._found = session.session, user
        self._request.user = cast("Any", user)
        data.own(stored, session)
        return self.token

    @property
    def password_hash(self) -> str | None:
        """What Django's hash of the password was at the login; ``None``: another app's login."""
        return _vouched(self.session).get("hash")

    def _renew_hash(self, user: AbstractBaseUser) -> None:
        """State the hash by the present ``SECRET_KEY``, before its fallbacks are gone."""
        session, row = self.session, self.session.user.row
        claims = {} if row is None else scopes_and_claims_of(row)[1]
        vouched = {**_vouched(session), "hash": user.get_session_auth_hash()}
        session.update(claims={**claims, CLAIM: vouched})

    def _refuse(self) -> None:
        session = self.session
        if session.api_token is not None:
            session.user.row, session.problem = None, "invalid_token"
        elif not session.response_started:
            session.logout()

    def _is_handed_over(self) -> bool:
        config = cast(SessionGateConfig, apps.get_app_config(LABEL))
        return config.hands_over and data.TOKEN in self._request.session

    def _move(self) -> None:
        """Open a session where Django's own data say who is logged in, and may still say so.

        That is: after a login without a request, as test clients do, and with
        ``move_django_sessions``.
        """
        session, stored = self.session, self._request.session
        came = session.problem in {None, "invalid_token"} and session.skipped is None
        if not came or session.credentials.by_authorization or session.response_started:
            return
        if stored.session_key is None or SESSION_KEY not in stored or data.is_owned(stored):
            return
        manager, token = self.configuration.manager, stored.pop(data.TOKEN, None)
        handed_over = token is not None and manager.invalidate_session(token)[0]
        if not (handed_over or self.configuration.move):
            return
        user = auth.get_user(self._request)
        if isinstance(user, AnonymousUser):
            return
        with suppress(SessionRefused):
            self.open(user)
            data.own(stored, session, manager.now())


def request_user(request: HttpRequest, needed_by: str) -> RequestUser:
    """What the middleware has left for a request.

    Raises:
        ConfigurationError: The request did not pass it.
    """
    found = of_request(request)
    if found is None:
        msg = (
            f"{needed_by} needs a request that passed the middleware: put "
            "'sessiongate.django.SessionAuthMiddleware' into MIDDLEWARE, below SessionMiddleware; "
            "in tests use django.test.Client, not RequestFactory"
        )
        raise ConfigurationError(msg)
    return found


def of_request(request: HttpRequest | None) -> RequestUser | None:
    """The same; ``None`` for a request that did not pass the middleware."""
    return cast("RequestUser | None", getattr(request, "_sessiongate", None))


def login_options(
    user: AbstractBaseUser, stored: SessionBase, configuration: Configuration, **options: Any
) -> dict[str, Any]:
    """The keywords of a login: scopes of the setting, and what ``find_user`` checks later."""
    vouched = {"backend": stored.get(BACKEND_SESSION_KEY), "hash": stored.get(HASH_SESSION_KEY)}
    known = {name: value for name, value in vouched.items() if value}
    options.setdefault("scopes", configuration.scopes(user))
    options["claims"] = {**(options.get("claims") or {}), CLAIM: known}
    return options


def find_user(
    session: RequestSession, configuration: Configuration
) -> tuple[AbstractBaseUser | None, bool]:
    """The user of a live session, as Django would find it by its own; ``None``: not any more.

    Deleted, inactive, of a backend that is no more, or with another password than at the login. A
    session that another app has opened knows of no backend and no password. The second value says
    whether the hash of the password is one by a former ``SECRET_KEY``.
    """
    vouched, known = _vouched(session), settings.AUTHENTICATION_BACKENDS
    paths, claimed = [vouched["backend"]] if "backend" in vouched else known, vouched.get("hash")
    user = None
    for path in paths:
        if path in known and user is None:
            user = _look_up(session.user.identity, load_backend(path), configuration)
    if user is None or claimed is None:
        return user, False
    if not hasattr(user, "get_session_auth_hash"):
        return None, False
    if constant_time_compare(claimed, user.get_session_auth_hash()):
        return user, False
    fallbacks = user.get_session_auth_fallback_hash()
    is_old = any(constant_time_compare(claimed, one) for one in fallbacks)
    return user if is_old else None, is_old


def _look_up(username: str, backend: Any, configuration: Configuration) -> AbstractBaseUser | None:
    field = configuration.user_field
    try:
        user = look_up(field, field.to_python(username), backend)
    except (ObjectDoesNotExist, ValidationError, ValueError, OverflowError):
        return None  # a name of another app, that is none of ours
    # The collation of a database may take other letters for the same.
    is_exact = user is not None and configuration.username_of(user) == username
    return cast("AbstractBaseUser", user) if is_exact else None


def _vouched(session: RequestSession) -> dict[str, Any]:
    row = session.user.row
    found = None if row is None else scopes_and_claims_of(row)[1].get(CLAIM)
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}
