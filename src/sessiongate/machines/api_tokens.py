"""API tokens: named, scoped, long-lived tokens that a user gives to scripts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from sessiongate.core.arguments import (
    SessionOptions,
    check_count,
    check_text,
    microseconds,
)
from sessiongate.core.row import FOREVER
from sessiongate.errors import TokenLimitError
from sessiongate.machines.codec import APITokenCodec
from sessiongate.machines.request_session import APITokenSession, brings_api_token
from sessiongate.machines.rows import NEVER, details_of
from sessiongate.managers import SessionManager
from sessiongate.reports.reporter import Reporter

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sessiongate.core.arguments import Seconds
    from sessiongate.core.row import Row
    from sessiongate.core.steps import Flow
    from sessiongate.events import Listener
    from sessiongate.stores.base import Store
    from sessiongate.tokens import Codec


class APITokenReporter(Reporter):
    """Reports API tokens, by events of their own kinds."""

    _line: ClassVar = "API token: %s: user %r, token %s, by %s (%s)"
    _limit_lines: ClassVar = {"user": "Reached max_per_user limit of API tokens (%s)"}
    _kinds: ClassVar = {"login": "token_created", "logout": "token_revoked"}


class APITokenManager(SessionManager):
    """The sessions behind API tokens: no timeout, no rotation, events of their own kinds."""

    _reporter: ClassVar[type[Reporter]] = APITokenReporter

    def _make_codec(self, secret_key: Any, timeout: int, *, strict: bool) -> Codec:  # noqa: ARG002
        return APITokenCodec(secret_key, strict=strict)


class WantedToken(NamedTuple):
    """What a new token is to be."""

    username: str
    name: str
    scopes: Iterable[str]
    claims: Mapping[str, Any] | None
    expires_in: Seconds | None


class APITokens:
    """Named, scoped, long-lived tokens of users, for scripts and other machines.

    Pass it to the middleware as ``api_tokens=``. A token comes as ``Authorization: Bearer sgp_…``.
    It never rotates and opens no cookie. It counts for no limit of sessions.

    Safe for any number of threads and event loops. Each verb has an ``a…`` twin to await, which
    never blocks the event loop. Every verb raises ``StoreError`` when the store is down: what it
    was to change may be changed or not.

    Args:
        store: Where the tokens are kept: never the sessions' own, but another file, prefix or
            schema of it. ``MemoryStore()`` by default.
        secret_key: Signs the tokens. One key, or a list of which the first signs and all verify.
            Required with a shared store. Choose another one than for the sessions: who retires it
            ends tokens that are years old.
        max_per_user: Live tokens of one user; ``None``: no limit.
        touch_every: Seconds that ``last_used`` may lag behind; by default what suits the store.
        strict_keys: Refuse a key that is too short, instead of warning.
        clock: Gives Unix seconds; no other clock is read.
        logger: Where events are logged.
        on_event: As for ``SessionManager``; the kinds are ``"token_created"``,
            ``"token_revoked"``, ``"limit_reached"`` and ``"store_failed"``.

    Raises:
        ValueError, TypeError: An argument is unfit; a shared store without ``secret_key`` is a
            ``ConfigurationError``.
    """

    request_session: ClassVar[type[APITokenSession]] = APITokenSession

    def __init__(
        self,
        *,
        store: Store | None = None,
        secret_key: Any = None,
        max_per_user: int | None = None,
        touch_every: Seconds | None = None,
        strict_keys: bool = False,
        clock: Callable[[], float] = time.time,
        logger: logging.Logger | None = None,
        on_event: Listener | None = None,
    ) -> None:
        self.manager: APITokenManager = APITokenManager(
            max_concurrent_sessions=None,
            store=store,
            secret_key=secret_key,
            strict_keys=strict_keys,
            existing="new",
            max_sessions_per_user=check_count(max_per_user, "max_per_user"),
            rotate_after=None,
            touch_every=touch_every,
            clock=clock,
            logger=logger,
            on_event=on_event,
        )
        """What the middlewares build on, like the next two; users need none of it."""

    @staticmethod
    def came_with(authorizations: Sequence[bytes]) -> bool:
        """Whether a request brings an API token, so that nothing else of it counts."""
        return brings_api_token(authorizations)

    def __repr__(self) -> str:
        return f"<APITokens on {type(self.manager.store).__name__}>"

    def create(
        self,
        username: str,
        *,
        name: str,
        scopes: Iterable[str] = (),
        claims: Mapping[str, Any] | None = None,
        expires_in: Seconds | None = None,
    ) -> str:
        """Make a token and return it: shown this once, and kept nowhere.

        Args:
            username: Whose: 1 to 256 characters, none of them control characters.
            name: What the user calls it, such as ``"ci"``; need not be unique.
            scopes: What it may do (RFC 6749, section 3.3).
            claims: Custom JSON values, shown by ``.user.info``.
            expires_in: Seconds until it ends; ``None``: when it is revoked.

        Raises:
            TokenLimitError: The user has ``max_per_user`` of them; nothing was made.
            ValueError, TypeError: An argument is unfit; nothing was made.
        """
        wanted = WantedToken(username, name, scopes, claims, expires_in)
        return self.manager.run(self.creating(wanted))

    async def acreate(
        self,
        username: str,
        *,
        name: str,
        scopes: Iterable[str] = (),
        claims: Mapping[str, Any] | None = None,
        expires_in: Seconds | None = None,
    ) -> str:
        """``create``, to await."""
        wanted = WantedToken(username, name, scopes, claims, expires_in)
        return await self.manager.arun(self.creating(wanted))

    def tokens(self, username: str) -> list[dict[str, Any]]:
        """The live tokens of a user, oldest first; never a usable one.

        Each with ``handle`` (names the token, opens nothing), ``name``, ``scopes``,
        ``created_at``, ``last_used`` (``None``: never) and ``expires_at`` (``None``: when it is
        revoked); times are aware UTC ``datetime`` objects. No tokens: an empty list.
        """
        return [details_of(row) for row in self.manager.run(self.listing(username))]

    async def atokens(self, username: str) -> list[dict[str, Any]]:
        """``tokens``, to await."""
        return [details_of(row) for row in await self.manager.arun(self.listing(username))]

    def revoke(self, username: str, handle: str) -> bool:
        """End the token of that ``handle`` if it is this user's: whether it was."""
        return self.manager.invalidate_user_session(username, handle)

    async def arevoke(self, username: str, handle: str) -> bool:
        """``revoke``, to await."""
        return await self.manager.ainvalidate_user_session(username, handle)

    def revoke_all(self, username: str) -> int:
        """End all tokens of a user, such as one who was deleted: how many."""
        return self.manager.invalidate_user_sessions(username)

    async def arevoke_all(self, username: str) -> int:
        """``revoke_all``, to await."""
        return await self.manager.ainvalidate_user_sessions(username)

    # As flows, for pages that do it within their request.

    def creating(self, wanted: WantedToken) -> Flow[str]:
        """``create`` as a flow."""
        manager, expires_in = self.manager, wanted.expires_in
        now, ends_at = manager.now(), FOREVER
        if expires_in is not None:
            ends_at = min(now + microseconds(expires_in, "expires_in", positive=True), FOREVER)
        options = SessionOptions(
            scopes=wanted.scopes,
            claims=wanted.claims,
            device={"name": check_text(wanted.name, "name")},
        )
        granted = yield from manager.logins.open(
            now,
            wanted.username,
            options,
            last_accessed=NEVER,
            rotated_at=NEVER,
            expires_at=ends_at,
            lifetime_ends_at=ends_at,
        )
        if granted is None:
            most = manager.operations.policy.user_limit
            msg = f"the user has {most} API tokens, as many as max_per_user lets be: revoke one"
            raise TokenLimitError(msg)
        return granted.token

    def listing(self, username: str) -> Flow[tuple[Row, ...]]:
        """``tokens`` as a flow, of rows."""
        return self.manager.administration.of_user(self.manager.now(), username)
