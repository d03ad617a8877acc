"""How a session is shown. Its generation is no secret; a token of it is nowhere to be shown."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from sessiongate.cli._output import ago, amount, date, for_people, instant, print_json, table
from sessiongate.core.row import device_of, scopes_and_claims_of
from sessiongate.devices.labels import name_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sessiongate.core.row import Row

__all__ = ["described", "details", "device", "print_rows"]

_COLUMNS: Final = ("HANDLE", "USER", "OPENED", "LAST SEEN", "ENDS", "SCOPES", "DEVICE")
_SHORT: Final = ("HANDLE", "USER", "OPENED", "SEEN", "ENDS", "SCOPES", "DEVICE")
_TIMES: Final = _SHORT[2:5]
_ALWAYS: Final = 5
"""Columns that a terminal shows even where nothing is in them."""


def print_rows(rows: Sequence[Row], now: int, *, as_json: bool) -> None:
    """Many, a line each; short ones on a terminal, to fit into 80 columns."""
    if as_json:
        print_json([_brief(row) for row in rows])
    elif for_people():
        lines = [_line(row, partial(amount, now=now)) for row in rows]
        shown = [at for at in range(len(_SHORT)) if at < _ALWAYS or any(one[at] for one in lines)]
        table([_SHORT[at] for at in shown], [[one[at] for at in shown] for one in lines], _TIMES)
    else:
        table(_COLUMNS, [_line(row, date) for row in rows])


def device(row: Row) -> str:
    """What the client is, such as “Firefox on Linux”; ``""`` where nothing was recorded."""
    known = device_of(row)
    return "" if known is None else name_of(known)


def described(row: Row, now: int) -> dict[str, object]:
    """All of one, for people."""
    scopes, claims = scopes_and_claims_of(row)
    recorded = device_of(row)
    return {
        "handle": row.sid,
        "user": row.username,
        "opened": ago(row.created_at, now),
        "last seen": ago(row.last_accessed, now),
        "ends": ago(row.expires_at, now),
        "ends at last": ago(row.lifetime_ends_at, now),
        "token": f"generation {row.generation}, made {ago(row.rotated_at, now)}",
        "shared": "its token was handed out more than once: it does not rotate by itself"
        if row.shared
        else None,
        "scopes": " ".join(scopes) or None,
        "claims": _json(claims) if claims else None,
        "device": device(row) or None,
        "as recorded": _json(recorded) if isinstance(recorded, (dict, list)) else None,
    }


def details(row: Row) -> dict[str, Any]:
    """All of one, for programs."""
    return {
        **_brief(row),
        "lifetime_ends_at": instant(row.lifetime_ends_at),
        "generation": row.generation,
        "rotated_at": instant(row.rotated_at),
        "shared": row.shared,
        "claims": scopes_and_claims_of(row)[1],
    }


def _line(row: Row, when: Callable[[int], str]) -> tuple[str, ...]:
    dates = map(when, (row.created_at, row.last_accessed, row.expires_at))
    return row.sid, row.username, *dates, " ".join(scopes_and_claims_of(row)[0]), device(row)


def _brief(row: Row) -> dict[str, Any]:
    return {
        "handle": row.sid,
        "username": row.username,
        "created_at": instant(row.created_at),
        "last_accessed": instant(row.last_accessed),
        "expires_at": instant(row.expires_at),
        "scopes": list(scopes_and_claims_of(row)[0]),
        "device": device_of(row),
    }


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
