"""A row as a codec sees it."""

from __future__ import annotations

from sessiongate.core.row import FOREVER, SECOND, Row

__all__ = ["ROW"]

ROW = Row(
    sid="A" * 22,
    username="alice",
    created_at=0,
    last_accessed=0,
    expires_at=600 * SECOND,
    lifetime_ends_at=FOREVER,
    generation=0,
    rotated_at=0,
    previous_until=0,
    oldest_accepted=0,
    revoked_below=0,
    shared=False,
    scopes_and_claims="",
    device="",
)
