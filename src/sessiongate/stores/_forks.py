"""Objects that must not be half way through something when the process forks."""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["hold_across_forks"]


class Held(Protocol):
    """What is told of a fork. It takes its locks before, for a child finds them as they were."""

    def before_fork(self) -> None: ...
    def after_fork_in_parent(self) -> None: ...
    def after_fork_in_child(self) -> None: ...


def hold_across_forks(held: Held) -> None:
    """Tell of each fork, as long as somebody else keeps the object."""
    if not hasattr(os, "register_at_fork"):
        return
    known = weakref.ref(held)

    def hook(tell: Callable[[Any], None]) -> Callable[[], None]:
        def told() -> None:
            alive = known()
            if alive is not None:
                tell(alive)

        return told

    os.register_at_fork(
        before=hook(lambda held: held.before_fork()),
        after_in_parent=hook(lambda held: held.after_fork_in_parent()),
        after_in_child=hook(lambda held: held.after_fork_in_child()),
    )
