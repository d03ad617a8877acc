"""What a view may do with the session of its request.

Each verb is one step of the store, carried out at once. Nothing of the session
is written when the view is done: the response only carries the token out.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar, Unpack, final

from sessiongate.core.arguments import EXISTING, SessionOptions, check_choice
from sessiongate.core.rotation import NOW
from sessiongate.core.row import SECOND, to_datetime
from sessiongate.errors import CrossSiteError, ResponseStartedError, StoreError
from sessiongate.http.client import describe
from sessiongate.http.credentials import TRANSPORTS, Transport
from sessiongate.http.token_reader import NOTHING
from sessiongate.http.user import User
from sessiongate.tokens import TokenPayload

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from datetime import datetime

    from sessiongate.core.decisions import Check
    from sessiongate.core.row import Row
    from sessiongate.core.steps import Flow
    from sessiongate.http.client import Client
    from sessiongate.http.csrf import CrossSite
    from sessiongate.http.settings import MiddlewareSettings
    from sessiongate.http.token_reader import Credentials, Problem

T = TypeVar("T")


class LoginOptions(SessionOptions, total=False):
    """The keywords of ``login``: those of ``create_session``, and two more."""

    transport: Transport | None
    """How the token goes out; by default as the request's own came, or as a cookie.

    ``"bearer"``: in the response header; no cookie is set, and one that came is deleted.
    """
    cross_site: bool
    """``True``: the request comes from another site on purpose, as an OpenID Connect
    ``form_post`` does, whose ``state`` the view has checked."""


class TokenDelivery(NamedTuple):
    """What the response does to the client's tokens."""

    row: Row | None
    """The session whose current token goes out; ``None``: none does."""
    by_header: bool = False
    cookie: Literal["issue", "renew", "expire"] | None = None
    """All but ``"renew"`` also expire cookies of our name that this one does not replace."""
    rotated_at: int | None = None
    """When the middleware rotated the token by itself: such a one is not sent late."""


@final
class RequestSession:
    """The session of one request: ``scope["sessiongate"]``, ``environ["sessiongate"]``.

    Starlette's ``request.auth`` as well. Belongs to its request; not for use by
    several threads at once. The ``a…`` twins are for async views and never
    block the event loop. What is not documented here is the middleware's business.
    """

    # A request changes few of these: their first values are the class's, which saves time.

    transport: Transport | None = None
    """How the token came, ``"cookie"`` or ``"bearer"``; ``None`` for the anonymous."""
    problem: Problem | None = None
    """Why a credential that came makes no user; ``None`` if none came or it is valid.

    ``"invalid_token"``: expired, ended, or not minted here;
    ``"invalid_request"``: malformed, or two live sessions came;
    ``"cross_site"``: a cookie that another site sent along.
    """
    credentials: Credentials = NOTHING
    pending_check: Check | None = None
    """What the store must be asked about the one token that came."""
    pending_flow: Flow[None] | None = None
    """What must run where several sessions came, or the one has to change."""
    delivery: TokenDelivery | None = None
    opened: str | None = None
    """The session that this request has opened, until its token has gone out."""
    not_awaited: tuple[str, ...] = ()
    """The async verbs that were called and have not begun."""
    response_started = False
    store_failed = False
    """Whether the store failed this request, so that its answer is a 503."""

    def __init__(
        self,
        settings: MiddlewareSettings,
        client: Client | None = None,
        cross_site: CrossSite | None = None,
    ) -> None:
        self.settings = settings
        self._client = client
        self._cross_site = cross_site
        self.user = User(settings.inform)
        """Who it is; one object for the whole request."""

    def __repr__(self) -> str:
        return f"<RequestSession: {self.user!r} by {self.transport}>"

    @property
    def scopes(self) -> list[str]:
        """What the request may do, as in Starlette's ``AuthCredentials``.

        ``"authenticated"`` and the session's own; empty for the anonymous.
        """
        return ["authenticated", *self.user.scopes] if self.user.is_authenticated else []

    @property
    def session(self) -> str | None:
        """The handle of the session, as ``user_sessions`` shows it; ``None``: anonymous."""
        row = self.user.row
        return None if row is None else row.sid

    @property
    def expires_at(self) -> datetime | None:
        """When the session ends unless it is refreshed; ``None`` for the anonymous."""
        row = self.user.row
        return None if row is None else self.settings.manager.operations.expires_at(row)

    @property
    def rotates_at(self) -> datetime | None:
        """From when on a request rotates the token; ``None``: no request will."""
        row = self.user.row
        due = None if row is None else self.settings.manager.operations.rotates_at(row)
        return None if due is None else to_datetime(due)

    @property
    def age(self) -> float | None:
        """Seconds since the user last proved who they are; ``None`` for the anonymous."""
        row = self.user.row
        return None if row is None else (self.settings.manager.now() - row.created_at) / SECOND

    def login(self, username: str, **options: Unpack[LoginOptions]) -> str | None:
        """Open a session for this client and return its token, or ``None`` at a limit.

        The session is always one of its own: two browsers cannot share a
        rotating token, so ``existing="reuse"`` counts as ``"new"``. Every
        session whose genuine token came with the request ends in the same step
        (ASVS 7.2.4). ``device`` is by default the user agent and the IP, as
        the server saw them, unless the middleware has ``record_device=False``;
        ``{}`` for nothing.

        Args:
            username: As in ``create_session``, like the keywords of it.
            options: See ``LoginOptions``.

        Raises:
            CrossSiteError: The cookie would be set for another site's request
                (login CSRF); nothing was done.
            ResponseStartedError: The headers have gone out; nothing was done.
            StoreError: The store is down; nothing was opened.
            ValueError, TypeError: An argument is unfit, or the token would be
                too large for a cookie; nothing was opened.
        """
        return self.run(self._login(username, **options))

    def alogin(
        self, username: str, **options: Unpack[LoginOptions]
    ) -> Coroutine[Any, Any, str | None]:
        """``login``, to await."""
        return self.to_await("alogin()", partial(self.arun, self._login(username, **options)))

    def logout(self) -> bool:
        """End every session whose genuine token came, and delete the cookie.

        Also one that a parallel refresh has just retired. Without a session
        only the cookie is deleted. ``False`` in an unsafe request of another
        site: nothing was done, and the log says so.

        Raises:
            StoreError: The store is down; the session may live on, and the
                cookie stays.
        """
        return self.run(self.closing())

    def alogout(self) -> Coroutine[Any, Any, bool]:
        """``logout``, to await."""
        return self.to_await("alogout()", partial(self.arun, self.closing()))

    def refresh(self) -> str | None:
        """Exchange the token now and return the new one, or ``None`` if the session is over.

        All older tokens of the session are dead at once.

        Raises:
            ResponseStartedError: The headers have gone out; nothing was done.
            StoreError: The store is down; the token is as valid as before.
        """
        return self.run(self._refresh())

    def arefresh(self) -> Coroutine[Any, Any, str | None]:
        """``refresh``, to await."""
        return self.to_await("arefresh()", partial(self.arun, self._refresh()))

    # Inside: what the verbs mean, in one text for sync and async.

    def _login(
        self,
        username: str,
        transport: Transport | None = None,
        cross_site: bool = False,  # noqa: FBT001, FBT002 - a keyword of the public verb
        **options: Unpack[SessionOptions],
    ) -> Flow[str | None]:
        self._before_response("login()")
        if transport is not None:
            check_choice(transport, "transport", TRANSPORTS)
        transport = transport or self.transport or "cookie"
        elsewhere = self._sent_by_another_site()
        if transport == "cookie" and self._cross_site is not None and not cross_site:
            self.settings.report_cross_site("a login by cookie was refused", self._cross_site)
            msg = (
                "a login by cookie was asked for by another site: pass that site to the middleware "
                "in trusted_origins, or cross_site=True for an OpenID Connect form_post"
            )
            raise CrossSiteError(msg)
        settings = self.settings
        operations = settings.manager.operations
        wanted = options.get("existing") or operations.policy.existing
        if check_choice(wanted, "existing", EXISTING) == "reuse":
            wanted = "new"
        options["existing"] = wanted
        if options.get("device") is None:
            client = self._client if settings.record_device else None
            options["device"] = None if client is None else describe(client)
        opened_before = self.opened
        try:
            granted = yield from operations.open(
                settings.manager.now(),
                username,
                options,
                replaces=self._sessions_that_came(
                    cookie=transport == "cookie" or elsewhere is None
                ),
                transport=transport,
                longest=settings.longest_token(transport),
                opening=partial(setattr, self, "opened"),
            )
        except StoreError:
            self.opened = opened_before  # no second wait for a store that is down
            raise
        if granted is None:
            self.opened = opened_before
            return None
        row = granted.row
        if transport == "cookie":
            self.delivery = TokenDelivery(row, cookie="issue")
        else:
            # The cookie that came is of a session that has just ended.
            self.delivery = TokenDelivery(
                row, by_header=True, cookie="expire" if self._cookie_to_expire() else None
            )
        self._set_session(row, transport)
        return granted.token

    def closing(self) -> Flow[bool]:
        """``logout`` as a flow."""
        elsewhere = self._sent_by_another_site()
        if elsewhere is not None and self.opened is None:
            self.settings.report_cross_site("a logout did nothing", elsewhere)
            return False
        manager, transport = self.settings.manager, self.transport or self.credentials.transport
        for sid in self._sessions_that_came(cookie=elsewhere is None):
            yield from manager.operations.close(manager.now(), sid, transport=transport)
        by_cookie = elsewhere is None and not self.credentials.by_authorization
        expires = by_cookie or self._cookie_to_expire()
        self.delivery = TokenDelivery(None, cookie="expire") if expires else None
        self._set_session(None, None)
        self.opened = None
        return True

    def _refresh(self) -> Flow[str | None]:
        self._before_response("refresh()")
        manager, row = self.settings.manager, self.user.row
        token = None if row is None else TokenPayload(row.sid, row.generation)
        renewed = yield from manager.operations.present(manager.now(), token, NOW, self.transport)
        if renewed is not None:
            self._set_session(renewed, self.transport)
            self.send_token(renewed)
            return manager.operations.codec.mint(renewed)
        if self.user.row is not None:
            self._set_session(None, None)
            self.problem = "invalid_token"
        expires = self.delivery is not None and self.delivery.cookie == "expire"
        self.delivery = TokenDelivery(None, cookie="expire") if expires else None
        return None

    def send_token(self, row: Row, rotated_at: int | None = None) -> None:
        """Send the session's current token, each way that it came, or that its login chose."""
        if self.delivery is not None and self.opened == row.sid:
            self.delivery = self.delivery._replace(row=row)
            return
        cookie: Literal["renew"] | None = "renew" if self.credentials.renews_cookie else None
        self.delivery = TokenDelivery(row, self.transport == "bearer", cookie, rotated_at)

    def _sent_by_another_site(self) -> CrossSite | None:
        """The other site whose unsafe request this is, so that its cookies count for nothing."""
        return None if self.credentials.by_authorization else self._cross_site

    def _cookie_to_expire(self) -> bool:
        """Whether the client holds a cookie of ours, or would from this response.

        One that another site sent along is left alone.
        """
        credentials = self.credentials
        if self.delivery is not None and self.delivery.cookie == "issue":
            return True
        return credentials.cookies > 0 and (
            self._cross_site is None or (credentials.by_authorization and credentials.renews_cookie)
        )

    def _sessions_that_came(self, *, cookie: bool) -> tuple[str, ...]:
        """The sids of all genuine tokens that came, and of what was opened since.

        ``cookie``: whether those of a cookie alone are among them.
        """
        tokens = self.credentials.tokens if cookie else ()
        if self._cross_site is None:
            tokens += self.credentials.beside
        sids = [token.sid for token in tokens]
        if self.user.row is not None:
            sids.append(self.user.row.sid)
        return tuple(dict.fromkeys(sids))

    def _set_session(self, row: Row | None, transport: Transport | None) -> None:
        self.user.row = row
        self.transport = transport
        self.problem = None

    def _before_response(self, verb: str) -> None:
        if self.response_started:
            msg = f"{verb} came after the response had started: call it before the first byte"
            raise ResponseStartedError(msg)

    def to_await(
        self, verb: str, begin: Callable[[], Coroutine[Any, Any, T]]
    ) -> Coroutine[Any, Any, T]:
        """A coroutine that is noted until it begins: the log names one that never does."""
        self.not_awaited += (verb,)

        async def awaited() -> T:
            at = self.not_awaited.index(verb)
            self.not_awaited = self.not_awaited[:at] + self.not_awaited[at + 1 :]
            return await begin()

        return awaited()

    def run(self, flow: Flow[T]) -> T:
        """Run a flow for this request; a store that fails makes its answer a 503."""
        return self.settings.manager.run(self._noting_failure(flow))

    def arun(self, flow: Flow[T]) -> Coroutine[Any, Any, T]:
        """``run``, to await."""
        return self.settings.manager.arun(self._noting_failure(flow))

    def _noting_failure(self, flow: Flow[T]) -> Flow[T]:
        try:
            return (yield from flow)
        except StoreError:
            self.store_failed = True
            raise
