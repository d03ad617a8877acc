"""A session, as every store keeps it.

Times are integer microseconds since the Unix epoch. A row holds no token, no
digest of one and no key: a stolen store opens no session.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, final

SECOND: Final = 1_000_000
"""The unit of time inside: so fine that a refresh always ends later than what it refreshes."""

FOREVER: Final = 2**53 - 1
"""A time that never comes (2255). The largest integer that Lua and JSON keep exact."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@final
class Row(NamedTuple):
    """One session. A tuple, because one is read on every request.

    ``revoked_below <= oldest_accepted <= generation`` always holds.
    """

    sid: str
    """Random, 128 bits. Names the session; opens nothing."""
    username: str
    created_at: int
    """When the user proved who they are; rotation leaves it alone."""
    last_accessed: int
    expires_at: int
    """The session is dead at this instant, not after it."""
    lifetime_ends_at: int
    """No refresh goes past this; ``FOREVER`` for no absolute limit."""
    generation: int
    """Which token of the session is the current one."""
    rotated_at: int
    """When the current generation was made."""
    previous_until: int
    """Until when predecessors are accepted; ``FOREVER``: the successor was not seen yet."""
    oldest_accepted: int
    """The oldest generation accepted while ``previous_until`` is not reached."""
    revoked_below: int
    """Generations below were ended on purpose: invalid, but no replay."""
    shared: bool
    """The token was handed out more than once: it does not rotate by itself."""
    scopes_and_claims: str
    """Scopes and claims as canonical JSON, ``""`` for none."""
    device: str
    """What the client is, as JSON, ``""`` for unknown."""
    remembered: bool = False
    """It outlives the browser, and lives longer without a request than others."""


def to_datetime(microseconds: int) -> datetime:
    """The instant as an aware UTC ``datetime``."""
    return _EPOCH + timedelta(0, 0, microseconds)


def scopes_and_claims_of(row: Row) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The scopes and the custom claims that the session was opened with."""
    if not row.scopes_and_claims:
        return (), {}
    scopes_and_claims = json.loads(row.scopes_and_claims)
    return tuple(scopes_and_claims["scopes"]), scopes_and_claims["claims"]


def device_of(row: Row) -> Any:
    """What the client was said to be, ``None`` for unknown."""
    return json.loads(row.device) if row.device else None
