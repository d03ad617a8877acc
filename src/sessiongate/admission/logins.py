"""Opening a session: what was asked for, checked; then the rules; then the token."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from sessiongate.admission.rules import Admission, Login
from sessiongate.core.arguments import (
    EXISTING,
    SessionOptions,
    check_choice,
    check_flag,
    check_keywords,
    check_scopes_and_claims,
    check_username,
    to_json,
)
from sessiongate.core.buckets import new_sid
from sessiongate.core.row import FOREVER, Row
from sessiongate.tokens import LONGEST_TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable

    from sessiongate.core.operations import Operations
    from sessiongate.core.steps import Flow


class Granted(NamedTuple):
    """A session that was opened, or found, and its token."""

    row: Row
    token: str


class Logins:
    """Opens the sessions of one manager. Holds no session, only the rules."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations
        self.admission: Admission = Admission(operations.rows, operations.superseded)

    def open(
        self,
        now: int,
        username: str,
        options: SessionOptions,
        *,
        replaces: tuple[tuple[str, int | None], ...] = (),
        transport: str | None = None,
        longest: int = LONGEST_TOKEN,
        opening: Callable[[str], None] | None = None,
        **fields: Any,
    ) -> Flow[Granted | None]:
        """Open a session, or ``None`` at a limit; ``replaces``: those it ends, as in ``Login``.

        ``opening`` is called with the new sid before the store is asked: who is cancelled meanwhile
        knows which session may be there. ``longest``: characters of the token. ``fields``: times of
        the row that are not those of a login.
        """
        check_keywords(options, SessionOptions.__optional_keys__)
        policy, device = self._operations.policy, options.get("device")
        remembered = check_flag(options.get("remember", False), "remember")
        existing = options.get("existing")
        issued_at = now - now % policy.time_resolution
        lifetime_ends_at = min(issued_at + policy.lifetime, FOREVER)
        row = Row(
            sid=new_sid(check_username(username), sharded=self._operations.is_sharded),
            username=username,
            created_at=now,
            last_accessed=now,
            expires_at=min(issued_at + policy.timeout_of(remembered=remembered), lifetime_ends_at),
            lifetime_ends_at=lifetime_ends_at,
            rotated_at=issued_at,
            scopes_and_claims=check_scopes_and_claims(
                options.get("scopes", ()), options.get("claims")
            ),
            device="" if device is None else to_json(device, "device"),
            remembered=remembered,
        )
        row = replace(row, **fields) if fields else row
        login = Login(
            row=row,
            now=now,
            existing=policy.existing
            if existing is None
            else check_choice(existing, "existing", EXISTING),
            replaces=replaces,
            limit=policy.limit,
            user_limit=policy.user_limit,
            evict=policy.evict,
            transport=transport,
        )
        token = self._operations.mint_within(row, longest)
        if opening is not None:
            opening(row.sid)
        session = yield from self.admission.admit(login)
        if session is None:
            return None
        return Granted(session, token if session is row else self._operations.codec.mint(session))
