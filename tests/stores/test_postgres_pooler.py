"""PostgresStore behind pgbouncer: what works in each of its modes, and what must be set."""

from __future__ import annotations

import asyncio
import re
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.stores.pgbouncer import any_pooler
from tests.stores.postgres_server import PostgresServer

from sessiongate import StoreError
from sessiongate.core.rotation import NOW
from sessiongate.core.row import Row
from sessiongate.stores import PostgresStore
from sessiongate.testing.commands import Close, List, Read, aexecute, execute
from sessiongate.testing.contract._material import HOUR, START, login, named, session, touch
from sessiongate.testing.outcomes import Ended, Opened, Rotated

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE: Any = {"connect_timeout": 30, "timeout": 30}
CLIENTS = 6


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with closing(PostgresServer()) as server:
        server.start()
        with server.admin() as admin:
            admin.execute(PostgresStore.schema().encode())
        yield server


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_many_clients_take_turns_on_the_servers(server: PostgresServer, mode: str) -> None:
    """In transaction mode each statement may go to another server process."""

    def live(store: PostgresStore, number: int) -> None:
        for turn in range(8):
            user = f"{mode} {number} {turn}"
            row = session("one", user)
            assert isinstance(execute(store, login(row, user_limit=2, evict=True)), Opened)
            assert isinstance(execute(store, Read(row.sid, START)), Row)
            half = START + HOUR // 2
            assert isinstance(execute(store, touch(row, half, rotation=NOW)), Rotated)
            assert len(execute(store, List(user, half))) == 1
            assert execute(store, Close(row.sid, half)) == Ended(row.sid, user)
            assert execute(store, Read(row.sid, half)) is None

    async def alive(store: PostgresStore, number: int) -> None:
        row = session("two", f"{mode} {number}")
        assert isinstance(await aexecute(store, login(row, limit=10**6)), Opened)
        assert isinstance(await aexecute(store, Read(row.sid, START)), Row)
        assert await aexecute(store, Close(row.sid, START)) == Ended(row.sid, row.username)

    async def all_alive(store: PostgresStore) -> None:
        await asyncio.gather(*(alive(store, number) for number in range(CLIENTS)))

    with (
        any_pooler(server, mode) as pooler,
        closing(PostgresStore(pooler.url, **PATIENCE, max_size=CLIENTS)) as store,
        ThreadPoolExecutor(CLIENTS) as threads,
    ):
        list(threads.map(partial(live, store), range(CLIENTS)))
        asyncio.run(all_alive(store))


def test_the_advice_of_the_guide_is_taken_and_kept(server: PostgresServer) -> None:
    guide = (Path(__file__).parents[2] / "docs/deployment.md").read_text(encoding="utf-8")
    advice = re.findall(r"```sql\n(.*?)```", guide, re.DOTALL)
    assert len(advice) == 2
    with server.admin() as admin:
        admin.execute("CREATE ROLE app")
        for sql in (*advice, PostgresStore.schema()):
            admin.execute(sql.encode())
        ((table,),) = admin.execute(
            "SELECT reloptions FROM pg_class WHERE oid = 'sessiongate.session'::regclass"
        ).fetchall()
        ((role,),) = admin.execute(
            "SELECT rolconfig FROM pg_roles WHERE rolname = 'app'"
        ).fetchall()
    assert {"fillfactor=90", "autovacuum_vacuum_scale_factor=0.02"} < set(table)
    assert "statement_timeout=200ms" in role
    (advised,) = re.findall(r"^    (pool_mode = .*?)\n\n", guide, re.DOTALL | re.MULTILINE)
    with any_pooler(server) as pooler:
        assert {line.strip() for line in advised.splitlines()} < set(pooler.settings.splitlines())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "ignored", "remedy"),
    [
        ("transaction", "", "ignore_startup_parameters = options"),
        ("statement", "options", "pool_mode = transaction"),
    ],
)
def test_a_pooler_that_is_set_otherwise_is_an_error_that_names_the_remedy(
    server: PostgresServer, mode: str, ignored: str, remedy: str
) -> None:
    async def read(store: PostgresStore) -> None:
        await store.aread(named("one"))

    with (
        any_pooler(server, mode, ignored) as pooler,
        closing(PostgresStore(pooler.url, connect_timeout=1, timeout=1)) as store,
    ):
        with pytest.raises(StoreError, match=remedy):
            store.read(named("one"))
        with pytest.raises(StoreError, match=remedy):
            asyncio.run(read(store))


@pytest.mark.slow
def test_a_server_that_is_killed_behind_a_pooler_is_an_error_until_it_is_back(
    server: PostgresServer,
) -> None:
    with (
        any_pooler(server) as pooler,
        closing(PostgresStore(pooler.url, connect_timeout=2, timeout=1)) as store,
    ):
        execute(store, login(session()))
        server.kill()
        for _ in range(2):
            with pytest.raises(StoreError):
                store.read(session().sid)
        server.start()
        end = time.monotonic() + 60
        while not found(store):  # the pooler tries again when a second has passed
            assert time.monotonic() < end
            time.sleep(0.1)


def found(store: PostgresStore) -> bool:
    with suppress(StoreError):
        assert store.read(session().sid) is not None, "what was acknowledged is there"
        return True
    return False
