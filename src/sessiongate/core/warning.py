"""Warnings that point at the line outside of this package that can mend their cause."""

from __future__ import annotations

import inspect
import warnings
from typing import Final

_PACKAGE: Final = "sessiongate."


def warn(message: str, category: type[Warning]) -> None:
    """Warn the caller of the package."""
    level, frame = 0, inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").startswith(_PACKAGE):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level + 1)
