"""A store that can be switched off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sessiongate.errors import StoreError
from sessiongate.stores import MemoryStore

if TYPE_CHECKING:
    from sessiongate.testing.commands import Command

__all__ = ["BrittleStore"]


class BrittleStore(MemoryStore):
    """Fails while it is ``down``, and has forgotten nothing when it is up again."""

    def __init__(self) -> None:
        super().__init__()
        self.down = False

    def execute(self, command: Command) -> Outcome:
        self._ask(command)
        return super().execute(command)

    async def aexecute(self, command: Command) -> Outcome:
        self._ask(command)
        return await super().aexecute(command)

    def _ask(self, command: Command) -> None:
        if self.down:
            msg = "the store did not answer"
            raise StoreError(msg) from OSError(repr(command))
