"""Binding, proofs and the age of a cookie on each store, and behind the near cache."""

from __future__ import annotations

import time
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine
from tests.device_bound.playing import BOUND_FOR, OVER, Browser
from tests.http.harness import cookie, leave, make_site
from tests.stores.postgres_server import PostgresServer
from tests.stores.redis_server import RedisServer

from sessiongate.stores import (
    MemoryStore,
    PostgresStore,
    RedisStore,
    SQLAlchemyStore,
    SQLiteStore,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.http.harness import MakeSite, Site

    from sessiongate.stores import Store

PATIENCE = 30
"""Seconds; these tests are not about waiting."""
SERVERS = [pytest.param(name, marks=pytest.mark.slow) for name in ("redis", "postgres")]


@pytest.fixture(params=["sqlite", *SERVERS])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with ExitStack() as stack:
        opened: Any
        if request.param == "sqlite":
            opened = SQLiteStore(tmp_path / "sessions.db", timeout=PATIENCE)
        elif request.param == "redis":
            redis = RedisServer(tmp_path)
            redis.start()
            stack.callback(redis.kill)
            opened = RedisStore(redis.url, connect_timeout=PATIENCE, timeout=PATIENCE)
        else:
            postgres = PostgresServer()
            postgres.start()
            stack.callback(postgres.close)
            opened = PostgresStore(postgres.url, connect_timeout=PATIENCE, timeout=PATIENCE)
        yield stack.enter_context(closing(opened))


def test_a_bound_session_in_the_database_of_an_app(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'app.db'}")
    store = SQLAlchemyStore(engine, timeout=PATIENCE)
    live_through(make_site("wsgi", "opaque", options={"device_bound": True}, store=store))
    engine.dispose()


def test_a_bound_session_on_a_store(make: MakeSite, store: Store) -> None:
    live_through(make(store=store))


def live_through(site: Site) -> None:
    """From the login to the logout, with a proof, and a copy that is refused."""
    site.clock.advance(time.time() - site.clock())  # engines remove what is over by their clock
    browser = Browser(site).logged_in()
    copy = cookie(browser.token)
    assert browser.who == "alice"
    (opened,) = site.manager.list_sessions()
    assert "bound_key" not in opened
    site.clock.advance(OVER)
    assert site.ask(copy).who is None
    assert browser.proving().status == 200
    assert browser.who == "alice"
    assert browser.ask(view=leave, method="POST").status == 200
    assert b'"continue": false' in browser.refresh().body
    assert site.kinds() == ["login", "bound", "unproved", "rotated", "logout"]


@pytest.mark.parametrize("cached", [True, False])
def test_the_trips_of_a_bound_session(make: MakeSite, *, cached: bool) -> None:
    site = make(store=MemoryStore(), near_cache=600 if cached else None)
    browser = Browser(site)
    browser.log_in()
    site.store.reset()
    browser.bind()
    assert site.store.by_verb == {"read": 1, "swap": 1}
    browser.ask()  # the successor is seen
    site.clock.advance(BOUND_FOR)
    site.store.reset()
    assert browser.refresh().status == 200
    assert site.store.by_verb == {"read": 1, "swap": 1}
    assert browser.who == "alice"
    copy = cookie(browser.token)
    site.clock.advance(OVER)
    assert site.ask(copy).who is None
