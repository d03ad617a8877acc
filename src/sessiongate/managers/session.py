"""Sessions behind opaque tokens: the public verbs, sync and async, over one set of operations."""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Generator, ItemsView, Iterator, Mapping, ValuesView
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Final,
    Literal,
    NoReturn,
    SupportsIndex,
    TypeVar,
    Unpack,
    cast,
)

from sessiongate.core.arguments import (
    EXISTING,
    Seconds,
    SessionChanges,
    SessionOptions,
    check_choice,
    check_count,
    check_store,
    check_username,
    is_handle,
    microseconds,
)
from sessiongate.core.diagnostics import Outages, Throttle
from sessiongate.core.operations import Granted, Operations
from sessiongate.core.rotation import NEVER, NOW, Policy
from sessiongate.core.row import FOREVER, SECOND, Row, dates_of, device_of, scopes_and_claims_of
from sessiongate.core.steps import aask, arun, ask, no_listener, run
from sessiongate.errors import ConfigurationError, StoreError
from sessiongate.feed.hub import Hub
from sessiongate.feed.near import NearStore
from sessiongate.managers.health import health_of, random_sid
from sessiongate.stores.memory import MemoryStore
from sessiongate.tokens import LONGEST_TOKEN
from sessiongate.tokens.keys import MAKE_ONE, random_secret
from sessiongate.tokens.opaque import OpaqueCodec

if TYPE_CHECKING:
    from collections.abc import Callable

    from sessiongate.core.rotation import Renewal
    from sessiongate.core.steps import Call, Flow
    from sessiongate.events import Event, Listener
    from sessiongate.managers.health import Health
    from sessiongate.managers.observer import Observer
    from sessiongate.stores.base import Store
    from sessiongate.tokens import Codec, TokenPayload

T = TypeVar("T")

_ASYNC_LISTENER: Final = "on_event is an async function: use the a… verbs, or pass a plain function"
_LISTENER_FAILED: Final = "on_event failed at a %s event, which stands as it is"
_STORE_FAILED: Final = "the session store failed: %s (failures since the last such line: %d)"
_ANSWERS_AGAIN: Final = "the session store answers again (failures since the last such line: %d)"
_FOREIGN_KEY: Final = (
    "a token came that has the form of ours and is signed with another key. Either another "
    "process, or this one before a restart, made itself a random key: pass the same secret_key=… "
    "to all. Or the key was changed: pass a list, the new key first: secret_key=[new, old]"
)
_KEY_REQUIRED: Final = (
    "secret_key is required with {}: every process must sign with the same key. Make one with: {}"
)
_NO_TOTAL: Final = (
    "max_concurrent_sessions={} is a limit over all users, and this store keeps each user on one "
    "of many nodes, which nobody can count at one moment: pass max_concurrent_sessions=None, and "
    "max_sessions_per_user=… if you want a limit for each user"
)
_ON_LIMIT: Final = ("reject", "evict_oldest")


class SessionManager:
    """Sessions behind opaque tokens.

    Safe for any number of threads and event loops; one object may serve WSGI and ASGI apps side by
    side. Each verb has an ``a…`` twin to await, which never blocks the event loop.

    Durations are seconds (``int`` or ``float``) or a ``timedelta``; dates that come back are aware
    UTC ``datetime`` objects. Every verb raises ``StoreError`` when the store is down: what it was
    to change may be changed or not.

    Args:
        session_timeout: Seconds a session lives without a request.
        max_concurrent_sessions: Live sessions of the whole manager; ``None`` lifts the limit.
        store: Where sessions are kept; ``MemoryStore()`` by default.
        secret_key: Signs the tokens. One key, or a list of which the first signs and all verify.
            Required with a shared store; otherwise a random one is made and dies with the process.
        strict_keys: Refuse a key that is too short, instead of warning.
        existing: What ``create_session`` does for a user who has a live session: ``"reuse"`` its
            token (with the same scopes and claims), open a ``"new"`` one beside it, or
            ``"replace"`` all others.
        max_sessions_per_user: Live sessions of one user; ``None``: no limit.
        on_limit: ``"reject"`` a login at a limit, or ``"evict_oldest"``.
        max_lifetime: Seconds after which no refresh helps (ASVS 7.3.2); ``None``: no such limit.
        rotate_after: Age of a token, in seconds, at which the middleware rotates it; ``"half"`` of
            ``session_timeout`` by default, ``None``: never. Choose it well above
            ``rotation_grace``.
        rotation_grace: Seconds the old token lives on once its successor was seen.
        remember_for: ``session_timeout`` of the sessions that are opened with ``remember=True``;
            less than that one counts as much as it.
        touch_every: Seconds that ``last_accessed`` may lag behind; by default what suits the store
            (0 in memory; elsewhere 300, or a tenth of ``session_timeout`` if that is less).
        near_cache: Seconds for which a check may be answered without the store, while the store
            tells of every session that ends: nothing that was ended is accepted later than that.
            ``None``: each check asks the store.
        clock: Gives Unix seconds; no other clock is read.
        logger: Where events are logged.
        on_event: Called with each ``Event``; an async function is awaited by the async verbs, and
            is a ``TypeError`` with the sync ones, before anything is done. What it raises is
            logged and changes nothing.

    Raises:
        ValueError: An argument is out of range, or contradicts another; a shared store without
            ``secret_key`` is a ``ConfigurationError``.
        TypeError: An argument is of the wrong type.
    """

    _line: ClassVar = "session %s: user %r, session %s, by %s (%s)"
    """How an event is logged: its kind, user, handle, transport and reason."""
    _limit_lines: ClassVar = {
        "total": "Reached max concurrent sessions limit (%s)",
        "user": "Reached max sessions per user limit (%s)",
    }

    def __init__(  # noqa: PLR0913 - one keyword for each rule
        self,
        session_timeout: Seconds = 3600,
        max_concurrent_sessions: int | None = 10,
        *,
        store: Store | None = None,
        secret_key: Any = None,
        strict_keys: bool = False,
        existing: Literal["reuse", "new", "replace"] = "reuse",
        max_sessions_per_user: int | None = None,
        on_limit: Literal["reject", "evict_oldest"] = "reject",
        max_lifetime: Seconds | None = None,
        rotate_after: Seconds | Literal["half"] | None = "half",
        rotation_grace: Seconds = 30,
        remember_for: Seconds = timedelta(days=30),
        touch_every: Seconds | None = None,
        near_cache: Seconds | None = None,
        clock: Callable[[], float] = time.time,
        logger: logging.Logger | None = None,
        on_event: Listener | None = None,
    ) -> None:
        timeout = microseconds(session_timeout, "session_timeout", positive=True)
        if store is not None:
            check_store(store)
        if logger is not None and not isinstance(logger, (logging.Logger, logging.LoggerAdapter)):
            msg = "logger must be a logging.Logger, such as logging.getLogger('sessions')"
            raise TypeError(msg)
        if not callable(clock):
            msg = "clock must be a callable that gives Unix seconds, such as time.time"
            raise TypeError(msg)
        if on_event is not None and not callable(on_event):
            msg = "on_event must be a function of one Event"
            raise TypeError(msg)
        self._session_timeout = session_timeout
        self.logger: logging.Logger = logging.getLogger("sessiongate") if logger is None else logger
        self._store: Store = MemoryStore() if store is None else store
        self.asked: Store = self._store
        """What the verbs ask: the store, or the near cache before it."""
        self.observer: Observer | None = None
        """Who measures what happens; ``None``: nobody, and then it costs nothing."""
        self.outages: Outages = Outages()
        self._foreign_keys = Throttle()
        self._clock = clock
        self._on_event = no_listener if on_event is None else on_event
        self._listens_async = inspect.iscoroutinefunction(on_event) or inspect.iscoroutinefunction(
            type(on_event).__call__
        )
        if secret_key is None:
            if self._store.shared:
                raise ConfigurationError(_KEY_REQUIRED.format(type(self._store).__name__, MAKE_ONE))
            secret_key = random_secret()
        self._secret_key = secret_key
        remembered = max(microseconds(remember_for, "remember_for", positive=True), timeout)
        codec = self._make_codec(secret_key, remembered, strict=strict_keys)

        def whole(time: int) -> int:
            # Times that a JWT states are whole seconds; so are then the row's.
            return -(-time // codec.time_resolution) * codec.time_resolution

        timeout = whole(timeout)
        lifetime = FOREVER
        if max_lifetime is not None:
            lifetime = whole(microseconds(max_lifetime, "max_lifetime", positive=True))
            lifetime += codec.leeway
        policy = Policy(
            timeout=timeout + codec.leeway,
            rotate_after=_rotate_after(rotate_after, timeout),
            grace=microseconds(rotation_grace, "rotation_grace"),
            touch_every=min(self._store.touch_every, timeout // 10)
            if touch_every is None
            else microseconds(touch_every, "touch_every"),
            time_resolution=codec.time_resolution,
            lifetime=lifetime,
            remember_for=whole(remembered) + codec.leeway,
            touch_extends=not codec.states_end,
            existing=check_choice(existing, "existing", EXISTING),
            limit=check_count(max_concurrent_sessions, "max_concurrent_sessions"),
            user_limit=check_count(max_sessions_per_user, "max_sessions_per_user"),
            evict=check_choice(on_limit, "on_limit", _ON_LIMIT) == "evict_oldest",
        )
        self.operations: Operations = Operations(codec, policy, self._store, self._note_refused)
        if policy.limit is not None and getattr(self._store, "sharded", False):
            raise ConfigurationError(_NO_TOTAL.format(policy.limit))
        near = 0 if near_cache is None else microseconds(near_cache, "near_cache", positive=True)
        open_feed = getattr(self._store, "feed", None)
        if near and open_feed is None:
            msg = (
                f"near_cache needs a store that tells of ended sessions, and a "
                f"{type(self._store).__name__} has no feed(): leave near_cache out"
            )
            raise ConfigurationError(msg)
        self.hub: Hub = Hub(
            open_feed,
            superseded=self.operations.superseded,
            look=self._look_at,
            now=self.now,
            near=near / SECOND,
        )
        if near:
            self.asked = cast("Store", NearStore(self._store, self.hub))
            self.operations.find_near = self.hub.find

    def __repr__(self) -> str:
        return f"<{type(self).__name__} on {type(self._store).__name__}>"

    def __reduce_ex__(self, _protocol: SupportsIndex) -> NoReturn:
        # Its locks, its store's connections and its listener belong to this process.
        msg = (
            f"a {type(self).__name__} can be neither copied nor pickled: make one in each process, "
            "from the same settings and the same secret_key, on a store that they share"
        )
        raise TypeError(msg)

    @property
    def session_timeout(self) -> Seconds:
        """As it was given; read-only, like all that decides."""
        return self._session_timeout

    @property
    def max_concurrent_sessions(self) -> int | None:
        """As it was given, ``None`` for no limit; read-only."""
        return self.operations.policy.limit

    @property
    def store(self) -> Store:
        """Where the sessions are; read-only."""
        return self._store

    # Opening, checking, refreshing, ending one session.

    def create_session(self, username: str, **options: Unpack[SessionOptions]) -> str | None:
        """Open a session and return its token, or ``None`` at a limit.

        Args:
            username: 1 to 256 characters, none of them control characters.
            options: ``existing``, ``scopes``, ``claims``, ``device`` and ``remember``; see
                ``SessionOptions``.

        Raises:
            ValueError, TypeError: An argument is unfit; nothing was opened.
        """
        return _token(self.run(self.operations.open(self.now(), username, options)))

    async def acreate_session(self, username: str, **options: Unpack[SessionOptions]) -> str | None:
        """``create_session``, to await."""
        return _token(await self.arun(self.operations.open(self.now(), username, options)))

    def validate_session(self, session_id: str) -> dict[str, Any] | None:
        """Who a token speaks for, or ``None`` if it is not valid.

        Never raises on bad input. Updates the last access time.
        """
        return self.information(self.run(self._present(session_id)))

    async def avalidate_session(self, session_id: str) -> dict[str, Any] | None:
        """``validate_session``, to await."""
        return self.information(await self.arun(self._present(session_id)))

    def refresh_session(self, session_id: str) -> str | None:
        """A new token for a valid session, its validity extended by ``session_timeout``.

        The old token is dead at once; presenting it again is merely invalid. Of parallel refreshes
        of one token exactly one succeeds. Needs no free slot at a limit. ``None`` if the token is
        not valid.
        """
        return self._minted(self.run(self._present(session_id, NOW)))

    async def arefresh_session(self, session_id: str) -> str | None:
        """``refresh_session``, to await."""
        return self._minted(await self.arun(self._present(session_id, NOW)))

    def update_session(self, session_id: str, **changes: Unpack[SessionChanges]) -> str | None:
        """Change what a valid session may do, at once for every holder, and return its new token.

        It is renewed as a rotation does (ASVS 7.2.4): the older token is accepted until the new
        one has come and ``rotation_grace`` is over. The same token if nothing changes; ``None`` if
        the token is not valid.

        Args:
            session_id: A token.
            changes: ``scopes``, ``claims`` or both; see ``SessionChanges``.

        Raises:
            ValueError, TypeError: An argument is unfit, or there is nothing to change; nothing was
                changed.
        """
        return self._minted(self.run(self._present(session_id, self.operations.wanted(changes))))

    async def aupdate_session(
        self, session_id: str, **changes: Unpack[SessionChanges]
    ) -> str | None:
        """``update_session``, to await."""
        return self._minted(
            await self.arun(self._present(session_id, self.operations.wanted(changes)))
        )

    def invalidate_session(self, session_id: str) -> tuple[bool, str | None]:
        """End a session: ``(True, username)``, or ``(False, None)`` if there was none.

        Final for every token of the session, whatever is in flight.
        """
        return self.run(self._close(self._read(session_id)))

    async def ainvalidate_session(self, session_id: str) -> tuple[bool, str | None]:
        """``invalidate_session``, to await."""
        return await self.arun(self._close(self._read(session_id)))

    def session_username(self, session_id: str) -> str | None:
        """The user of a valid session, or ``None``; otherwise like ``validate_session``."""
        return _username(self.run(self._present(session_id)))

    async def asession_username(self, session_id: str) -> str | None:
        """``session_username``, to await."""
        return _username(await self.arun(self._present(session_id)))

    # All sessions, and those of one user.

    def n_active_sessions(self) -> int:
        """How many sessions are live; the expired ones are removed first."""
        return self.run(self.operations.sweep_and_count(self.now()))

    async def an_active_sessions(self) -> int:
        """``n_active_sessions``, to await."""
        return await self.arun(self.operations.sweep_and_count(self.now()))

    def cleanup_expired_sessions(self) -> None:
        """Remove the expired sessions in batches; its cost grows with their number."""
        self.run(self.operations.sweep(self.now()))

    async def acleanup_expired_sessions(self) -> None:
        """``cleanup_expired_sessions``, to await."""
        await self.arun(self.operations.sweep(self.now()))

    def health(self) -> Health:
        """Whether the store and its feed answer, for a health check; see ``Health``.

        One read of the store, which finds nothing and writes nothing; it takes no longer than the
        store lets any call take. Never raises ``StoreError``, emits no event and logs nothing.
        """
        try:
            self._store.read(random_sid())
        except StoreError as error:
            return health_of(error, self.hub)
        return health_of(None, self.hub)

    async def ahealth(self) -> Health:
        """``health``, to await."""
        try:
            await self._store.aread(random_sid())
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
        return self._listing(self.run(self.page(username, limit, after)), named=True)

    async def alist_sessions(
        self, *, username: str | None = None, limit: int = 100, after: str | None = None
    ) -> list[dict[str, Any]]:
        """``list_sessions``, to await."""
        return self._listing(await self.arun(self.page(username, limit, after)), named=True)

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
        return self.run(self.operations.close_of(self.now(), username, handle))

    async def ainvalidate_user_session(self, username: str, handle: str) -> bool:
        """``invalidate_user_session``, to await."""
        return await self.arun(self.operations.close_of(self.now(), username, handle))

    def invalidate_user_sessions(self, username: str, *, keep: str | None = None) -> int:
        """Log a user out everywhere, or everywhere but here: how many sessions ended.

        Args:
            username: Whose sessions.
            keep: A token or a handle of the session to spare.
        """
        return self.run(self.operations.close_user(self.now(), username, self._sid(keep)))

    async def ainvalidate_user_sessions(self, username: str, *, keep: str | None = None) -> int:
        """``invalidate_user_sessions``, to await."""
        return await self.arun(self.operations.close_user(self.now(), username, self._sid(keep)))

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
        return _SessionsView(self)

    # What the middlewares build on; users need none of it.

    def _make_codec(self, secret_key: Any, timeout: int, *, strict: bool) -> Codec:  # noqa: ARG002
        return OpaqueCodec(secret_key, strict=strict)

    def now(self) -> int:
        """The manager's clock, in microseconds."""
        return round(self._clock() * SECOND)

    def _read(self, token: object) -> TokenPayload | None:
        return self.operations.read(token, self.now())

    def _sid(self, keep: str | None) -> str | None:
        """The sid that a token, a key of ``sessions`` or a handle names."""
        if keep is None:
            return None
        if not isinstance(keep, str):
            msg = f"keep must be a token or a handle (str), or None, not {type(keep).__name__}"
            raise TypeError(msg)
        if is_handle(keep):
            return keep
        payload = self._read(keep) or self.operations.codec.parse_key(keep)
        return None if payload is None else payload.sid

    def _present(self, token: object, renewal: Renewal = NEVER) -> Flow[Row | None]:
        now = self.now()
        return self.operations.present(now, self.operations.read(token, now), renewal)

    def _update_user(self, username: str, changes: SessionChanges) -> Flow[int]:
        operations, now = self.operations, self.now()
        return operations.change_user(now, username, operations.wanted(changes), operations.policy)

    def _of_user(self, username: str) -> Flow[tuple[Row, ...]]:
        return self.operations.listing.of_user(self.now(), check_username(username))

    def page(self, username: str | None, limit: int, after: str | None) -> Flow[tuple[Row, ...]]:
        """``list_sessions`` as a flow, of rows."""
        now, listing = self.now(), self.operations.listing
        limit = check_count(limit, "limit", none="") or 1
        if after is not None and not is_handle(after):
            msg = "after must be the handle of the last session of the page before, or None"
            raise ValueError(msg)
        if username is None:
            return listing.page(now, limit, after)
        return listing.page_of_user(now, check_username(username), limit, after)

    def _close(
        self, payload: TokenPayload | None, *, named: bool = False
    ) -> Flow[tuple[bool, str | None]]:
        now, username = self.now(), None
        if payload is not None and payload.expires_at <= now:
            yield from self.operations.present(now, payload, NEVER)
        elif payload is not None:
            username = yield from self.operations.close(
                now, payload.sid, generation=payload.generation, named=named
            )
        return username is not None, username

    def information(self, row: Row | None) -> dict[str, Any] | None:
        """The public form of a row; scopes and claims only where some were given."""
        if row is None:
            return None
        information = self.operations.codec.information(row)
        if not row.scopes_and_claims:
            return information
        scopes, claims = scopes_and_claims_of(row)
        if scopes:
            information["scopes"] = list(scopes)
        return information | claims

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

    def _minted(self, row: Row | None) -> str | None:
        return None if row is None else self.operations.codec.mint(row)

    def run(self, flow: Flow[T]) -> T:
        """Run a flow on the store, and emit its events."""
        if self._listens_async:
            self.check_listener()  # at the start: nothing is done that the listener would miss
        return run(flow, self._ask, self.emit)

    async def arun(self, flow: Flow[T]) -> T:
        """``run``, to await."""
        return await arun(flow, self._aask, self.aemit)

    def look(self, flow: Flow[T]) -> T:
        """``run`` for what has no events, so that the listener may be async."""
        return run(flow, self._ask, self.emit)

    def _look_at(self, sid: str) -> Row | None:
        """The live row of a sid; for the threads of the hub, so no listener hears of it."""
        return run(self.operations.look(self.now(), sid), partial(ask, self._store))

    def check_listener(self) -> None:
        """Raise ``TypeError`` if the listener is async: only the async verbs can await it."""
        if self._listens_async:
            raise TypeError(_ASYNC_LISTENER)

    def _ask(self, call: Call) -> Any:
        """Call a verb of the store; emit an event if it fails."""
        try:
            outcome = ask(self.asked, call)
        except StoreError as error:
            self.emit(self.operations.failed(self.now(), call[0], error))
            raise
        if self.outages.pending:
            self.log_answer()
        return outcome

    async def _aask(self, call: Call) -> Any:
        """``_ask``, to await."""
        try:
            outcome = await aask(self.asked, call)
        except StoreError as error:
            await self.aemit(self.operations.failed(self.now(), call[0], error))
            raise
        if self.outages.pending:
            self.log_answer()
        return outcome

    def log_answer(self) -> None:
        """Log that the store answers, if a line about an outage is pending."""
        failures = self.outages.answered(self.now())
        if failures is not None:
            self.logger.warning(_ANSWERS_AGAIN, failures)

    def _note_refused(self, token: object, now: int) -> None:
        """Log, once a minute, a token of our form under another key; never mere garbage."""
        if (
            not self._foreign_keys.is_closed(now)  # all that a flood costs
            and isinstance(token, str)
            and len(token) <= LONGEST_TOKEN
            and self.operations.codec.is_foreign(token)
            and self._foreign_keys.passes(now)
        ):
            self.logger.warning(_FOREIGN_KEY)

    def emit(self, event: Event) -> None:
        """Log an event and call the listener; log what that raises."""
        with self._reporting(event):
            pending = self._on_event(event)
            if inspect.iscoroutine(pending):
                pending.close()
                raise TypeError(_ASYNC_LISTENER)

    async def aemit(self, event: Event) -> None:
        """``emit``, to await."""
        with self._reporting(event):
            pending = self._on_event(event)
            if inspect.isawaitable(pending):
                await pending

    @contextmanager
    def _reporting(self, event: Event) -> Generator[None]:
        logged = self._log(event)
        if self.observer is not None:
            self.observer.emitted(event)
        try:
            yield
        except Exception:
            if logged:
                self.logger.exception(_LISTENER_FAILED, event.kind)

    def _log(self, event: Event) -> bool:
        """Log an event; return whether a line was written."""
        if event.kind == "store_failed":
            failures = self.outages.failed(self.now())
            if failures:
                self.logger.error(_STORE_FAILED, event.reason, failures)
            return failures > 0
        if event.kind == "limit_reached":
            policy = self.operations.policy
            limit = policy.limit if event.reason == "total" else policy.user_limit
            self.logger.warning(self._limit_lines[event.reason or "total"], limit)
            return True
        level = logging.WARNING if event.kind == "replayed" else logging.INFO
        by = event.kind, event.username, event.session, event.transport, event.reason
        self.logger.log(level, self._line, *by)
        return True


class SingleSessionManager(SessionManager):
    """A ``SessionManager`` with one live session in all.

    ``max_concurrent_sessions`` is 1, whatever is passed.
    """

    def __init__(self, session_timeout: Seconds = 3600, **kwargs: Any) -> None:
        kwargs["max_concurrent_sessions"] = 1
        super().__init__(session_timeout, **kwargs)


class _SessionsView(Mapping[str, dict[str, Any]]):
    """The live sessions as a read-only mapping: each access calls the store."""

    def __init__(self, manager: SessionManager) -> None:
        self._manager = manager
        self._operations = manager.operations

    def __getitem__(self, key: str) -> dict[str, Any]:
        row = self._manager.look(self._operations.look_up(self._manager.now(), key))
        if row is None:
            msg = "no such session"  # the key may be a token: it stays out of the message
            raise KeyError(msg)
        return self._about(row)

    def __iter__(self) -> Iterator[str]:
        return iter(self._snapshot())

    # In one call, so that a session which ends meanwhile is no KeyError in a loop.

    def items(self) -> ItemsView[str, dict[str, Any]]:
        return self._snapshot().items()

    def values(self) -> ValuesView[dict[str, Any]]:
        return self._snapshot().values()

    def __len__(self) -> int:
        return self._manager.look(self._operations.count(self._manager.now()))

    def __repr__(self) -> str:
        return f"<{len(self)} sessions>"

    def _snapshot(self) -> dict[str, dict[str, Any]]:
        rows = self._manager.look(self._operations.listing.all(self._manager.now()))
        return {self._operations.codec.key(row): self._about(row) for row in rows}

    def _about(self, row: Row) -> dict[str, Any]:
        return {"username": row.username, **dates_of(row, self._operations.codec.leeway)}


def _rotate_after(value: Seconds | Literal["half"] | None, timeout: int) -> int:
    if value is None:
        return FOREVER
    if value == "half":
        return timeout // 2
    age = microseconds(value, "rotate_after")
    if age >= timeout:
        msg = "rotate_after must be less than session_timeout, or None to never rotate"
        raise ValueError(msg)
    return age


def _token(granted: Granted | None) -> str | None:
    return None if granted is None else granted.token


def _username(row: Row | None) -> str | None:
    return None if row is None else row.username
