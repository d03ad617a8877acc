"""A session, as the rules see it and as a store keeps it.

Times are integer microseconds since the Unix epoch. A row holds no token, no digest of one and no
key but a public one: a stolen store opens no session.
"""

from __future__ import annotations

import json
from collections.abc import Sequence  # noqa: TC003 - users may resolve the hints
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, final

from sessiongate.events import Event

if TYPE_CHECKING:
    from sessiongate.events import EventKind

SECOND: Final = 1_000_000
"""The unit of time inside: so fine that a refresh always ends later than what it refreshes."""

FOREVER: Final = 2**53 - 1
"""A time that never comes (2255). The largest integer that Lua and JSON keep exact."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@final
@dataclass(slots=True, unsafe_hash=True)
class Row:
    """One session, never changed in place (``frozen`` would make each touch dearer).

    A field's default is a login's. ``revoked_below <= oldest_accepted <= generation`` always holds.
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
    generation: int = 0
    """Which token of the session is the current one."""
    rotated_at: int = 0
    """When the current generation was made."""
    previous_until: int = 0
    """Until when predecessors are accepted; ``FOREVER``: the successor was not seen yet."""
    oldest_accepted: int = 0
    """The oldest generation accepted while ``previous_until`` is not reached."""
    revoked_below: int = 0
    """Generations below were ended on purpose: invalid, but no replay."""
    shared: bool = False
    """The token was handed out more than once: it does not rotate by itself."""
    scopes_and_claims: str = ""
    """Scopes and claims as canonical JSON, ``""`` for none."""
    device: str = ""
    """What the client is, as JSON, ``""`` for unknown."""
    remembered: bool = False
    """It outlives the browser, and lives longer without a request than others."""
    bound_key: str = ""
    """The public key of the device that the session is bound to, P-256 (``x`` and ``y``, 43
    characters of base64url each); ``""``: it is not bound.

    Then ``oldest_accepted`` is the first generation since the key last proved itself; those from
    ``revoked_below`` to there are of the proof before, and accepted until ``previous_until``.
    """
    proved_until: int = 0
    """Until when the tokens since the last proof are accepted, where there is a ``bound_key``."""


class Record(NamedTuple):
    """One session, as a store sees it.

    ``username`` and ``expires_at`` are outside of ``data``, so a record whose data cannot be read
    still counts, ends with its user's sessions, and is swept.
    """

    sid: str
    """Names the session: 22 characters of base64url."""
    username: str
    """Compared exactly, byte for byte."""
    expires_at: int
    """Microseconds since the Unix epoch: dead at this instant, not after it."""
    data: Any
    """Bytes, compared as a whole and given back as they are."""


class Renewed(Record):
    """A record whose session has a newer token: its ``swap`` is news."""

    generation: int
    """Of that token."""


class Page(NamedTuple):
    """Some live records, and where to go on."""

    records: Sequence[Record]
    place: int | None
    """The ``after`` of the next page; ``None``: there is no more."""


class RowCodec(Protocol):
    """How the rows of a store become its ``data``."""

    def encode(self, row: Row) -> Any:
        """Return the data of a row."""
        ...

    def decode(self, data: Any, sid: str) -> Row | None:
        """Return the row of that ``sid``; ``None``, and one line in the log, if there is none."""
        ...


def touched(row: Row, last_accessed: int, expires_at: int, previous_until: int) -> Row:
    """The row with other times; ``dataclasses.replace`` takes four times as long."""
    return Row(
        row.sid,
        row.username,
        row.created_at,
        last_accessed,
        expires_at,
        row.lifetime_ends_at,
        row.generation,
        row.rotated_at,
        previous_until,
        row.oldest_accepted,
        row.revoked_below,
        row.shared,
        row.scopes_and_claims,
        row.device,
        row.remembered,
        row.bound_key,
        row.proved_until,
    )


def record_of(row: Row, codec: RowCodec) -> Record:
    """The record that keeps a row."""
    return Record(row.sid, row.username, row.expires_at, codec.encode(row))


def renewed_of(row: Row, codec: RowCodec) -> Renewed:
    """The same, where the token of the row is newer than that of the record before."""
    renewed = Renewed(*record_of(row, codec))
    renewed.generation = row.generation
    return renewed


def row_of(record: Record, codec: RowCodec) -> Row | None:
    """Return the row of a record; ``None`` as well if it is another user's, so nobody's."""
    row = codec.decode(record.data, record.sid)
    return None if row is None or row.username != record.username else row


def event_of(
    kind: EventKind, session: Row | Record, now: int, transport: str | None, reason: str
) -> Event:
    """The event of what has happened to a session."""
    return Event(kind, to_datetime(now), session.username, session.sid, transport, reason)


def to_datetime(microseconds: int) -> datetime:
    """The instant as an aware UTC ``datetime``."""
    return _EPOCH + timedelta(0, 0, microseconds)


def dates_of(row: Row, leeway: int = 0) -> dict[str, Any]:
    """The times of a session, as they are shown; the end as its token states it."""
    return {
        "created_at": to_datetime(row.created_at),
        "last_accessed": to_datetime(row.last_accessed),
        "expires_at": to_datetime(row.expires_at - leeway),
    }


def scopes_and_claims_of(row: Row) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The scopes and the custom claims that the session was opened with."""
    if not row.scopes_and_claims:
        return (), {}
    scopes_and_claims = json.loads(row.scopes_and_claims)
    return tuple(scopes_and_claims["scopes"]), scopes_and_claims["claims"]


def device_of(row: Row) -> Any:
    """What the client was said to be, ``None`` for unknown."""
    return json.loads(row.device) if row.device else None
