"""A store that hands each call on to another one, after somebody has looked at it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from sessiongate.stores import MemoryStore

if TYPE_CHECKING:
    from typing import Any as Verbs  # found by __getattr__, which checkers cannot look into

    from sessiongate.stores import Store
else:
    Verbs = object

__all__ = ["VERBS", "PassingStore"]

VERBS = frozenset({"read", "swap", "of_user", "commit", "live", "count", "sweep", "together"})


class PassingStore(Verbs):  # type: ignore[misc]
    """Right in every way; a subclass does what it likes ``before`` and ``after`` each call."""

    def __init__(self, store: Store | None = None) -> None:
        self.store: Any = MemoryStore() if store is None else store
        self.shared: bool = self.store.shared
        self.touch_every: int = self.store.touch_every
        self.codec = self.store.codec

    def before(self, name: str, *arguments: Any) -> None:
        """Look at a call of a verb; ``name`` begins with an ``a`` where it is awaited."""

    def after(self, name: str) -> None:
        """Look at the end of a call that was not awaited."""

    def __getattr__(self, name: str) -> Any:
        if name.removeprefix("a") not in VERBS:
            raise AttributeError(name)
        method = getattr(self.store, name)
        return partial(self._acall if name.startswith("a") else self._call, name, method)

    def _call(self, name: str, method: Any, *arguments: Any) -> Any:
        self.before(name, *arguments)
        outcome = method(*arguments)
        self.after(name)
        return outcome

    async def _acall(self, name: str, method: Any, *arguments: Any) -> Any:
        self.before(name, *arguments)
        return await method(*arguments)

    def close(self) -> None:
        self.store.close()

    async def aclose(self) -> None:
        await self.store.aclose()
