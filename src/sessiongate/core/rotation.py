"""The table that decides about a presented token.

A token names a session and a generation of it. The row knows the current generation and, after a
rotation, until when the predecessors are accepted. RFC 9700, section 4.14.2, asks that reuse of a
rotated token ends the grant; this table keeps that, and keeps parallel requests and lost responses
from looking like reuse.

A predecessor is accepted until its successor is first presented, and for the grace after that.
Where a rotation falls into an open overlap, the generation before is accepted with it, so never
more than two predecessors are alive; a change of scopes keeps all that are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

from sessiongate.core.arguments import describe
from sessiongate.core.row import FOREVER, SECOND, Row, scopes_and_claims_of, touched

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sessiongate.core.arguments import ExistingPolicy


@dataclass(frozen=True, slots=True)
class Policy:
    """The checked rules of a manager; times in microseconds."""

    timeout: int
    rotate_after: int
    """``FOREVER``: not by age."""
    grace: int
    touch_every: int
    time_resolution: int
    """1, or ``SECOND`` where times must be whole seconds (JWT NumericDate)."""
    lifetime: int = FOREVER
    existing: ExistingPolicy = "new"
    limit: int | None = None
    user_limit: int | None = None
    evict: bool = False
    remember_for: int = FOREVER
    """``timeout`` of the sessions that are ``remembered``."""
    touch_extends: bool = False
    """Whether a touch of the middleware extends the session: its token states no end."""

    def timeout_of(self, *, remembered: bool) -> int:
        """How long a session lives without a request."""
        return self.remember_for if remembered else self.timeout


# Plain names and values, because they are looked up on every request.

NEVER: Final = 0
WHEN_DUE: Final = 1
NOW: Final = 2
"""When a presented token is rotated."""
PASSIVE: Final = 3
"""Never, and it is no activity, as a poll; a replay still ends the session."""


class Change(NamedTuple):
    """Other scopes, other claims; ``None``: as they are. Both are checked."""

    scopes: tuple[str, ...] | None
    claims: dict[str, Any] | None
    check: Callable[[Row], object]
    """Raises for a row whose token would be too long."""
    came_now: bool = True
    """Whether the token comes with the change; one that came earlier may have grown stale since."""


Renewal: TypeAlias = "int | Change"
"""``NEVER``, ``WHEN_DUE``, ``NOW`` or ``PASSIVE``; or what is changed, under a new token."""

UNISSUED: Final = "unissued"
"""Newer than the row: the store was restored from a copy."""
CURRENT: Final = "current"
"""The newest generation; presenting it shows that it has arrived. Rotated where that is due."""
PREVIOUS: Final = "previous"
"""Replaced, and still accepted: a racer, or a client whose response was lost. It is answered the
successor."""
RETIRED: Final = "retired"
"""Ended on purpose by an explicit refresh."""
STALE: Final = "stale"
"""Replaced, and the overlap is over: two parties hold the session."""
UNPROVED: Final = "unproved"
"""Of a session that is bound to a device, and older than a proof by its key may be. Whoever has
copied a cookie brings such a one, so it must not end the session of its owner."""

ACCEPT: Final = "accept"
REFUSE: Final = "refuse"
END: Final = "end the session"

TABLE: Final[Mapping[str, str]] = {
    UNISSUED: REFUSE,
    CURRENT: ACCEPT,
    PREVIOUS: ACCEPT,
    RETIRED: REFUSE,
    STALE: END,
    UNPROVED: REFUSE,
}

PROOF_SLACK: Final = 30 * SECOND
"""How long a token of a bound session counts when its cookie is over: what was under way then."""


def classify(row: Row, generation: int, now: int) -> str:
    """Where a generation stands; the row is live."""
    if row.bound_key:
        return _classify_bound(row, generation, now)
    if generation == row.generation:
        return CURRENT
    if generation > row.generation:
        return UNISSUED
    if generation < row.revoked_below:
        return RETIRED
    if row.shared or (generation >= row.oldest_accepted and now < row.previous_until):
        return PREVIOUS
    return STALE


def _classify_bound(row: Row, generation: int, now: int) -> str:
    if generation > row.generation:
        return UNISSUED
    of_proof_before = row.revoked_below <= generation and now < row.previous_until
    if now < row.proved_until and (generation >= row.oldest_accepted or of_proof_before):
        return CURRENT if generation == row.generation else PREVIOUS
    return UNPROVED


def may_end(row: Row, generation: int, now: int) -> bool:
    """Whether the holder of a genuine token may end its session.

    Of any token, even one that was retired: but who holds a copied cookie of a bound session may
    not log its owner out.
    """
    return not row.bound_key or TABLE[_classify_bound(row, generation, now)] == ACCEPT


def present(
    row: Row, generation: int, now: int, policy: Policy, renewal: Renewal
) -> Row | Literal["replayed"] | None:
    """Apply the table to a live row: the row to keep, or ``None`` for a refusal.

    The very object that came in comes back where nothing is to be written. ``"replayed"``: the
    session ends.
    """
    current = generation == row.generation  # nearly always, and then it is ``CURRENT``
    if not current or row.bound_key:
        answer = TABLE[classify(row, generation, now)]
        if answer != ACCEPT:
            is_old_request = type(renewal) is Change and not renewal.came_now
            return "replayed" if answer == END and not is_old_request else None
    counts = current and renewal == WHEN_DUE and not row.shared
    if counts:
        if now - row.rotated_at >= policy.rotate_after and not row.bound_key:
            return _rotate(row, now, policy)
    elif renewal == NOW:
        held = _no_younger(row, generation, now, policy) if row.bound_key else row
        return _refresh(held, now, policy)
    elif renewal == PASSIVE:
        is_first = current and row.previous_until == FOREVER
        return replace(row, previous_until=now + policy.grace) if is_first else row
    elif type(renewal) is Change:
        held = _no_younger(row, generation, now, policy) if row.bound_key else row
        changed = change(held, renewal, now, policy, came=True)
        if changed is not row:
            return changed
    first_sight = current and row.previous_until == FOREVER
    unseen, gained, every = now - row.last_accessed, 0, policy.touch_every
    if counts and policy.touch_extends:
        until = now + (policy.remember_for if row.remembered else policy.timeout)
        ends_at = row.lifetime_ends_at
        gained = (until if until < ends_at else ends_at) - row.expires_at  # noqa: FURB136 - min() is a call
    if not first_sight and (unseen <= 0 or unseen < every) and (gained <= 0 or gained < every):
        return row
    return touched(
        row,
        now if unseen > 0 else row.last_accessed,
        row.expires_at + gained if gained > 0 else row.expires_at,
        now + policy.grace if first_sight else row.previous_until,
    )


def change(row: Row, wanted: Change, now: int, policy: Policy, *, came: bool = False) -> Row:
    """The row with other scopes and claims, and a successor for its token (ASVS 7.2.4).

    The same row where nothing changes. ``came``: its holder asks for it, which is activity. All
    predecessors that are accepted now stay so: none of their holders may have seen a newer one.
    """
    scopes, claims = scopes_and_claims_of(row)
    scopes_and_claims = describe(
        scopes if wanted.scopes is None else wanted.scopes,
        claims if wanted.claims is None else wanted.claims,
    )
    if scopes_and_claims == row.scopes_and_claims:
        return row
    new = replace(_rotate(row, now, policy), scopes_and_claims=scopes_and_claims)
    if now < row.previous_until:
        new = replace(new, oldest_accepted=row.oldest_accepted)
    if not came:
        new = replace(new, last_accessed=row.last_accessed, expires_at=row.expires_at)
    wanted.check(new)
    return new


def close(
    row: Row, generation: int | None, username: str | None, now: int
) -> Literal["logout", "replayed"] | None:
    """Apply the table to an end that was asked for: how the session ends, ``None``: it does not.

    With a ``generation`` only if that one is valid (a stale one is a replay); with a ``username``
    only if it is theirs.
    """
    if username not in {None, row.username}:
        return None
    answer = ACCEPT if generation is None else TABLE[classify(row, generation, now)]
    if answer == REFUSE:
        return None
    return "replayed" if answer == END else "logout"


def share(row: Row, now: int) -> Row:
    """The row whose token is handed out once more; what is stale by now stays invalid."""
    if row.shared:
        return row
    oldest = row.oldest_accepted if now < row.previous_until else row.generation
    return replace(row, shared=True, oldest_accepted=oldest, revoked_below=oldest)


def _rotate(row: Row, now: int, policy: Policy) -> Row:
    """The successor of a row, with the predecessor valid until the successor is seen."""
    if row.bound_key:
        return _successor(row, now, policy)  # no younger than its predecessors: as good as they
    oldest = row.generation
    if now < row.previous_until:
        oldest = max(row.oldest_accepted, row.generation - 1)
    return replace(_successor(row, now, policy), previous_until=FOREVER, oldest_accepted=oldest)


def _no_younger(row: Row, generation: int, now: int, policy: Policy) -> Row:
    """What the holder of a token of a bound session may renew: of the proof before, over as soon.

    Or who copied it would get a token of the newer proof. A new generation, so that it is news.
    """
    if generation >= row.oldest_accepted:
        return row
    until = min(row.previous_until, row.proved_until)
    return replace(_successor(row, now, policy), proved_until=until)


def _refresh(row: Row, now: int, policy: Policy) -> Row:
    """The successor of a row, with every older generation retired at once."""
    new = row.generation + 1
    successor = _successor(row, now, policy)
    return replace(
        successor, previous_until=0, oldest_accepted=new, revoked_below=new, shared=False
    )


def _successor(row: Row, now: int, policy: Policy) -> Row:
    rotated_at = now - now % policy.time_resolution
    timeout = policy.timeout_of(remembered=row.remembered)
    return replace(
        row,
        generation=row.generation + 1,
        rotated_at=rotated_at,
        last_accessed=max(now, row.last_accessed),
        expires_at=min(rotated_at + timeout, row.lifetime_ends_at),
    )
