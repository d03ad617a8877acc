"""Every decision about stored sessions, as flows over the verbs of a store.

A flow reads, decides, and lets the store change the record if it is still what was read. If it is
not, the flow decides anew by what is there now. So none needs a lock, and nothing is written that
was not read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from sessiongate.core.recent import Recent, Superseded
from sessiongate.core.rotation import NOW, Change, close, may_end, present
from sessiongate.core.row import FOREVER, Record, Row, event_of, record_of, renewed_of, touched
from sessiongate.core.steps import CROWDED, TRIES
from sessiongate.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

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
        self.rows: RowCodec = codec
        self._decode = codec.decode
        self.superseded: Superseded = Superseded()
        self._unproved: Recent[str, int] = Recent()

    def touch(self, check: Check, data: Any, policy: Policy) -> Flow[Row | None]:
        """Present a token to what was read, by the table of ``rotation``."""
        payload, now, renewal, transport = check
        sid, generation = payload.sid, payload.generation
        if payload.expires_at <= now:
            # An expired row is removed, so that a clock set back does not revive it.
            yield from self.settle(data, sid, now, lambda row: row)
            return None
        row, answer = yield from self.settle(
            data, sid, now, lambda row: present(row, generation, now, policy, renewal)
        )
        if row is None or answer is None:
            if row is not None and row.bound_key:
                yield from self.unproved(row, now, transport)
            return None
        if type(answer) is not Row:
            yield self.ended("replayed", row, now, transport)
            return None
        if answer.generation != row.generation:
            yield self.renewed(answer, now, transport, renewal)
        return answer

    def look(self, now: int, sid: str) -> Flow[Row | None]:
        """Return the live row of this sid, untouched; ``None`` if there is none."""
        data = yield "read", sid
        row, found = yield from self.settle(data, sid, now, lambda row: row)
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
        came: int | None = None,
    ) -> Flow[str | None]:
        """End a session, by ``rotation.close``: return its user, or ``None`` if there was none.

        ``named``: no token was presented, so nothing can be a replay. ``came``: a token of that
        generation was, and any will do.
        """
        data = yield "read", sid
        row, answer = yield from self.settle(
            data,
            sid,
            now,
            lambda row: (
                close(row, generation, username, now)
                if came is None or may_end(row, came, now)
                else None
            ),
        )
        if row is None or answer is None:
            return None
        ending: Ending = "replayed" if answer == "replayed" and not named else "logout"
        yield self.ended(ending, row, now, transport)
        return row.username if ending == "logout" else None

    def settle(
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
                record = record_of(new, self.rows) if is_same else renewed_of(new, self.rows)
            try:
                data = yield "swap", old, record, now
            except StoreError:
                if only_touches:
                    return row, row  # it was read, and is valid
                raise
            if data is True:
                return row, answer
        raise StoreError(CROWDED)

    def renewed(self, row: Row, now: int, transport: str | None, renewal: Renewal) -> Event:
        """The event of a session that has a new token; older ones are sent no more."""
        if type(renewal) is not Change or transport is not None:
            # Of a change from outside, no client knows: what is on its way to one is still good.
            self.superseded.add(row.sid, row.generation)
        if type(renewal) is Change:
            return event_of("changed", row, now, transport, "requested")
        reason = "refreshed" if renewal == NOW else "due"
        return event_of("rotated", row, now, transport, reason)

    def unproved(self, row: Row, now: int, transport: str | None) -> Flow[None]:
        """Tell of a token that is refused, because its session is bound: once for each proof."""
        if now < row.expires_at and self._unproved[row.sid] != row.generation:
            self._unproved.keep(row.sid, row.generation)
            reason = "bearer" if transport == "bearer" else "stale_token"
            yield event_of("unproved", row, now, transport, reason)

    def ended(
        self, ending: Ending, session: Row | Record, now: int, transport: str | None
    ) -> Event:
        """The event of a session that has ended; its tokens are sent no more."""
        self.superseded.add(session.sid, FOREVER)
        reason = "requested" if ending == "logout" else "stale_token"
        return event_of(ending, session, now, transport, reason)


def _is_touched(old: Row, new: Row) -> bool:
    """Whether the rows of one session are the same but for ``last_accessed``, ``expires_at``."""
    return touched(old, new.last_accessed, new.expires_at, old.previous_until) == new
