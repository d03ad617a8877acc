"""All that is ever asked of a store, and all that it may answer.

Each command is one atomic step in one round trip. ``now`` is part of every
command: no store reads a clock. Absence is a value; a failure is a
``StoreError``. Nothing is ever upserted: only ``Open`` makes a row.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, TypeAlias, final

from sessiongate.core.row import Row

__all__ = [
    "NEVER",
    "NOW",
    "WHEN_DUE",
    "Close",
    "CloseUser",
    "Command",
    "Count",
    "Ended",
    "Existing",
    "ExistingPolicy",
    "LimitReached",
    "List",
    "Open",
    "Opened",
    "Outcome",
    "Policy",
    "Read",
    "Replayed",
    "Rotated",
    "Sweep",
    "Touch",
]

ExistingPolicy: TypeAlias = Literal["reuse", "new", "replace"]

NEVER: Final = 0
WHEN_DUE: Final = 1
NOW: Final = 2
"""When a ``Touch`` rotates."""


class Policy(NamedTuple):
    """The times of a manager, in microseconds."""

    timeout: int
    rotate_after: int
    """``FOREVER``: not by age."""
    grace: int
    touch_every: int
    time_resolution: int
    """1, or ``SECOND`` where times must be whole seconds (JWT NumericDate)."""


class Open(NamedTuple):
    """Make a session, or say why not. Answers ``Opened``, ``Existing`` or ``LimitReached``.

    In this order: ``existing="reuse"`` finds the newest live row of the user
    with the same ``scopes_and_claims``, shares it (``rotation.share``) and answers it. Otherwise
    ``replaces`` (whosesoever), and with ``existing="replace"`` all rows of the
    user, make room; then the user's limit and the total are checked, evicting
    the oldest or refusing. A refusal changes nothing at all. Old and new are
    in the order of opening, whatever the clocks said.
    """

    row: Row
    now: int
    existing: ExistingPolicy
    replaces: str | None
    """The sid of the session this one takes the place of."""
    limit: int | None
    """Live sessions of the whole store, the new one included."""
    user_limit: int | None
    """Live sessions of this user, the new one included."""
    evict: bool
    """At a limit: end the oldest instead of refusing."""

    @property
    def looks_at_user(self) -> bool:
        """Whether the user's other rows matter to the decision."""
        return self.existing != "new" or self.user_limit is not None


@final
class Touch(NamedTuple):
    """Judge a presented generation by the table of ``rotation``.

    Answers the ``Row`` as it is after the step, ``Rotated`` where this very
    step made the new generation, ``Replayed`` where it ended the session, or
    ``None``. An expired row is removed on sight, so that a clock set back
    revives nothing.
    """

    sid: str
    generation: int
    now: int
    policy: Policy
    rotation: int
    """``NEVER``, ``WHEN_DUE`` or ``NOW``."""


@final
class Read(NamedTuple):
    """The live row of this sid, or ``None``; nothing is touched."""

    sid: str
    now: int


class Close(NamedTuple):
    """End one session. Answers ``Ended``, ``Replayed`` or ``None`` (there was none).

    With a ``generation`` only if that one is valid (a stale one is a replay);
    with a ``username`` only if it is theirs.
    """

    sid: str
    now: int
    generation: int | None = None
    username: str | None = None


class CloseUser(NamedTuple):
    """End all sessions of a user but ``keep``. Answers a tuple of ``Ended``, live ones only."""

    username: str
    keep: str | None
    now: int


class Sweep(NamedTuple):
    """Remove up to ``limit`` expired rows. Answers how many were removed."""

    now: int
    limit: int


class List(NamedTuple):
    """The live rows of a user, or with ``None`` of all, oldest first, as a tuple."""

    username: str | None
    now: int


class Count(NamedTuple):
    """How many rows are live."""

    now: int


class Ended(NamedTuple):
    sid: str
    username: str


class Opened(NamedTuple):
    row: Row
    ended: tuple[Ended, ...] = ()
    """What made room: replaced and evicted sessions."""


class Existing(NamedTuple):
    row: Row


class LimitReached(NamedTuple):
    scope: Literal["total", "user"]


@final
class Rotated(NamedTuple):
    row: Row


@final
class Replayed(NamedTuple):
    sid: str
    username: str


Command: TypeAlias = Open | Touch | Read | Close | CloseUser | Sweep | List | Count
Outcome: TypeAlias = (
    Opened
    | Existing
    | LimitReached
    | Row
    | Rotated
    | Replayed
    | Ended
    | tuple[Ended, ...]
    | tuple[Row, ...]
    | int
    | None
)
