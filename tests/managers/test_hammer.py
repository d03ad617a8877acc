"""Eight threads and one manager, for long: nothing is lost, nothing is left behind."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING

import pytest
from tests.managers.verbs import KEY

from sessiongate import JWTSessionManager, SessionManager

if TYPE_CHECKING:
    from collections.abc import Iterator

THREADS = 8
USERS = 5
ROUNDS = 1_500


@pytest.fixture(autouse=True)
def _threads_change_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.slow
@pytest.mark.parametrize("cls", [SessionManager, JWTSessionManager])
def test_hammering_threads_lose_nothing(cls: type[SessionManager]) -> None:
    m = cls(secret_key=KEY, max_concurrent_sessions=None, existing="new")
    gate = Barrier(THREADS)

    def hammer(number: int) -> list[str]:
        """Keep every seventh session, end the others: the tokens of what was kept."""
        kept = []
        gate.wait()
        for turn in range(ROUNDS):
            user = f"user{(number + turn) % USERS}"  # of which each thread has some
            token = m.create_session(user)
            assert token is not None
            assert m.session_username(token) == user
            newer = m.refresh_session(token)
            assert newer is not None
            assert m.validate_session(token) is None
            if turn % 7 == 0:
                kept.append(newer)
            else:
                assert m.invalidate_session(newer) == (True, user)
                assert m.invalidate_session(newer) == (False, None)
        return kept

    with ThreadPoolExecutor(THREADS) as pool:
        kept = [token for tokens in pool.map(hammer, range(THREADS)) for token in tokens]

    assert len(set(kept)) == len(kept) == THREADS * len(range(0, ROUNDS, 7))
    assert m.n_active_sessions() == len(m.sessions) == len(kept)
    assert all(m.validate_session(token) for token in kept)
    listed = [session for i in range(USERS) for session in m.user_sessions(f"user{i}")]
    assert len(listed) == len(kept)
    assert sum(m.invalidate_user_sessions(f"user{i}") for i in range(USERS)) == len(kept)
    assert m.n_active_sessions() == 0
