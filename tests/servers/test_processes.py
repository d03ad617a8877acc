"""Four servers in four processes on one store: rotation and logout under parallel requests."""

from __future__ import annotations

from collections import Counter
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Final

import pytest
from tests.servers.fleet import Call, Fleet, serving
from tests.servers.worker import TIMEOUT
from tests.stores.postgres_server import PostgresServer
from tests.stores.redis_server import RedisServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

SERVERS: Final = ("uvicorn", "uvicorn", "werkzeug", "gunicorn")
DUE: Final = TIMEOUT / 2 + 1
PARALLEL: Final = 100
RACERS: Final = 20


@contextmanager
def sqlite(directory: Path) -> Iterator[str]:
    yield f"sqlite://{directory / 'sessions.db'}"


@contextmanager
def redis(directory: Path) -> Iterator[str]:
    with started(RedisServer(directory)) as url:
        yield url


@contextmanager
def postgres(_directory: Path) -> Iterator[str]:
    with closing(PostgresServer()) as server, started(server) as url:
        yield url


@contextmanager
def started(server: RedisServer | PostgresServer) -> Iterator[str]:
    server.start()
    try:
        yield server.url
    finally:
        server.stop()


STORES: Final[dict[str, Callable[[Path], AbstractContextManager[str]]]] = {
    "sqlite": sqlite,
    "redis": redis,
    "postgres": postgres,
}


@pytest.fixture(
    scope="module",
    params=[(name, "opaque") for name in STORES] + [("sqlite", "jwt")],
    ids="-".join,
)
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Fleet]:
    name, manager = request.param
    directory = tmp_path_factory.mktemp(name)
    with STORES[name](directory) as url, serving(SERVERS, manager, url, directory) as fleet:
        yield fleet


@pytest.fixture
def fleet(running: Fleet) -> Fleet:
    running.told()
    return running


@pytest.mark.parametrize("rounds", [4, pytest.param(20, marks=pytest.mark.slow)])
def test_a_hundred_parallel_requests_get_one_successor(fleet: Fleet, rounds: int) -> None:
    token = fleet.log_in(0)
    for number in range(rounds):
        fleet.clock.advance(DUE)
        answers = fleet.volley(
            Call(i % len(fleet), "/me", token, "cookie" if i // len(fleet) % 2 else "bearer")
            for i in range(PARALLEL)
        )
        assert [answer.status for answer in answers] == [200] * PARALLEL
        assert {answer.content["username"] for answer in answers} == {"alice"}
        (successor,) = {answer.successor for answer in answers}
        assert successor not in {None, token}
        assert isinstance(successor, str)
        token = successor
        if number % 2:  # else a rotation falls into the overlap of the one before
            seen = fleet.ask(Call(number % len(fleet), "/me", token))
            assert (seen.status, seen.successor) == (200, None)
    assert fleet.told() == ["login", *["rotated"] * rounds]


@pytest.mark.parametrize("rounds", [10, pytest.param(200, marks=pytest.mark.slow)])
def test_a_logout_is_final_whatever_is_in_flight(fleet: Fleet, rounds: int) -> None:
    for number in range(rounds):
        token = fleet.log_in(number % len(fleet))
        fleet.clock.advance(DUE)
        calls = [Call(i % len(fleet), "/me", token) for i in range(RACERS)]
        at, server = number * 7 % (RACERS + 1), number // 4 % len(fleet)
        calls.insert(at, Call(server, "/logout", token, method="POST"))
        answers = fleet.volley(calls)
        logout = answers.pop(at)
        # Where a reader of the token was first, the logout that follows is still allowed.
        assert (logout.status, logout.successor) == (200, None)
        assert {answer.status for answer in answers} <= {200, 401}
        issued = {token} | {answer.successor for answer in answers if answer.successor}
        assert len(issued) <= 2
        late = fleet.volley(
            Call(server, "/me", one, transport)
            for one in issued
            for server in range(len(fleet))
            for transport in ("cookie", "bearer")
        )
        assert {(answer.status, answer.successor) for answer in late} == {(401, None)}
        # A rotation may be told whose token was kept back, because the logout was faster.
        told = Counter(fleet.told())
        assert told.pop("rotated", 0) in {len(issued) - 1, 1}
        assert told == {"login": 1, "logout": 1}
