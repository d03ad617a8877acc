"""How a session is bound, and what a proof does to it: two rows of the table of generations.

The refresh is the rotation: a proof makes a new generation, and each generation is as old as the
proof that it goes back to. ``core.rotation`` says what a token of a bound session is worth.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sessiongate.core.row import FOREVER

if TYPE_CHECKING:
    from sessiongate.core.row import Row


def bind(row: Row, generation: int, key: str, now: int, until: int) -> Row | None:
    """The row bound to a key; ``None`` if it is not as it was at its login.

    The unbound token is accepted until its successor is seen, and for the grace after that: the
    requests that were under way. It is never accepted longer than its successor.
    """
    if row.generation != generation or row.bound_key or row.shared:
        return None
    oldest = row.oldest_accepted if now < row.previous_until else generation
    return replace(
        row,
        generation=generation + 1,
        rotated_at=now,
        previous_until=FOREVER,
        oldest_accepted=generation + 1,
        revoked_below=oldest,
        bound_key=key,
        proved_until=until,
    )


def prove(row: Row, now: int, until: int, *, arrived: bool) -> Row:
    """The row after a proof by its key; ``arrived``: its browser has the token before.

    The tokens of the proof before stay accepted as long as they would have been, for this answer
    may get lost. If the answer before was lost as well, those before it are what the browser has.

    It is no activity, for a browser proves its key for a poll as well: the session is extended by
    the request that waits for the proof.
    """
    if arrived or now >= row.previous_until:
        oldest, previous_until = row.oldest_accepted, row.proved_until
    else:
        oldest, previous_until = row.revoked_below, min(row.previous_until, row.proved_until)
    return replace(
        row,
        generation=row.generation + 1,
        rotated_at=now,
        previous_until=previous_until,
        oldest_accepted=row.generation + 1,
        revoked_below=oldest,
        proved_until=until,
    )
