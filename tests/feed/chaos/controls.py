"""Hubs that are wrong, as the first thought would make them: the chaos must convict each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sessiongate.feed.hub import Hub

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sessiongate.feed.hub import Mark

__all__ = ["CONTROLS", "NoMarks", "TrustsConnection"]


class TrustsConnection(Hub):
    """Takes a connection that is up for the proof that no news is missing."""

    def find(self, sid: str) -> Any | None:
        return self._rows.get(sid) if self.is_open else None


class NoMarks(Hub):
    """Keeps what was read, whatever came meanwhile."""

    def keep(self, sid: str, generation: int, data: Any, mark: Mark | None) -> None:  # noqa: ARG002
        if mark is not None:
            self._rows[sid] = data


CONTROLS: Final[Mapping[str, type[Hub]]] = {"trusts": TrustsConnection, "no-marks": NoMarks}
