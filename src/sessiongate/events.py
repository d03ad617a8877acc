"""Events of sessions, for listeners.

An event carries no token. ``session`` is the handle that ``user_sessions``
shows: it names a session and opens nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 - users may resolve the hints
from typing import Literal, TypeAlias, final

__all__ = ["Event", "EventKind", "Listener"]

EventKind: TypeAlias = Literal[
    "login",
    "logout",
    "rotated",
    "changed",
    "replayed",
    "bound",
    "unproved",
    "limit_reached",
    "store_failed",
    "token_created",
    "token_revoked",
]


@final
@dataclass(frozen=True, slots=True)
class Event:
    """One event, emitted after the change in the store and before the response."""

    kind: EventKind
    """``"login"``, ``"logout"``, ``"rotated"``, ``"changed"``, ``"replayed"``, …

    ``"bound"``: a device will prove its key for the session from now on; ``"unproved"``: a token of
    such a session came that is too old, or as a bearer token; once for each proof.
    """
    at: datetime
    """By the manager's clock, UTC."""
    username: str | None = None
    """Whose session; ``None`` where it is not known."""
    session: str | None = None
    """The session's handle; ``None`` where there is no session."""
    transport: str | None = None
    """``"cookie"`` or ``"bearer"``; ``None`` outside a request."""
    reason: str | None = None
    """Why, in one word: ``"requested"``, ``"replaced"``, ``"evicted"``, ``"refreshed"``, …

    Of ``"store_failed"``: the operation, and what the store says, such as
    ``"touch: Redis at localhost:6379 failed: …"``, without passwords, tokens and ids.
    """


Listener: TypeAlias = Callable[[Event], Awaitable[None] | None]
"""Sync or async; an async one is awaited by the async verbs and the ASGI side."""
