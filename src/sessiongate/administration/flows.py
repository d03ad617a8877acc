"""The flows about many sessions: end or change all of a user, count and remove the expired."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sessiongate.administration.listing import BATCH_SIZE, Listing
from sessiongate.core.arguments import check_count, check_username, is_handle
from sessiongate.core.rotation import change
from sessiongate.core.row import Row, row_of
from sessiongate.core.steps import locked

if TYPE_CHECKING:
    from sessiongate.core.decisions import Decisions
    from sessiongate.core.rotation import Change, Policy
    from sessiongate.core.row import Record
    from sessiongate.core.steps import Flow, Step


class Administration:
    """What is done with many sessions, by the decisions about each. Holds no session."""

    def __init__(self, decisions: Decisions) -> None:
        self._decisions = decisions
        self.listing: Listing = Listing(decisions.rows)

    def of_user(self, now: int, username: str) -> Flow[tuple[Row, ...]]:
        """The live rows of a user, in the order of opening."""
        return self.listing.of_user(now, check_username(username))

    def close_user(
        self, now: int, username: str, keep: str | None, transport: str | None = None
    ) -> Flow[int]:
        """End all sessions of a user but ``keep``; return how many were live."""
        begin = partial(self._close_user, check_username(username), keep, now)
        ended: tuple[Record, ...] = yield from locked(username, False, begin)  # noqa: FBT003
        for record in ended:
            yield self._decisions.ended("logout", record, now, transport)
        return len(ended)

    def _close_user(
        self, username: str, keep: str | None, now: int
    ) -> Step[tuple[Record, ...] | None]:
        seen, records = yield "of_user", username
        to_end = [record for record in records if record.sid != keep]
        if to_end and not (yield "commit", username, to_end, None, seen, None, now):
            return None
        return tuple(
            record
            for record in to_end
            if now < record.expires_at and row_of(record, self._decisions.rows) is not None
        )

    def change_user(self, now: int, username: str, wanted: Change, policy: Policy) -> Flow[int]:
        """Change all live sessions of a user, each in one step; return how many there were.

        One that cannot be changed so keeps no other from it.
        """
        _, records = yield "of_user", check_username(username)
        changed, unfit = 0, None
        for record in records:
            try:
                row, answer = yield from self._decisions.settle(
                    record.data, record.sid, now, lambda row: change(row, wanted, now, policy)
                )
            except ValueError as error:
                unfit = unfit or error
                continue
            if type(answer) is Row:
                changed += 1
                if answer is not row:
                    yield self._decisions.renewed(answer, now, None, wanted)
        if unfit is not None:
            raise unfit
        return changed

    def sweep(self, now: int) -> Flow[int]:
        """Remove the expired sessions in batches; return how many there were."""
        total = 0
        while True:
            removed: int = yield "sweep", now, BATCH_SIZE
            total += removed
            if removed < BATCH_SIZE:
                return total

    def count(self, now: int) -> Flow[int]:
        return (yield "count", now)  # type: ignore[no-any-return]

    def sweep_and_count(self, now: int) -> Flow[int]:
        yield from self.sweep(now)
        return (yield from self.count(now))

    def close_of(
        self, now: int, username: str, handle: object, transport: str | None = None
    ) -> Flow[bool]:
        """End the session of that handle; return whether it was this user's."""
        check_username(username)
        if not is_handle(handle):
            return False
        closing = self._decisions.close(now, handle, username=username, transport=transport)
        return (yield from closing) is not None

    def page(
        self, now: int, username: str | None, limit: int, after: str | None
    ) -> Flow[tuple[Row, ...]]:
        """Up to ``limit`` live rows, of one user or of all, from behind the handle ``after``."""
        limit = check_count(limit, "limit", none="") or 1
        if after is not None and not is_handle(after):
            msg = "after must be the handle of the last session of the page before, or None"
            raise ValueError(msg)
        if username is None:
            return self.listing.page(now, limit, after)
        return self.listing.page_of_user(now, check_username(username), limit, after)
