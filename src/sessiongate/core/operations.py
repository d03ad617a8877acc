"""What each operation means, once for both colours, both stacks and all stores.

A flow yields the one command it needs and the events that follow from the
outcome; ``drivers`` run it. A forged token yields nothing: it costs no store
call.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from sessiongate.core.arguments import (
    check_choice,
    check_claims,
    check_device,
    check_scopes,
    check_username,
    is_handle,
    to_json,
)
from sessiongate.core.commands import (
    NOW,
    Close,
    CloseUser,
    Count,
    Ended,
    Existing,
    ExistingPolicy,
    LimitReached,
    List,
    Open,
    Policy,
    Read,
    Replayed,
    Rotated,
    Sweep,
    Touch,
)
from sessiongate.core.row import FOREVER, Row, to_datetime
from sessiongate.core.scrubbing import scrubbed
from sessiongate.core.superseded import Superseded
from sessiongate.events import Event
from sessiongate.tokens import LONGEST_TOKEN
from sessiongate.tokens.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from sessiongate.core.commands import Command
    from sessiongate.core.steps import Flow
    from sessiongate.tokens import Codec, TokenPayload

__all__ = ["BATCH_SIZE", "EXISTING", "Flows", "Granted", "Settings"]

EXISTING: Final = ("reuse", "new", "replace")

BATCH_SIZE: Final = 500
"""Rows a single ``Sweep`` may remove: a few milliseconds on every store."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The rules of one manager, checked; times in microseconds."""

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


class Flows:
    """The operations of one manager. Holds no session, only the rules."""

    def __init__(
        self, codec: Codec, settings: Settings, on_refused: Callable[[object, int], object]
    ) -> None:
        self.codec = codec
        self._verified = Reader(codec).read
        self._on_refused = on_refused
        self.settings = settings
        self._policy = settings.policy
        self.superseded = Superseded(settings.policy.grace)

    def open(  # noqa: PLR0913 - the keywords of create_session
        self,
        now: int,
        username: str,
        *,
        existing: str | None = None,
        scopes: Iterable[str] = (),
        claims: Mapping[str, Any] | None = None,
        device: object = None,
        replaces: str | None = None,
        transport: str | None = None,
        longest: int = LONGEST_TOKEN,
    ) -> Flow[Granted | None]:
        """Open a session, or ``None`` at a limit."""
        policy = self.settings.existing
        if existing is not None:
            policy = cast(ExistingPolicy, check_choice(existing, "existing", EXISTING))
        row = self._new_row(now, username, scopes, claims, device)
        token = self.codec.mint(row)
        if len(token) > longest:
            msg = f"claims and scopes make a token of {len(token)} characters, more than {longest}"
            raise ValueError(msg)
        outcome = yield Open(
            row=row,
            now=now,
            existing=policy,
            replaces=replaces,
            limit=self.settings.limit,
            user_limit=self.settings.user_limit,
            evict=self.settings.evict,
        )
        at = to_datetime(now)
        if isinstance(outcome, LimitReached):
            yield Event("limit_reached", at, username, None, transport, outcome.scope)
            return None
        if isinstance(outcome, Existing):
            yield Event("login", at, username, outcome.row.sid, transport, "reused")
            return Granted(outcome.row, self.codec.mint(outcome.row))
        for ended in outcome.ended:
            replaced = ended.sid == replaces or (policy == "replace" and ended.username == username)
            reason = "replaced" if replaced else "evicted"
            yield self._ended(ended, now, transport, reason)
        yield Event("login", at, username, row.sid, transport, "requested")
        return Granted(row, token)

    def read(self, token: object, now: int) -> TokenPayload | None:
        """What a token says, or ``None`` for anything that was not minted here by now.

        One that has expired is read as well: only the store can see to it that
        a clock set back does not revive the session.
        """
        ticket = self._verified(token)
        if ticket is None:
            self._on_refused(token, now)
            return None
        return None if now < ticket.valid_from else ticket

    def present(
        self, now: int, ticket: TokenPayload | None, rotation: int, transport: str | None = None
    ) -> Flow[Row | None]:
        """The row that a token opens, rotated if asked and due, or ``None``."""
        if ticket is None:
            return None
        command = self.ask(now, ticket, rotation)
        outcome = yield command
        row, event = self.judge(command, ticket, outcome, transport)
        if event is not None:
            yield event
        return row

    # The two halves of it, for the middleware: it asks on every request, and needs no flow.

    def ask(self, now: int, ticket: TokenPayload, rotation: int) -> Touch | Read:
        """What the store is asked about a token."""
        if ticket.expires_at <= now:
            # Looked at, so that a row as old goes for good; one that lives on is left alone.
            return Read(ticket.sid, now)
        # As ``Touch(…)`` makes it, in half the time.
        return tuple.__new__(Touch, (ticket.sid, ticket.generation, now, self._policy, rotation))

    def judge(
        self, command: Touch | Read, ticket: TokenPayload, outcome: Any, transport: str | None
    ) -> tuple[Row | None, Event | None]:
        """What the outcome means: the row that the token opens, if any, and what is to be told."""
        if type(command) is Read:
            return None, None
        row, event = outcome, None
        if type(outcome) is not Row:
            row, event = self._interpret_change(command, outcome, transport)
        if row is not None and ticket.username is not None and ticket.username != row.username:
            return None, event
        return row, event

    def _interpret_change(
        self, command: Touch, outcome: Any, transport: str | None
    ) -> tuple[Row | None, Event | None]:
        """What an outcome means by which the session has changed, or is none."""
        if type(outcome) is Replayed:
            return None, self._replayed(outcome, command.now, transport)
        if type(outcome) is not Rotated:
            return (outcome if isinstance(outcome, Row) else None), None
        row = outcome.row
        self.superseded.add(row.sid, row.generation, command.now)
        reason = "refreshed" if command.rotation == NOW else "due"
        at = to_datetime(command.now)
        return row, Event("rotated", at, row.username, row.sid, transport, reason)

    def failed(self, command: Command, error: Exception) -> Event:
        """Name the operation that the store did not carry out, and say why in its words."""
        operation, words = type(command).__name__.lower(), scrubbed(str(error))
        reason = f"{operation}: {words}" if words else operation
        return Event("store_failed", to_datetime(command.now), reason=reason)

    def close(
        self,
        now: int,
        sid: str,
        *,
        generation: int | None = None,
        username: str | None = None,
        transport: str | None = None,
        named: bool = False,
    ) -> Flow[str | None]:
        """End a session: the name of its user, or ``None`` if there was none.

        ``named``: no token was presented, so there is none that could be a replay.
        """
        outcome = yield Close(sid, now, generation, username)
        if isinstance(outcome, Replayed):
            if named:
                outcome = Ended(outcome.sid, outcome.username)
            else:
                yield self._replayed(outcome, now, transport)
        if not isinstance(outcome, Ended):
            return None
        yield self._ended(outcome, now, transport, "requested")
        return outcome.username

    def close_of(
        self, now: int, username: str, handle: object, transport: str | None = None
    ) -> Flow[bool]:
        """End the session of that handle if it is this user's: whether it was."""
        check_username(username)
        if not is_handle(handle):
            return False
        closing = self.close(now, handle, username=username, transport=transport)
        return (yield from closing) is not None

    def close_user(self, now: int, username: str, keep: str | None) -> Flow[int]:
        """End all sessions of a user but one: how many were live."""
        ended: tuple[Ended, ...] = yield CloseUser(check_username(username), keep, now)
        for one in ended:
            yield self._ended(one, now, None, "requested")
        return len(ended)

    def sweep(self, now: int) -> Flow[int]:
        """Remove all that is expired, in bites: how many there were."""
        total = 0
        while True:
            removed: int = yield Sweep(now, BATCH_SIZE)
            total += removed
            if removed < BATCH_SIZE:
                return total

    def count(self, now: int) -> Flow[int]:
        """How many sessions are live."""
        live: int = yield Count(now)
        return live

    def sweep_and_count(self, now: int) -> Flow[int]:
        """The same, the expired removed first."""
        yield from self.sweep(now)
        return (yield from self.count(now))

    def look_up(self, now: int, key: object) -> Flow[Row | None]:
        """The live session of which this is the current key of ``sessions``, untouched."""
        ticket = self.codec.ticket(key)
        if ticket is None:
            return None
        row: Row | None = yield Read(ticket.sid, now)
        return row if row is not None and row.generation == ticket.generation else None

    def list(self, now: int, username: str | None) -> Flow[tuple[Row, ...]]:
        """The live sessions of a user, or of all."""
        rows: tuple[Row, ...] = yield List(username, now)
        return rows

    def expires_at(self, row: Row) -> datetime:
        """When the session ends unless it is refreshed, as its token states it."""
        return to_datetime(row.expires_at - self.codec.leeway)

    def _new_row(
        self,
        now: int,
        username: str,
        scopes: Iterable[str],
        claims: Mapping[str, Any] | None,
        device: object,
    ) -> Row:
        names, members = check_scopes(scopes), check_claims(claims)
        scopes_and_claims = {"scopes": names, "claims": members} if names or members else None
        policy = self.settings.policy
        issued_at = now - now % policy.time_resolution
        lifetime_ends_at = min(issued_at + self.settings.lifetime, FOREVER)
        return Row(
            sid=secrets.token_urlsafe(16),
            username=check_username(username),
            created_at=now,
            last_accessed=now,
            expires_at=min(issued_at + policy.timeout, lifetime_ends_at),
            lifetime_ends_at=lifetime_ends_at,
            generation=0,
            rotated_at=issued_at,
            previous_until=0,
            oldest_accepted=0,
            revoked_below=0,
            shared=False,
            scopes_and_claims=""
            if scopes_and_claims is None
            else to_json(scopes_and_claims, "claims"),
            device=check_device(device),
        )

    def _ended(self, ended: Ended, now: int, transport: str | None, reason: str) -> Event:
        self.superseded.add(ended.sid, FOREVER, now)
        return Event("logout", to_datetime(now), ended.username, ended.sid, transport, reason)

    def _replayed(self, replayed: Replayed, now: int, transport: str | None) -> Event:
        self.superseded.add(replayed.sid, FOREVER, now)
        return Event(
            "replayed", to_datetime(now), replayed.username, replayed.sid, transport, "stale_token"
        )
