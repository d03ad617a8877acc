"""Sessions that are remembered, changed and listed, on each store and on both stacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.http.harness import KEY, Call, Reply, Stack, cookie, make_site, show

from sessiongate import JWTSessionManager, SessionManager
from sessiongate.testing import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from sessiongate.stores import Store

DAY = 86_400
stacks = pytest.mark.parametrize("stack", ["wsgi", "asgi"])
kinds = pytest.mark.parametrize("kind", ["opaque", "jwt"])


@stacks
@kinds
def test_a_remembered_login_and_a_change(
    fresh_store: Callable[[], Store], stack: Stack, kind: str
) -> None:
    site = make_site(stack, kind, store=fresh_store(), remember_for=10 * DAY)

    async def log_in(call: Call) -> Reply:
        assert await call.login("alice", remember=True, scopes=["admin"])
        return Reply()

    token = site.ask(view=log_in).token
    for _ in range(2):
        site.clock.advance(9 * DAY)
        response = site.ask(cookie(token))
        assert response.who == "alice"
        token = response.token or token
    assert site.manager.update_user_sessions("alice", scopes=[]) == 1
    seen: list[tuple[str, ...]] = []

    async def look(call: Call) -> Reply:
        assert call.session.remembered
        seen.append(call.session.user.scopes)
        return Reply()

    assert site.ask(cookie(token), view=look).token not in {None, token}
    assert seen == [()]
    site.clock.advance(10 * DAY)
    assert site.manager.n_active_sessions() == 0


@stacks
def test_requests_keep_a_session_alive_and_polls_do_not(
    fresh_store: Callable[[], Store], stack: Stack
) -> None:
    polling = False
    polls = {"passive": lambda _path: polling}
    site = make_site(
        stack, "opaque", store=fresh_store(), session_timeout=100, rotate_after=None, options=polls
    )
    token = site.open()
    for _ in range(5):
        site.clock.advance(40)
        assert site.ask(cookie(token)).who == "alice"
    polling = True
    for _ in range(2):
        site.clock.advance(40)
        assert site.ask(cookie(token)).who == "alice"
    site.clock.advance(20)
    assert site.ask(cookie(token), view=show).who is None


@pytest.mark.parametrize("manager_class", [SessionManager, JWTSessionManager])
@pytest.mark.parametrize("username", [None, "user1"])
def test_pages(
    fresh_store: Callable[[], Store], manager_class: type[SessionManager], username: str | None
) -> None:
    clock = ManualClock()
    m = manager_class(
        store=fresh_store(), secret_key=KEY, clock=clock, max_concurrent_sessions=None
    )
    for number in range(12):
        clock.advance(1)
        assert m.create_session(f"user{number % 2}", existing="new")
    every = m.list_sessions(username=username)
    assert len(every) == (12 if username is None else 6)
    found: list[dict[str, Any]] = []
    page = m.list_sessions(username=username, limit=4)
    while page:
        found += page
        assert m.invalidate_user_session(page[-1]["username"], page[-1]["handle"])
        page = m.list_sessions(username=username, limit=4, after=page[-1]["handle"])
    assert found == every
