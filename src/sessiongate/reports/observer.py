"""Who measures what a manager does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from sessiongate.events import Event


class Observer(Protocol):
    """Told of what happens, in the thread or task where it does. It raises nothing."""

    def checked(self, session: Any) -> object:
        """A request was checked, and is about to reach the app; its ``RequestSession``."""
        ...

    def emitted(self, event: Event) -> object:
        """An event was logged."""
        ...
