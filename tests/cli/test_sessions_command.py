"""``sessiongate sessions``: what is shown, what ends, and what does not."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from tests.cli.calling import everything, on_a_terminal, session

from sessiongate.cli import _store
from sessiongate.core.row import FOREVER
from sessiongate.testing.commands import execute

if TYPE_CHECKING:
    from tests.cli.calling import Caller

    from sessiongate import SessionManager
    from sessiongate.stores import SQLiteStore


def handles(cli: Caller, *arguments: str) -> list[str]:
    shown = json.loads(cli("sessions", "list", *arguments, "--json").out)
    return [one["handle"] for one in shown]


def of(manager: SessionManager, username: str) -> list[str]:
    return [one["handle"] for one in manager.user_sessions(username)]


def test_list_shows_live_sessions_the_newest_first(
    cli: Caller, manager: SessionManager, earlier: SessionManager
) -> None:
    earlier.create_session("alice")
    for username in ("alice", "bob", "alice"):
        cli.keep_secret(manager.create_session(username))
    (first, third), (second,) = of(manager, "alice"), of(manager, "bob")

    assert handles(cli) == [third, second, first]
    assert handles(cli, "--oldest") == [first, second, third]
    assert handles(cli, "alice") == [third, first]
    assert handles(cli, "nobody") == []


def test_list_shows_a_limited_number_and_says_so(cli: Caller, manager: SessionManager) -> None:
    for _ in range(3):
        manager.create_session("alice")
    first, second, third = of(manager, "alice")

    assert handles(cli, "--limit", "2") == [third, second]
    assert handles(cli, "--limit", "2", "--oldest") == [first, second]
    assert "2 of 3 sessions" in cli("sessions", "list", "--limit", "2").err
    assert cli("sessions", "list").err == ""
    cli("sessions", "list", "--limit", "0", code=2)


def test_list_reads_very_many_in_bites(
    cli: Caller, manager: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_store, "BATCH_SIZE", 2)
    for number in range(5):
        manager.create_session(f"user{number}")
    rows = manager.list_sessions()
    assert handles(cli) == [row["handle"] for row in reversed(rows)]
    assert handles(cli, "--oldest") == [row["handle"] for row in rows]
    assert "5" in cli("stats", "--users").out


def test_a_list_that_is_piped_has_a_line_for_each_and_tabs_between(
    cli: Caller, manager: SessionManager
) -> None:
    manager.create_session("alice", device={"name": "laptop"}, scopes=["read", "write"])
    heading, line = cli("sessions", "list").out.splitlines()
    assert heading.split("\t")[:2] == ["HANDLE", "USER"]
    (handle,) = of(manager, "alice")
    fields = line.split("\t")
    assert fields[:2] == [handle, "alice"]
    assert fields[-2:] == ["read write", "laptop"]
    assert len(fields) == len(heading.split("\t"))


FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
RECORDED = {"user_agent": FIREFOX, "ip": "203.0.113.7"}
DEVICES: list[tuple[Any, str]] = [
    (RECORDED, "Firefox on Linux"),
    ({**RECORDED, "name": "Alice's laptop"}, "Alice's laptop"),
    ("laptop", "laptop"),
    ({"model": 7}, "Unknown device"),
    ([1, 2], "Unknown device"),
    (None, ""),
]


@pytest.mark.parametrize(("device", "label"), DEVICES)
def test_a_device_is_named_as_on_the_devices_page_and_json_has_all_of_it(
    cli: Caller, manager: SessionManager, device: Any, label: str
) -> None:
    manager.create_session("alice", device=device)
    (handle,) = of(manager, "alice")
    assert cli("sessions", "list").out.splitlines()[1].split("\t")[-1] == label
    for command in (("list",), ("show", handle)):
        told = json.loads(cli("sessions", *command, "--json").out)
        assert (told if command == ("show", handle) else told[0])["device"] == device
    text = cli("sessions", "show", handle).out
    assert label in text
    assert (FIREFOX in text) is (isinstance(device, dict) and "user_agent" in device)


@pytest.mark.parametrize("scopes", [[], ["read", "write"]])
@pytest.mark.parametrize("username", ["alice", "alice@example.com", "x" * 256])
def test_a_list_fits_a_terminal_of_80_columns(
    cli: Caller, manager: SessionManager, username: str, scopes: list[str]
) -> None:
    assert cli.url is not None
    for device, _ in DEVICES:
        manager.create_session(username, device=device, scopes=scopes)
    text = on_a_terminal(cli.url, "sessions", "list", columns=80)
    lines = [re.sub("\x1b\\[[0-9;]*m", "", line).rstrip("\r") for line in text.splitlines()]
    assert max(map(len, lines)) <= 80
    for handle in of(manager, username):
        (line,) = (line for line in lines if handle in line)
        assert " 59m " in line
    assert ("SCOPES" in lines[0]) is bool(scopes)
    assert "Mozilla" not in text
    if username == "alice" or (len(username) < 20 and not scopes):
        assert any("Firefox on Linux" in line for line in lines), "in one piece"
        assert len(lines) == 2 + len(DEVICES), "the heading, and a line for each"


def test_show_tells_all_of_one_session(cli: Caller, manager: SessionManager) -> None:
    cli.keep_secret(
        manager.create_session("alice", device="laptop", scopes=["read"], claims={"team": "red"})
    )
    (handle,) = of(manager, "alice")
    told: dict[str, Any] = json.loads(cli("sessions", "show", handle, "--json").out)
    (known,) = manager.user_sessions("alice")
    assert told["username"] == "alice"
    assert told["handle"] == handle
    assert told["expires_at"] == known["expires_at"].isoformat()
    assert (told["scopes"], told["claims"], told["device"]) == (["read"], {"team": "red"}, "laptop")
    assert (told["generation"], told["shared"], told["live"]) == (0, False, True)
    assert told["lifetime_ends_at"] is None

    text = cli("sessions", "show", handle).out
    for word in (handle, "alice", "in 59m", "laptop", "read", "team  red"):
        assert word in text


def test_a_look_touches_and_removes_nothing(
    cli: Caller, store: SQLiteStore, manager: SessionManager, earlier: SessionManager
) -> None:
    earlier.create_session("alice")
    manager.create_session("alice")
    before = everything(store)
    for row in before[0]:
        cli("sessions", "show", row.sid, code=0 if row.sid in handles(cli) else 1)
    cli("sessions", "list")
    cli("stats", "--users")
    assert everything(store) == before


def test_show_says_that_a_session_has_expired(
    cli: Caller, store: SQLiteStore, earlier: SessionManager
) -> None:
    earlier.create_session("alice")
    (row,) = everything(store)[0]
    done = cli("sessions", "show", row.sid, "--json", code=1)
    assert json.loads(done.out)["live"] is False
    assert "expired" in done.err


def test_what_is_not_there_is_exit_code_1(cli: Caller, store: SQLiteStore) -> None:
    everything(store)
    unknown = "A" * 22
    assert unknown in cli("sessions", "show", unknown, code=1).err
    assert "no such session" in cli("sessions", "revoke", unknown, "--yes", code=1).err
    assert "no such session" in cli("sessions", "revoke", "--user", "eve", "--yes", code=1).err
    assert json.loads(cli("sessions", "revoke", unknown, "--yes", "--json", code=1).out) == {
        "ended": []
    }


def test_a_token_in_place_of_a_handle_is_not_repeated(cli: Caller, manager: SessionManager) -> None:
    token = cli.keep_secret(manager.create_session("alice"))
    for command in ("show", "revoke"):
        assert "a handle is" in cli("sessions", command, token, code=2).err
    assert manager.n_active_sessions() == 1


def test_revoke_ends_one_session_for_good(cli: Caller, manager: SessionManager) -> None:
    here, there = (cli.keep_secret(manager.create_session("alice")) for _ in range(2))
    first, _ = of(manager, "alice")
    done = cli("sessions", "revoke", first, "--yes")
    assert done.out == f"ended {first} of alice\n"
    assert manager.validate_session(here) is None
    assert manager.validate_session(there) is not None


def test_revoke_ends_all_of_a_user_but_one(cli: Caller, manager: SessionManager) -> None:
    tokens = [cli.keep_secret(manager.create_session("alice")) for _ in range(3)]
    bob = manager.create_session("bob")
    first, kept, third = of(manager, "alice")
    done = cli("sessions", "revoke", "--user", "alice", "--keep", kept, "--yes", "--json")
    assert json.loads(done.out)["ended"] == [
        {"handle": handle, "username": "alice"} for handle in (first, third)
    ]
    assert of(manager, "alice") == [kept]
    assert manager.validate_session(tokens[1]) is not None
    assert bob is not None
    assert manager.validate_session(bob) is not None


@pytest.mark.parametrize("whose", ["somebody else", "nobody", "expired"])
def test_a_session_to_keep_that_is_not_theirs_ends_nothing(
    cli: Caller,
    store: SQLiteStore,
    manager: SessionManager,
    earlier: SessionManager,
    whose: str,
) -> None:
    for username, app in (("alice", manager), ("bob", manager), ("alice", earlier)):
        app.create_session(username)
    (_, bobs, old), _ = everything(store)
    keep = {"somebody else": bobs.sid, "nobody": "A" * 22, "expired": old.sid}[whose]
    done = cli("sessions", "revoke", "--user", "alice", "--keep", keep, "--yes", code=1)
    assert "nothing was ended" in done.err
    assert len(of(manager, "alice")) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "either a HANDLE or --user"),
        (("A" * 22, "--user", "alice"), "either a HANDLE or --user"),
        (("A" * 22, "--keep", "A" * 22), "--keep goes with --user"),
        (("--user", "alice", "--keep", "short"), "a handle is"),
        (("--user", ""), "username must not be empty"),
        (("--user", "al\nice"), "control characters"),
        (("alice",), "a handle is"),
        (("--usr", "alice"), ""),
    ],
)
def test_what_makes_no_sense_ends_nothing(
    cli: Caller, manager: SessionManager, arguments: tuple[str, ...], says: str
) -> None:
    manager.create_session("alice")
    assert says in cli("sessions", "revoke", *arguments, "--yes", code=2).err
    assert len(of(manager, "alice")) == 1


@pytest.mark.parametrize("sid", ["-yesAAAAAAAAAAAAAAAAAA", "--AAAAAAAAAAAAAAAAAAAA", "-" * 22])
def test_a_handle_may_begin_with_a_dash(cli: Caller, store: SQLiteStore, sid: str) -> None:
    execute(store, session(sid, expires_at=FOREVER))
    execute(store, session("A" * 22, expires_at=FOREVER))
    assert json.loads(cli("sessions", "show", sid, "--json").out)["handle"] == sid
    assert "--yes" in cli("sessions", "revoke", sid, code=2).err
    cli("sessions", "revoke", "--user", "alice", "--keep", sid, "--yes")
    assert handles(cli) == [sid]
    cli("sessions", "revoke", sid, "--yes")
    assert handles(cli) == []


def test_without_somebody_to_ask_nothing_ends(cli: Caller, manager: SessionManager) -> None:
    manager.create_session("alice")
    (handle,) = of(manager, "alice")
    for what in ((handle,), ("--user", "alice")):
        assert "--yes" in cli("sessions", "revoke", *what, stdin="y\n", code=2).err
    assert of(manager, "alice") == [handle]


@pytest.mark.parametrize("what", ["handle", "user"])
@pytest.mark.parametrize("answer", ["y", "n"])
def test_on_a_terminal_it_asks_first(
    cli: Caller, manager: SessionManager, what: str, answer: str
) -> None:
    manager.create_session("alice", device="laptop")
    (handle,) = of(manager, "alice")
    ours, theirs = pty.openpty()
    arguments = [handle] if what == "handle" else ["--user", "alice"]
    os.write(ours, f"{answer}\n".encode())
    try:
        run = subprocess.run(
            [sys.executable, "-m", "sessiongate.cli", "sessions", "revoke", *arguments],
            stdin=theirs,
            capture_output=True,
            text=True,
            env={**os.environ, "SESSIONGATE_STORE": cli.url or ""},
            timeout=120,
            check=False,
        )
    finally:
        os.close(ours)
        os.close(theirs)
    assert ("laptop" if what == "handle" else "End 1 session of alice?") in run.stderr
    if answer == "y":
        assert (run.returncode, run.stdout) == (0, f"ended {handle} of alice\n")
        assert of(manager, "alice") == []
    else:
        assert (run.returncode, run.stdout) == (1, "")
        assert of(manager, "alice") == [handle]
