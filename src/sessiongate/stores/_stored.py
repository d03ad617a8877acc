"""Rows that come back from a store: understood as a whole, or no session.

Whoever can write to a store can write nonsense, and a newer version of the
package may have written what this one does not know. Neither is an error of
the request that finds it, and neither is somebody who is logged in.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, Final

from sessiongate.arguments import check_claims, check_scopes
from sessiongate.records import FOREVER, Row, device_of

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["FORMAT", "restored", "warn_unreadable"]

_LOGGER: Final = logging.getLogger("sessiongate.stores")

FORMAT: Final = 1
"""Of a stored row. One with another number was written by a newer sessiongate."""


def restored(version: object, fields: Sequence[Any]) -> Row | None:
    """The ``Row`` of these fields, or ``None`` and a line in the log."""
    if version == FORMAT and len(fields) == len(Row._fields):
        row = Row._make(fields)
        if _is_sound(row):
            return Row._make((*fields[:11], fields[11] == 1, *fields[12:]))
    warn_unreadable(fields[0] if fields else None)
    return None


def warn_unreadable(sid: object) -> None:
    """Say which session is no longer one; never what was found in its place."""
    _LOGGER.warning("session %.64r is unreadable (corrupt, or written by a newer version)", sid)


def _is_sound(row: Row) -> bool:
    """Types, ranges, order, text that is text, JSON that is JSON."""
    if any(type(number) not in {int, bool} or not 0 <= number <= FOREVER for number in row[2:12]):
        return False
    if not row.retired_below <= row.honoured_from <= row.generation or row.shared > 1:
        return False
    try:
        for text in (row.sid, row.username, row.grants, row.device):
            # Bytes that are no UTF-8 may have come as surrogates, which cannot be encoded.
            if not text.isascii():
                text.encode()
        if row.grants:
            grants = json.loads(row.grants)
            if type(grants["scopes"]) is not list or type(grants["claims"]) is not dict:
                return False
            check_scopes(grants["scopes"])
            check_claims(grants["claims"])
        device_of(row)
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError):
        return False
    return True
