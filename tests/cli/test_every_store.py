"""The command on each kind of store, up and down; as a process once for each thing it does."""

from __future__ import annotations

import json
import sys
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from tests.cli.calling import KEY, PROGRAM, Caller, Process, session
from tests.stores.ports import free_port
from tests.stores.postgres_server import PostgresServer
from tests.stores.redis_server import RedisServer

from sessiongate import APITokens, SessionManager
from sessiongate.core.row import FOREVER
from sessiongate.stores import open_store
from sessiongate.testing.commands import execute

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.slow  # each runs the program itself, on each store

PASSWORD = "a-password-to-be-found"  # the one of PostgresServer as well


@dataclass
class Place:
    """Where sessions are, and how to take it away."""

    url: str
    stop: Callable[[], None]
    admin: Callable[[], Any]


@pytest.fixture(params=["sqlite", "redis", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "sqlite":
        file = tmp_path / "sessions.db"
        # What is no database any more fails as a disk would that does.
        yield Place(f"sqlite:///{file}", lambda: _spoil(file), Path)
    elif request.param == "redis":
        redis = RedisServer(tmp_path, "--requirepass", PASSWORD)
        redis.start()
        url = f"redis://:{PASSWORD}@127.0.0.1:{redis.port}/0?prefix=shop:"
        yield Place(url, redis.stop, redis.admin)
        redis.kill()
    else:
        postgres = PostgresServer()
        postgres.start()
        yield Place(f"{postgres.url}?schema=shop", postgres.stop, postgres.admin)
        postgres.close()


def _spoil(file: Path) -> None:
    for beside in file.parent.glob(f"{file.name}-*"):
        beside.unlink()
    file.write_bytes(b"SQLite format 3\0" + b"\xff" * 4096)


@pytest.fixture
def manager_on() -> Iterator[Callable[..., SessionManager]]:
    """An app on the store of a URL; its connections are closed before the place goes."""
    with ExitStack() as stack:

        def start(url: str, **options: Any) -> SessionManager:
            store = stack.enter_context(closing(open_store(url, timeout=30)))
            return SessionManager(
                store=store, secret_key=KEY, existing="new", max_concurrent_sessions=None, **options
            )

        yield start


def test_a_night_on_call(place: Place, manager_on: Callable[..., SessionManager]) -> None:
    cli = Process(place.url)
    cli.secrets.add(PASSWORD)
    again = Caller(place.url, cli.secrets)
    earlier = manager_on(place.url, clock=lambda: time.time() - 7200)
    for _ in range(20):  # a login removes up to 16 on its way
        earlier.create_session("bob")
    manager = manager_on(place.url)
    tokens = [cli.keep_secret(manager.create_session("alice", device="laptop")) for _ in range(3)]
    bob = cli.keep_secret(manager.create_session("bob"))

    counts = json.loads(cli("stats", "--users", "--json").out)
    assert (counts["live"], counts["users"], counts["most_of_one_user"]) == (4, 2, 3)
    waiting = counts["expired"]
    assert 0 <= waiting <= 20

    listed = json.loads(cli("sessions", "list", "alice", "--json").out)
    assert [one["device"] for one in listed] == ["laptop"] * 3
    kept = listed[0]["handle"]
    shown = json.loads(again("sessions", "show", kept, "--json").out)
    assert (shown["username"], shown["live"]) == ("alice", True)

    told = cli("inspect", "--json", stdin=tokens[2], SESSIONGATE_SECRET_KEY=KEY)
    assert (json.loads(told.out)["verdict"], json.loads(told.out)["handle"]) == ("valid", kept)

    done = cli("sessions", "revoke", "--user", "alice", "--keep", kept, "--yes", "--json")
    assert len(json.loads(done.out)["ended"]) == 2
    assert [manager.validate_session(token) is not None for token in tokens] == [0, 0, 1]
    again("inspect", stdin=tokens[0], SESSIONGATE_SECRET_KEY=KEY, code=1)
    again("sessions", "revoke", kept, "--yes")
    again("sessions", "revoke", kept, "--yes", code=1)
    assert manager.validate_session(bob) is not None

    assert json.loads(cli("purge", "--json").out) == {"removed": waiting}
    assert json.loads(again("stats", "--json").out)["expired"] == 0
    assert again("purge").out == "removed 0 expired sessions\n"


def test_an_api_token_from_its_making_to_its_end(place: Place, tmp_path: Path) -> None:
    cli = Process(place.url)
    cli.secrets.add(PASSWORD)
    key_file = tmp_path / "tokens.key"
    key_file.write_text(KEY)
    with closing(open_store(place.url, timeout=30)) as store:
        app = APITokens(store=store, secret_key=KEY)
        assert app.tokens("alice") == []  # makes the tables
        making = ("tokens", "create", "alice", "--name", "ci", "--expires-in", "90d", "--json")
        limit = ("--max-per-user", "1", "--secret-key-file", str(key_file))
        made = json.loads(cli(*making, *limit).out)
        token, handle = cli.keep_secret(made["token"]), made["handle"]
        again = Caller(place.url, cli.secrets)
        again(*making, *limit, code=1)
        assert app.manager.validate_session(token) is not None
        (listed,) = json.loads(again("tokens", "list", "--json").out)
        assert (listed["handle"], listed["name"]) == (handle, "ci")
        assert listed["last_used"] is not None
        told = again("inspect", "--json", stdin=token, SESSIONGATE_SECRET_KEY=KEY)
        assert json.loads(told.out)["verdict"] == "valid"
        again("sessions", "revoke", handle, "--yes", code=1)
        assert again("tokens", "revoke", handle, "--yes").out == f"ended {handle} of alice\n"
        assert app.manager.validate_session(token) is None
        again("tokens", "revoke", "--user", "alice", "--yes", code=1)


def test_a_store_that_does_not_answer(place: Place) -> None:
    cli = Process(place.url)
    cli.secrets.add(PASSWORD)
    store = open_store(place.url, timeout=30)
    execute(store, session("B" * 22, expires_at=FOREVER))
    store.close()
    place.stop()
    handle = "A" * 22
    assert "Error: " in cli("stats", "--timeout", "0.5", code=3).err
    again = Caller(place.url, cli.secrets)
    for command in (
        ("purge", "--json"),
        ("sessions", "list", "--json"),
        ("sessions", "show", handle),
        ("sessions", "revoke", handle, "--yes"),
        ("sessions", "revoke", "--user", "alice", "--yes", "--json"),
        ("tokens", "list", "--json"),
        ("tokens", "create", "alice", "--name", "ci", "--json"),
    ):
        done = again(*command, "--timeout", "0.5", code=3, SESSIONGATE_SECRET_KEY=KEY)
        assert done.out == ""
        assert "Error: " in done.err


def test_a_wrong_password_is_an_error_that_does_not_repeat_it(place: Place) -> None:
    if place.url.startswith("sqlite"):
        pytest.skip("a file has no password")
    cli = Caller(place.url.replace(PASSWORD, "another-password"))
    cli.secrets.add("another-password")
    cli("stats", "--timeout", "2", code=3)


def test_looking_at_the_wrong_place_makes_nothing_there(place: Place) -> None:
    cli = Caller(place.url)
    cli.secrets.add(PASSWORD)
    if place.url.startswith("redis"):
        assert json.loads(cli("stats", "--json").out)["live"] == 0
        return
    for command in (("stats",), ("purge",), ("sessions", "list")):
        assert "create=False" in cli(*command, code=2).err
    if place.url.startswith("postgres"):
        with place.admin() as admin:
            found = admin.execute("SELECT to_regnamespace('shop')").fetchone()
        assert found == (None,)
    else:
        assert not Path(urlsplit(place.url).path).exists()


def test_many_expired_sessions_are_removed_in_bites(
    place: Place, manager_on: Callable[..., SessionManager]
) -> None:
    earlier = manager_on(place.url, clock=lambda: time.time() - 7200)
    for _ in range(1100):
        earlier.create_session("bob")
    cli = Caller(place.url)
    assert json.loads(cli("stats", "--json").out)["expired"] == 1100
    assert json.loads(cli("purge", "--json").out) == {"removed": 1100}
    assert json.loads(cli("stats", "--json").out)["expired"] == 0


@pytest.mark.parametrize(
    "url",
    [
        f"redis://:{PASSWORD}@127.0.0.1:PORT/0",
        f"rediss://:{PASSWORD}@127.0.0.1:PORT/0",
        f"unix://:{PASSWORD}@/nowhere.sock",
        f"postgresql://owner:{PASSWORD}@127.0.0.1:PORT/postgres",
    ],
)
def test_nobody_listens_there(url: str) -> None:
    cli = Caller(url.replace("PORT", str(free_port())))
    cli.secrets.add(PASSWORD)
    done = cli("stats", "--timeout", "0.5", code=3)
    assert done.out == ""


@pytest.mark.parametrize("program", ["module", "script"])
def test_both_ways_to_call_it(
    tmp_path: Path, manager_on: Callable[..., SessionManager], program: str
) -> None:
    cli = Process(f"sqlite:///{tmp_path}/sessions.db")
    cli.command = (
        (str(PROGRAM),) if program == "script" else (sys.executable, "-m", "sessiongate.cli")
    )
    manager_on(cli.url or "").create_session("alice")
    assert json.loads(cli("stats", "--json").out)["live"] == 1
    assert cli("--help").out.startswith("Usage: sessiongate ")
    assert cli("--version").out.strip()
