"""Outcomes that are equal only to what they are.

Named tuples are equal to all tuples of the same content, and ``True`` is equal to 1: without this a
store that answers ``Ended`` for ``Replayed``, or a row with ``1`` for ``True``, would pass.
"""
# What is compared may be anything.
# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from typing import Any, Final, cast

from sessiongate.core.row import Row
from sessiongate.stores.codec import values_of
from sessiongate.testing.outcomes import Ended, Existing, LimitReached, Opened, Replayed, Rotated

__all__ = ["exact"]

_KINDS: Final = (tuple, Row, Ended, Existing, LimitReached, Opened, Replayed, Rotated)


def exact(outcome: Any) -> Any:
    """The same outcome, which insists on types when it is compared, in all its depth."""
    strict = _STRICT.get(type(outcome))
    if strict is None:
        return outcome
    if isinstance(outcome, Row):
        return strict(*values_of(outcome))
    return tuple.__new__(strict, map(exact, outcome))


def _same(mine: Any, theirs: Any) -> bool:
    if _kind(mine) is not _kind(theirs):
        return False
    if isinstance(mine, Row):
        return _same(values_of(mine), values_of(theirs))
    if not isinstance(mine, tuple):
        return bool(mine == theirs)
    return len(mine) == len(theirs) and all(map(_same, mine, theirs))


def _kind(value: Any) -> type:
    return cast("type", getattr(value, "_exactly", type(value)))


def _differ(mine: Any, theirs: Any) -> bool:
    return not _same(mine, theirs)


def _strict(kind: type) -> Any:
    members = {"__slots__": (), "__eq__": _same, "__ne__": _differ, "__hash__": kind.__hash__}
    return type(kind.__name__, (kind,), {**members, "_exactly": kind})


_STRICT: Final = {kind: _strict(kind) for kind in _KINDS}
