"""``manager.sessions``: the live sessions as a read-only mapping."""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterator, Mapping, ValuesView
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sessiongate.core.operations import Operations
    from sessiongate.core.row import Row


class SessionsView(Mapping[str, dict[str, Any]]):
    """A live view: each access calls the store."""

    def __init__(
        self, operations: Operations, now: Callable[[], int], run: Callable[..., Any]
    ) -> None:
        self._operations = operations
        self._now = now
        self._run = run

    def __getitem__(self, key: str) -> dict[str, Any]:
        row: Row | None = self._run(self._operations.look_up(self._now(), key))
        if row is None:
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
        live: int = self._run(self._operations.count(self._now()))
        return live

    def __repr__(self) -> str:
        return f"<{len(self)} sessions>"

    def _snapshot(self) -> dict[str, dict[str, Any]]:
        rows: tuple[Row, ...] = self._run(self._operations.listing.all(self._now()))
        return {self._operations.codec.key(row): self._about(row) for row in rows}

    def _about(self, row: Row) -> dict[str, Any]:
        return {"username": row.username, **self._operations.dates(row)}
