"""Outcomes that are equal only to what they are.

Named tuples are equal to all tuples of the same content: without this a store that answers
``Ended`` for ``Replayed``, ``1`` for ``True``, or a bare tuple for a ``Row`` would pass.
"""
# What is compared may be anything.
# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from typing import Any, Final

from sessiongate.core.row import Row
from sessiongate.testing.outcomes import Ended, Existing, LimitReached, Opened, Replayed, Rotated

__all__ = ["exact"]

_KINDS: Final = (tuple, Row, Ended, Existing, LimitReached, Opened, Replayed, Rotated)


def exact(outcome: Any) -> Any:
    """The same outcome, which insists on types when it is compared, in all its depth."""
    strict = _STRICT.get(type(outcome))
    return outcome if strict is None else tuple.__new__(strict, map(exact, outcome))


def _same(mine: Any, theirs: Any) -> bool:
    if not isinstance(mine, tuple) or not isinstance(theirs, tuple):
        return type(mine) is type(theirs) and bool(mine == theirs)
    return (
        _kind(mine) is _kind(theirs) and len(mine) == len(theirs) and all(map(_same, mine, theirs))
    )


def _kind(value: tuple[Any, ...]) -> type:
    return getattr(value, "_exactly", type(value))


def _differ(mine: Any, theirs: Any) -> bool:
    return not _same(mine, theirs)


def _strict(kind: type) -> Any:
    members = {"__slots__": (), "__eq__": _same, "__ne__": _differ, "__hash__": kind.__hash__}
    return type(kind.__name__, (kind,), {**members, "_exactly": kind})


_STRICT: Final = {kind: _strict(kind) for kind in _KINDS}
