"""Rows as bytes, once for all stores: a JSON array that begins with the version of its format.

Whoever can write to a store can write nonsense, and a newer version of the package may have written
what this one does not know. Neither is an error of the request that finds it, nor a session.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import re
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from sessiongate.core.arguments import check_claims, check_scopes, check_username
from sessiongate.core.recent import Recent, remembering
from sessiongate.core.row import FOREVER, Row, device_of

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FIELDS", "VERSION", "decode", "encode", "values_of"]

VERSION: Final = 4
"""Of the format. Data of a greater version was written by a newer sessiongate."""
_UNBOUND: Final = 3
"""Of the rows that are bound to no device: without the two last fields, as an older sessiongate
writes and reads them. So both may serve from one store while one takes the place of the other."""
FIELDS: Final = tuple(field.name for field in dataclasses.fields(Row))
"""The names of a row's fields, in the order in which they are stored."""
values_of: Final[Callable[[Row], tuple[Any, ...]]] = attrgetter(*FIELDS)
"""The values of a row, in the order of ``FIELDS``."""
_REMEMBERED, _BOUND_KEY = map(FIELDS.index, ("remembered", "bound_key"))
_WIDTHS: Final = {2: _REMEMBERED, _UNBOUND: _BOUND_KEY}
_ADDED: Final = False, "", 0
"""What older rows lack, as it was then."""
_KEY: Final = re.compile(r"[A-Za-z0-9_-]{86}", re.ASCII)

_LOGGER: Final = logging.getLogger("sessiongate.stores")
_NUMBERS: Final = frozenset({int})
_warned: Final[Recent[int, str]] = Recent()
_to_json: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def encode(row: Row) -> bytes:
    """Return the data of a row."""
    if row.bound_key:
        return _to_json((VERSION, *values_of(row))).encode()
    return _to_json((_UNBOUND, *values_of(row)[:_BOUND_KEY])).encode()


def decode(data: bytes, sid: str) -> Row | None:
    """Return the row of that sid; ``None``, and one line in the log, for all else.

    The line names the session, never what was found in its place. Each damage is logged once, so
    no client can flood the log. Of thousands, those not met lately may be logged again.
    """
    row = _decode(data)
    if row is not None and row.sid == sid:
        return row
    damage = hash((sid, data))  # not the data, which may be long
    if _warned[damage] is None:
        _warned.keep(damage, sid)
        _LOGGER.warning("session %.64r is unreadable (corrupt, or written by a newer version)", sid)
    return None


@remembering
def _decode(data: bytes) -> Row | None:
    """Check types, ranges and order, and that texts are text and JSON is JSON."""
    fields: list[Any]
    try:
        version, *fields = json.loads(data)
        if type(version) is int and version in _WIDTHS and len(fields) == _WIDTHS[version]:
            version = VERSION
            fields.extend(_ADDED[len(fields) - _REMEMBERED :])
        if type(version) is not int or version != VERSION or len(fields) != len(FIELDS):
            return None
        row = Row(*fields)
        sid, username, *numbers, shared, scopes_and_claims, device, remembered, key, proved = fields
        numbers.append(proved)
        texts = (sid, username, scopes_and_claims, device)
        if key != "" and not _KEY.fullmatch(key):
            return None
        "".join(texts).encode()  # fails if one is no text, or no UTF-8 can express it
        check_username(username)
        if scopes_and_claims:
            given: Any = json.loads(scopes_and_claims)
            if type(given["scopes"]) is not list or type(given["claims"]) is not dict:
                return None
            check_scopes(given["scopes"])
            check_claims(given["claims"])
        device_of(row)
    except (LookupError, TypeError, ValueError, RecursionError):
        return None
    is_valid = (
        type(shared) is type(remembered) is bool
        and _NUMBERS.issuperset(map(type, numbers))
        and min(numbers) >= 0
        and max(numbers) <= FOREVER
        and row.revoked_below <= row.oldest_accepted <= row.generation
    )
    return row if is_valid else None
