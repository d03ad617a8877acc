"""RedisStore with Sentinel: a primary that is replaced, TLS, and users with few rights."""

from __future__ import annotations

import asyncio
import re
import shutil
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
import redis
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.sentinel import Sentinel
from tests.stores.checks import Checks
from tests.stores.redis_cluster import RedisCluster
from tests.stores.redis_sentinels import SERVICE, Watched
from tests.stores.redis_server import RedisServer, certificates

from sessiongate import SessionManager
from sessiongate.core.row import FOREVER
from sessiongate.errors import StoreError
from sessiongate.stores.redis import RedisStore
from sessiongate.testing import StoreContract
from sessiongate.testing.commands import Close, Count, execute
from sessiongate.testing.contract._material import START, login, session
from sessiongate.testing.contract._verbs import Verbs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE: Any = {"connect_timeout": 10, "timeout": 10}
UNHURRIED: Any = {"connect_timeout": 1, "timeout": 0.5}
PROMISED = 6
"""Seconds. The promise is one; the rest is for a machine that is busy with other tests."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    watched = Watched(tmp_path_factory.mktemp("watched"))
    watched.start()
    yield watched
    watched.stop()


@pytest.fixture
def watched(shared: Watched) -> Watched:
    """All well, and without data."""
    with shared.primary.admin() as admin:
        admin.flushall()
    return shared


@pytest.fixture
def fragile(tmp_path: Path) -> Iterator[Watched]:
    """A pair of the test's own, to be maltreated."""
    watched = Watched(tmp_path, patience=4000)
    watched.start()
    yield watched
    watched.stop()


@pytest.fixture
def store(watched: Watched) -> Iterator[RedisStore]:
    with closing(RedisStore(watched.url, **PATIENCE)) as store:
        yield store


class TestWithSentinel(Verbs):
    verb = StoreContract.verb


# Where to ask.


def test_a_wrong_service_is_an_error_that_names_the_remedy(watched: Watched) -> None:
    with closing(RedisStore(watched.url.replace(SERVICE, "other"), **PATIENCE)) as store:
        with pytest.raises(StoreError, match=r"'other'.*redis\+sentinel://host:26379/SERVICE/0"):
            store.read("sid")
        with pytest.raises(StoreError, match=r"'other'.*redis\+sentinel://host:26379/SERVICE/0"):
            asyncio.run(_read(store))


def test_a_server_that_is_no_sentinel_is_an_error_that_names_the_remedy(watched: Watched) -> None:
    url = f"redis+sentinel://127.0.0.1:{watched.primary.port}/{SERVICE}/0"
    with (
        closing(RedisStore(url, **PATIENCE)) as store,
        pytest.raises(StoreError, match="no sentinel: take redis://"),
    ):
        store.read("sid")


def test_a_list_of_sentinels_may_be_partly_dead(watched: Watched) -> None:
    url = watched.url.replace("//", "//127.0.0.1:1,127.0.0.1:2,")
    with closing(RedisStore(url, **PATIENCE)) as store:
        assert execute(store, Count(START)) == 0
        asyncio.run(_read(store))


def test_where_no_sentinel_answers_that_is_a_fast_error() -> None:
    url = f"redis+sentinel://127.0.0.1:1,127.0.0.1:2/{SERVICE}/0"
    with closing(RedisStore(url)) as store:
        started = time.monotonic()
        with pytest.raises(
            StoreError,
            match=f"127.0.0.1:1,127.0.0.1:2/{SERVICE} failed.*no sentinel",
        ):
            store.read("sid")
        assert time.monotonic() - started < PROMISED


def test_where_no_sentinel_answers_its_settings_are_not_shown() -> None:
    url = f"redis+sentinel://alice:sesame@127.0.0.1:1/{SERVICE}/0?sentinel_username=bob"
    for read in (RedisStore.read, lambda store, _: asyncio.run(_read(store))):
        with closing(RedisStore(url)) as store, pytest.raises(StoreError) as failed:
            read(store, "sid")
        assert "no sentinel names the primary: " in str(failed.value)
        assert not re.search(r"<|name the service|username|bob", str(failed.value))


def test_clients_of_a_sentinel_will_do(watched: Watched) -> None:
    async def scenario() -> None:
        where = [("127.0.0.1", watched.sentinel.port)]
        sentinel: Any = Sentinel(where)  # type: ignore[no-untyped-call]
        async_sentinel: Any = AsyncSentinel(where)  # type: ignore[no-untyped-call]
        client = sentinel.master_for(SERVICE)
        async_client = async_sentinel.master_for(SERVICE)
        store = RedisStore(client=client, async_client=async_client)
        execute(store, login(session()))
        assert await store.aread(session().sid) is not None
        await store.aclose()
        for one in (client, *sentinel.sentinels):
            one.close()
        for one in (async_client, *async_sentinel.sentinels):
            await one.aclose()

    asyncio.run(scenario())


def test_a_primary_that_was_demoted_is_not_believed(fragile: Watched) -> None:
    """Nor does it matter who demoted it, and that no sentinel has noticed."""
    with closing(RedisStore(fragile.url, **PATIENCE)) as store:
        execute(store, login(session()))
    fragile.sentinel.freeze()
    with fragile.replica.admin() as replica, fragile.primary.admin() as primary:
        replica.replicaof("NO", "ONE")
        primary.replicaof("127.0.0.1", fragile.replica.port)
    fragile.sentinel.thaw()
    with closing(RedisStore(fragile.url, **PATIENCE)) as store:
        with pytest.raises(StoreError, match="is not the primary"):
            store.read(session().sid)
        with pytest.raises(StoreError, match="is not the primary"):
            asyncio.run(_read(store))


async def _read(store: RedisStore) -> None:
    await store.aread(session().sid)


# The primary is replaced.


@pytest.mark.slow
@pytest.mark.parametrize("how", ["killed", "frozen", "asked"])
def test_a_failover_under_load_needs_no_restart_and_loses_nothing(
    fragile: Watched, how: str
) -> None:
    fragile.wait_for_replica()
    store = RedisStore(fragile.url, **UNHURRIED)
    manager = SessionManager(
        store=store,
        secret_key="k" * 64,
        max_concurrent_sessions=None,
        existing="new",
        touch_every=0,
    )
    kept = [str(manager.create_session("alice")) for _ in range(20)]
    late = [str(manager.create_session("carol")) for _ in range(5)]
    ended = [str(manager.create_session("bob")) for _ in range(20)]
    for token in ended:
        assert manager.invalidate_session(token) == (True, "bob")
    fragile.primary.wait_for_replica()  # what Redis promises to keep is what that one has
    checks = Checks(manager, kept, ended)
    assert checks.served.wait(60)
    {"killed": fragile.primary.kill, "frozen": fragile.primary.freeze}.get(
        how, lambda: _ask_for_failover(fragile)
    )()
    fragile.wait_for_failover()
    checks.go_on()
    if how == "asked":  # the old primary goes on, as if nothing had happened
        fragile.wait(lambda: not users_of(fragile.primary))
    with store_of(fragile.replica) as direct:
        assert execute(direct, Count(0)) == 25
    for token in late:  # of that the old primary knows nothing
        assert manager.invalidate_session(token) == (True, "carol")
    ended[:5] = late
    if how == "killed":
        fragile.primary.start()  # with nothing in it, and as a primary for a moment
    if how == "frozen":
        fragile.primary.thaw()  # with what it had, and as a primary for a moment
    fragile.wait(lambda: fragile.info(fragile.primary)["role"] == "slave")
    checks.go_on()
    assert manager.session_username(str(manager.create_session("carol"))) == "carol"
    checks.stop()
    store.close()
    assert not checks.wrong
    assert {type(error) for error in checks.errors} <= {StoreError}
    assert checks.slowest < PROMISED
    assert checks.errors or how == "asked"


def users_of(server: RedisServer) -> list[Any]:
    """Who is connected, but for the sentinel and this test."""
    with server.admin() as admin:
        mine = admin.client_id()
        clients: Any = admin.client_list(_type="normal")
    return [
        one for one in clients if not one["name"].startswith("sentinel") and int(one["id"]) != mine
    ]


def store_of(server: RedisServer) -> closing[RedisStore]:
    return closing(RedisStore(server.url, **PATIENCE))


def _ask_for_failover(watched: Watched) -> None:
    def agrees() -> bool:
        with watched.sentinel.admin() as admin:
            try:
                admin.execute_command("SENTINEL", "FAILOVER", SERVICE)
            except redis.ResponseError as error:  # it has not heard of the replica lately
                return "NOGOODSLAVE" not in str(error)
        return True

    watched.wait(agrees)


@pytest.mark.slow
def test_the_feed_follows_the_primary(fragile: Watched) -> None:
    fragile.wait_for_replica()
    with closing(RedisStore(fragile.url, **UNHURRIED)) as store:
        feed = store.feed()
        _until_proven(feed)
        fragile.primary.kill()
        with pytest.raises(StoreError):
            _until_proven(feed)
        fragile.wait_for_failover()
        execute(store, login(session()))
        feed = store.feed()
        _until_proven(feed)
        execute(store, Close(session().sid, START))
        end = time.monotonic() + 30
        news: list[Any] = []
        while not news and time.monotonic() < end:
            news = [one for one in feed.wait(0.1) if one is not None]
        assert news == [(session().sid, FOREVER)]
        feed.close()


def _until_proven(feed: Any) -> None:
    feed.probe()
    end = time.monotonic() + 30
    while None not in feed.wait(0.1):
        assert time.monotonic() < end


# TLS, and users with few rights.

RIGHTS = (
    "on >sesame ~sessiongate:* &sessiongate:* -@all +@connection +@read +@write +@scripting "
    "+publish +subscribe +unsubscribe +time"
)
"""As the documentation gives them."""


def test_a_user_with_the_documented_rights_can_do_all(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    server.start()
    with server.admin() as admin:
        admin.execute_command("ACL", "SETUSER", "app", *RIGHTS.split())
    url = server.url.replace("//", "//app:sesame@")
    with closing(RedisStore(url, **PATIENCE)) as store:
        feed = store.feed()
        _until_proven(feed)
        execute(store, login(session(), limit=3, user_limit=2, existing="reuse"))
        execute(store, Close(session().sid, START))
        execute(store, login(session(2), limit=1, evict=True))
        assert execute(store, Count(START)) == 1
        assert store.sweep(FOREVER, 10) == 1
        feed.close()
    server.stop()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["", "+sentinel", "+cluster"])
def test_tls_and_a_user_of_its_own_go_with_every_kind(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    files = certificates(tmp_path)
    tls = ["--tls-auth-clients", "no", "--tls-replication", "yes", "--tls-cluster", "yes"]
    for name in ("cert", "key", "ca-cert"):
        tls += [f"--tls-{name}-file", str(files[name])]
    if kind == "+cluster":
        made: Any = RedisCluster(tmp_path, options=tuple(tls), over_tls=True)
        servers = made.nodes
    elif kind == "+sentinel":
        made = Watched(tmp_path, *tls, over_tls=True)
        servers = [made.primary, made.replica]
    else:
        made = RedisServer(tmp_path, *tls, over_tls=True)
        servers = [made]
    request.addfinalizer(made.stop)
    made.start()
    for server in servers:
        with server.admin() as admin:
            rights = f"{RIGHTS} +cluster|slots +cluster|shards".split()
            admin.execute_command("ACL", "SETUSER", "app", *rights)
    url = made.url.replace("redis", "rediss", 1).replace("//", "//app:sesame@")
    with closing(RedisStore(f"{url}?ssl_ca_certs={files['ca-cert']}", **PATIENCE)) as store:
        execute(store, login(session(), user_limit=2))
        assert asyncio.run(_found(store))
        execute(store, Close(session().sid, START))
        assert execute(store, Count(START)) == 0
        assert "sesame" not in repr(store)
    with (
        closing(RedisStore(made.url.replace("redis", "rediss", 1), **PATIENCE)) as store,
        pytest.raises(StoreError, match=r"CERTIFICATE_VERIFY_FAILED|no sentinel names the primary"),
    ):
        store.read("sid")


async def _found(store: RedisStore) -> bool:
    return await store.aread(session().sid) is not None


# Valkey.


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("valkey-server") is None, reason="needs valkey-server on the PATH")
class TestValkey(StoreContract):
    PROGRAMS, PAIRS, TRIPLES = 5, 20, 50

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[RedisStore]:
        server = RedisServer(tmp_path, binary="valkey-server")
        server.start()
        with closing(RedisStore(server.url, **PATIENCE)) as store:
            yield store
        server.stop()
