"""Promises that hold among processes, on every store that can be shared."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from tests.stores.crowd import Crowd, Outcome, crowd_on, store_at
from tests.stores.mariadb_server import MariaDBServer
from tests.stores.postgres_server import PostgresServer
from tests.stores.redis_cluster import RedisCluster
from tests.stores.redis_server import RedisServer

from sessiongate.core.rotation import NOW
from sessiongate.core.row import FOREVER
from sessiongate.testing.commands import Close, CloseUser, Count, List, Read, execute
from sessiongate.testing.contract._material import POLICY, START, login, session, touch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sessiongate.stores import Store
    from sessiongate.testing.commands import Command

RACERS = 32
DUE = START + POLICY.rotate_after


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def cluster_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    cluster = RedisCluster(tmp_path_factory.mktemp("cluster"))
    cluster.start()
    yield cluster
    cluster.stop()


@pytest.fixture(scope="module")
def postgres_server() -> Iterator[PostgresServer]:
    server = PostgresServer()
    server.start()
    yield server
    server.close()


@pytest.fixture(scope="module")
def mariadb_server() -> Iterator[MariaDBServer]:
    server = MariaDBServer()
    yield server
    server.close()


@pytest.fixture(
    scope="module",
    params=[
        *("guide", "sqlite", "redis", "postgres"),
        pytest.param("mariadb", marks=pytest.mark.slow),
        pytest.param("cluster", marks=pytest.mark.slow),
    ],
)
def address(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("shared")
    if request.param == "guide":
        return f"guide:{folder / 'sessions'}"
    if request.param == "sqlite":
        return f"sqlite:///{folder / 'sessions.db'}"
    url: str = request.getfixturevalue(f"{request.param}_server").url
    return url


@pytest.fixture(scope="module")
def crowd(address: str) -> Iterator[Crowd]:
    with closing(store_at(address)) as store:
        store.count(START)  # what a store makes at its first use is there
    with crowd_on(address) as crowd:
        yield crowd


@pytest.fixture
def store(address: str) -> Iterator[Store]:
    with closing(store_at(address)) as store:
        while store.sweep(FOREVER, 1_000):
            """What another test has left."""
        yield store


def total(store: Store, limit: int) -> dict[str, Any]:
    """A limit over all users, where the store can keep one."""
    return {} if getattr(store, "sharded", False) else {"limit": limit}


def kinds(outcomes: Sequence[Outcome]) -> Counter[str]:
    return Counter(outcome.kind for outcome in outcomes)


def test_one_due_token_gets_one_successor(crowd: Crowd, store: Store) -> None:
    row = session()
    execute(store, login(row))
    outcomes = crowd.race([touch(row, DUE)] * RACERS)
    assert kinds(outcomes) == {"Rotated": 1, "Row": RACERS - 1}
    assert {outcome.generation for outcome in outcomes} == {1}


def test_of_parallel_refreshes_one_succeeds(crowd: Crowd, store: Store) -> None:
    row = session()
    execute(store, login(row))
    outcomes = crowd.race([touch(row, START, rotation=NOW)] * RACERS)
    assert kinds(outcomes) == {"Rotated": 1, "NoneType": RACERS - 1}
    assert execute(store, Read(row.sid, START)).generation == 1


def test_a_replay_ends_the_session_once(crowd: Crowd, store: Store) -> None:
    row = session(generation=1, oldest_accepted=1)
    execute(store, login(row))
    outcomes = crowd.race([touch(row, START, generation=0)] * RACERS)
    assert kinds(outcomes) == {"Replayed": 1, "NoneType": RACERS - 1}
    assert execute(store, Read(row.sid, START)) is None


@pytest.mark.parametrize("evict", [False, True], ids=["reject", "evict"])
@pytest.mark.parametrize(
    ("limits", "live"), [({"limit": 7}, 7), ({"user_limit": 3}, 6)], ids=["total", "user"]
)
def test_limits_are_exact(
    crowd: Crowd, store: Store, limits: dict[str, Any], live: int, *, evict: bool
) -> None:
    if "limit" in limits and not total(store, 7):
        pytest.skip("a sharded store keeps no limit over all users")
    logins = [
        login(session(number, f"user {number % 2}"), evict=evict, **limits)
        for number in range(RACERS)
    ]
    outcomes = crowd.race(logins)
    opened = [outcome for outcome in outcomes if outcome.kind == "Opened"]
    ended = [sid for outcome in opened for sid in outcome.ended]
    assert kinds(outcomes) == (
        {"Opened": RACERS} if evict else {"Opened": live, "LimitReached": RACERS - live}
    )
    assert len(ended) == len(set(ended)) == (RACERS - live if evict else 0)
    assert execute(store, Count(START)) == live
    left = {row.sid for row in execute(store, List(None, START))}
    assert left == {outcome.sid for outcome in opened} - set(ended)


def test_logins_that_reuse_share_one_session(crowd: Crowd, store: Store) -> None:
    outcomes = crowd.race(
        [login(session(n), existing="reuse", **total(store, 1)) for n in range(RACERS)]
    )
    assert kinds(outcomes) == {"Opened": 1, "Existing": RACERS - 1}
    assert len({outcome.sid for outcome in outcomes}) == 1
    assert execute(store, Count(START)) == 1


@pytest.mark.slow
def test_500_logouts_are_final(crowd: Crowd, store: Store) -> None:
    for number in range(125):
        rows = [session(f"{number} {name}", f"user {name}") for name in range(4)]
        for row in rows:
            execute(store, login(row))
        against: list[Command] = [
            touch(rows[0], START + 2 * POLICY.touch_every),
            touch(rows[1], DUE),
            touch(rows[2], START, rotation=NOW),
            login(session(f"{number} again", "user 3"), existing="reuse"),
        ]
        ends = [Close(row.sid, START) for row in rows]
        outcomes = crowd.race([*against, *ends, *against])
        assert kinds(outcomes[4:8]) == {"Ended": 4}, f"round {number}"
        assert [execute(store, Read(row.sid, START)) for row in rows] == [None] * 4
        reused = {o.sid for o in (outcomes[3], outcomes[11]) if o.kind in {"Opened", "Existing"}}
        again = session(f"{number} again", "user 3").sid
        left = {row.sid for row in execute(store, List(None, START))}
        assert left == {again} & reused
        execute(store, CloseUser("user 3", None, START))


@pytest.mark.slow
def test_a_crowd_of_logins_of_one_user_fails_for_nobody(crowd: Crowd, store: Store) -> None:
    many = 100
    outcomes = crowd.race(
        [login(session(n), user_limit=5, evict=True, **total(store, 50)) for n in range(many)]
    )
    assert kinds(outcomes) == {"Opened": many}
    ended = [sid for outcome in outcomes for sid in outcome.ended]
    assert len(ended) == len(set(ended)) == many - 5
    assert execute(store, Count(START)) == 5
