"""``sessiongate tokens``: what is made, what is shown, what ends; and never a token but once."""

from __future__ import annotations

import json
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.cli.calling import KEY, everything, on_a_terminal

from sessiongate import APITokens
from sessiongate.cli import _store

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.calling import Caller, Done

    from sessiongate import SessionManager
    from sessiongate.stores import SQLiteStore

HEADINGS = ["HANDLE", "USER", "NAME", "SCOPES", "CREATED", "LAST USED", "ENDS"]
YEAR = 365 * 86_400


@pytest.fixture
def tokens(store: SQLiteStore) -> APITokens:
    return APITokens(store=store, secret_key=KEY)


@pytest.fixture
def key_file(tmp_path: Path, store: SQLiteStore) -> str:
    """A key in a file; the app has made its store by then."""
    everything(store)
    file = tmp_path / "tokens.key"
    file.write_text(f"{KEY}\n")
    return str(file)


def create(cli: Caller, key_file: str, *options: str, code: int = 0) -> Done:
    given = () if "--name" in options else ("--name", "ci")
    return cli(
        *("tokens", "create", "alice", *given, *options, "--secret-key-file", key_file), code=code
    )


def listed(cli: Caller, *arguments: str) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = json.loads(cli("tokens", "list", *arguments, "--json").out)
    return shown


def handle_of(tokens: APITokens, username: str = "alice") -> str:
    return str(tokens.tokens(username)[-1]["handle"])


def valid(tokens: APITokens, token: str) -> bool:
    return tokens.manager.validate_session(token) is not None


def test_a_token_that_was_made_is_printed_alone_and_opens_the_app(
    cli: Caller, tokens: APITokens, key_file: str
) -> None:
    before = datetime.now().astimezone()
    done = create(
        *(cli, key_file, "--scope", "write", "--scope", "read", "--expires-in", "90d"),
    )
    token = done.out.removesuffix("\n")
    assert token not in done.err
    assert "shown this once" in done.err
    found = tokens.manager.validate_session(token)
    assert found is not None
    assert (found["username"], found["scopes"]) == ("alice", ["read", "write"])
    (shown,) = tokens.tokens("alice")
    assert shown["name"] == "ci"
    assert timedelta(0) <= shown["expires_at"] - before - timedelta(days=90) < timedelta(minutes=5)
    assert shown["handle"] in done.err


def test_as_json_it_comes_with_its_handle(cli: Caller, tokens: APITokens, key_file: str) -> None:
    told = json.loads(create(cli, key_file, "--name", "nightly", "--json").out)
    assert valid(tokens, told.pop("token"))
    assert told == {"handle": handle_of(tokens), "username": "alice", "name": "nightly"}
    assert tokens.tokens("alice")[0]["expires_at"] is None


@pytest.mark.parametrize(
    ("given", "seconds"), [("3600", 3600), ("45s", 45), ("30m", 1800), ("12h", 43_200)]
)
def test_how_long_it_lives(
    cli: Caller, tokens: APITokens, key_file: str, given: str, seconds: int
) -> None:
    create(cli, key_file, "--expires-in", given)
    (shown,) = tokens.tokens("alice")
    assert shown["expires_at"] - shown["created_at"] == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--expires-in", "0"), "more than 0"),
        (("--expires-in", "-1"), "--expires-in must be"),
        (("--expires-in", "soon"), "such as 90d"),
        (("--expires-in", "90 d"), "such as 90d"),
        (("--expires-in", "99999999d"), "at most 100 years"),
        (("--scope", "two words"), "--scope must be ASCII"),
        (("--name", ""), "--name must not be empty"),
        (("--name", "a\nb"), "control characters"),
        (("--max-per-user", "0"), "--max-per-user"),
        (("--secret-key-file", "/missing"), "cannot read"),
    ],
)
def test_what_makes_no_sense_makes_no_token(
    cli: Caller, store: SQLiteStore, key_file: str, options: tuple[str, ...], says: str
) -> None:
    done = create(cli, key_file, *options, code=2)
    assert (says in done.err, done.out) == (True, "")
    assert everything(store) == ((), 0)


def test_without_a_key_or_a_store_none_is_made(cli: Caller, store: SQLiteStore) -> None:
    making = ("tokens", "create", "alice", "--name", "ci")
    assert "create=False" in cli(*making, SESSIONGATE_SECRET_KEY=KEY, code=2).err
    assert everything(store) == ((), 0)
    assert "no key" in cli(*making, code=2).err
    assert "no store" in cli(*making, SESSIONGATE_SECRET_KEY=KEY, SESSIONGATE_STORE="", code=2).err


def test_the_limit_of_the_app_holds_here_too(cli: Caller, tokens: APITokens, key_file: str) -> None:
    create(cli, key_file, "--max-per-user", "1")
    done = create(cli, key_file, "--max-per-user", "1", code=1)
    assert (done.out, "revoke one" in done.err) == ("", True)
    assert len(tokens.tokens("alice")) == 1


def test_none_is_made_among_sessions(
    cli: Caller, store: SQLiteStore, manager: SessionManager, key_file: str
) -> None:
    manager.create_session("alice")
    before = everything(store)
    assert "this store holds sessions" in create(cli, key_file, code=2).err
    assert everything(store) == before


def test_list_shows_the_live_ones_the_newest_first(cli: Caller, tokens: APITokens) -> None:
    for name in ("one", "two"):
        cli.keep_secret(tokens.create("alice", name=name, scopes=["read", "write"]))
    cli.keep_secret(tokens.create("bob", name="three", expires_in=YEAR))
    assert [one["name"] for one in listed(cli)] == ["three", "two", "one"]
    assert [one["name"] for one in listed(cli, "alice", "--oldest")] == ["one", "two"]
    assert listed(cli, "nobody") == []
    assert "1 of 3 API tokens" in cli("tokens", "list", "--limit", "1").err
    (alices, _), (known, _) = listed(cli, "alice", "--oldest"), tokens.tokens("alice")
    assert alices == {**known, "username": "alice", "created_at": known["created_at"].isoformat()}


def test_what_never_happens_is_called_so_and_no_date(cli: Caller, tokens: APITokens) -> None:
    used = cli.keep_secret(tokens.create("alice", name="ci", scopes=["read", "write"]))
    heading, line = cli("tokens", "list").out.splitlines()
    assert heading.split("\t") == HEADINGS
    fields = line.split("\t")
    assert fields[:4] == [handle_of(tokens), "alice", "ci", "read write"]
    assert fields[-2:] == ["never", "never"]
    (one,) = listed(cli)
    assert (one["last_used"], one["expires_at"]) == (None, None)
    text = cli("tokens", "show", handle_of(tokens)).out
    assert ["last_used", "never"] in [row.split() for row in text.splitlines()]
    assert "1970" not in text + line

    assert valid(tokens, used)
    (shown,) = tokens.tokens("alice")
    assert listed(cli)[0]["last_used"] == shown["last_used"].isoformat()


def test_a_list_of_very_many_comes_in_bites(
    cli: Caller, tokens: APITokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_store, "BATCH_SIZE", 2)
    for number in range(5):
        tokens.create("alice", name=f"n{number}")
    assert [one["name"] for one in listed(cli)] == ["n4", "n3", "n2", "n1", "n0"]


def test_a_terminal_of_80_columns_shows_them_in_a_table(cli: Caller, tokens: APITokens) -> None:
    assert cli.url is not None
    tokens.create("alice", name="\u202egnp [bold]x[/bold]")
    text = on_a_terminal(cli.url, "tokens", "list", columns=80)
    for word in (handle_of(tokens), "NAME", "never", "[bold]x[/bold]"):
        assert word in text
    assert "\u202e" not in text
    assert "SCOPES" not in text


def test_show_tells_all_of_one(cli: Caller, tokens: APITokens) -> None:
    cli.keep_secret(
        tokens.create("alice", name="ci", scopes=["read"], claims={"team": "red"}, expires_in=YEAR)
    )
    told = json.loads(cli("tokens", "show", handle_of(tokens), "--json").out)
    (one,) = listed(cli)
    assert told == one | {"claims": {"team": "red"}, "live": True}
    assert "(in 364d)" in cli("tokens", "show", handle_of(tokens)).out
    assert "no API token" in cli("tokens", "show", "A" * 22, code=1).err


def test_show_says_that_one_has_expired(cli: Caller, store: SQLiteStore) -> None:
    earlier = APITokens(store=store, secret_key=KEY, clock=lambda: time.time() - 7200)
    earlier.create("alice", name="ci", expires_in=3600)
    done = cli("tokens", "show", handle_of(earlier), "--json", code=1)
    assert (json.loads(done.out)["live"], "expired" in done.err) == (False, True)
    assert listed(cli) == []


def test_a_look_touches_nothing(cli: Caller, store: SQLiteStore, tokens: APITokens) -> None:
    token = cli.keep_secret(tokens.create("alice", name="ci"))
    before = everything(store)
    cli("tokens", "list")
    cli("tokens", "show", handle_of(tokens))
    cli("inspect", stdin=token, SESSIONGATE_SECRET_KEY=KEY)
    assert everything(store) == before


def test_revoke_ends_one_for_good(cli: Caller, tokens: APITokens) -> None:
    stays = cli.keep_secret(tokens.create("alice", name="stays"))
    goes = cli.keep_secret(tokens.create("alice", name="goes"))
    handle = handle_of(tokens)
    assert "--yes" in cli("tokens", "revoke", handle, code=2).err
    assert cli("tokens", "revoke", handle, "--yes").out == f"ended {handle} of alice\n"
    assert "no such API token" in cli("tokens", "revoke", handle, "--yes", code=1).err
    assert (valid(tokens, stays), valid(tokens, goes)) == (True, False)


def test_revoke_ends_all_of_a_user(cli: Caller, tokens: APITokens) -> None:
    alices = [cli.keep_secret(tokens.create("alice", name="ci")) for _ in range(3)]
    bobs = cli.keep_secret(tokens.create("bob", name="ci"))
    keep = handle_of(tokens)
    done = cli("tokens", "revoke", "--user", "alice", "--keep", keep, "--yes", "--json")
    assert len(json.loads(done.out)["ended"]) == 2
    assert [valid(tokens, token) for token in (*alices, bobs)] == [False, False, True, True]
    cli("tokens", "revoke", "--user", "alice", "--yes")
    assert [valid(tokens, token) for token in (*alices, bobs)] == [False, False, False, True]


@pytest.mark.parametrize("group", ["tokens", "sessions"])
@pytest.mark.parametrize("part", [slice(None), slice(-1), slice(30)])
def test_a_token_in_place_of_a_handle_is_not_repeated(
    cli: Caller, tokens: APITokens, group: str, part: slice
) -> None:
    token = cli.keep_secret(tokens.create("alice", name="ci"))
    cli.secrets.add(token[part])
    for command in (("show", token[part]), ("revoke", token[part], "--yes")):
        assert f"as “{group} list” shows it" in cli(group, *command, code=2).err
    assert valid(tokens, token)


# The commands of one kind, and a store of the other.


def test_the_commands_of_sessions_leave_api_tokens_alone(cli: Caller, tokens: APITokens) -> None:
    token = cli.keep_secret(tokens.create("alice", name="ci"))
    for arguments in ((), ("alice",)):
        done = cli("sessions", "list", *arguments)
        assert len(done.out.splitlines()) == 1
        assert "1 API token; see “sessiongate tokens”" in done.err
    handle = handle_of(tokens)
    for command in (("show", handle), ("revoke", handle, "--yes")):
        assert "sessiongate tokens" in cli("sessions", *command, code=1).err
    assert "no such session" in cli("sessions", "revoke", "--user", "alice", "--yes", code=1).err
    assert valid(tokens, token)


@pytest.mark.parametrize("device", [None, {"name": "ci"}])
def test_the_commands_of_tokens_leave_sessions_alone(
    cli: Caller, manager: SessionManager, device: Any
) -> None:
    token = cli.keep_secret(manager.create_session("alice", device=device))
    (handle,) = (one["handle"] for one in manager.user_sessions("alice"))
    assert "1 session; see “sessiongate sessions”" in cli("tokens", "list").err
    for command in (("show", handle), ("revoke", handle, "--yes")):
        assert "sessiongate sessions" in cli("tokens", *command, code=1).err
    assert "no such API token" in cli("tokens", "revoke", "--user", "alice", "--yes", code=1).err
    assert manager.validate_session(token) is not None


@pytest.mark.parametrize("group", ["tokens", "sessions"])
def test_where_both_are_in_one_store_each_command_ends_its_own(
    cli: Caller, manager: SessionManager, tokens: APITokens, group: str
) -> None:
    session = cli.keep_secret(manager.create_session("alice"))
    token = cli.keep_secret(tokens.create("alice", name="ci"))
    assert cli(group, "revoke", "--user", "alice", "--yes").out.count("ended") == 1
    alive = manager.validate_session(session) is not None, valid(tokens, token)
    assert alive == ((True, False) if group == "tokens" else (False, True))
