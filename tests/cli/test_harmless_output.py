"""Whatever strangers have put into a session, it cannot steer the administrator's terminal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.cli.calling import Process, on_a_terminal, session

from sessiongate.cli._output import ago, plain
from sessiongate.core.row import FOREVER, SECOND
from sessiongate.testing.commands import execute

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.calling import Caller

    from sessiongate.stores import SQLiteStore

EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202egnorw\r\n\t\x7f\u2028[bold]x[/bold] :smile: \ue000"
NAME = "\u202egnorw [bold]x[/bold] :smile: \ue000"
"""Of a user: no row with a control character in its name is a session."""
HARMLESS = "Zoë 日本 O'Neil \\ [x]"


@pytest.fixture
def sid(store: SQLiteStore) -> str:
    """A session of somebody whom no app would let in, as a store that was written to may have."""
    fields = {
        "username": NAME,
        "device": json.dumps({"name": EVIL}),
        "scopes_and_claims": json.dumps({"scopes": ["[bold]x"], "claims": {"x": EVIL}}),
    }
    sid = "A" * 22
    execute(store, session(sid, expires_at=FOREVER, **fields))
    return sid


def printable(text: str) -> bool:
    return all(c == "\n" or (c.isprintable() and c not in "\u202e\ue000") for c in text)


def test_nothing_that_steers_is_printed(cli: Caller, sid: str) -> None:
    for command in (("sessions", "list"), ("sessions", "show", sid), ("stats", "--users")):
        text = cli(*command).out
        assert printable(text.replace("\t", ""))
    assert len(cli("sessions", "list").out.splitlines()) == 2
    assert printable(cli("sessions", "revoke", sid, "--yes").out)


def test_json_gives_it_back_exactly_and_in_ascii(cli: Caller, sid: str) -> None:
    text = cli("sessions", "list", "--json").out
    assert text.isascii()
    assert printable(text)
    (told,) = json.loads(text)
    assert (told["handle"], told["username"], told["device"]) == (sid, NAME, {"name": EVIL})


@pytest.mark.usefixtures("sid")
def test_nor_on_a_terminal_where_there_are_colours(cli: Caller) -> None:
    assert cli.url is not None
    text = on_a_terminal(cli.url, "sessions", "list")
    for steering in ("\x1b]", "\x1b[2J", "\x9b", "\x07", "\u202e", "\x7f", "\ue000", "😄"):
        assert steering not in text
    assert "[bold]x" in "".join(text.split())


def test_a_handle_stays_in_one_piece_on_a_terminal(cli: Caller, store: SQLiteStore) -> None:
    assert cli.url is not None
    execute(store, session("B" * 22, expires_at=FOREVER, device=json.dumps("x" * 300)))
    assert "B" * 22 in on_a_terminal(cli.url, "sessions", "list")


def test_a_terminal_sees_the_purge_and_then_its_result(cli: Caller, store: SQLiteStore) -> None:
    assert cli.url is not None
    execute(store, session("A" * 22, expires_at=2 * SECOND))
    text = on_a_terminal(cli.url, "purge")
    assert "removing" in text
    assert "removed 1 expired session\r\n" in text


def test_what_is_harmless_is_shown_as_it_is() -> None:
    assert plain(HARMLESS) == HARMLESS


def test_what_is_not_is_shown_as_what_it_is() -> None:
    assert plain("a\x1bb\u202ec\ud800") == r"a\x1bb\u202ec\ud800"


def test_a_terminal_without_such_letters_is_no_reason_to_fail(
    file: Path, store: SQLiteStore
) -> None:
    execute(store, session("A" * 22, "Zoë", expires_at=FOREVER))
    done = Process(f"sqlite:///{file}")("sessions", "list", PYTHONIOENCODING="ascii")
    assert "Zo\\xeb" in done.out


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0s ago"),
        (-119, "119s ago"),
        (-120, "2m ago"),
        (119, "in 119s"),
        (7199, "in 119m"),
        (7200, "in 2h"),
        (-2 * 86400, "2d ago"),
    ],
)
def test_how_far_away_an_instant_is(seconds: int, words: str) -> None:
    now = 10**6 * SECOND
    assert ago(now + seconds * SECOND, now).endswith(f"Z ({words})")
    assert ago(FOREVER, now) == "never"
