"""Checks of what users pass in; each message names the argument and the remedy."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, Literal, TypeAlias, TypedDict, TypeGuard, TypeVar

from sessiongate.core.row import SECOND

T = TypeVar("T", bound=str)

Seconds: TypeAlias = int | float | timedelta
"""A duration in seconds, or a ``timedelta``."""

JSON: TypeAlias = Mapping[str, Any] | list[Any] | tuple[Any, ...] | str | float | None
"""What JSON can hold, unless ``check_json`` finds otherwise."""

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
    remember: bool
    """Whether the session lives ``remember_for`` without a request, and its cookie outlives the
    browser."""


class SessionChanges(TypedDict, total=False):
    """The keywords of ``update_session`` and of each other verb that changes a session."""

    scopes: Iterable[str] | None
    """Instead of the present ones; ``None``: as they are."""
    claims: Mapping[str, Any] | None
    """Instead of the present ones; ``None``: as they are."""


_TEXT_LIMIT: Final = 256
_JSON_LIMIT: Final = 4096
_JSON_DEPTH: Final = 16
_LONGEST: Final = 100 * 366 * 86400
_CONTROL: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Controls, lone surrogates and line separators: what breaks headers and log lines."""

_NO_SCOPE: Final = frozenset(' "\\')
_to_json: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=dict).encode
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_HANDLE: Final = re.compile(r"[A-Za-z0-9_-]{16,128}", re.ASCII)
_STORE_MEMBERS: Final = ("read", "swap", "commit", "aread", "codec", "shared", "touch_every")

_RESERVED: Final = frozenset(
    {"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "scope", "scopes", "username"}
    | {"created_at", "last_accessed", "issued_at", "expires_at", "issuer", "audience"}
)
"""Claims that the package writes itself."""


def _wrong_type(name: str, requirement: str, value: object) -> TypeError:
    return TypeError(f"{name} must {requirement}, not {type(value).__name__}")


def _unfit(name: str, requirement: str) -> ValueError:
    return ValueError(f"{name} must {requirement}")


def microseconds(value: object, name: str, *, positive: bool = False) -> int:
    """A duration as integer microseconds."""
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _wrong_type(name, "be seconds (int or float) or a timedelta", value)
    if not 0 <= value <= _LONGEST or (positive and value == 0):
        least = "more than 0" if positive else "0 or more"
        raise _unfit(name, f"be {least} seconds, finite and at most 100 years")
    return max(round(value * SECOND), 1 if positive else 0)


def check_keywords(options: Mapping[str, Any], known: frozenset[str]) -> None:
    """Keywords that came as a mapping, with the error of a call."""
    for unknown in options.keys() - known:
        msg = f"{unknown!r} is an unexpected keyword argument"
        raise TypeError(msg)


def check_flag(value: object, name: str) -> bool:
    """``True`` or ``False``, and nothing that merely looks like it, such as ``"off"``."""
    if not isinstance(value, bool):
        raise _wrong_type(name, "be True or False", value)
    return value


def check_count(value: object, name: str, *, none: str = " or None (no limit)") -> int | None:
    """A limit: a whole number from 1 up, or ``None`` for no limit; ``none=""``: not that."""
    if value is None and none:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong_type(name, f"be a whole number{none}", value)
    if value < 1:
        raise _unfit(name, f"be 1 or more{none}; got {value}")
    return value


def check_choice(value: object, name: str, choices: Sequence[T]) -> T:
    """One of a few strings."""
    for choice in choices:
        if isinstance(value, str) and value == choice:
            return choice
    raise _unfit(name, f"be one of {', '.join(map(repr, choices))}")


def check_text(value: object, name: str) -> str:
    """A non-empty text that is safe in a header, a log line and a token."""
    if not isinstance(value, str):
        raise _wrong_type(name, "be a str", value)
    if not value:
        raise _unfit(name, "not be empty")
    if len(value) > _TEXT_LIMIT:
        raise _unfit(name, f"be at most {_TEXT_LIMIT} characters long; got {len(value)}")
    if not value.isprintable() and any(unicodedata.category(c) in _CONTROL for c in value):
        raise _unfit(name, "not contain control characters, surrogates or line separators")
    return value


def check_username(value: object) -> str:
    """A username, kept exactly as given: no case folding, no normalisation."""
    return check_text(value, "username")


def is_handle(value: object) -> TypeGuard[str]:
    """Whether a text could name a session; if not, no store has to be asked."""
    return isinstance(value, str) and _HANDLE.fullmatch(value) is not None


def check_store(value: object) -> None:
    """A store, and neither its class nor its URL."""
    if isinstance(value, type):
        found = f"the class {value.__name__}"
    elif all(hasattr(value, member) for member in _STORE_MEMBERS):
        return
    else:
        found = f"an object of type {type(value).__name__}"
    msg = f"store must be an object such as MemoryStore() or RedisStore('redis://…'); got {found}"
    raise TypeError(msg)


def check_scopes(value: Iterable[str], name: str = "scopes") -> tuple[str, ...]:
    """Scope tokens of RFC 6749, section 3.3, sorted and without repeats."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        msg = f"{name} must be a list, tuple or set of str, such as ('read', 'write')"
        raise TypeError(msg)
    scopes = sorted({check_text(scope, name) for scope in value})
    if not all(scope.isascii() and _NO_SCOPE.isdisjoint(scope) for scope in scopes):
        raise _unfit(name, "be ASCII without spaces, quotes and backslashes (RFC 6749, 3.3)")
    return tuple(scopes)


def check_claims(value: Mapping[str, Any] | None, name: str = "claims") -> dict[str, Any]:
    """Custom claims: a JSON object whose names are not the package's own."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise _wrong_type(name, "be a mapping of str to JSON values", value)
    for claim in value:
        if check_text(claim, "the name of a claim") in _RESERVED:
            raise _unfit(name, f"not contain {claim!r}: it is written by the session itself")
    return dict(value) if to_json(value, name) else {}


def check_scopes_and_claims(scopes: Iterable[str], claims: Mapping[str, Any] | None) -> str:
    """Both as canonical JSON, ``""`` for none."""
    return describe(check_scopes(scopes), check_claims(claims))


def describe(scopes: tuple[str, ...], claims: Mapping[str, Any]) -> str:
    """Checked scopes and claims as canonical JSON, ``""`` for none."""
    return to_json({"scopes": scopes, "claims": claims}, "claims") if scopes or claims else ""


def to_json(value: JSON, name: str) -> str:
    """Canonical JSON of bounded size and depth: equal values give equal texts."""
    check_json(value, name)
    try:
        text = _to_json(value)
    except ValueError:
        raise _unfit(name, "not contain integers of thousands of digits") from None
    if len(text) > _JSON_LIMIT:
        raise _unfit(name, f"be at most {_JSON_LIMIT} characters as JSON; got {len(text)}")
    return text


def check_json(value: JSON, name: str, depth: int = _JSON_DEPTH) -> None:
    """A JSON value that is nested no deeper, with no NaN and no lone surrogate."""
    if depth == 0:
        raise _unfit(name, f"not be nested deeper than {_JSON_DEPTH} levels")
    if value is None or isinstance(value, (bool, int)):
        return
    if isinstance(value, float):
        if not math.isfinite(value):
            raise _unfit(name, "not contain NaN or infinity: JSON has none")
    elif isinstance(value, str):
        if _SURROGATE.search(value):
            raise _unfit(name, "not contain lone surrogates")
    elif isinstance(value, Mapping):
        for key, member in value.items():
            if not isinstance(key, str):
                raise _wrong_type(name, "have str keys", key)
            check_json(member, name, depth - 1)
    elif isinstance(value, (list, tuple)):
        for member in value:
            check_json(member, name, depth - 1)
    else:
        raise _wrong_type(name, "hold JSON values only", value)
