"""Flask under gevent's own server, with the standard library patched."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest
from tests.servers.fleet import Call, serving
from tests.servers.worker import TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.fleet import Fleet

DUE = TIMEOUT / 2 + 1
PARALLEL = 50

if find_spec("gevent") is None and os.environ.get("SESSIONGATE_REQUIRE_BACKENDS") != "1":
    pytest.skip("needs gevent", allow_module_level=True)


@pytest.fixture(params=["memory", "sqlite"])
def fleet(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Fleet]:
    url = f"{request.param}://{tmp_path / 'sessions.db'}"
    with serving(["gevent"], "opaque", url, tmp_path) as fleet:
        yield fleet


def test_parallel_requests_get_one_successor_and_a_logout_is_final(fleet: Fleet) -> None:
    token = fleet.log_in(0)
    for _ in range(3):
        fleet.clock.advance(DUE)
        answers = fleet.volley(
            Call(0, "/me", token, "cookie" if number % 2 else "bearer")
            for number in range(PARALLEL)
        )
        assert {(answer.status, answer.content["username"]) for answer in answers} == {
            (200, "alice")
        }
        (successor,) = {answer.successor for answer in answers}
        assert isinstance(successor, str)
        token = successor
    assert fleet.ask(Call(0, "/logout", token, method="POST")).status == 200
    assert fleet.ask(Call(0, "/me", token)).status == 401
    assert fleet.told() == ["login", *["rotated"] * 3, "logout"]


def test_users_in_parallel_are_not_mixed_up(fleet: Fleet) -> None:
    users = [f"user{number}" for number in range(20)]
    logins = fleet.volley(
        Call(0, f"/login?username={user}&transport=bearer", method="POST") for user in users
    )
    tokens = [login.content["token"] or "" for login in logins]
    answers = fleet.volley(Call(0, "/me", token) for token in tokens * 3)
    assert [answer.content["username"] for answer in answers] == users * 3
