"""Every decision about stored sessions, as steps over the verbs of a store.

A step reads, decides, and lets the store change the record if it is still what
was read. If it is not, the step decides anew by what is there now. So no step
needs a lock, and nothing is written that was not read.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sessiongate.core.admission import Admission
from sessiongate.core.outcomes import Ended, Replayed, Rotated
from sessiongate.core.record import Record, row_of
from sessiongate.core.rotation import close, present
from sessiongate.core.steps import CROWDED, TRIES, locked
from sessiongate.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sessiongate.core.outcomes import Policy
    from sessiongate.core.record import RowCodec
    from sessiongate.core.row import Row
    from sessiongate.core.steps import Step

T = TypeVar("T")

BATCH_SIZE: Final = 500
"""Records that a store lists or sweeps in one call: a few milliseconds on each."""


class Decisions:
    """The steps for the records of one codec. Holds no session."""

    def __init__(self, codec: RowCodec) -> None:
        self._encode, self._decode = codec.encode, codec.decode
        self.open = Admission(codec).open

    # One session.

    def touch(
        self, sid: str, generation: int, now: int, policy: Policy, rotation: int
    ) -> Step[Row | Rotated | Replayed | None]:
        """Present a generation, by the table of ``rotation``.

        Return the ``Row`` as it is afterwards, ``Rotated`` if this step made
        the new generation, ``Replayed`` if it ended the session, or ``None``.
        """
        data = yield "read", sid
        return (yield from self.touch_found(data, sid, generation, now, policy, rotation))

    def touch_found(
        self, data: Any, sid: str, generation: int, now: int, policy: Policy, rotation: int
    ) -> Step[Row | Rotated | Replayed | None]:
        """``touch``, where the data was read before."""

        def decide(row: Row) -> tuple[Row | Rotated | Replayed | None, Row | None]:
            answer = present(row, generation, now, policy, rotation)
            if type(answer) is Rotated:
                return answer, answer.row
            if type(answer) is Replayed:
                return answer, None
            return answer, row if answer is None else answer

        return (yield from self._settle(sid, now, data, decide))

    def look(self, sid: str, now: int) -> Step[Row | None]:
        """Return the live row of this sid, untouched; ``None`` if there is none."""
        data = yield "read", sid
        return (yield from self.look_found(data, sid, now))

    def look_found(self, data: Any, sid: str, now: int) -> Step[Row | None]:
        """``look``, where the data was read before."""
        return (yield from self._settle(sid, now, data, lambda row: (row, row)))

    def close(
        self, sid: str, now: int, generation: int | None = None, username: str | None = None
    ) -> Step[Ended | Replayed | None]:
        """End one session, by ``rotation.close``; ``None``: there was none."""

        def decide(row: Row) -> tuple[Ended | Replayed | None, Row | None]:
            answer = close(row, generation, username, now)
            return answer, row if answer is None else None

        data = yield "read", sid
        return (yield from self._settle(sid, now, data, decide))

    def _settle(
        self, sid: str, now: int, data: Any, decide: Callable[[Row], tuple[T, Row | None]]
    ) -> Step[T | None]:
        """Store what ``decide`` makes of the row, or of what is there by then.

        ``decide`` returns the outcome, and the row to keep: the same object for no
        change, ``None`` to end the session. An expired row is removed on sight,
        so that a clock set back does not revive it.
        """
        before: Row | None = None
        for _ in range(TRIES):
            row = None if data is None else self._decode(data, sid)
            if row is None:
                return None
            outcome: T | None
            outcome, new = decide(row) if now < row.expires_at else (None, None)
            if new is row:
                return outcome
            only_touches = new is not None and _differ_in_access_alone(row, new)
            if only_touches and before is not None and _differ_in_access_alone(before, row):
                return outcome  # another touch has come just before: this one may be dropped
            before, old = row, Record(sid, row.username, row.expires_at, data)
            try:
                data = yield "swap", old, None if new is None else self._record(new), now
            except StoreError:
                if only_touches:
                    return outcome  # it was read, and is valid
                raise
            if data is True:
                return outcome
        raise StoreError(CROWDED)

    # Those of a user, and all.

    def close_user(self, username: str, keep: str | None, now: int) -> Step[tuple[Ended, ...]]:
        """End all sessions of a user but ``keep``: those that were live."""
        return locked(username, False, partial(self._close_user, username, keep, now))  # noqa: FBT003

    def _close_user(
        self, username: str, keep: str | None, now: int
    ) -> Step[tuple[Ended, ...] | None]:
        seen, records = yield "of_user", username
        to_end = [record for record in records if record.sid != keep]
        if to_end and not (yield "commit", username, to_end, None, seen, None, now):
            return None
        return tuple(
            Ended(record.sid, username)
            for record in to_end
            if now < record.expires_at and row_of(record, self._decode) is not None
        )

    def list_user(self, username: str, now: int) -> Step[tuple[Row, ...]]:
        """Return the live rows of a user, oldest first."""
        _, records = yield "of_user", username
        return tuple(self._rows(records, now))

    def list_all(self, now: int) -> Step[tuple[Row, ...]]:
        """Return all live rows, oldest first."""
        rows: list[Row] = []
        place = None
        while True:
            records, place = yield "live", now, BATCH_SIZE, place
            rows += self._rows(records, now)
            if place is None:
                return tuple(rows)

    def _rows(self, records: Iterable[Record], now: int) -> list[Row]:
        rows = (row_of(record, self._decode) for record in records if now < record.expires_at)
        return [row for row in rows if row is not None]

    def _record(self, row: Row) -> Record:
        return Record(row.sid, row.username, row.expires_at, self._encode(row))


def _differ_in_access_alone(old: Row, new: Row) -> bool:
    """Whether the two rows of one session are the same but for ``last_accessed``."""
    return old[4:] == new[4:] and old[:3] == new[:3]
