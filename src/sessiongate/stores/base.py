"""What a store is: a thing that carries out commands, each in one atomic step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sessiongate.core.commands import Command, Outcome

__all__ = ["Store"]


class Store(Protocol):
    """The one thing a manager needs to know about persistence.

    ``execute`` and ``aexecute`` do the same; the second never blocks the event
    loop. Both are safe to call from any thread and any task. Each command
    takes effect as a whole or not at all, in one round trip; what a command
    answers is written beside it in ``sessiongate.core.commands``.

    Raises ``StoreError`` within a second if the store is down, whatever the
    reason; after an error it may be called again at once.

    A class whose ``execute`` waits for nothing may say so with ``blocking = False``:
    then the ASGI middleware checks each request by calling it, and awaits
    ``aexecute`` for all else. What inherits from it has to say so again.
    """

    shared: bool
    """Whether other processes see the same rows: then the key must be given."""
    touch_every: int
    """How stale ``last_accessed`` may get before it is written, in microseconds."""

    def execute(self, command: Command) -> Outcome:
        """Carry out a command."""
        ...

    async def aexecute(self, command: Command) -> Outcome:
        """Carry out a command without blocking the event loop."""
        ...

    def close(self) -> None:
        """Release connections; the store may not be used afterwards."""
        ...

    async def aclose(self) -> None:
        """The same, to await."""
        ...
