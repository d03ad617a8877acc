"""``sessiongate doctor``: what it finds on real servers, and what it says of keys and cookies."""

from __future__ import annotations

import json
import re
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from tests.cli.calling import KEY, Caller, everything, on_a_terminal
from tests.stores.redis_cluster import RedisCluster
from tests.stores.redis_server import RedisServer

from sessiongate.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sessiongate.stores import SQLiteStore

APP = """
from sessiongate import SessionCookie, SessionManager
from sessiongate.stores import SQLiteStore
from sessiongate.wsgi import SessionAuthMiddleware

def served(environ, start_response):
    raise NotImplementedError

manager = SessionManager(store=SQLiteStore({file!r}), secret_key={key!r})
insecure = SessionAuthMiddleware(served, manager, cookie=SessionCookie().for_http())
secure = SessionAuthMiddleware(served, manager)
"""


def findings(caller: Caller, *arguments: str, code: int) -> dict[str, dict[str, Any]]:
    done = caller("doctor", *arguments, "--json", code=code)
    return {one["subject"]: one for one in json.loads(done.out)}


def verdicts(found: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {subject: one["verdict"] for subject, one in found.items()}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.kill()  # while it writes its first file it would not stop


def test_a_store_that_is_well_leaves_nothing_to_mend(cli: Caller, store: SQLiteStore) -> None:
    store.count(0)
    found = findings(cli, "--timeout", "30", code=0)
    assert verdicts(found) == dict.fromkeys(
        ("store", "writing", "feed", "version", "persistence"), "good"
    ) | {"persistence": "good"}
    assert everything(store) == ((), 0), "what it wrote is gone"


def test_a_redis_that_forgets_and_drops_is_to_be_mended(server: RedisServer) -> None:
    caller = Caller(server.url)
    found = findings(caller, "--timeout", "30", code=1)
    assert verdicts(found) == {
        **dict.fromkeys(("store", "writing", "feed", "version", "eviction", "clock"), "good"),
        "persistence": "mend",
    }
    assert "appendonly yes" in found["persistence"]["remedy"]
    with server.admin() as admin:
        admin.config_set("appendonly", "yes")
        admin.config_set("maxmemory-policy", "allkeys-lru")
    found = findings(caller, "--timeout", "30", code=1)
    assert (found["persistence"]["verdict"], found["eviction"]["verdict"]) == ("good", "mend")
    assert "noeviction" in found["eviction"]["remedy"]
    with server.admin() as admin:
        admin.config_set("maxmemory-policy", "noeviction")
    findings(caller, "--timeout", "30", code=0)


def test_what_a_user_of_the_server_may_not_do_is_named(server: RedisServer) -> None:
    with server.admin() as admin:
        admin.config_set("appendonly", "yes")
        rights = ["on", ">sesame", "~*", "+@all", "-info", "-config", "-publish"]
        admin.execute_command("ACL", "SETUSER", "app", *rights)
    caller = Caller(server.url.replace("//", "//app:sesame@"), secrets={"sesame"})
    found = findings(caller, "--timeout", "30", code=1)
    assert found["feed"]["verdict"] == "mend"
    assert "publish" in found["feed"]["remedy"]
    assert found["persistence"]["verdict"] == "unknown"
    with server.admin() as admin:
        admin.execute_command("ACL", "SETUSER", "app", "-evalsha", "-eval", "+info")
    found = findings(caller, "--timeout", "30", code=1)
    assert found["persistence"]["verdict"] == "unknown", "how often it is synced, it may not ask"
    assert found["writing"]["verdict"] == "mend"


def test_a_store_that_does_not_answer_is_one_finding() -> None:
    found = findings(Caller("redis://127.0.0.1:1"), code=1)
    assert verdicts(found) == {"store": "mend"}
    assert "127.0.0.1:1" in found["store"]["said"]


@pytest.mark.slow
def test_each_node_of_a_cluster_is_looked_at(tmp_path: Path) -> None:
    cluster = RedisCluster(tmp_path)
    cluster.start()
    found = findings(Caller(cluster.url), "--timeout", "30", code=1)
    nodes = {subject for subject in found if subject.startswith("persistence")}
    assert nodes == {f"persistence 127.0.0.1:{node.port}" for node in cluster.nodes}
    assert found["writing"]["verdict"] == "good"
    assert found["feed"]["verdict"] == "note"
    with closing(open_store(cluster.url, timeout=30)) as store:
        assert everything(store) == ((), 0)
    cluster.stop()


AWAITED = """
from sqlalchemy import NullPool
from sqlalchemy.ext.asyncio import create_async_engine
from sessiongate import SessionManager, StoreError
from sessiongate.stores import RedisStore, SQLAlchemyStore, SQLiteStore
import redis.asyncio

class HalfDead(SQLiteStore):
    def facts(self):
        raise StoreError("one of its nodes does not answer")

options = dict(max_concurrent_sessions=9, max_lifetime=9)

def manager_on(store):
    return SessionManager(store=store, secret_key={key!r}, **options)

engine = create_async_engine("sqlite+aiosqlite:///{file}", poolclass=NullPool)
sqlalchemy = manager_on(SQLAlchemyStore(async_engine=engine, timeout=30))
half_dead = manager_on(HalfDead({file!r} + "2", timeout=30))
client = redis.asyncio.Redis.from_url("redis://127.0.0.1:1")
dead = manager_on(RedisStore(async_client=client))
"""


def test_a_store_to_await_is_looked_at_and_one_that_answers_in_part_is_to_be_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    text = AWAITED.format(file=str(tmp_path / "s.db"), key=KEY)
    (tmp_path / "awaited_app.py").write_text(text)
    caller = Caller(secrets={KEY})

    def look_at(name: str, code: int) -> dict[str, dict[str, Any]]:
        monkeypatch.delitem(sys.modules, "awaited_app", raising=False)
        return findings(caller, "--manager", f"awaited_app:{name}", code=code)

    expected = {"store": "good", "writing": "good", "feed": "note"}
    assert verdicts(look_at("sqlalchemy", 0)) == expected
    assert verdicts(look_at("half_dead", 1))["engine"] == "mend"
    found = look_at("dead", 1)
    assert verdicts(found) == {"store": "mend"}
    assert "Connect call failed" in found["store"]["said"]


def test_a_module_that_cannot_be_imported_is_named_without_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "app_that_fails.py").write_text("\nraise ValueError('sesame')\n")
    caller = Caller(secrets={"sesame"})
    said = caller("doctor", "--manager", "app_that_fails:manager", code=2).err
    assert "ValueError in" in said
    assert "app_that_fails.py, line 2" in said


def test_a_weak_key_is_to_be_mended(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("hunter2")
    caller = Caller(secrets={"hunter2"})
    found = findings(caller, "--secret-key-file", str(file), code=1)
    assert "keygen" in found["key"]["remedy"]
    file.write_text(KEY)
    caller.secrets |= {KEY}
    assert verdicts(findings(caller, "--secret-key-file", str(file), code=0)) == {"key": "good"}
    arguments = ("--secret-key-file", str(file), "--algorithm", "HS512")
    assert verdicts(findings(caller, *arguments, code=0)) == {"key": "good"}
    (tmp_path / "old").write_text("hunter2")
    old = ("--secret-key-file", str(tmp_path / "old"))
    for more in ((), ("--algorithm", "HS512")):
        found = findings(caller, "--secret-key-file", str(file), *old, *more, code=1)
        assert verdicts(found) == {"key": "mend"}, "one that only verifies makes tokens as well"


def test_a_manager_and_its_cookie_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)  # and taken away again, whatever the command adds
    text = APP.format(file=str(tmp_path / "s.db"), key="hunter2" * 2)
    (tmp_path / "app_of_the_doctor.py").write_text(text)
    caller = Caller(secrets={"hunter2"})

    def look_at(name: str) -> dict[str, str]:
        monkeypatch.delitem(sys.modules, "app_of_the_doctor", raising=False)
        return verdicts(findings(caller, "--manager", f"app_of_the_doctor:{name}", code=1))

    found = look_at("insecure")
    assert (found["key"], found["cookie"], found["writing"]) == ("mend", "mend", "good")
    assert (found["limit"], found["lifetime"]) == ("note", "note")
    assert look_at("secure")["cookie"] == "good"
    assert "cookie" not in look_at("manager")
    for wrong in (
        "app_of_the_doctor",
        "app_of_the_doctor:nothing",
        "no_app:manager",
        "app_of_the_doctor:served",
    ):
        assert "--manager" in caller("doctor", "--manager", wrong, code=2).err


def test_with_nothing_to_look_at_it_says_what_to_give() -> None:
    assert "--manager MODULE:NAME" in Caller()("doctor", code=2).err


def test_a_terminal_gets_colours_and_a_pipe_tabs(
    cli: Caller, file: Path, store: SQLiteStore
) -> None:
    store.count(0)
    lines = cli("doctor", "--timeout", "30").out.splitlines()
    assert all(line.split("\t")[0] == "good" for line in lines)
    shown = on_a_terminal(f"sqlite:///{file}", "doctor", "--timeout", "30")
    assert re.search(r"\x1b\[32mgood", shown)
