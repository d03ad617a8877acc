"""A store behind the near cache: what it reads is kept, as long as news of it would come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sessiongate.feed.hub import Hub, Mark
    from sessiongate.stores.base import Store


class NearStore:
    """Hands every verb to the store; what ``read`` finds is kept by the hub.

    Nothing is answered from there: ``find`` of the hub does that, for who checks the current token
    and has nothing to write.
    """

    def __init__(self, store: Store, hub: Hub) -> None:
        self._store = store
        self._hub = hub

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def read(self, sid: str) -> Any | None:
        mark = self._hub.mark()
        return self._kept(sid, self._store.read(sid), mark)

    async def aread(self, sid: str) -> Any | None:
        mark = self._hub.mark()
        return self._kept(sid, await self._store.aread(sid), mark)

    def _kept(self, sid: str, data: Any | None, mark: Mark | None) -> Any | None:
        row = None if data is None or mark is None else self._store.codec.decode(data, sid)
        if row is not None:
            self._hub.keep(sid, row.generation, data, mark)
        return data
