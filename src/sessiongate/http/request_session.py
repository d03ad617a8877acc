"""What a view may do with the session of its request.

Each verb is one step of the store, carried out at once. Nothing of the session
is written when the view is done: the response only carries the token out.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, TypeVar, Unpack, final

from sessiongate.core.arguments import SessionOptions, check_choice
from sessiongate.core.operations import EXISTING
from sessiongate.core.outcomes import NOW
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

    from sessiongate.core.operations import Check, Granted
    from sessiongate.core.row import Row
    from sessiongate.core.steps import Flow
    from sessiongate.http.client import Client
    from sessiongate.http.csrf import CrossSite
    from sessiongate.http.settings import MiddlewareSettings
    from sessiongate.http.token_reader import Credentials, Problem

__all__ = ["LoginOptions", "PendingCheck", "RequestSession", "TokenDelivery"]

T = TypeVar("T")

PendingCheck: TypeAlias = tuple["Check", int]
"""What the store is asked, and the generation that the client is known to have."""


class LoginOptions(SessionOptions, total=False):
    """The keywords of ``login``; those of ``create_session``, and two more."""

    transport: Transport | None
    """How the token goes out; by default the way the request's own came, or as a cookie.

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
    cookie: Literal["issue", "expire"] | None = None
    rotated_at: int | None = None
    """When the middleware rotated the token by itself: such a one is not sent late."""
    tidies: bool = False
    """Whether cookies that the configured one does not replace are expired: a login or logout."""


@final
class RequestSession:
    """The session of one request: ``scope["sessiongate"]``, ``environ["sessiongate"]``.

    Starlette's ``request.auth`` as well. Belongs to its request; not for use by
    several threads at once. The ``a…`` twins are for async views and never
    block the event loop.
    """

    __slots__ = (
        "_client",
        "_cross_site",
        "_settings",
        "credentials",
        "delivery",
        "not_awaited",
        "opened",
        "pending_check",
        "pending_flow",
        "problem",
        "response_started",
        "store_failed",
        "transport",
        "unavailable",
        "user",
    )

    def __init__(
        self,
        settings: MiddlewareSettings,
        client: Client | None = None,
        cross_site: CrossSite | None = None,
    ) -> None:
        self._client = client
        self._cross_site = cross_site
        self._settings = settings
        self.credentials: Credentials = NOTHING
        """What came; the middleware's business, like the rest that is not documented here."""
        self.pending_check: PendingCheck | None = None
        """What the store is still to be asked about the one token that came."""
        self.pending_flow: Flow[None] | None = None
        """The same where tokens of several sessions came."""
        self.unavailable = False
        """Whether the store could not say who it is, so that the answer is a 503."""
        self.transport: Transport | None = None
        """How the token came, ``"cookie"`` or ``"bearer"``; ``None`` for the anonymous."""
        self.problem: Problem | None = None
        """Why a credential that came makes no user; ``None`` if none came or it is valid.

        ``"invalid_token"``: expired, ended, or not minted here;
        ``"invalid_request"``: malformed, or two live sessions came;
        ``"cross_site"``: a cookie that another site sent along.
        """
        self.user = User(settings.manager.information)
        """Who it is; one object for the whole request."""
        self.delivery: TokenDelivery | None = None
        self.opened: str | None = None
        """The session that this request has opened, until its token has gone out."""
        self.not_awaited: list[str] | None = None
        """The async verbs that were called and have not begun."""
        self.response_started = False
        self.store_failed = False

    def __repr__(self) -> str:
        return f"<RequestSession: {self.user!r} by {self.transport}>"

    @property
    def settings(self) -> MiddlewareSettings:
        """The settings of the middleware that made this object."""
        return self._settings

    @property
    def realm(self) -> str:
        """What challenges name."""
        return self._settings.realm

    @property
    def scopes(self) -> list[str]:
        """What the request may do, as Starlette's ``AuthCredentials`` say it.

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
        return None if row is None else self._settings.manager.operations.expires_at(row)

    @property
    def rotates_at(self) -> datetime | None:
        """From when on a request rotates the token; ``None``: no request will."""
        row = self.user.row
        due = None if row is None else self._settings.manager.operations.rotates_at(row)
        return None if due is None else to_datetime(due)

    @property
    def age(self) -> float | None:
        """Seconds since the user last proved who they are; ``None`` for the anonymous."""
        row = self.user.row
        return None if row is None else (self._settings.manager.now() - row.created_at) / SECOND

    @property
    def by_authorization(self) -> bool:
        """Whether ``Authorization`` decided: then the client is no browser to redirect."""
        return self.credentials.by_authorization

    @property
    def two_sessions(self) -> bool:
        """Whether the problem is that two live sessions came."""
        return self.problem == "invalid_request" and self.credentials.problem is None

    @property
    def is_cross_site(self) -> bool:
        """Whether this is an unsafe request of another site, whose cookies count for nothing."""
        return self._cross_site is not None and not self.by_authorization

    def login(self, username: str, **options: Unpack[LoginOptions]) -> str | None:
        """Open a session for this client and return its token, or ``None`` at a limit.

        The session is always one of its own: two browsers cannot share a
        rotating token, so ``existing="reuse"`` counts as ``"new"``. Every
        session whose genuine token came with the request ends in the same step
        (ASVS 7.2.4). ``device`` is by default the user agent and the IP, as
        the server saw them, unless the middleware is told
        ``record_device=False``; ``{}`` for nothing.

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
        return self._logged_in(self.run(self._login(username, **options)))

    def alogin(
        self, username: str, **options: Unpack[LoginOptions]
    ) -> Coroutine[Any, Any, str | None]:
        """``login``, to await."""
        return self.to_await("alogin()", lambda: self._alogin(username, **options))

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
        return self.to_await("alogout()", lambda: self.arun(self.closing()))

    def refresh(self) -> str | None:
        """Exchange the token now and return the new one, or ``None`` if the session is over.

        All older tokens of the session are dead at once.

        Raises:
            ResponseStartedError: The headers have gone out; nothing was done.
            StoreError: The store is down; the token is as valid as before.
        """
        return self._refreshed(self.run(self._refresh()))

    def arefresh(self) -> Coroutine[Any, Any, str | None]:
        """``refresh``, to await."""
        return self.to_await("arefresh()", self._arefresh)

    # Inside: what the verbs mean, in one text for sync and async.

    async def _alogin(self, username: str, **options: Unpack[LoginOptions]) -> str | None:
        return self._logged_in(await self.arun(self._login(username, **options)))

    async def _arefresh(self) -> str | None:
        return self._refreshed(await self.arun(self._refresh()))

    def _login(
        self,
        username: str,
        transport: Transport | None = None,
        cross_site: bool = False,  # noqa: FBT001, FBT002 - a keyword of the public verb
        **options: Unpack[SessionOptions],
    ) -> Flow[tuple[Granted, Transport] | None]:
        self._before_response("login()")
        if transport is not None:
            check_choice(transport, "transport", TRANSPORTS)
        carrier: Transport = transport or self.transport or "cookie"
        if carrier == "cookie" and self.is_cross_site and not cross_site:
            self._report("a login by cookie was refused")
            msg = (
                "a login by cookie was asked for by another site: pass that site to the middleware "
                "in trusted_origins, or cross_site=True for an OpenID Connect form_post"
            )
            raise CrossSiteError(msg)
        settings = self._settings
        operations = settings.manager.operations
        wanted = options.get("existing") or operations.settings.existing
        if check_choice(wanted, "existing", EXISTING) == "reuse":
            wanted = "new"
        options["existing"] = wanted
        if options.get("device") is None:
            options["device"] = None if self._client is None else describe(self._client)
        opened_before = self.opened
        try:
            granted = yield from operations.open(
                settings.manager.now(),
                username,
                replaces=self._sessions_that_came(
                    cookie=carrier == "cookie" or not self.is_cross_site
                ),
                transport=carrier,
                longest=settings.longest_token(carrier),
                opening=partial(setattr, self, "opened"),
                **options,
            )
        except StoreError:
            self.opened = opened_before  # no second wait for a store that is down
            raise
        if granted is None:
            self.opened = opened_before
            return None
        return granted, carrier

    def _logged_in(self, opened: tuple[Granted, Transport] | None) -> str | None:
        if opened is None:
            return None
        granted, carrier = opened
        self._set_session(granted.row, carrier)
        self.opened = granted.row.sid
        if carrier == "cookie":
            self.delivery = TokenDelivery(granted.row, cookie="issue", tidies=True)
        else:
            # The cookie that came is of a session that has just ended.
            held = self._cookie_counts() or self._issues_cookie()
            cookie: Literal["expire"] | None = "expire" if held else None
            self.delivery = TokenDelivery(
                granted.row, by_header=True, cookie=cookie, tidies=cookie is not None
            )
        return granted.token

    def closing(self) -> Flow[bool]:
        """``logout`` as a flow."""
        if self.is_cross_site and self.opened is None:
            self._report("a logout did nothing")
            return False
        manager, transport = self._settings.manager, self.transport or self.credentials.transport
        for sid in self._sessions_that_came(cookie=not self.is_cross_site):
            yield from manager.operations.close(manager.now(), sid, transport=transport)
        nothing_to_delete = self.by_authorization or self.is_cross_site
        nothing_to_delete &= not (self._cookie_counts() or self._issues_cookie())
        self._set_session(None, None)
        self.opened = None
        self.delivery = (
            None if nothing_to_delete else TokenDelivery(None, cookie="expire", tidies=True)
        )
        return True

    def _cookie_counts(self) -> bool:
        """Whether anything came under the name of our cookie, and another site did not send it."""
        credentials = self.credentials
        return credentials.cookie_came and (
            self._cross_site is None or (self.by_authorization and credentials.renews_cookie)
        )

    def _sessions_that_came(self, *, cookie: bool) -> tuple[str, ...]:
        """The sids of all genuine tokens that came, and of what was opened since.

        ``cookie``: whether those of a cookie alone are among them.
        """
        tokens = self.credentials.tokens if cookie else ()
        if self._cross_site is None:
            tokens += self.credentials.beside
        sids = dict.fromkeys(token.sid for token in tokens)
        if self.user.row is not None:
            sids[self.user.row.sid] = None
        return tuple(sids)

    def _refresh(self) -> Flow[Row | None]:
        self._before_response("refresh()")
        manager, row = self._settings.manager, self.user.row
        token = None if row is None else TokenPayload(row.sid, row.generation)
        return (yield from manager.operations.present(manager.now(), token, NOW, self.transport))

    def _refreshed(self, row: Row | None) -> str | None:
        if row is None:
            if self.user.row is not None:
                self._set_session(None, None)
                self.problem = "invalid_token"
            before = self.delivery
            expires = before is not None and before.cookie == "expire"
            self.delivery = TokenDelivery(None, cookie="expire", tidies=True) if expires else None
            return None
        self._set_session(row, self.transport)
        self.send_token(row)
        return self._settings.manager.operations.codec.mint(row)

    def send_token(self, row: Row, rotated_at: int | None = None) -> None:
        """Send the session's current token, each way that it came, or that its login chose."""
        if self.delivery is not None and self.opened == row.sid:
            self.delivery = self.delivery._replace(row=row)
            return
        cookie: Literal["issue"] | None = "issue" if self.credentials.renews_cookie else None
        self.delivery = TokenDelivery(row, self.transport == "bearer", cookie, rotated_at)

    def _issues_cookie(self) -> bool:
        return self.delivery is not None and self.delivery.cookie == "issue"

    def _set_session(self, row: Row | None, transport: Transport | None) -> None:
        self.user.row = row
        self.transport = transport
        self.problem = None

    def _report(self, what_happened: str) -> None:
        if self._cross_site is not None:
            self._settings.report_cross_site(what_happened, self._cross_site)

    def _before_response(self, verb: str) -> None:
        if self.response_started:
            msg = f"{verb} came after the response had started: call it before the first byte"
            raise ResponseStartedError(msg)

    def to_await(
        self, verb: str, begin: Callable[[], Coroutine[Any, Any, T]]
    ) -> Coroutine[Any, Any, T]:
        """A coroutine that is noted until it begins: the log names one that never does."""
        if self.not_awaited is None:
            self.not_awaited = []
        self.not_awaited.append(verb)
        return self._awaited(verb, begin)

    async def _awaited(self, verb: str, begin: Callable[[], Coroutine[Any, Any, T]]) -> T:
        if self.not_awaited is not None:
            self.not_awaited.remove(verb)
        return await begin()

    def run(self, flow: Flow[T]) -> T:
        """Run a flow for this request; a store that fails makes its answer a 503."""
        try:
            return self._settings.manager.run(flow)
        except StoreError:
            self.store_failed = True
            raise

    async def arun(self, flow: Flow[T]) -> T:
        """``run``, to await."""
        try:
            return await self._settings.manager.arun(flow)
        except StoreError:
            self.store_failed = True
            raise
