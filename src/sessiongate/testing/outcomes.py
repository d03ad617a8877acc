"""What comes of a command, as one value: the answer of the package, and the events it emits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, final

from sessiongate.core.row import Row  # noqa: TC001 - a NamedTuple's hints may be resolved

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sessiongate.events import Event

__all__ = ["Ended", "Existing", "LimitReached", "Opened", "Replayed", "Rotated"]


class Ended(NamedTuple):
    """A session that ended."""

    sid: str
    username: str


class Opened(NamedTuple):
    """A new session, and those that ended for it."""

    row: Row
    replaced: tuple[Ended, ...] = ()
    evicted: tuple[Ended, ...] = ()
    """Ended for a limit."""

    @property
    def ended(self) -> tuple[Ended, ...]:
        """All that ended for it."""
        return (*self.replaced, *self.evicted)


class Existing(NamedTuple):
    """The session that a login reuses."""

    row: Row


class LimitReached(NamedTuple):
    """A login was refused; nothing changed."""

    scope: Literal["total", "user"]


@final
class Rotated(NamedTuple):
    """This command made the new generation."""

    row: Row


@final
class Replayed(NamedTuple):
    """A stale token came, and the session ended."""

    sid: str
    username: str


def of_login(row: Row | None, events: Sequence[Event]) -> Opened | Existing | LimitReached:
    reason: Any = events[-1].reason
    if row is None:
        return LimitReached(reason)
    if reason == "reused":
        return Existing(row)
    return Opened(row, _ended(events, "replaced"), _ended(events, "evicted"))


def of_touch(row: Row | None, events: Sequence[Event]) -> Row | Rotated | Replayed | None:
    if row is None:
        return _replayed(events)
    return Rotated(row) if events else row


def of_close(username: str | None, events: Sequence[Event]) -> Ended | Replayed | None:
    return _replayed(events) if username is None else _ended(events, "requested")[0]


def of_close_user(_count: int, events: Sequence[Event]) -> tuple[Ended, ...]:
    return _ended(events, "requested")


def _ended(events: Sequence[Event], reason: str) -> tuple[Ended, ...]:
    found = (event for event in events if event.kind == "logout" and event.reason == reason)
    return tuple(Ended(event.session or "", event.username or "") for event in found)


def _replayed(events: Sequence[Event]) -> Replayed | None:
    for event in events:
        return Replayed(event.session or "", event.username or "")
    return None
