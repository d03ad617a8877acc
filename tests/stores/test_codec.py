"""Stored data: read as a whole, or no session and a line in the log."""

from __future__ import annotations

import json
import logging
import sys
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from sessiongate.core.row import FOREVER
from sessiongate.stores.codec import VERSION, decode, encode, values_of
from sessiongate.testing.contract._material import session

if TYPE_CHECKING:
    from sessiongate.core.row import Row

ROW = session(
    "known", "Zo\u00eb", scopes_and_claims='{"claims":{"a":1},"scopes":["b"]}', device='"x"'
)

BOUND = session(
    generation=3, oldest_accepted=3, revoked_below=2, bound_key="A" * 86, proved_until=FOREVER
)


def test_a_row_comes_back_as_it_was() -> None:
    for row in (
        ROW,
        session(),
        session(remembered=True),
        BOUND,
        session(username='\\"\u00a0', shared=True, expires_at=FOREVER),
    ):
        assert decode(encode(row), row.sid) == row
        assert type(decode(encode(row), row.sid)) is type(row)


def test_a_row_of_before_sessions_were_remembered_is_read() -> None:
    _, *fields, remembered = json.loads(encode(ROW))
    assert remembered is False
    assert decode(json.dumps([2, *fields]).encode(), ROW.sid) == ROW


def test_a_row_that_is_not_bound_is_what_it_was_before_rows_could_be() -> None:
    """So an older sessiongate reads it, while a newer one takes its place."""
    version, *fields = json.loads(encode(ROW))
    assert (version, fields) == (3, list(values_of(ROW)[:15]))
    assert json.loads(encode(BOUND)) == [VERSION, *values_of(BOUND)]


def test_equal_rows_give_equal_data_and_others_do_not() -> None:
    assert encode(ROW) == encode(replace(ROW))
    assert encode(ROW) != encode(replace(ROW, last_accessed=ROW.last_accessed + 1))


def altered(**fields: Any) -> bytes:
    return encode(replace(ROW, **fields))


DAMAGED = {
    "nothing": b"",
    "no JSON": encode(ROW)[:-1],
    "no UTF-8": encode(ROW).replace(b"\xc3\xab", b"\xff"),
    "no array": b"{}",
    "a number": b"2",
    "an empty array": b"[]",
    "a field less": json.dumps([VERSION, *values_of(ROW)][:-1]).encode(),
    "a field more": json.dumps([VERSION, *values_of(ROW), 1]).encode(),
    "a newer version": json.dumps([VERSION + 1, *values_of(ROW)]).encode(),
    "the version before": json.dumps([1, *values_of(ROW)]).encode(),
    "a version that is none": json.dumps([True, *values_of(ROW)]).encode(),
    "a version as a fraction": json.dumps([2.0, *values_of(ROW)]).encode(),
    "a negative time": altered(expires_at=-1),
    "a time after the last": altered(expires_at=FOREVER + 1),
    "a time as text": altered(expires_at="1"),
    "a time as a fraction": altered(expires_at=1.5),
    "a time as a truth": altered(expires_at=True),
    "no time": altered(expires_at=None),
    "a number for a truth": altered(shared=1),
    "a username that is none": altered(username=7),
    "half a character": json.dumps([VERSION, *values_of(replace(ROW, username="\ud800"))]).encode(),
    "generations out of order": altered(oldest_accepted=1),
    "retired out of order": altered(generation=3, oldest_accepted=1, revoked_below=2),
    "no JSON inside": altered(scopes_and_claims='{"scopes": ['),
    "no scopes": altered(scopes_and_claims='{"claims":{}}'),
    "letters for scopes": altered(scopes_and_claims='{"scopes":"ab","claims":{}}'),
    "a number as a scope": altered(scopes_and_claims='{"scopes":[1],"claims":{}}'),
    "a claim of ours": altered(scopes_and_claims='{"scopes":[],"claims":{"sub":"admin"}}'),
    "a device that is none": altered(device="{"),
    "a key that is none": altered(bound_key="A" * 85 + "=", proved_until=1),
    "a key that is too short": altered(bound_key="A" * 85, proved_until=1),
    "a key that is a number": altered(bound_key=7, proved_until=1),
    "a proof at no time": altered(bound_key="A" * 86, proved_until=None),
    "a bound row of before there were any": json.dumps([3, *values_of(BOUND)]).encode(),
    "deep": b"[" * 60_000 + b"]" * 60_000,
    "deep inside": b"[2," + b"[" * 60_000 + b"]" * 60_000 + b"]",
    "deep scopes": altered(scopes_and_claims="[" * 60_000),
    "deep device": altered(device="[" * 60_000 + "]" * 60_000),
    "a number without end": b"[2," + b"9" * 5_000 + b"]",
    "NaN": b"[2,NaN]",
    "a pickle": b"cos\nsystem\n(S'true'\ntR.",
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED)
def test_what_cannot_be_read_is_no_session_and_one_line(
    data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    assert decode(data, ROW.sid) is None
    (line,) = caplog.records
    assert (line.levelno, line.name) == (logging.WARNING, "sessiongate.stores")
    assert line.getMessage() == (
        f"session {ROW.sid!r} is unreadable (corrupt, or written by a newer version)"
    )


def test_no_byte_of_it_matters_so_much_that_reading_fails() -> None:
    data = encode(ROW)
    for place in range(len(data)):
        for byte in (0, 32, 34, 57, 91, 93, 125, 128, 255):
            row = decode(data[:place] + bytes([byte]) + data[place + 1 :], ROW.sid)
            assert row is None or row.sid == ROW.sid


def test_data_of_another_session_is_none_of_this_one() -> None:
    assert decode(encode(session("other")), ROW.sid) is None


def test_a_row_is_understood_again_after_a_look_that_had_no_room() -> None:
    nested = "[" * 12 + "]" * 12
    row = session("deep", scopes_and_claims=f'{{"scopes":[],"claims":{{"a":{nested}}}}}')

    def look(depth: int) -> Row | None:
        return look(depth - 1) if depth else decode(encode(row), row.sid)

    seen = []
    for depth in range(sys.getrecursionlimit(), 0, -1):
        with suppress(RecursionError):
            seen.append(look(depth))
    assert seen[-1] == row
