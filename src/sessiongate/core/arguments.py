"""Checks of what users pass in; each message names the argument and the remedy."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Final, Literal, TypeAlias, TypedDict, TypeGuard, TypeVar

from sessiongate.core.row import SECOND

T = TypeVar("T", bound=str)

Seconds: TypeAlias = int | float | timedelta
"""A duration in seconds, or a ``timedelta``."""

ExistingPolicy: TypeAlias = Literal["reuse", "new", "replace"]
EXISTING: Final[tuple[ExistingPolicy, ...]] = ("reuse", "new", "replace")


class SessionOptions(TypedDict, total=False):
    """The keywords of ``create_session`` and of each other verb that opens a session."""

    existing: ExistingPolicy | None
    """What to do if the user has a live session; ``None``: what the manager says."""
    scopes: Iterable[str]
    """What the session may do (RFC 6749, section 3.3)."""
    claims: Mapping[str, Any] | None
    """Custom JSON values, shown again by ``validate_session``."""
    device: Any
    """What the client is, as JSON; shown by ``user_sessions``. ``None``: unknown."""


_TEXT_LIMIT: Final = 256
_JSON_LIMIT: Final = 4096
_JSON_DEPTH: Final = 16
_LONGEST: Final = 100 * 366 * 86400
_CONTROL: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Controls, lone surrogates and line separators: what breaks headers and log lines."""

_HANDLE: Final = re.compile(r"[A-Za-z0-9_-]{16,128}", re.ASCII)
_STORE_MEMBERS: Final = ("read", "swap", "commit", "aread", "codec", "shared", "touch_every")

_RESERVED: Final = frozenset(
    {"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "scope", "scopes", "username"}
    | {"created_at", "last_accessed", "issued_at", "expires_at", "issuer", "audience"}
)
"""Claims that the package writes itself."""


def microseconds(value: object, name: str, *, positive: bool = False) -> int:
    """A duration as integer microseconds."""
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        msg = f"{name} must be seconds (int or float) or a timedelta, not {type(value).__name__}"
        raise TypeError(msg)
    if not 0 <= value <= _LONGEST or (positive and value == 0):
        least = "more than 0" if positive else "0 or more"
        msg = f"{name} must be {least} seconds, finite and at most 100 years"
        raise ValueError(msg)
    return max(round(value * SECOND), 1 if positive else 0)


def check_count(value: object, name: str) -> int | None:
    """A limit: a whole number from 1 up, or ``None`` for no limit."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        msg = f"{name} must be a whole number or None (no limit), not {type(value).__name__}"
        raise TypeError(msg)
    if value < 1:
        msg = f"{name} must be 1 or more, or None for no limit; got {value}"
        raise ValueError(msg)
    return value


def check_choice(value: object, name: str, choices: Sequence[T]) -> T:
    """One of a few strings."""
    if isinstance(value, str):
        for choice in choices:
            if value == choice:
                return choice
    msg = f"{name} must be one of {', '.join(map(repr, choices))}"
    raise ValueError(msg)


def check_text(value: object, name: str) -> str:
    """A non-empty text that is safe in a header, a log line and a token."""
    if not isinstance(value, str):
        msg = f"{name} must be a str, not {type(value).__name__}"
        raise TypeError(msg)
    if not value:
        msg = f"{name} must not be empty"
        raise ValueError(msg)
    if len(value) > _TEXT_LIMIT:
        msg = f"{name} must be at most {_TEXT_LIMIT} characters long; got {len(value)}"
        raise ValueError(msg)
    if not value.isprintable() and any(unicodedata.category(c) in _CONTROL for c in value):
        msg = f"{name} must not contain control characters, surrogates or line separators"
        raise ValueError(msg)
    return value


def check_username(value: object) -> str:
    """A username, kept exactly as given: no case folding, no normalisation."""
    return check_text(value, "username")


def is_handle(value: object) -> TypeGuard[str]:
    """Whether a text could name a session; if not, no store has to be asked."""
    return isinstance(value, str) and _HANDLE.fullmatch(value) is not None


def check_store(value: object) -> None:
    """A store, and neither its class nor its URL."""
    if isinstance(value, type) or not all(map(partial(hasattr, value), _STORE_MEMBERS)):
        what = value.__name__ if isinstance(value, type) else type(value).__name__
        msg = (
            f"store must be an object such as MemoryStore() or RedisStore('redis://…'); "
            f"got {'the class ' if isinstance(value, type) else 'an object of type '}{what}"
        )
        raise TypeError(msg)


def check_scopes(value: object) -> tuple[str, ...]:
    """Scope tokens of RFC 6749, section 3.3, sorted and without repeats."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        msg = "scopes must be a list, tuple or set of str, such as scopes=('read', 'write')"
        raise TypeError(msg)
    scopes = sorted({check_text(scope, "scopes") for scope in value})
    for scope in scopes:
        if not scope.isascii() or any(c in ' "\\' for c in scope):
            msg = "scopes must be ASCII without spaces, quotes and backslashes (RFC 6749, 3.3)"
            raise ValueError(msg)
    return tuple(scopes)


def check_claims(value: object) -> dict[str, Any]:
    """Custom claims: a JSON object whose names are not the package's own."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        msg = f"claims must be a mapping of str to JSON values, not {type(value).__name__}"
        raise TypeError(msg)
    for name in value:
        check_text(name, "the name of a claim")
        if name in _RESERVED:
            msg = f"claims must not contain {name!r}: it is written by the session itself"
            raise ValueError(msg)
    return dict(value) if to_json(value, "claims") else {}


def check_device(value: object) -> str:
    """A description of the client as JSON, ``""`` for none."""
    return "" if value is None else to_json(value, "device")


def to_json(value: object, name: str) -> str:
    """Canonical JSON of bounded size and depth: equal values give equal texts."""
    _check_json(value, name, _JSON_DEPTH)
    try:
        text = json.dumps(
            value, sort_keys=True, separators=(",", ":"), allow_nan=False, default=dict
        )
    except ValueError:
        msg = f"{name} must not contain integers of thousands of digits"
        raise ValueError(msg) from None
    if len(text) > _JSON_LIMIT:
        msg = f"{name} must be at most {_JSON_LIMIT} characters as JSON; got {len(text)}"
        raise ValueError(msg)
    return text


def _check_json(value: object, name: str, depth: int) -> None:
    if depth == 0:
        msg = f"{name} must not be nested deeper than {_JSON_DEPTH} levels"
        raise ValueError(msg)
    if value is None or isinstance(value, (bool, int)):
        return
    if isinstance(value, float):
        if not math.isfinite(value):
            msg = f"{name} must not contain NaN or infinity: JSON has none"
            raise ValueError(msg)
    elif isinstance(value, str):
        if any(unicodedata.category(c) == "Cs" for c in value):
            msg = f"{name} must not contain lone surrogates"
            raise ValueError(msg)
    elif isinstance(value, Mapping):
        for key, member in value.items():
            if not isinstance(key, str):
                msg = f"{name} must have str keys, not {type(key).__name__}"
                raise TypeError(msg)
            _check_json(member, name, depth - 1)
    elif isinstance(value, (list, tuple)):
        for member in value:
            _check_json(member, name, depth - 1)
    else:
        msg = f"{name} must hold JSON values only, not {type(value).__name__}"
        raise TypeError(msg)
