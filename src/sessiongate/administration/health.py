"""Whether what a manager depends on answers, for the health check of an app."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, TypedDict

from sessiongate.reports.scrubbing import scrubbed

if TYPE_CHECKING:
    from sessiongate.errors import StoreError
    from sessiongate.feed.hub import Hub


class Health(TypedDict):
    """What ``SessionManager.health`` found."""

    store: bool
    """Whether the store answers. If not, requests that bring a credential get a 503."""
    feed: bool | None
    """Whether news of ended sessions comes; ``None``: nobody has needed it yet, or there is none.
    If not, each check asks the store, and open websockets are looked at every few seconds."""
    reason: str | None
    """Why one of them does not, in the words of the store, without credentials; ``None``: all is
    well. It may name the host of the store."""


def health_of(error: StoreError | None, hub: Hub) -> Health:
    """What to say after a read that raised this, or nothing."""
    feed = hub.answers
    said = [] if error is None else [str(error)]
    if feed is False and hub.failure is not None:
        said.append(hub.failure)
    reason = scrubbed("; ".join(said)) if said else None
    return {"store": error is None, "feed": feed, "reason": reason}


def random_sid() -> str:
    """One that no session has."""
    return secrets.token_urlsafe(16)
