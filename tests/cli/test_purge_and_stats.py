"""``sessiongate purge`` and ``sessiongate stats``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.cli.calling import Caller, everything, session

from sessiongate.cli._store import Sessions
from sessiongate.core.row import FOREVER, SECOND
from sessiongate.testing.commands import execute

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sessiongate.stores import SQLiteStore

HANDLES = [letter * 22 for letter in "ABCDE"]


@pytest.fixture(autouse=True)
def _five_sessions(store: SQLiteStore) -> None:
    """Two that are live, of two users, and three that have expired."""
    for handle, username in zip(HANDLES[:2], ("alice", "bob"), strict=True):
        execute(store, session(handle, username, expires_at=FOREVER))
    for handle in HANDLES[2:]:
        execute(store, session(handle, "carol", expires_at=2 * SECOND))


def test_stats_count_the_live_and_the_expired(cli: Caller, store: SQLiteStore) -> None:
    told = json.loads(cli("stats", "--json").out)
    assert told == {"store": repr(store), "live": 2, "expired": 3}
    assert json.loads(cli("stats", "--users", "--json").out) == told | {
        "users": 2,
        "most_of_one_user": 1,
    }
    words = [line.split() for line in cli("stats").out.splitlines()]
    assert words[1:] == [["live", "2"], ["expired", "3"]]


def test_purge_removes_the_expired_and_nothing_else(cli: Caller, store: SQLiteStore) -> None:
    assert cli("purge").out == "removed 3 expired sessions\n"
    rows, count = everything(store)
    assert ([row.sid for row in rows], count) == (HANDLES[:2], 2)
    assert cli("purge").out == "removed 0 expired sessions\n"


def test_an_interrupted_purge_says_how_far_it_came(
    cli: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: Sessions) -> Iterator[int]:
        yield 500
        raise KeyboardInterrupt

    monkeypatch.setattr(Sessions, "purge", interrupted)
    done = cli("purge", "--json", code=130)
    assert done.out == ""
    assert "500 expired sessions were removed" in done.err


@pytest.mark.parametrize("seconds", ["0", "-1", "soon", "1e9"])
def test_a_timeout_that_is_none(cli: Caller, seconds: str) -> None:
    assert "--timeout" in cli("stats", "--timeout", seconds, code=2).err


@pytest.mark.parametrize("url", ["", "memory:", "mysql://root:hunter2@there/x"])
@pytest.mark.parametrize("command", [("stats",), ("purge",), ("sessions", "list")])
def test_without_a_store_it_says_what_to_give(url: str, command: tuple[str, ...]) -> None:
    done = Caller(url, {"hunter2"})(*command, code=2)
    assert done.out == ""
    assert "SESSIONGATE_STORE" in done.err or "url" in done.err
