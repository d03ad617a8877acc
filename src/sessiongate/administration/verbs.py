"""The public verbs about many sessions, sync and async: a part of every manager."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from sessiongate.administration.health import Health, health_of, random_sid
from sessiongate.administration.view import SessionsView
from sessiongate.core.arguments import SessionChanges, is_handle
from sessiongate.core.row import dates_of, device_of, scopes_and_claims_of
from sessiongate.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sessiongate.administration.flows import Administration
    from sessiongate.core.operations import Operations
    from sessiongate.core.row import Row
    from sessiongate.core.steps import Flow
    from sessiongate.feed.hub import Hub
    from sessiongate.stores.base import Store

T = TypeVar("T")


class AdministrationVerbs:
    """The verbs of a ``SessionManager`` about the sessions of a user, and about all."""

    operations: Operations
    administration: Administration
    hub: Hub

    if TYPE_CHECKING:

        @property
        def store(self) -> Store: ...
        def now(self) -> int: ...
        def run(self, flow: Flow[T]) -> T: ...
        async def arun(self, flow: Flow[T]) -> T: ...
        def look(self, flow: Flow[T]) -> T: ...

    def n_active_sessions(self) -> int:
        """How many sessions are live; the expired ones are removed first."""
        return self.run(self.administration.sweep_and_count(self.now()))

    async def an_active_sessions(self) -> int:
        """``n_active_sessions``, to await."""
        return await self.arun(self.administration.sweep_and_count(self.now()))

    def cleanup_expired_sessions(self) -> None:
        """Remove the expired sessions in batches; its cost grows with their number."""
        self.run(self.administration.sweep(self.now()))

    async def acleanup_expired_sessions(self) -> None:
        """``cleanup_expired_sessions``, to await."""
        await self.arun(self.administration.sweep(self.now()))

    def health(self) -> Health:
        """Whether the store and its feed answer, for a health check; see ``Health``.

        One read of the store, which finds nothing and writes nothing; it takes no longer than the
        store lets any call take. Never raises ``StoreError``, emits no event and logs nothing.
        """
        try:
            self.store.read(random_sid())
        except StoreError as error:
            return health_of(error, self.hub)
        return health_of(None, self.hub)

    async def ahealth(self) -> Health:
        """``health``, to await."""
        try:
            await self.store.aread(random_sid())
        except StoreError as error:
            return health_of(error, self.hub)
        return health_of(None, self.hub)

    def list_sessions(
        self, *, username: str | None = None, limit: int = 100, after: str | None = None
    ) -> list[dict[str, Any]]:
        """Live sessions, oldest first, for an administrator's page; never a usable token.

        Each as in ``user_sessions``, and with its ``username``. An empty list: there are no more.

        Args:
            username: Whose sessions; ``None``: everybody's.
            limit: How many at most.
            after: The ``handle`` of the last session of the page before. That one may have ended
                meanwhile, if this process listed that page.

        Raises:
            ValueError, TypeError: An argument is unfit, or ``after`` names a session that has ended
                and that this process did not list.
        """
        return self._listing(
            self.run(self.administration.page(self.now(), username, limit, after)), named=True
        )

    async def alist_sessions(
        self, *, username: str | None = None, limit: int = 100, after: str | None = None
    ) -> list[dict[str, Any]]:
        """``list_sessions``, to await."""
        return self._listing(
            await self.arun(self.administration.page(self.now(), username, limit, after)),
            named=True,
        )

    def user_sessions(self, username: str) -> list[dict[str, Any]]:
        """The live sessions of a user, oldest first, for a “my devices” page.

        Each with ``handle`` (names the session, opens nothing), ``created_at``, ``last_accessed``,
        ``expires_at``, ``scopes`` and ``device``, which is ``None`` if none was given. No sessions:
        an empty list.
        """
        return self._listing(self.run(self._of_user(username)))

    async def auser_sessions(self, username: str) -> list[dict[str, Any]]:
        """``user_sessions``, to await."""
        return self._listing(await self.arun(self._of_user(username)))

    def invalidate_user_session(self, username: str, handle: str) -> bool:
        """End the session of that ``handle`` if it is this user's: whether it was."""
        return self.run(self.administration.close_of(self.now(), username, handle))

    async def ainvalidate_user_session(self, username: str, handle: str) -> bool:
        """``invalidate_user_session``, to await."""
        return await self.arun(self.administration.close_of(self.now(), username, handle))

    def invalidate_user_sessions(self, username: str, *, keep: str | None = None) -> int:
        """Log a user out everywhere, or everywhere but here: how many sessions ended.

        Args:
            username: Whose sessions.
            keep: A token or a handle of the session to spare.
        """
        return self.run(self._end_user(username, keep))

    async def ainvalidate_user_sessions(self, username: str, *, keep: str | None = None) -> int:
        """``invalidate_user_sessions``, to await."""
        return await self.arun(self._end_user(username, keep))

    def update_user_sessions(self, username: str, **changes: Unpack[SessionChanges]) -> int:
        """``update_session`` for all live sessions of a user: how many there were.

        Each holder gets the new token with the next response; the sessions are not extended. A
        login that is under way meanwhile brings what its view gives it.

        Raises:
            ValueError, TypeError: An argument is unfit, and nothing was changed; or scopes and
                claims of a session would be too large together, and all others were changed.
        """
        return self.run(self._update_user(username, changes))

    async def aupdate_user_sessions(self, username: str, **changes: Unpack[SessionChanges]) -> int:
        """``update_user_sessions``, to await."""
        return await self.arun(self._update_user(username, changes))

    @property
    def sessions(self) -> Mapping[str, dict[str, Any]]:
        """The live sessions, read-only: each look reads the store and touches nothing.

        Keys are the current tokens (for JWT: the ``jti``), values hold ``username``,
        ``created_at``, ``last_accessed`` and ``expires_at``. It blocks: not for an event loop.
        """
        return SessionsView(self)

    def _of_user(self, username: str) -> Flow[tuple[Row, ...]]:
        return self.administration.of_user(self.now(), username)

    def _end_user(self, username: str, keep: str | None) -> Flow[int]:
        return self.administration.close_user(self.now(), username, self._sid(keep))

    def _update_user(self, username: str, changes: SessionChanges) -> Flow[int]:
        wanted, policy = self.operations.wanted(changes), self.operations.policy
        return self.administration.change_user(self.now(), username, wanted, policy)

    def _sid(self, keep: str | None) -> str | None:
        """The sid that a token, a key of ``sessions`` or a handle names."""
        if keep is None:
            return None
        if not isinstance(keep, str):
            msg = f"keep must be a token or a handle (str), or None, not {type(keep).__name__}"
            raise TypeError(msg)
        if is_handle(keep):
            return keep
        payload = self.operations.read(keep, self.now()) or self.operations.codec.parse_key(keep)
        return None if payload is None else payload.sid

    def _listing(self, rows: tuple[Row, ...], *, named: bool = False) -> list[dict[str, Any]]:
        return [
            {
                "handle": row.sid,
                **({"username": row.username} if named else {}),
                **dates_of(row, self.operations.codec.leeway),
                "scopes": list(scopes_and_claims_of(row)[0]),
                "device": device_of(row),
            }
            for row in rows
        ]
