"""Every decision about stored sessions, as flows over the verbs of a store.

A flow reads, decides, and lets the store change the record if it is still what was read. If it is
not, the flow decides anew by what is there now. So none needs a lock, and nothing is written that
was not read.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from sessiongate.core.admission import Admission
from sessiongate.core.arguments import check_username
from sessiongate.core.listing import BATCH_SIZE, Listing
from sessiongate.core.recent import Superseded
from sessiongate.core.rotation import NOW, Change, change, close, present
from sessiongate.core.row import FOREVER, Record, Row, event_of, record_of, renewed_of, row_of
from sessiongate.core.steps import CROWDED, TRIES, locked
from sessiongate.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sessiongate.core.admission import Login
    from sessiongate.core.rotation import Policy, Renewal
    from sessiongate.core.row import RowCodec
    from sessiongate.core.steps import Flow, Step
    from sessiongate.events import Event
    from sessiongate.tokens import TokenPayload

Check: TypeAlias = "tuple[TokenPayload, int, Renewal, str | None]"
"""A check of one token: what it says, now, whether to renew it, and how it came.

A plain tuple, because each request makes one.
"""

Ending: TypeAlias = Literal["logout", "replayed"]
Answer: TypeAlias = Row | Ending | None
"""The row to keep, the same object for no change; how the session ends; ``None``: a refusal."""


class Decisions:
    """The flows that need no token, for the records of one codec. Holds no session."""

    def __init__(self, codec: RowCodec) -> None:
        self._rows, self._decode = codec, codec.decode
        self.admission: Admission = Admission(codec)
        self.listing: Listing = Listing(codec)
        self.superseded: Superseded = Superseded()

    # One session.

    def admit(self, login: Login) -> Flow[Row | None]:
        """Let a user in, by ``admission``: the session to use, or ``None`` at a limit."""
        row, events = yield from self.admission.open(login)
        for event in events:
            if event.kind == "logout" and event.session is not None:
                self.superseded.add(event.session, FOREVER)
            yield event
        return row

    def touch(self, check: Check, data: Any, policy: Policy) -> Flow[Row | None]:
        """Present a token to what was read, by the table of ``rotation``."""
        payload, now, renewal, transport = check
        sid, generation = payload.sid, payload.generation
        if payload.expires_at <= now:
            # An expired row is removed, so that a clock set back does not revive it.
            yield from self._settle(data, sid, now, lambda row: row)
            return None
        row, answer = yield from self._settle(
            data, sid, now, lambda row: present(row, generation, now, policy, renewal)
        )
        if row is None or answer is None:
            return None
        if type(answer) is not Row:
            yield self._ended("replayed", row, now, transport)
            return None
        if answer.generation != row.generation:
            yield self._renewed(answer, now, transport, renewal)
        return answer

    def look(self, now: int, sid: str) -> Flow[Row | None]:
        """Return the live row of this sid, untouched; ``None`` if there is none."""
        data = yield "read", sid
        row, found = yield from self._settle(data, sid, now, lambda row: row)
        return row if found else None

    def close(
        self,
        now: int,
        sid: str,
        *,
        generation: int | None = None,
        username: str | None = None,
        transport: str | None = None,
        named: bool = False,
    ) -> Flow[str | None]:
        """End a session, by ``rotation.close``: return its user, or ``None`` if there was none.

        ``named``: no token was presented, so nothing can be a replay.
        """
        data = yield "read", sid
        row, answer = yield from self._settle(
            data, sid, now, lambda row: close(row, generation, username, now)
        )
        if row is None or answer is None:
            return None
        ending: Ending = "replayed" if answer == "replayed" and not named else "logout"
        yield self._ended(ending, row, now, transport)
        return row.username if ending == "logout" else None

    def _settle(
        self, data: Any, sid: str, now: int, decide: Callable[[Row], Answer]
    ) -> Step[tuple[Row | None, Answer]]:
        """Carry out what ``decide`` says of the row that was read, or of what is there by then.

        Return that row, and what was said of it. An expired row is removed on sight, so that a
        clock set back does not revive it: nothing is said of it.
        """
        before: Row | None = None
        for _ in range(TRIES):
            row = None if data is None else self._decode(data, sid)
            if row is None:
                return None, None
            live = now < row.expires_at
            answer = decide(row) if live else None
            if live and (answer is None or answer is row):
                return row, answer
            new = answer if type(answer) is Row else None
            only_touches = new is not None and _is_touched(row, new)
            if (
                only_touches
                and before is not None
                and _is_touched(before, row)
                and (row.expires_at > before.expires_at or new.expires_at == row.expires_at)  # type: ignore[union-attr]
            ):
                return row, row  # another touch has come just before, and has done the same
            before, old = row, Record(sid, row.username, row.expires_at, data)
            record = None
            if new is not None:
                is_same = new.generation == row.generation
                record = record_of(new, self._rows) if is_same else renewed_of(new, self._rows)
            try:
                data = yield "swap", old, record, now
            except StoreError:
                if only_touches:
                    return row, row  # it was read, and is valid
                raise
            if data is True:
                return row, answer
        raise StoreError(CROWDED)

    # Those of a user, and all.

    def close_user(
        self, now: int, username: str, keep: str | None, transport: str | None = None
    ) -> Flow[int]:
        """End all sessions of a user but ``keep``; return how many were live."""
        begin = partial(self._close_user, check_username(username), keep, now)
        ended: tuple[Record, ...] = yield from locked(username, False, begin)  # noqa: FBT003
        for record in ended:
            yield self._ended("logout", record, now, transport)
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
            if now < record.expires_at and row_of(record, self._rows) is not None
        )

    def change_user(self, now: int, username: str, wanted: Change, policy: Policy) -> Flow[int]:
        """Change all live sessions of a user, each in one step; return how many there were.

        One that cannot be changed so keeps no other from it.
        """
        _, records = yield "of_user", check_username(username)
        changed, unfit = 0, None
        for record in records:
            try:
                row, answer = yield from self._settle(
                    record.data, record.sid, now, lambda row: change(row, wanted, now, policy)
                )
            except ValueError as error:
                unfit = unfit or error
                continue
            if type(answer) is Row:
                changed += 1
                if answer is not row:
                    yield self._renewed(answer, now, None, wanted)
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

    def _renewed(self, row: Row, now: int, transport: str | None, renewal: Renewal) -> Event:
        if type(renewal) is not Change or transport is not None:
            # Of a change from outside, no client knows: what is on its way to one is still good.
            self.superseded.add(row.sid, row.generation)
        if type(renewal) is Change:
            return event_of("changed", row, now, transport, "requested")
        reason = "refreshed" if renewal == NOW else "due"
        return event_of("rotated", row, now, transport, reason)

    def _ended(
        self, ending: Ending, session: Row | Record, now: int, transport: str | None
    ) -> Event:
        self.superseded.add(session.sid, FOREVER)
        reason = "requested" if ending == "logout" else "stale_token"
        return event_of(ending, session, now, transport, reason)


def _is_touched(old: Row, new: Row) -> bool:
    """Whether the rows of one session are the same but for ``last_accessed``, ``expires_at``."""
    return old[5:] == new[5:] and old[:3] == new[:3]
