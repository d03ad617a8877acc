"""Strange but legal content comes back byte for byte and never acts as syntax."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from sessiongate.core.rotation import NOW
from sessiongate.core.row import FOREVER
from sessiongate.testing.commands import Close, CloseUser, Count, List, Read
from sessiongate.testing.contract._material import HOUR, POLICY, START, login, session, touch
from sessiongate.testing.outcomes import Ended, Existing, Opened

if TYPE_CHECKING:
    from sessiongate.testing.contract._calls import Call

USERNAMES = {
    "longest": "u" * 256,
    "longest-in-bytes": "\N{GRINNING FACE}" * 256,
    "quotes": "'; DROP TABLE sessions; --\"`",
    "backslashes": "\\x00\\u0000\\",
    "percent": "%s%(a)s%%_",
    "braces": "{tag}{0}}{",
    "wildcards": "*?[a-z]",
    "colons": "user:1::",
    "spaces": "  a b  ",
    "combined": "e\u0301\u00e9",
    "right-to-left": "\u05d0\u05d1\u202e",
    "number": "00123",
    "null-word": "null",
}


class Content:
    @pytest.mark.parametrize("username", USERNAMES.values(), ids=USERNAMES.keys())
    def test_usernames_are_kept_exactly(self, call: Call, username: str) -> None:
        row, other = session(1, username), session(2, username[:-1] + "|")
        assert call(login(row)) == Opened(row)
        call(login(other))
        assert call(Read(row.sid, START)) == row
        assert call(List(username, START)) == (row,)
        assert call(login(session(3, username), existing="reuse")).row.sid == row.sid
        assert call(CloseUser(username, None, START)) == (Ended(row.sid, username),)
        assert call(List(None, START)) == (other,)
        assert call(Close(other.sid, START, username=other.username)) == Ended(
            other.sid, other.username
        )

    def test_usernames_that_look_alike_are_different(self, call: Call) -> None:
        names = ["alice", "Alice", "alice ", " alice", "al\u0131ce", "\u00e9", "e\u0301"]
        rows = [session(at, name) for at, name in enumerate(names)]
        for row in rows:
            call(login(row, user_limit=1))
        for row in rows:
            assert call(List(row.username, START)) == (row,)

    def test_grants_and_devices_of_full_size(self, call: Call) -> None:
        text = "\\\"'{}%\N{SNOWMAN}\N{GRINNING FACE}\u2028\x7f"
        scopes_and_claims = _filled(
            {"claims": {"note": text, "n": [1.5, None, True]}, "scopes": ["a"]}
        )
        device = _filled({"agent": text})
        row = session(scopes_and_claims=scopes_and_claims, device=device)
        assert call(login(row)) == Opened(row)
        assert call(Read(row.sid, START)) == row
        assert call(touch(row, START, rotation=NOW)).row.scopes_and_claims == scopes_and_claims
        again = call(login(session(2, scopes_and_claims=scopes_and_claims), existing="reuse"))
        assert isinstance(again, Existing)
        other = session(3, scopes_and_claims=scopes_and_claims[:-3] + ' "}')
        assert isinstance(call(login(other, existing="reuse")), Opened)

    def test_text_that_is_not_ascii_in_grants_and_device(self, call: Call) -> None:
        claims = {"n": "\N{GRINNING FACE}\u00e9"}
        raw = json.dumps({"claims": claims, "scopes": []}, ensure_ascii=False)
        row = session(scopes_and_claims=raw, device=raw)
        call(login(row))
        assert call(Read(row.sid, START)) == row

    def test_the_largest_numbers_are_exact(self, call: Call) -> None:
        row = session(
            expires_at=FOREVER,
            lifetime_ends_at=FOREVER,
            previous_until=FOREVER,
            generation=2**31 + 1,
            oldest_accepted=2**31,
            revoked_below=2**31 - 1,
        )
        call(login(row))
        assert call(Read(row.sid, FOREVER - 1)) == row
        assert call(List(None, FOREVER - 1)) == (row,)
        never = replace(POLICY, rotate_after=FOREVER, timeout=HOUR)
        for now in (FOREVER - 2 * HOUR, FOREVER - 2 * HOUR + 1):
            assert call(touch(row, now, policy=never)).last_accessed == (FOREVER - 2 * HOUR)

    def test_odd_and_even_microseconds_are_told_apart(self, call: Call) -> None:
        near = FOREVER - HOUR
        rows = [session(name, expires_at=near + name) for name in range(4)]
        for row in rows:
            call(login(row))
        for later in range(4):
            assert call(Read(rows[later].sid, near + later - 1)) == rows[later]
            assert call(Count(near + later)) == 3 - later

    def test_a_session_opened_long_ago_and_one_of_the_future(self, call: Call) -> None:
        past = session("past", created_at=0, last_accessed=0, rotated_at=0)
        future = session("future", created_at=FOREVER, last_accessed=FOREVER, rotated_at=FOREVER)
        for row in (past, future):
            call(login(row))
            assert call(Read(row.sid, START)) == row


def _filled(value: dict[str, object]) -> str:
    """Canonical JSON of exactly 4096 characters that holds this value."""
    bare = json.dumps({**value, "z": ""}, sort_keys=True, separators=(",", ":"))
    return bare[:-2] + "x" * (4096 - len(bare)) + bare[-2:]
