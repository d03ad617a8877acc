"""What a view may do with the session of its request.

Each verb is one step of the store, carried out at once. Nothing of the session
is written when the view is done: the response only carries the token out.
"""

from __future__ import annotations

from collections.abc import Coroutine
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar, Unpack, cast, final

from sessiongate.core.arguments import SessionChanges, SessionOptions, check_choice
from sessiongate.core.rotation import NOW
from sessiongate.core.row import SECOND, to_datetime
from sessiongate.errors import (
    ConfigurationError,
    CrossSiteError,
    ResponseStartedError,
    StoreError,
)
from sessiongate.feed.watch import Watch
from sessiongate.http.credentials import NOTHING, TRANSPORTS, Transport
from sessiongate.http.origin import describe
from sessiongate.http.user import User
from sessiongate.tokens import TokenPayload

if TYPE_CHECKING:
    from datetime import datetime
    from typing import Final, TypeAlias

    from sessiongate.core.decisions import Check
    from sessiongate.core.rotation import Renewal
    from sessiongate.core.row import Row
    from sessiongate.core.steps import Flow
    from sessiongate.http.credentials import Credentials, Problem
    from sessiongate.http.origin import Client, CrossSite
    from sessiongate.http.settings import MiddlewareSettings

T = TypeVar("T")
Awaits: TypeAlias = Coroutine[Any, Any, T]


class LoginOptions(SessionOptions, total=False):
    """The keywords of ``login``: those of ``create_session``, and two more."""

    transport: Transport | None
    """How the token goes out; by default as the request's own came, or as a cookie.
    ``"bearer"``: in the response header; no cookie is set, and one that came is deleted."""
    cross_site: bool
    """``True``: the request comes from another site on purpose, as an OpenID Connect
    ``form_post`` does, whose ``state`` the view has checked."""


CookieDelivery: TypeAlias = Literal["issue", "renew", "expire"] | None


class TokenDelivery(NamedTuple):
    """What the response does to the client's tokens; by default, nothing."""

    row: Row | None = None
    """The session whose current token goes out."""
    by_header: bool = False
    cookie: CookieDelivery = None
    """All but ``"renew"`` also expire cookies of our name that this one does not replace."""
    rotated_at: int | None = None
    """When the middleware rotated the token by itself: such a one is not sent late."""


NO_DELIVERY: Final = TokenDelivery()


class RequestSession:
    """The session of one request: ``scope["sessiongate"]``, ``environ["sessiongate"]``.

    Starlette's ``request.auth`` as well. Belongs to its request; not for use by
    several threads at once. The ``a…`` twins are for async views and never
    block the event loop. What is not documented here is the middleware's business.
    """

    api_token: str | None = None
    """What the user calls the API token that came; ``None``: no valid one did."""

    def __init__(
        self,
        settings: MiddlewareSettings,
        client: Client | None = None,
        cross_site: CrossSite | None = None,
    ) -> None:
        self.settings = settings
        self._client = client
        self._cross_site = cross_site
        self.user: User = User(settings.inform)
        """Who it is; one object for the whole request."""
        self.transport: Transport | None = None
        """How the token came, ``"cookie"`` or ``"bearer"``; ``None`` for the anonymous."""
        self.problem: Problem | None = None
        """Why a credential that came makes no user; ``None`` if none came or it is valid.

        ``"invalid_token"``: expired, ended, or not minted here;
        ``"invalid_request"``: malformed, or two live sessions came;
        ``"cross_site"``: a cookie that another site sent along.
        """
        self.credentials: Credentials = NOTHING
        self.pending_check: Check | None = None
        """What the store must be asked about the one token that came."""
        self.pending_flow: Flow[None] | None = None
        """What must run where several sessions came, or the one has to change."""
        self.delivery: TokenDelivery = NO_DELIVERY
        self.opened: str | None = None
        """The session that this request has opened, until its token has gone out."""
        self.not_awaited: tuple[str, ...] = ()
        """The async verbs that were called and have not begun."""
        self.watch: Watch | None = None
        """What tells of the end of the session, once somebody asked for it."""
        self.streams: Watch | None = None
        """The same, for an answer that ends between two chunks with its session."""
        self.skipped: str | None = None
        """The rule of ``skip`` that covers this request, so that no credential was read."""
        self.root: str = ""
        """The path of the mount, where sessions may be bound below it."""
        self.response_started: bool = False
        self.store_failed: bool = False
        """Whether the store failed this request, so that its answer is a 503."""

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
        """When the session ends if no further request comes; ``None`` for the anonymous."""
        row = self.user.row
        return None if row is None else self.settings.manager.operations.expires_at(row)

    @property
    def remembered(self) -> bool:
        """Whether the session was opened with ``remember=True``; ``False`` for the anonymous."""
        row = self.user.row
        return row is not None and row.remembered

    @property
    def device_bound(self) -> bool:
        """Whether a key of the client's device has to renew the cookie, again and again."""
        row = self.user.row
        return row is not None and bool(row.bound_key)

    @property
    def proved_until(self) -> datetime | None:
        """When a bound cookie is over, unless the device proves its key; ``None``: not bound."""
        row = self.user.row
        if row is None or not row.bound_key:
            return None
        return to_datetime(self.settings.manager.operations.sent_until(row))

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

    @property
    def ended(self) -> Watch:
        """Tells when the session ends, in whatever process: ``is_set()``, ``await wait()``.

        That of the anonymous never does.
        """
        row, hub = self.user.row, self.settings.manager.hub
        if row is None:
            return self.watch or Watch.of_nobody()
        if self.watch is None or self.watch.sid != row.sid:
            self.watch = hub.watch(row)
        return self.watch

    def login(self, username: str, **options: Unpack[LoginOptions]) -> str | None:
        """Open a session for this client and return its token, or ``None`` at a limit.

        Always one of its own: two browsers cannot share a rotating token, so ``existing="reuse"``
        counts as ``"new"``. Every session whose genuine token came with the request ends in the
        same step (ASVS 7.2.4). ``device`` is by default the user agent and the IP, unless the
        middleware has ``record_device=False``; ``{}`` for nothing.

        Args:
            username: As in ``create_session``, like the keywords of it.
            options: See ``LoginOptions``.

        Raises:
            CrossSiteError: It would set the cookie for another site (login CSRF).
            ResponseStartedError: The headers have gone out.
            StoreError: The store is down; nothing was opened.
            ValueError, TypeError: An argument is unfit, or the token would be
                too large for a cookie; nothing was opened.
        """
        return self.run(self.opening(username, options))

    def alogin(self, username: str, **options: Unpack[LoginOptions]) -> Awaits[str | None]:
        """``login``, to await."""
        return self.to_await("alogin()", self.opening(username, options))

    def logout(self) -> bool:
        """End every session whose genuine token came, and delete the cookie.

        Also one that a parallel refresh has just retired. ``False`` in an unsafe
        request of another site: nothing was done, and the log says so.

        Raises:
            StoreError: The store is down; the session may live on, and the cookie stays.
        """
        return self.run(self.closing())

    def alogout(self) -> Awaits[bool]:
        """``logout``, to await."""
        return self.to_await("alogout()", self.closing())

    def refresh(self) -> str | None:
        """Exchange the token now and return the new one, or ``None`` if the session is over.

        All older tokens of the session are dead at once.

        Raises:
            ResponseStartedError: The headers have gone out; nothing was done.
            StoreError: The store is down; the token is as valid as before.
        """
        return self.run(self._refresh())

    def arefresh(self) -> Awaits[str | None]:
        """``refresh``, to await."""
        return self.to_await("arefresh()", self._refresh())

    def update(self, **changes: Unpack[SessionChanges]) -> str | None:
        """Change what the session may do, and return its new token, or ``None`` if it is over.

        See ``SessionManager.update_session``; ``.user`` follows at once.

        Raises:
            ResponseStartedError: The headers have gone out; nothing was done.
            StoreError: The store is down; the session may be as before.
            ValueError, TypeError: An argument is unfit, or the token would be
                too large for a cookie; nothing was changed.
        """
        return self.run(self._update(changes))

    def aupdate(self, **changes: Unpack[SessionChanges]) -> Awaits[str | None]:
        """``update``, to await."""
        return self.to_await("aupdate()", self._update(changes))

    # What the verbs mean, in one text for sync and async.

    def opening(self, username: str, options: LoginOptions) -> Flow[str | None]:
        """``login`` as a flow."""
        self._before_response("login()")
        cross_site, asked = options.pop("cross_site", False), options.pop("transport", None)
        if asked is not None:
            check_choice(asked, "transport", TRANSPORTS)
        transport = asked or self.transport or "cookie"
        if transport == "cookie" and self._cross_site is not None and not cross_site:
            self.settings.report_cross_site("a login by cookie was refused", self._cross_site)
            msg = (
                "a login by cookie was asked for by another site: pass that site to the middleware "
                "in trusted_origins, or cross_site=True for an OpenID Connect form_post"
            )
            raise CrossSiteError(msg)
        manager, operations = self.settings.manager, self.settings.manager.operations
        existing = options.get("existing") or operations.policy.existing
        options["existing"] = "new" if existing == "reuse" else existing
        if self.settings.record_device and self._client and options.get("device") is None:
            options["device"] = describe(self._client)
        by_cookie, opened_before = transport == "cookie", self.opened
        try:
            granted = yield from manager.logins.open(
                manager.now(),
                username,
                cast(SessionOptions, options),
                replaces=self._sessions_that_came(own_cookie=by_cookie),
                transport=transport,
                longest=self.settings.longest_token(transport),
                opening=partial(setattr, self, "opened"),
            )
        except StoreError:
            self.opened = opened_before  # no second wait for a store that is down
            raise
        if granted is None:
            self.opened = opened_before
            return None
        # By header, a cookie that came is of a session that has just ended.
        cookie: CookieDelivery = "issue" if by_cookie else self._expired_cookie()
        self.delivery = TokenDelivery(granted.row, not by_cookie, cookie)
        self._set_session(granted.row, transport)
        return granted.token

    def closing(self) -> Flow[bool]:
        """``logout`` as a flow."""
        self._check_read("logout()")
        by_header = self.credentials.by_authorization
        if self._cross_site is not None and not by_header and self.opened is None:
            self.settings.report_cross_site("a logout did nothing", self._cross_site)
            return False
        manager, transport = self.settings.manager, self.transport or self.credentials.transport
        for sid, came in self._sessions_that_came():
            yield from manager.operations.close(manager.now(), sid, came=came, transport=transport)
        by_cookie = self._cross_site is None and not by_header
        self.delivery = TokenDelivery(cookie="expire" if by_cookie else self._expired_cookie())
        self._set_session(None, None)
        self.opened = None
        return True

    def undo_login(self) -> Flow[None]:
        """Close what the request opened: no response of ours will bring the client its token."""
        sid, self.opened = self.opened, None
        manager = self.settings.manager
        if sid is not None:
            with suppress(StoreError):  # it is in the log; the error of the view is what counts
                yield from manager.operations.close(manager.now(), sid, transport=self.transport)

    def _refresh(self) -> Flow[str | None]:
        self._before_response("refresh()")
        return (yield from self._renew(NOW))

    def _update(self, changes: SessionChanges) -> Flow[str | None]:
        self._before_response("update()")
        by_cookie = self.transport != "bearer" or self.credentials.renews_cookie
        longest = self.settings.longest_token("cookie" if by_cookie else "bearer")
        refreshed = self.delivery.row is not None and self.delivery.rotated_at is None
        wanted = self.settings.manager.operations.wanted(changes, longest, came_now=False)
        # The older token lives on for a while, so the new one is not sent late: as at a rotation.
        return (yield from self._renew(wanted, None if refreshed else self.settings.manager.now()))

    def _renew(self, renewal: Renewal, rotated_at: int | None = None) -> Flow[str | None]:
        manager, row = self.settings.manager, self.user.row
        token = None if row is None else TokenPayload(row.sid, self._generation_held(row))
        renewed = yield from manager.operations.present(
            manager.now(), token, renewal, self.transport
        )
        if renewed is not None:
            self._set_session(renewed, self.transport)
            if token is not None and renewed.generation != token.generation:
                self.send_token(renewed, rotated_at)
            return manager.operations.codec.mint(renewed)
        if self.user.row is not None:
            self._set_session(None, None)
            self.problem = "invalid_token"
        expires = self.delivery.cookie == "expire"
        self.delivery = TokenDelivery(cookie="expire" if expires else None)
        return None

    def _generation_held(self, row: Row) -> int:
        """Of the client's token. That of a bound session may be of an older proof than the row."""
        if row.bound_key and self.delivery.row is None:
            for token in self.credentials.tokens:
                if token.sid == row.sid:
                    return token.generation
        return row.generation

    def send_token(self, row: Row, rotated_at: int | None = None) -> None:
        """Send the session's current token, each way that it came, or that its login chose."""
        if self.opened == row.sid:
            self.delivery = self.delivery._replace(row=row)
            return
        cookie: CookieDelivery = "renew" if self.credentials.renews_cookie else None
        self.delivery = TokenDelivery(row, self.transport == "bearer", cookie, rotated_at)

    def _expired_cookie(self) -> Literal["expire"] | None:
        """``"expire"`` if the client holds a cookie of ours, or would from this response.

        One that another site sent along is left alone.
        """
        credentials = self.credentials
        ours = self._cross_site is None or (
            credentials.by_authorization and credentials.renews_cookie
        )
        is_held = self.delivery.cookie == "issue" or (ours and credentials.cookies > 0)
        return "expire" if is_held else None

    def _sessions_that_came(self, *, own_cookie: bool = False) -> tuple[tuple[str, int], ...]:
        """The sids and generations of all genuine tokens that came, and of what was opened since.

        Not of a cookie that another site sent along, unless it is taken for our ``own_cookie``.
        """
        credentials, ours = self.credentials, self._cross_site is None
        tokens = credentials.tokens if ours or own_cookie or credentials.by_authorization else ()
        if ours:
            tokens += credentials.beside
        came = {token.sid: token.generation for token in tokens}
        if self.user.row is not None:
            came[self.user.row.sid] = self.user.row.generation
        return tuple(came.items())

    def _set_session(self, row: Row | None, transport: Transport | None) -> None:
        self.user.row, self.transport, self.problem = row, transport, None

    def _check_read(self, verb: str) -> None:
        if self.skipped is not None:
            msg = (
                f"{verb} cannot work on a path of skip= ({self.skipped!r}), where no credential "
                "is read: take the path out of skip; passive= is for polls"
            )
            raise ConfigurationError(msg)

    def _before_response(self, verb: str) -> None:
        self._check_read(verb)
        if self.response_started:
            msg = f"{verb} came after the response had started: call it before the first byte"
            raise ResponseStartedError(msg)

    def to_await(self, verb: str, flow: Flow[T]) -> Awaits[T]:
        """``arun``, noted until it begins: the log names a verb that was never awaited."""
        self._check_read(verb)
        self.not_awaited += (verb,)

        async def awaited() -> T:
            at = self.not_awaited.index(verb)
            self.not_awaited = self.not_awaited[:at] + self.not_awaited[at + 1 :]
            return await self.arun(flow)

        return awaited()

    def run(self, flow: Flow[T]) -> T:
        """Run a flow for this request; a store that fails makes its answer a 503."""
        return self.settings.manager.run(self.noting_failure(flow))

    def arun(self, flow: Flow[T]) -> Awaits[T]:
        """``run``, to await."""
        return self.settings.manager.arun(self.noting_failure(flow))

    def noting_failure(self, flow: Flow[T]) -> Flow[T]:
        """The same flow; a store that fails makes the request's answer a 503."""
        try:
            return (yield from flow)
        except StoreError:
            self.store_failed = True
            raise


@final
class SkippedSession(RequestSession):
    """The session of all requests that one rule of ``skip`` covers: nobody's, and frozen."""

    def __init__(self, settings: MiddlewareSettings, rule: str) -> None:
        vars(self).update(vars(RequestSession(settings)), skipped=rule)

    def __setattr__(self, name: str, _value: object) -> None:
        msg = f"{name} cannot be set: all requests on a path of skip= share this session"
        raise AttributeError(msg)


class SkippedSessions(dict[str, SkippedSession]):
    """The session of each rule, made when the rule first covers a request."""

    def __init__(self, settings: MiddlewareSettings) -> None:
        super().__init__()
        self._settings = settings

    def __missing__(self, rule: str) -> SkippedSession:
        return self.setdefault(rule, SkippedSession(self._settings, rule))
