"""Many at once, by threads and by tasks: limits hold and each race has one winner."""

from __future__ import annotations

import asyncio
import random
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest
from tests.managers.verbs import KEY

from sessiongate import JWTSessionManager, SessionManager, SingleSessionManager

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RACERS = 24
MANY = [SessionManager, JWTSessionManager]
Kind = type[SessionManager]


@pytest.fixture(autouse=True)
def _threads_change_often() -> Iterator[None]:
    """So often that whoever forgot a lock is found out."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def by_threads(*calls: Callable[[], Any]) -> list[Any]:
    """The results of calls that all begin at one moment."""
    gate = Barrier(len(calls))

    def start(call: Callable[[], Any]) -> Any:
        gate.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(start, calls))


@pytest.mark.parametrize("cls", MANY)
@pytest.mark.parametrize("existing", ["reuse", "new", "replace"])
def test_threads_at_the_limit_leave_exactly_the_limit(cls: Kind, existing: Any) -> None:
    m = cls(3600, 5, secret_key=KEY, existing=existing)
    tokens = by_threads(*(lambda i=i: m.create_session(f"user{i}") for i in range(RACERS)))
    assert sum(token is not None for token in tokens) == 5
    assert m.n_active_sessions() == len(m.sessions) == 5
    assert all(m.validate_session(token) for token in tokens if token)


@pytest.mark.parametrize("cls", MANY)
def test_tasks_at_the_limit_leave_exactly_the_limit(cls: Kind) -> None:
    m = cls(3600, 5, secret_key=KEY)

    async def race() -> list[str | None]:
        return await asyncio.gather(*(m.acreate_session(f"user{i}") for i in range(RACERS)))

    assert sum(token is not None for token in asyncio.run(race())) == 5
    assert m.n_active_sessions() == 5


@pytest.mark.parametrize("cls", MANY)
def test_evicting_threads_leave_exactly_the_limit(cls: Kind) -> None:
    m = cls(3600, 5, secret_key=KEY, on_limit="evict_oldest")
    tokens = by_threads(*(lambda i=i: m.create_session(f"user{i}") for i in range(RACERS)))
    assert None not in tokens
    assert sum(m.validate_session(token) is not None for token in tokens) == 5


def test_of_many_single_sessions_one_is_opened() -> None:
    m = SingleSessionManager()
    tokens = by_threads(*(lambda i=i: m.create_session(f"user{i}") for i in range(RACERS)))
    assert sum(token is not None for token in tokens) == 1


@pytest.mark.parametrize("cls", MANY)
def test_one_user_at_many_doors_gets_one_token(cls: Kind) -> None:
    m = cls(3600, 5, secret_key=KEY)
    assert len(set(by_threads(*[lambda: m.create_session("alice")] * RACERS))) == 1


@pytest.mark.parametrize("cls", MANY)
def test_of_parallel_refreshes_exactly_one_succeeds(cls: Kind) -> None:
    m = cls(3600, 1, secret_key=KEY)
    token = m.create_session("alice") or ""
    for _ in range(5):
        new = by_threads(*[partial(m.refresh_session, token)] * RACERS)
        (token,) = filter(None, new)
        assert m.session_username(token) == "alice"


@pytest.mark.parametrize("cls", MANY)
def test_of_parallel_refreshing_tasks_exactly_one_succeeds(cls: Kind) -> None:
    m = cls(3600, 1, secret_key=KEY)
    token = m.create_session("alice") or ""

    async def race() -> list[str | None]:
        return await asyncio.gather(*(m.arefresh_session(token) for _ in range(RACERS)))

    (new,) = [t for t in asyncio.run(race()) if t]
    assert m.session_username(new) == "alice"


@pytest.mark.parametrize("cls", MANY)
def test_of_parallel_logouts_exactly_one_ended_it(cls: Kind) -> None:
    m = cls(secret_key=KEY)
    token = m.create_session("alice") or ""
    answers = by_threads(*[lambda: m.invalidate_session(token)] * RACERS)
    assert sorted(answers)[-2:] == [(False, None), (True, "alice")]


@pytest.mark.parametrize("cls", MANY)
def test_a_logout_beats_every_refresh_in_flight(cls: Kind) -> None:
    m = cls(secret_key=KEY)
    for _ in range(20):
        token = m.create_session("alice") or ""
        handle = m.user_sessions("alice")[0]["handle"]
        answers = by_threads(
            *[partial(m.refresh_session, token)] * 3,
            partial(m.invalidate_user_session, "alice", handle),
        )
        assert answers[-1] is True
        assert not any(m.validate_session(t) for t in (token, *answers[:3]) if t)
        assert len(m.sessions) == 0


@pytest.mark.parametrize("cls", MANY)
def test_a_hammered_manager_never_gives_one_user_for_another(cls: Kind) -> None:
    limit, rounds = 12, 150
    m = cls(3600, limit, secret_key=KEY, max_sessions_per_user=2, existing="new")

    def hammer(seed: int) -> int:
        dice, user, token, opened = random.Random(seed), f"user{seed % 6}", None, 0
        for _ in range(rounds):
            verb = dice.choice(["create", "validate", "refresh", "end", "look"])
            if token is None or verb == "create":
                token = m.create_session(user)
                opened += token is not None
            elif verb == "validate":
                assert m.session_username(token) == user
            elif verb == "refresh":
                token = m.refresh_session(token)
                assert token is not None
            elif verb == "end":
                assert m.invalidate_session(token) == (True, user)
                token = None
            else:
                assert len(m.sessions) <= limit
                assert len(m.user_sessions(user)) <= 2
                assert all(s["username"] for s in m.sessions.values())
        return opened

    assert sum(by_threads(*(lambda seed=seed: hammer(seed) for seed in range(6)))) > 0
    assert m.n_active_sessions() == len(m.sessions) <= limit
    for user in {s["username"] for s in m.sessions.values()}:
        m.invalidate_user_sessions(user)
    assert m.n_active_sessions() == 0


def test_one_manager_serves_threads_and_loops_at_once() -> None:
    m = SessionManager(max_concurrent_sessions=None)

    def in_a_loop(i: int) -> dict[str, Any] | None:
        async def visit() -> dict[str, Any] | None:
            return await m.avalidate_session(await m.acreate_session(f"async{i}") or "")

        return asyncio.run(visit())

    def called(i: int) -> dict[str, Any] | None:
        return m.validate_session(m.create_session(f"sync{i}") or "")

    calls = [lambda i=i, visit=visit: visit(i) for i in range(8) for visit in (in_a_loop, called)]
    told = by_threads(*calls)
    assert [t["username"] for t in told] == [f"{c}{i}" for i in range(8) for c in ("async", "sync")]
