"""``manager.sessions``: the live sessions as a mapping."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Mapping, ValuesView
from typing import TYPE_CHECKING, Any

from sessiongate.core.row import dates_of

if TYPE_CHECKING:
    from sessiongate.administration.verbs import AdministrationVerbs
    from sessiongate.core.row import Row


class SessionsView(Mapping[str, dict[str, Any]]):
    """The live sessions as a read-only mapping: each access calls the store."""

    def __init__(self, manager: AdministrationVerbs) -> None:
        self._manager = manager
        self._codec = manager.operations.codec

    def __getitem__(self, key: str) -> dict[str, Any]:
        payload = self._codec.parse_key(key)
        row = None
        if payload is not None:
            row = self._manager.look(
                self._manager.operations.look(self._manager.now(), payload.sid)
            )
        if payload is None or row is None or row.generation != payload.generation:
            msg = "no such session"  # the key may be a token: it stays out of the message
            raise KeyError(msg)
        return self._about(row)

    def __iter__(self) -> Iterator[str]:
        return iter(self._snapshot())

    # In one call, so that a session which ends meanwhile is no KeyError in a loop.

    def items(self) -> ItemsView[str, dict[str, Any]]:
        return self._snapshot().items()

    def values(self) -> ValuesView[dict[str, Any]]:
        return self._snapshot().values()

    def __len__(self) -> int:
        return self._manager.look(self._manager.administration.count(self._manager.now()))

    def __repr__(self) -> str:
        return f"<{len(self)} sessions>"

    def _snapshot(self) -> dict[str, dict[str, Any]]:
        rows = self._manager.look(self._manager.administration.listing.all(self._manager.now()))
        return {self._codec.key(row): self._about(row) for row in rows}

    def _about(self, row: Row) -> dict[str, Any]:
        return {"username": row.username, **dates_of(row, self._codec.leeway)}
