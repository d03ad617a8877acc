"""The operations of a manager, once for sync and async, both stacks and all stores.

A flow yields calls of the store and events; ``steps`` runs it. A forged token
costs no store call.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from sessiongate.core.admission import Login
from sessiongate.core.arguments import (
    EXISTING,
    check_choice,
    check_claims,
    check_device,
    check_flag,
    check_scopes,
    check_username,
    describe,
    is_handle,
)
from sessiongate.core.decisions import Decisions
from sessiongate.core.recent import remembering
from sessiongate.core.rotation import PASSIVE, Change, present
from sessiongate.core.row import FOREVER, Row, to_datetime
from sessiongate.core.scrubbing import scrubbed
from sessiongate.events import Event
from sessiongate.tokens import LONGEST_TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from sessiongate.core.arguments import ExistingPolicy
    from sessiongate.core.record import RowCodec
    from sessiongate.core.rotation import Policy, Renewal
    from sessiongate.core.steps import Flow
    from sessiongate.tokens import Codec, TokenPayload


@dataclass(frozen=True, slots=True)
class Settings:
    """The checked rules of one manager; times in microseconds."""

    policy: Policy
    lifetime: int
    existing: ExistingPolicy
    limit: int | None
    user_limit: int | None
    evict: bool


class Granted(NamedTuple):
    """A session that was opened, or found, and its token."""

    row: Row
    token: str


Check: TypeAlias = "tuple[TokenPayload, int, Renewal, str | None]"
"""A check of one token: what it says, now, whether to renew it, and how it came.

The middleware reads the data of the token's sid, then calls ``interpret``. A plain tuple,
because each request makes one.
"""


class Operations(Decisions):
    """The operations of one manager. Holds no session, only the rules.

    Args:
        codec: The format of the tokens.
        settings: The rules.
        rows: The format of the store's data.
        replace: The store's ``replace``, if it has that verb.
        on_refused: Called with each token that was not minted here, and the time.
        on_missing: Called with the sid of a genuine token that has no record.
    """

    def __init__(
        self,
        codec: Codec,
        settings: Settings,
        rows: RowCodec,
        replace: Callable[[Any, Any], bool] | None,
        on_refused: Callable[[object, int], object],
        on_missing: Callable[[str], object] | None = None,
    ) -> None:
        super().__init__(rows)
        self.codec = codec
        self._replace_at_once = replace
        self._verify = remembering(codec.verify)
        self._on_refused = on_refused
        self._on_missing = on_missing
        self.settings = settings
        self._policy = settings.policy

    def open(  # noqa: PLR0913 - the keywords of create_session
        self,
        now: int,
        username: str,
        *,
        existing: str | None = None,
        scopes: Iterable[str] = (),
        claims: Mapping[str, Any] | None = None,
        device: object = None,
        remember: bool = False,
        replaces: Iterable[str] = (),
        transport: str | None = None,
        longest: int = LONGEST_TOKEN,
        opening: Callable[[str], None] | None = None,
    ) -> Flow[Granted | None]:
        """Open a session, or ``None`` at a limit; ``replaces``: the sids of those it ends.

        ``opening`` is called with the new sid before the store is asked: who is
        cancelled meanwhile knows which session may be there. ``longest``: how
        many characters the token may have.
        """
        policy = self.settings.existing
        if existing is not None:
            policy = check_choice(existing, "existing", EXISTING)
        row = self._new_row(now, username, scopes, claims, device, remember=remember)
        token = self._mint_within(row, longest)
        if opening is not None:
            opening(row.sid)
        session = yield from self.admit(
            Login(
                row=row,
                now=now,
                existing=policy,
                replaces=tuple(dict.fromkeys(replaces)),
                limit=self.settings.limit,
                user_limit=self.settings.user_limit,
                evict=self.settings.evict,
                transport=transport,
            )
        )
        if session is None:
            return None
        return Granted(session, token if session is row else self.codec.mint(session))

    def is_genuine(self, token: str) -> bool:
        """Whether the token was minted by these keys; nothing is asked and nothing logged."""
        return len(token) <= LONGEST_TOKEN and token.isascii() and self._verify(token) is not None

    def read(self, token: object, now: int) -> TokenPayload | None:
        """What a token says, or ``None`` for anything that was not minted here.

        A token out of its time is read as well: a logout ends its session, and
        only the store can ensure that a clock set back does not revive it.
        """
        payload = None
        if isinstance(token, str) and len(token) <= LONGEST_TOKEN and token.isascii():
            payload = self._verify(token)
        if payload is None:
            self._on_refused(token, now)
            return None
        return payload

    def wanted(
        self,
        scopes: Iterable[str] | None,
        claims: Mapping[str, Any] | None,
        longest: int = LONGEST_TOKEN,
    ) -> Change:
        """Check a change of scopes, of claims, or of both; ``None``: as they are."""
        if scopes is None and claims is None:
            msg = "there is nothing to change: pass scopes= or claims=; empty ones take all away"
            raise TypeError(msg)
        return Change(
            None if scopes is None else check_scopes(scopes),
            None if claims is None else check_claims(claims),
            partial(self._mint_within, longest=longest),
        )

    def _mint_within(self, row: Row, longest: int) -> str:
        token = self.codec.mint(row)
        if len(token) > longest:
            msg = f"claims and scopes make a token of {len(token)} characters, more than {longest}"
            raise ValueError(msg)
        return token

    def present(
        self,
        now: int,
        payload: TokenPayload | None,
        renewal: Renewal,
        transport: str | None = None,
    ) -> Flow[Row | None]:
        """The row that a token opens, renewed if asked and due, or ``None``."""
        if payload is None:
            return None
        check = payload, now, renewal, transport
        found = self.interpret(check, (yield "read", payload.sid))
        if found is None or type(found) is Row:
            return found
        return (yield from found)

    # The two halves of ``present``, for the middleware, which needs no flow on most requests.

    def accepts(self, check: Check, data: Any) -> bool:
        """Whether the token opens its session; nothing is changed."""
        payload, now, *_ = check
        row = data if data is None or type(data) is Row else self._decode(data, payload.sid)
        if row is None or payload.username not in {None, row.username} or row.expires_at <= now:
            return False
        if payload.expires_at <= now or now < payload.valid_from:
            return False
        return type(present(row, payload.generation, now, self._policy, PASSIVE)) is Row

    def interpret(self, check: Check, data: Any) -> Row | Flow[Row | None] | None:
        """Return the row that the token opens, or ``None``, or a flow that returns the same.

        There is a flow where the session has to change first.
        """
        payload, now, renewal, _ = check
        if data is None:
            if self._on_missing is not None:
                self._on_missing(payload.sid)
            return None
        # Rows in memory are their own data: that saves a call on every request.
        row = data if type(data) is Row else self._decode(data, payload.sid)
        if row is None or (payload.username is not None and payload.username != row.username):
            return None
        if now < row.expires_at:
            if payload.expires_at <= now or now < payload.valid_from:
                return None  # the token is out of its time, and its session lives on
            answer = present(row, payload.generation, now, self._policy, renewal)
            if answer is None:
                return None
            if answer is row:
                return row
            if (
                self._replace_at_once is not None
                and type(answer) is Row
                and answer.generation == row.generation  # a rotation is an event
                and self._replace_at_once(row, answer)
            ):
                return answer
        return self._change(check, data)

    def _change(self, check: Check, data: Any) -> Flow[Row | None]:
        payload, now, renewal, transport = check
        sid = payload.sid
        if payload.expires_at <= now:
            # An expired row is removed, so that a clock set back does not revive it.
            yield from self._look_at(data, sid, now)
            return None
        touch = self.touch(
            data, sid, payload.generation, now, self._policy, renewal, transport=transport
        )
        return (yield from touch)

    def failed(self, now: int, verb: str, error: Exception) -> Event:
        """The event of a verb that the store did not carry out, with the store's reason."""
        words = scrubbed(str(error))
        reason = f"{verb}: {words}" if words else verb
        return Event("store_failed", to_datetime(now), reason=reason)

    def close_of(
        self, now: int, username: str, handle: object, transport: str | None = None
    ) -> Flow[bool]:
        """End the session of that handle; return whether it was this user's."""
        check_username(username)
        if not is_handle(handle):
            return False
        closing = self.close(now, handle, username=username, transport=transport)
        return (yield from closing) is not None

    def look_up(self, now: int, key: object) -> Flow[Row | None]:
        """The live session that has this key in ``sessions`` now; it is not touched."""
        payload = self.codec.parse_key(key)
        if payload is None:
            return None
        row = yield from self.look(now, payload.sid)
        return row if row is not None and row.generation == payload.generation else None

    def rotates_at(self, row: Row) -> int | None:
        """When the token is due, in microseconds; ``None``: no request will rotate it."""
        due = row.rotated_at + self._policy.rotate_after
        return None if row.shared or due >= row.expires_at else due

    def last_sent_until(self, row: Row) -> int:
        """When the client may forget the token, in microseconds.

        A session that goes on without a new token outlives any ``expires_at`` of now.
        """
        policy = self._policy
        rotates = policy.rotate_after != FOREVER or not policy.touch_extends
        return row.expires_at if rotates else row.lifetime_ends_at

    def expires_at(self, row: Row) -> datetime:
        """When the session ends unless it is refreshed, as its token states it."""
        return to_datetime(row.expires_at - self.codec.leeway)

    def dates(self, row: Row) -> dict[str, Any]:
        """The times of a session, as they are shown."""
        return {
            "created_at": to_datetime(row.created_at),
            "last_accessed": to_datetime(row.last_accessed),
            "expires_at": self.expires_at(row),
        }

    def _new_row(
        self,
        now: int,
        username: str,
        scopes: Iterable[str],
        claims: Mapping[str, Any] | None,
        device: object,
        *,
        remember: bool,
    ) -> Row:
        policy = self.settings.policy
        issued_at = now - now % policy.time_resolution
        timeout = policy.remember_for if check_flag(remember, "remember") else policy.timeout
        lifetime_ends_at = min(issued_at + self.settings.lifetime, FOREVER)
        return Row(
            sid=secrets.token_urlsafe(16),
            username=check_username(username),
            created_at=now,
            last_accessed=now,
            expires_at=min(issued_at + timeout, lifetime_ends_at),
            lifetime_ends_at=lifetime_ends_at,
            generation=0,
            rotated_at=issued_at,
            previous_until=0,
            oldest_accepted=0,
            revoked_below=0,
            shared=False,
            scopes_and_claims=describe(check_scopes(scopes), check_claims(claims)),
            device=check_device(device),
            remembered=remember,
        )
