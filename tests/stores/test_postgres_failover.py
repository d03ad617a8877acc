"""PostgresStore with a standby that takes over: nothing acknowledged is lost or undone."""

from __future__ import annotations

import asyncio
import contextlib
import time
from functools import partial
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import pytest
from tests.stores.checks import Checks
from tests.stores.pgbouncer import any_pooler
from tests.stores.postgres_server import PostgresServer
from werkzeug.test import Client

from sessiongate import SessionManager, StoreError
from sessiongate.stores import PostgresStore
from sessiongate.testing.commands import Close, Count, execute
from sessiongate.testing.contract._material import START, login, session
from sessiongate.wsgi import SessionAuthMiddleware

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

UNHURRIED: Any = {"connect_timeout": 1, "timeout": 0.5}
PROMISED = 6
"""Seconds. The promise is one; the rest is for a machine that is busy with other tests."""
REMEDY = r"read-only.*postgresql://user@a,b/database"


class Pair:
    """A primary, and a standby without which it acknowledges nothing."""

    def __init__(self) -> None:
        self.primary = PostgresServer()
        self.primary.start()
        with self.primary.admin() as admin:
            admin.execute(PostgresStore.schema().encode())
        self.standby = PostgresServer(standby_of=self.primary)
        self.standby.start()
        self.primary.wait_for_standby()
        where = f"127.0.0.1:{self.primary.port}"
        self.url = self.primary.url.replace(where, f"{where},127.0.0.1:{self.standby.port}")

    def close(self) -> None:
        self.primary.close()
        self.standby.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    with contextlib.closing(Pair()) as pair:
        yield pair


class Churn:
    """Logs in and out, as fast as it can, and notes what was acknowledged."""

    def __init__(self, manager: SessionManager) -> None:
        self.manager, self.opened, self.ended = manager, list[str](), list[str]()
        self._stopping = Event()
        self._thread = Thread(target=self._go_on)
        self._thread.start()

    def _go_on(self) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(StoreError):
                self.opened.append(str(self.manager.create_session("dora")))
                token = str(self.manager.create_session("eve"))
                if self.manager.invalidate_session(token)[0]:
                    self.ended.append(token)

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()


def status(manager: SessionManager, token: str) -> str:
    """What a small app answers to a request with a token."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [str(environ.get("REMOTE_USER")).encode()]

    answer = Client(SessionAuthMiddleware(app, manager)).get(
        "/", headers={"Authorization": f"Bearer {token}"}
    )
    return f"{answer.status_code} {answer.text}" if answer.status_code == 200 else answer.status


@pytest.mark.slow
@pytest.mark.parametrize("how", ["killed", "frozen"])
def test_a_failover_under_load_needs_no_restart_and_loses_nothing(pair: Pair, how: str) -> None:
    store = PostgresStore(pair.url, **UNHURRIED)
    manager = SessionManager(
        store=store, secret_key="k" * 64, max_concurrent_sessions=None, existing="new"
    )
    kept = [str(manager.create_session("alice")) for _ in range(20)]
    late = [str(manager.create_session("carol")) for _ in range(5)]
    ended = [str(manager.create_session("bob")) for _ in range(20)]
    for token in ended:
        assert manager.invalidate_session(token) == (True, "bob")
    checks, churn = Checks(manager, kept, ended), Churn(manager)
    try:
        assert checks.served.wait(60)
        until(lambda: len(churn.ended) > 20)
        {"killed": pair.primary.kill, "frozen": pair.primary.freeze}[how]()
        until(lambda: len(checks.errors) > 4)
        assert status(manager, kept[0]).startswith("503 ")
        pair.standby.promote()
        checks.go_on()
        until(lambda: status(manager, kept[0]) == "200 alice")
        for token in late:  # of that the old primary knows nothing
            until(partial(ends, manager, token))
        # The old primary comes back, reachable and read-only, and everybody connects anew.
        pair.primary.kill()
        pair.primary.make_standby(standby=True)
        pair.primary.start()
        with pair.standby.admin() as admin:
            admin.execute(OTHERS_END)
        ended[:5] = late
        checks.go_on()
    finally:
        churn.stop()
        checks.stop()
    assert not checks.wrong
    assert {type(error) for error in checks.errors} == {StoreError}
    assert checks.slowest < PROMISED
    for token in kept + churn.opened:
        assert manager.session_username(token) in {"alice", "dora"}, "a login is lost"
    for token in ended + churn.ended:
        assert manager.session_username(token) is None, "a logout is undone"
    store.close()


OTHERS_END = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"""


def until(so: Callable[[], bool]) -> None:
    """Return when something is so: within a minute."""
    end = time.monotonic() + 60
    while not so():
        assert time.monotonic() < end
        time.sleep(0.01)


def ends(manager: SessionManager, token: str) -> bool:
    with contextlib.suppress(StoreError):
        manager.invalidate_session(token)
        return manager.session_username(token) is None
    return False


@pytest.mark.slow
def test_without_its_standby_a_primary_serves_checks_and_acknowledges_no_logout(
    pair: Pair,
) -> None:
    with contextlib.closing(PostgresStore(pair.url, **UNHURRIED)) as store:
        execute(store, login(session()))
        pair.standby.freeze()
        assert store.read(session().sid) is not None
        with pytest.raises(StoreError, match="did not answer in time"):
            execute(store, Close(session().sid, START))
        pair.standby.thaw()
        until(lambda: execute(store, Close(session().sid, START)) is None)
        assert store.read(session().sid) is None


# A standby in the place of the primary.


@pytest.mark.slow
def test_a_standby_is_an_error_that_names_the_remedy(pair: Pair) -> None:
    asked = f"{pair.standby.url}?target_session_attrs=any"
    for url in (pair.standby.url, asked):
        with contextlib.closing(PostgresStore(url, **UNHURRIED)) as store:
            for look in (lambda store: store.read("sid"), lambda store: asyncio.run(read(store))):
                with pytest.raises(StoreError, match=REMEDY):
                    look(store)


async def read(store: PostgresStore) -> None:
    await store.aread(session().sid)


@pytest.mark.slow
def test_a_pooler_that_leads_to_a_standby_at_last_is_not_believed(pair: Pair) -> None:
    """The pooler stays, so nobody who is connected to it connects anew."""
    with (
        any_pooler(pair.primary) as pooler,
        contextlib.closing(PostgresStore(pooler.url, connect_timeout=2, timeout=2)) as store,
    ):
        execute(store, login(session()))
        assert store.read(session().sid) is not None
        pooler.lead_to(pair.standby)
        until(lambda: refuses(store))
        refuses_to_look(store)
        pair.primary.kill()
        pair.standby.promote()
        assert execute(store, Count(START)) == 1
        execute(store, Close(session().sid, START))
        assert store.read(session().sid) is None


def refuses(store: PostgresStore) -> bool:
    try:
        store.read(session().sid)
    except StoreError:
        return True
    return False


def refuses_to_look(store: PostgresStore) -> None:
    """Also where it has nothing to say: nobody is logged out by a server that has not heard."""

    for look in (
        lambda: store.read(session().sid),
        lambda: store.read("unknown"),
        lambda: asyncio.run(read(store)),
        lambda: store.of_user("alice"),
        lambda: store.live(START, 10),
        lambda: store.count(START),
        lambda: store.sweep(START, 10),
    ):
        with pytest.raises(StoreError, match=REMEDY):
            look()
