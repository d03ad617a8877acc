"""What a flow decides when the record has changed since the middleware looked at it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from sessiongate.core.decisions import Decisions
from sessiongate.core.rotation import WHEN_DUE, Change
from sessiongate.core.row import Record, Renewed, event_of, record_of
from sessiongate.events import Event
from sessiongate.stores import MemoryStore
from sessiongate.testing.contract._material import HOUR, MINUTE, POLICY, START, session
from sessiongate.tokens import TokenPayload

if TYPE_CHECKING:
    from sessiongate.core.row import Row
    from sessiongate.core.steps import Call, Flow

NOW = START + MINUTE


CODEC = MemoryStore().codec


def driven(flow: Flow[Any], *answers: Any) -> tuple[list[Call | Event], Any]:
    """What a flow yields, given these answers and then success, and what it returns."""
    said: list[Call | Event] = []
    sent = iter(answers)
    try:
        said.append(next(flow))
        while True:
            said.append(flow.send(next(sent, True)))
    except StopIteration as stop:
        return said, stop.value


def touch(row: Row, payload: TokenPayload, transport: str) -> tuple[list[Call | Event], Any]:
    check = payload, NOW, WHEN_DUE, transport
    return driven(Decisions(CODEC).touch(check, CODEC.encode(row), POLICY))


def test_a_token_that_is_over_by_now_touches_no_session() -> None:
    row = session()
    assert touch(row, TokenPayload(row.sid, 0, expires_at=NOW), "cookie") == ([], None)


def test_a_copied_token_of_a_session_that_was_bound_meanwhile_is_told_of() -> None:
    row = session(generation=3, oldest_accepted=3, bound_key="key", proved_until=NOW + MINUTE)
    for transport, reason in (("cookie", "stale_token"), ("bearer", "bearer")):
        told = event_of("unproved", row, NOW, transport, reason)
        assert touch(row, TokenPayload(row.sid, 1), transport) == ([told], None)


def test_a_logout_with_a_stale_token_is_a_replay_and_with_a_handle_none() -> None:
    row = session(generation=3, oldest_accepted=3)
    read, swap = ("read", row.sid), ("swap", record_of(row, CODEC), None, NOW)
    for named, kind, reason, user in (
        (False, "replayed", "stale_token", None),
        (True, "logout", "requested", "alice"),
    ):
        flow = Decisions(CODEC).close(NOW, row.sid, generation=1, named=named)
        said, returned = driven(flow, CODEC.encode(row))
        assert said[:2] == [read, swap]
        assert [(e.kind, e.reason) for e in said[2:] if isinstance(e, Event)] == [(kind, reason)]
        assert returned == user


def test_a_swap_is_news_where_the_token_is_new() -> None:
    for rotated_at, kind in ((START, Record), (START - HOUR, Renewed)):
        row = session(rotated_at=rotated_at)
        said, _ = touch(row, TokenPayload(row.sid, 0), "cookie")
        verb, old, new, now = cast("tuple[object, ...]", said[0])
        assert (verb, old, now) == ("swap", record_of(row, CODEC), NOW)
        assert type(new) is kind


def test_a_change_says_how_its_token_came() -> None:
    row = session()
    wanted = Change(("read",), None, lambda _: None)
    check = TokenPayload(row.sid, 0), NOW, wanted, "bearer"
    said, _ = driven(Decisions(CODEC).touch(check, CODEC.encode(row), POLICY))
    assert said[1:] == [event_of("changed", row, NOW, "bearer", "requested")]
