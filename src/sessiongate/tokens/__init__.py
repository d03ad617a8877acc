"""Tokens: (session id, generation), signed. The format is all that tells the managers apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from sessiongate.core.row import FOREVER

if TYPE_CHECKING:
    from sessiongate.core.row import Row

GENERATION: Final = "(?:0|[1-9][0-9]{0,14})"
"""The pattern of a generation: one text for each number."""

LONGEST_TOKEN: Final = 8192
"""Characters. The size at which common servers cut a header line."""


@dataclass(slots=True)
class TokenPayload:
    """What a genuine token says. Never changed; frozen, it would take thrice as long to make."""

    sid: str
    generation: int
    expires_at: int = FOREVER
    """When the token itself is dead, in microseconds; its row may be so earlier."""
    valid_from: int = 0
    """In microseconds; a token from the future is none (RFC 8725, section 2.1)."""
    username: str | None = None
    """Whom the token names; ``None``: nobody, its row does."""


class Codec(Protocol):
    """One token format. Pure: no clock, no I/O; safe for any number of threads."""

    time_resolution: int
    """The grain of ``rotated_at`` and ``expires_at`` in microseconds."""
    states_end: bool
    """Whether a token states when its session ends: then only a new token extends it."""
    leeway: int
    """Microseconds a session outlives the expiry that its token states."""

    def mint(self, row: Row) -> str:
        """The token of the row's current generation: a function of the row alone."""
        ...

    def verify(self, token: str) -> TokenPayload | None:
        """What a token of ASCII says, or ``None`` for anything that was not minted here.

        The caller compares the dates; the answer depends on no clock.
        """
        ...

    def examine(self, token: str) -> TokenPayload | str:
        """``verify``, or one word that says what is wrong: for administrators only."""
        ...

    def is_foreign(self, token: str) -> bool:
        """Whether a token looks like one of ours under another key; no signature is checked."""
        ...

    def key(self, row: Row) -> str:
        """How the session is named in ``sessions``."""
        ...

    def parse_key(self, key: object) -> TokenPayload | None:
        """What a ``key`` names; ``None`` for anything else."""
        ...

    def information(self, row: Row) -> dict[str, Any]:
        """What ``validate_session`` returns, without scopes and claims."""
        ...
