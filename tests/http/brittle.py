"""A store that can be switched off."""

from __future__ import annotations

from typing import Any

from tests.stores.passing import PassingStore

from sessiongate.errors import StoreError

__all__ = ["BrittleStore"]


class BrittleStore(PassingStore):
    """Fails while it is ``down``, and has forgotten nothing when it is up again."""

    def __init__(self) -> None:
        super().__init__()
        self.down = False

    def before(self, name: str, *arguments: Any) -> None:
        if self.down:
            msg = "the store did not answer"
            raise StoreError(msg) from OSError(repr((name, *arguments)))
