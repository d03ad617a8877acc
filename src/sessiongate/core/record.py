"""What a store keeps: a session as it is found, and bytes that only the codec reads."""

from __future__ import annotations

from collections.abc import Sequence  # noqa: TC003 - users may resolve the hints
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from sessiongate.core.row import Row


class Record(NamedTuple):
    """One session, as a store sees it.

    ``username`` and ``expires_at`` are outside of ``data``, so a record whose
    data cannot be read still counts, ends with its user's sessions, and is swept.
    """

    sid: str
    """Names the session: 22 characters of base64url."""
    username: str
    """Compared exactly, byte for byte."""
    expires_at: int
    """Microseconds since the Unix epoch: dead at this instant, not after it."""
    data: Any
    """Bytes, compared as a whole and given back as they are."""


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


def row_of(record: Record, decode: Callable[[Any, str], Row | None]) -> Row | None:
    """Return the row of a record; ``None`` as well if it is another user's, so nobody's."""
    row = decode(record.data, record.sid)
    return None if row is None or row.username != record.username else row
