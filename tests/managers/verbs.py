"""One way to call a manager's verbs in either colour, so that each test is written once."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    from sessiongate import SessionManager

__all__ = ["KEY", "Make", "Verbs"]

KEY = "k" * 64
"""Long enough for every HMAC algorithm; sessions that must outlive a manager share it."""


class Verbs:
    """The verbs of a manager by their plain names: called, or awaited as their ``a…`` twins."""

    def __init__(self, manager: SessionManager, colour: str) -> None:
        self.manager = manager
        self._colour = colour

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        if self._colour == "sync":
            return getattr(self.manager, verb)  # type: ignore[no-any-return]
        return partial(_await, getattr(self.manager, f"a{verb}"))


def _await(verb: Callable[..., Any], *args: Any, **keywords: Any) -> Any:
    return asyncio.run(verb(*args, **keywords))


Make: TypeAlias = "Callable[..., Verbs]"
"""Makes a manager of the kind and colour at hand, on the movable clock."""
