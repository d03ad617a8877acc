"""Sessions behind opaque tokens: the public verbs, sync and async, over one set of operations."""

from __future__ import annotations

import time
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

from sessiongate.administration.flows import Administration
from sessiongate.administration.verbs import AdministrationVerbs
from sessiongate.admission.logins import Granted, Logins
from sessiongate.core.arguments import (
    EXISTING,
    Seconds,
    SessionChanges,
    SessionOptions,
    check_choice,
    check_count,
    check_store,
    microseconds,
)
from sessiongate.core.operations import Operations
from sessiongate.core.rotation import NEVER, NOW, Policy
from sessiongate.core.row import FOREVER, SECOND, Row, scopes_and_claims_of
from sessiongate.core.steps import aask, arun, ask, run
from sessiongate.errors import ConfigurationError, StoreError
from sessiongate.feed.hub import Hub
from sessiongate.feed.near import NearStore
from sessiongate.keys.secret import MAKE_ONE, derived, random_secret
from sessiongate.reports.reporter import Reporter
from sessiongate.stores.memory import MemoryStore
from sessiongate.tokens.opaque import OpaqueCodec

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from sessiongate.core.rotation import Renewal
    from sessiongate.core.steps import Call, Flow
    from sessiongate.events import Listener
    from sessiongate.stores.base import Store
    from sessiongate.tokens import Codec, TokenPayload

T = TypeVar("T")

_KEY_REQUIRED: Final = (
    "secret_key is required with {}: every process must sign with the same key. Make one with: {}"
)
_NO_TOTAL: Final = (
    "max_concurrent_sessions={} is a limit over all users, and this store keeps each user on one "
    "of many nodes, which nobody can count at one moment: pass max_concurrent_sessions=None, and "
    "max_sessions_per_user=… if you want a limit for each user"
)
_ON_LIMIT: Final = ("reject", "evict_oldest")


class SessionManager(AdministrationVerbs):
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

    _reporter: ClassVar[type[Reporter]] = Reporter

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
        if not callable(clock):
            msg = "clock must be a callable that gives Unix seconds, such as time.time"
            raise TypeError(msg)
        self._session_timeout = session_timeout
        self._store: Store = MemoryStore() if store is None else store
        self.asked: Store = self._store
        """What the verbs ask: the store, or the near cache before it."""
        self._clock = clock
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
        if policy.limit is not None and getattr(self._store, "sharded", False):
            raise ConfigurationError(_NO_TOTAL.format(policy.limit))
        self.reporter: Reporter = self._reporter(
            logger, on_event, self.now, policy, codec.is_foreign
        )
        self.operations: Operations = Operations(codec, policy, self._store, self.reporter.refused)
        self.logins: Logins = Logins(self.operations)
        self.administration: Administration = Administration(self.operations)
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
    def logger(self) -> logging.Logger:
        """Where events are logged; read-only."""
        return self.reporter.logger

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
        return _token(self.run(self.logins.open(self.now(), username, options)))

    async def acreate_session(self, username: str, **options: Unpack[SessionOptions]) -> str | None:
        """``create_session``, to await."""
        return _token(await self.arun(self.logins.open(self.now(), username, options)))

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

    # What the middlewares build on; users need none of it.

    def _make_codec(self, secret_key: Any, timeout: int, *, strict: bool) -> Codec:  # noqa: ARG002
        return OpaqueCodec(secret_key, strict=strict)

    def now(self) -> int:
        """The manager's clock, in microseconds."""
        return round(self._clock() * SECOND)

    def keys_for(self, use: bytes) -> list[bytes]:
        """Keys of their own for one more use, made from those of the tokens: the first signs."""
        return derived(self._secret_key, use)

    def _read(self, token: object) -> TokenPayload | None:
        return self.operations.read(token, self.now())

    def _present(self, token: object, renewal: Renewal = NEVER) -> Flow[Row | None]:
        now = self.now()
        return self.operations.present(now, self.operations.read(token, now), renewal)

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

    def _minted(self, row: Row | None) -> str | None:
        return None if row is None else self.operations.codec.mint(row)

    def run(self, flow: Flow[T]) -> T:
        """Run a flow on the store, and emit its events."""
        if self.reporter.listens_async:
            self.reporter.check_listener()  # first: nothing is done that the listener would miss
        return run(flow, self._ask, self.reporter.emit)

    async def arun(self, flow: Flow[T]) -> T:
        """``run``, to await."""
        return await arun(flow, self._aask, self.reporter.aemit)

    def look(self, flow: Flow[T]) -> T:
        """``run`` for what has no events, so that the listener may be async."""
        return run(flow, self._ask, self.reporter.emit)

    def _look_at(self, sid: str) -> Row | None:
        """The live row of a sid; for the threads of the hub, so no listener hears of it."""
        return run(self.operations.look(self.now(), sid), partial(ask, self._store))

    def _ask(self, call: Call) -> Any:
        """Call a verb of the store; emit an event if it fails."""
        try:
            outcome = ask(self.asked, call)
        except StoreError as error:
            self.reporter.emit(self.reporter.failed(call[0], error))
            raise
        if self.reporter.outages.pending:
            self.reporter.answered()
        return outcome

    async def _aask(self, call: Call) -> Any:
        """``_ask``, to await."""
        try:
            outcome = await aask(self.asked, call)
        except StoreError as error:
            await self.reporter.aemit(self.reporter.failed(call[0], error))
            raise
        if self.reporter.outages.pending:
            self.reporter.answered()
        return outcome


class SingleSessionManager(SessionManager):
    """A ``SessionManager`` with one live session in all.

    ``max_concurrent_sessions`` is 1, whatever is passed.
    """

    def __init__(self, session_timeout: Seconds = 3600, **kwargs: Any) -> None:
        kwargs["max_concurrent_sessions"] = 1
        super().__init__(session_timeout, **kwargs)


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
