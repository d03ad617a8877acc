"""The outcomes of decisions, and the times that they depend on."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, TypeAlias, final

from sessiongate.core.row import Row  # noqa: TC001 - a NamedTuple's hints may be resolved

ExistingPolicy: TypeAlias = Literal["reuse", "new", "replace"]

NEVER: Final = 0
WHEN_DUE: Final = 1
NOW: Final = 2
"""When a presented token is rotated."""


class Policy(NamedTuple):
    """The times of a manager, in microseconds."""

    timeout: int
    rotate_after: int
    """``FOREVER``: not by age."""
    grace: int
    touch_every: int
    time_resolution: int
    """1, or ``SECOND`` where times must be whole seconds (JWT NumericDate)."""


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
    """This step made the new generation."""

    row: Row


@final
class Replayed(NamedTuple):
    """A stale token came, and the session ended."""

    sid: str
    username: str
