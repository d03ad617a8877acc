"""Rows, rules and times that the suite is made of."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from sessiongate.core.buckets import bucket_of
from sessiongate.core.rotation import WHEN_DUE, Policy
from sessiongate.core.row import FOREVER, SECOND, Row
from sessiongate.testing.commands import Open, Touch

if TYPE_CHECKING:
    from sessiongate.core.arguments import ExistingPolicy
    from sessiongate.core.rotation import Renewal

__all__ = ["HOUR", "MINUTE", "POLICY", "START", "login", "named", "session", "touch"]

MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE

START: Final = 1_700_000_000 * SECOND + 123_457
"""When the story begins: no whole second, so that a store which rounds is caught."""

POLICY: Final = Policy(
    timeout=HOUR, rotate_after=HOUR // 2, grace=30 * SECOND, touch_every=MINUTE, time_resolution=1
)


def named(name: object, username: str = "alice") -> str:
    """A sid that looks like a real one: 22 characters of base64url that begin with the bucket."""
    return f"{bucket_of(username)}{name}".ljust(22, "_")


def session(name: object = "one", username: str = "alice", **changes: Any) -> Row:
    """A session as it is opened at ``START`` for an hour, but for the changes."""
    row = Row(
        sid=named(name, username),
        username=username,
        created_at=START,
        last_accessed=START,
        expires_at=START + HOUR,
        lifetime_ends_at=FOREVER,
        generation=0,
        rotated_at=START,
        previous_until=0,
        oldest_accepted=0,
        revoked_below=0,
        shared=False,
        scopes_and_claims="",
        device="",
    )
    return replace(row, **changes)


def login(
    row: Row,
    now: int = START,
    *,
    existing: ExistingPolicy = "new",
    replaces: tuple[str, ...] = (),
    limit: int | None = None,
    user_limit: int | None = None,
    evict: bool = False,
) -> Open:
    """An ``Open`` without limits, but for those given."""
    return Open(
        row, now, existing, tuple((sid, None) for sid in replaces), limit, user_limit, evict
    )


def touch(
    row: Row,
    now: int,
    *,
    generation: int | None = None,
    rotation: Renewal = WHEN_DUE,
    policy: Policy = POLICY,
) -> Touch:
    """A ``Touch`` of the current generation, rotating when due, but for what is given."""
    presented = row.generation if generation is None else generation
    return Touch(row.sid, presented, now, policy, rotation)
