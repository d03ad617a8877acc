"""The two kinds of rows that a store may hold, and what is told of each.

A session's generation is no secret; a token is nowhere to be shown.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from sessiongate.core.row import device_of, scopes_and_claims_of
from sessiongate.devices import labels
from sessiongate.machines.rows import is_api_token, name_of

if TYPE_CHECKING:
    from sessiongate.core.row import Row

When: TypeAlias = Callable[[int], str | None]
"""Writes an instant."""


class Kind(NamedTuple):
    """What a row is to an administrator."""

    noun: str
    command: str
    """The group of commands that is about them."""
    opened: str
    """What was done to make one."""
    columns: tuple[str, ...]
    """The headings of ``brief``."""
    brief: Callable[[Row, When], dict[str, Any]]
    mark: Callable[[Row], str]
    """What tells one from the others of its user, in words."""

    def cells(self, row: Row, when: When) -> tuple[str, ...]:
        """``brief`` as texts."""
        told = self.brief(row, when)
        if "device" in told:
            told["device"] = f"{device(row)} (bound)".lstrip() if row.bound_key else device(row)
        told["scopes"] = " ".join(told["scopes"])
        return tuple(told.values())

    def counted(self, number: int) -> str:
        return f"{number} {self.noun}{'' if number == 1 else 's'}"


def kind_of(row: Row) -> Kind:
    return TOKENS if is_api_token(row) else SESSIONS


def device(row: Row) -> str:
    """What the client is, such as “Firefox on Linux”; ``""`` where nothing was recorded."""
    known = device_of(row)
    return "" if known is None else labels.name_of(known)


def details(row: Row, now: int, when: When) -> dict[str, Any]:
    """All of one."""
    found = kind_of(row).brief(row, when)
    if not is_api_token(row):
        found |= {
            "lifetime_ends_at": when(row.lifetime_ends_at),
            "generation": row.generation,
            "rotated_at": when(row.rotated_at),
            "shared": row.shared,
            "remembered": row.remembered,
            "device_bound": bool(row.bound_key),
            "proved_until": when(row.proved_until) if row.bound_key else None,
        }
    return found | {"claims": scopes_and_claims_of(row)[1], "live": now < row.expires_at}


def _session(row: Row, when: When) -> dict[str, Any]:
    return {
        "handle": row.sid,
        "username": row.username,
        "created_at": when(row.created_at),
        "last_accessed": when(row.last_accessed),
        "expires_at": when(row.expires_at),
        "scopes": list(scopes_and_claims_of(row)[0]),
        "device": device_of(row),
    }


def _token(row: Row, when: When) -> dict[str, Any]:
    return {
        "handle": row.sid,
        "username": row.username,
        "name": name_of(row),
        "scopes": list(scopes_and_claims_of(row)[0]),
        "created_at": when(row.created_at),
        "last_used": when(row.last_accessed),
        "expires_at": when(row.expires_at),
    }


def _device_of(row: Row) -> str:
    return f"device {device(row) or '?'}"


def _name_of(row: Row) -> str:
    return f"name {name_of(row)}"


SESSIONS: Final = Kind(
    noun="session",
    command="sessions",
    opened="opened",
    columns=("HANDLE", "USER", "OPENED", "LAST SEEN", "ENDS", "SCOPES", "DEVICE"),
    brief=_session,
    mark=_device_of,
)
TOKENS: Final = Kind(
    noun="API token",
    command="tokens",
    opened="created",
    columns=("HANDLE", "USER", "NAME", "SCOPES", "CREATED", "LAST USED", "ENDS"),
    brief=_token,
    mark=_name_of,
)
