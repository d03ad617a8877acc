"""The operations of a manager, once for sync and async, both stacks and all stores.

A flow yields calls of the store and events; ``steps`` runs it. A forged token costs no store call.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from sessiongate.core.arguments import (
    SessionChanges,
    check_claims,
    check_keywords,
    check_scopes,
)
from sessiongate.core.decisions import Decisions
from sessiongate.core.recent import remembering
from sessiongate.core.rotation import PASSIVE, PROOF_SLACK, Change, Policy, present
from sessiongate.core.row import FOREVER, Row, to_datetime
from sessiongate.tokens import LONGEST_TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sessiongate.core.decisions import Check
    from sessiongate.core.rotation import Renewal
    from sessiongate.core.steps import Flow
    from sessiongate.tokens import Codec, TokenPayload


class Operations(Decisions):
    """The operations of one manager. Holds no session, only the rules.

    ``on_refused`` is called with each token that was not minted here, and the time.
    """

    def __init__(
        self, codec: Codec, policy: Policy, store: Any, on_refused: Callable[[object, int], object]
    ) -> None:
        super().__init__(store.codec)
        self.codec: Codec = codec
        self.policy: Policy = policy
        self._verify = remembering(codec.verify)
        self.find_near: Callable[[str], Any | None] | None = None
        """Finds the data of a session without a trip; ``None``: there is no near cache."""
        self.on_nearby: Callable[[bool], object] | None = None
        """Told of each look into the near cache, whether it saved the trip."""
        self._on_refused = on_refused
        # What few stores have.
        self.is_sharded: bool = getattr(store, "sharded", False)
        self._replace_at_once = getattr(store, "replace", None)
        self._on_missing = getattr(store, "missed", None)

    def is_genuine(self, token: str) -> bool:
        """Whether the token was minted by these keys; nothing is asked and nothing logged."""
        return len(token) <= LONGEST_TOKEN and token.isascii() and self._verify(token) is not None

    def read(self, token: object, now: int) -> TokenPayload | None:
        """What a token says, or ``None`` for anything that was not minted here.

        A token out of its time is read as well: a logout ends its session, and only the store can
        ensure that a clock set back does not revive it.
        """
        if isinstance(token, str) and len(token) <= LONGEST_TOKEN and token.isascii():
            payload = self._verify(token)
            if payload is not None:
                return payload
        self._on_refused(token, now)
        return None

    def wanted(
        self, changes: SessionChanges, longest: int = LONGEST_TOKEN, *, came_now: bool = True
    ) -> Change:
        """Check a change of scopes, of claims, or of both."""
        check_keywords(changes, SessionChanges.__optional_keys__)
        scopes, claims = changes.get("scopes"), changes.get("claims")
        if scopes is None and claims is None:
            msg = "there is nothing to change: pass scopes= or claims=; empty ones take all away"
            raise TypeError(msg)
        return Change(
            None if scopes is None else check_scopes(scopes),
            None if claims is None else check_claims(claims),
            partial(self.mint_within, longest=longest),
            came_now,
        )

    def mint_within(self, row: Row, longest: int) -> str:
        """The token of a row; ``ValueError`` if it has more characters."""
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
        if self.find_near is not None:
            near = self.nearby(check)
            if near is not None:
                return near
        found = self.interpret(check, (yield "read", payload.sid))
        if found is None or type(found) is Row:
            return found
        return (yield from found)

    def nearby(self, check: Check) -> Row | None:
        """The row that a current token opens, without a trip; ``None``: the store has to say.

        Not for a predecessor, which may be a replay by now; not where anything is to be written.
        """
        payload = check[0]
        data = None if self.find_near is None else self.find_near(payload.sid)
        found = None if data is None else self.interpret(check, data)
        row = found if type(found) is Row and found.generation == payload.generation else None
        if self.on_nearby is not None:
            self.on_nearby(row is not None)
        return row

    # The two halves of ``present``, for the middleware, which needs no flow on most requests.

    def accepts(self, check: Check, data: Any) -> bool:
        """Whether the token opens its session; nothing is changed."""
        payload, now, *_ = check
        row = data if data is None or type(data) is Row else self._decode(data, payload.sid)
        if row is None or payload.username not in {None, row.username} or row.expires_at <= now:
            return False
        if payload.expires_at <= now or now < payload.valid_from or self._outlives(payload, row):
            return False
        return type(present(row, payload.generation, now, self.policy, PASSIVE)) is Row

    def interpret(self, check: Check, data: Any) -> Row | Flow[Row | None] | None:
        """Return the row that the token opens, or ``None``, or a flow that returns the same.

        There is a flow where the session has to change first.
        """
        payload, now, renewal, transport = check
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
            if payload.expires_at != FOREVER and self._outlives(payload, row):
                return None
            answer = present(row, payload.generation, now, self.policy, renewal)
            if row.bound_key and (answer is None or transport == "bearer"):
                return self.unproved(row, now, transport)  # a copied cookie is no bearer token
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
        return self.touch(check, data, self.policy)

    def _outlives(self, payload: TokenPayload, row: Row) -> bool:
        """Whether the newest token states a later end than its session: we issued no such one."""
        stated = payload.expires_at - self.codec.leeway
        newest = payload.generation == row.generation
        return newest and payload.expires_at != FOREVER and stated > row.expires_at

    def sent_until(self, row: Row) -> int:
        """How long the client is to keep the token, in microseconds.

        A session that goes on without a new token outlives its ``expires_at`` of now.
        """
        if row.bound_key:
            return row.proved_until - PROOF_SLACK
        rotates = self.policy.rotate_after != FOREVER or not self.policy.touch_extends
        return row.expires_at if rotates else row.lifetime_ends_at

    def rotates_at(self, row: Row) -> int | None:
        """When the token is due, in microseconds; ``None``: no request will rotate it."""
        due = row.rotated_at + self.policy.rotate_after
        return None if row.shared or row.bound_key or due >= row.expires_at else due

    def expires_at(self, row: Row) -> datetime:
        """When the session ends if no further request comes, as its token states it."""
        return to_datetime(row.expires_at - self.codec.leeway)
