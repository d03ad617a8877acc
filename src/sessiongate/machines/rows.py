"""What the row of an API token says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sessiongate.core.row import FOREVER, device_of, scopes_and_claims_of, to_datetime

if TYPE_CHECKING:
    from datetime import datetime

    from sessiongate.core.row import Row

NEVER: Final = 0
"""``last_accessed`` of a new token, so that its first use is written at once; and ``rotated_at`` of
each, by which its row is known."""


def is_api_token(row: Row) -> bool:
    """Whether the row is an API token's; that of a session says when its token was made."""
    return row.rotated_at == NEVER


def name_of(row: Row) -> str:
    """What the user calls the token."""
    device: dict[str, Any] = device_of(row) or {}
    return str(device.get("name", ""))


def details_of(row: Row) -> dict[str, Any]:
    """What may be shown of a token; it opens nothing."""
    return {
        "handle": row.sid,
        "name": name_of(row),
        "scopes": list(scopes_and_claims_of(row)[0]),
        "created_at": to_datetime(row.created_at),
        "last_used": None if row.last_accessed == NEVER else to_datetime(row.last_accessed),
        "expires_at": end_of(row),
    }


def end_of(row: Row) -> datetime | None:
    """When the token ends by itself; ``None``: it does not."""
    return None if row.expires_at >= FOREVER else to_datetime(row.expires_at)
