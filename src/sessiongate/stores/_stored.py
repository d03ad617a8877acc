"""Rows that come back from a store: understood as a whole, or no session.

Whoever can write to a store can write nonsense, and a newer version of the
package may have written what this one does not know. Neither is an error of
the request that finds it, and neither is somebody who is logged in.
"""

from __future__ import annotations

import json
import logging
from typing import Any, Final, TypeAlias

from sessiongate.core.arguments import check_claims, check_scopes
from sessiongate.core.recent import remembering
from sessiongate.core.row import FOREVER, Row, device_of

__all__ = ["FORMAT", "Record", "restored", "sound", "warn_unreadable"]

Record: TypeAlias = tuple[Any, ...]
"""The number of the format, and what should be the fields of a ``Row``."""

_LOGGER: Final = logging.getLogger("sessiongate.stores")

FORMAT: Final = 1
"""Of a stored row. One with another number was written by a newer sessiongate."""

_COUNT: Final = len(("format", *Row._fields))
_NUMBERS: Final = frozenset({int})


def restored(record: Record) -> Row | None:
    """The ``Row`` of a record, or ``None`` and a line in the log."""
    try:
        row = _remembered(record)
    except TypeError:  # something in it is not even a key
        row = None
    if row is None:
        warn_unreadable(record[1] if len(record) > 1 else None)
    return row


def sound(record: Record) -> Row | None:
    """The ``Row`` of a record, ``None`` for any other; says what a record is, and asks nothing."""
    if len(record) == _COUNT and record[0] == FORMAT and record[12] in (0, 1):
        _, *fields = record
        fields[11] = fields[11] == 1
        row = tuple.__new__(Row, fields)
        if _is_sound(row):
            return row
    return None


_remembered: Final = remembering(sound)
"""For most rows are found again as they were."""


def warn_unreadable(sid: object) -> None:
    """Say which session is no longer one; never what was found in its place."""
    _LOGGER.warning("session %.64r is unreadable (corrupt, or written by a newer version)", sid)


def _is_sound(row: Row) -> bool:
    """Types, ranges, order, text that is text, JSON that is JSON."""
    sid, username, *numbers, _, scopes_and_claims, device = row
    texts = sid, username, scopes_and_claims, device
    if not _NUMBERS.issuperset(map(type, numbers)):
        return False
    if not (min(numbers) >= 0 and max(numbers) <= FOREVER):
        return False
    if not row.revoked_below <= row.oldest_accepted <= row.generation:
        return False
    try:
        # Fails if one is no text; bytes that are no UTF-8 may have come as surrogates.
        "".join(texts).encode()
        if scopes_and_claims:
            given = json.loads(scopes_and_claims)
            if type(given["scopes"]) is not list or type(given["claims"]) is not dict:
                return False
            check_scopes(given["scopes"])
            check_claims(given["claims"])
        if device:
            device_of(row)
    except (LookupError, TypeError, ValueError, RecursionError):
        return False
    return True
