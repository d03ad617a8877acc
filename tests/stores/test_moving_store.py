"""MovingStore: the contract on two stores, and an app that moves without logging anybody out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine
from tests.stores.mariadb_server import MariaDBServer
from tests.stores.passing import PassingStore

from sessiongate import ConfigurationError, SessionManager, StoreError
from sessiongate.core.buckets import bucket_of
from sessiongate.stores import MemoryStore, MovingStore, SQLAlchemyStore, SQLiteStore
from sessiongate.testing import ManualClock, StoreContract
from sessiongate.testing.contract._calls import Race, racing
from sessiongate.testing.contract._material import START

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from sessiongate.stores import Store

PATIENCE = 20
SECRET = "k" * 64


@pytest.fixture
def old(tmp_path: Path) -> Iterator[SQLiteStore]:
    store = SQLiteStore(tmp_path / "old.db", timeout=PATIENCE)
    yield store
    store.close()


@pytest.fixture
def new(tmp_path: Path) -> Iterator[SQLiteStore]:
    store = SQLiteStore(tmp_path / "new.db", timeout=PATIENCE)
    yield store
    store.close()


@pytest.mark.slow
class TestMovingStore(StoreContract):
    """Logins go to the new store, so that one keeps the contract."""

    test_logins_that_replace_leave_one_session = None  # type: ignore[assignment] # a crowd may be an error

    PROGRAMS, PAIRS, TRIPLES, ROUNDS = 5, 20, 20, 5

    @pytest.fixture
    def store(self, old: Store, new: Store) -> MovingStore:
        return MovingStore(old, new)


class Halfway(MovingStore):
    """The first logins are of before the move, so that the verbs meet records in both stores."""

    before = 2

    def _commit(
        self, username: str, out: Any, new: Any, seen: Any, live: Any, now: int
    ) -> Generator[Any, Any, bool]:
        if new is None or not self.before:
            return (yield from super()._commit(username, out, new, seen, live, now))
        if seen is not None:
            seen = seen[0]
        done: bool = yield self._old, "commit", username, out, new, seen, live, now
        self.before -= done
        return done


@pytest.mark.slow
class TestHalfway(StoreContract):
    PROGRAMS, PAIRS, TRIPLES, ROUNDS = 5, 15, 15, 5

    test_logins_that_replace_leave_one_session = None  # type: ignore[assignment] # likewise

    @pytest.fixture
    def store(self, old: Store, new: Store) -> MovingStore:
        return Halfway(old, new)

    @pytest.fixture(params=[pytest.param("tasks", marks=pytest.mark.slow)])
    def race(self, store: Store, request: pytest.FixtureRequest) -> Iterator[Race]:
        with racing(store, request.param) as race:
            yield race


@pytest.fixture(scope="module")
def mariadb() -> Iterator[MariaDBServer]:
    server = MariaDBServer()
    yield server
    server.close()


def manager_on(store: Store, clock: ManualClock, **options: Any) -> SessionManager:
    return SessionManager(store=store, secret_key=SECRET, clock=clock, existing="new", **options)


def test_an_app_moves_to_its_database_and_nobody_is_logged_out(
    old: SQLiteStore, mariadb: MariaDBServer
) -> None:
    engine = create_engine(mariadb.url)
    new = SQLAlchemyStore(engine, timeout=PATIENCE)
    clock = ManualClock(START // 1_000_000)
    before = manager_on(old, clock, max_concurrent_sessions=5)
    tokens = {name: before.create_session(name) or "" for name in ("alice", "bob", "carol")}

    moving = MovingStore(old, new)
    during = manager_on(moving, clock, max_concurrent_sessions=5)
    assert {during.session_username(token) for token in tokens.values()} == tokens.keys()
    tokens["alice"] = during.refresh_session(tokens["alice"]) or ""
    assert during.invalidate_session(tokens.pop("carol")) == (True, "carol")
    tokens |= {name: during.create_session(name) or "" for name in ("dave", "erin", "frank")}
    assert during.create_session("one too many") is None
    now = round(clock() * 1_000_000)
    assert (old.count(now), new.count(now)) == (2, 3)
    assert [row["username"] for row in during.list_sessions(limit=3)] == ["alice", "bob", "dave"]
    assert len(during.list_sessions()) == 5

    assert moving.move_rest(now) == 2
    after = manager_on(new, clock, max_concurrent_sessions=5)
    assert {after.session_username(token) for token in tokens.values()} == tokens.keys()
    assert after.refresh_session(tokens["alice"])
    assert (old.count(now), new.count(now)) == (0, 5)
    assert moving.move_rest(now) == 0
    assert after.invalidate_user_sessions("bob") == 1
    engine.dispose()


def test_a_login_that_ends_old_sessions_ends_them_there(old: SQLiteStore, new: SQLiteStore) -> None:
    clock = ManualClock(START // 1_000_000)
    token = manager_on(old, clock).create_session("alice") or ""
    during = manager_on(
        MovingStore(old, new), clock, max_sessions_per_user=1, on_limit="evict_oldest"
    )
    assert during.create_session("alice")
    assert during.session_username(token) is None
    assert during.invalidate_user_sessions("alice") == 1


class Failing(PassingStore):
    """Fails in one verb."""

    verb = "none"

    def before(self, name: str, *_: Any) -> None:
        if name.removeprefix("a") == self.verb:
            msg = "it is down"
            raise StoreError(msg)


@pytest.mark.parametrize("broken", ["old", "new"])
@pytest.mark.parametrize("verb", ["read", "swap", "of_user", "commit", "count"])
def test_a_store_that_fails_is_an_error_and_recovers(
    old: SQLiteStore, new: SQLiteStore, verb: str, broken: str
) -> None:
    clock = ManualClock(START // 1_000_000)
    stores: dict[str, Any] = {"old": Failing(old), "new": Failing(new)}
    manager = manager_on(MovingStore(**stores), clock, max_sessions_per_user=9)
    token = manager_on(stores[broken], clock).create_session("alice") or ""
    stores[broken].verb = verb
    calls = {
        "read": lambda: manager.validate_session(token),
        "swap": lambda: manager.refresh_session(token),
        "of_user": lambda: manager.user_sessions("alice"),
        "commit": lambda: manager.create_session("alice"),
        "count": manager.n_active_sessions,
    }
    if (verb, broken) != ("commit", "old"):
        with pytest.raises(StoreError, match="it is down"):
            calls[verb]()
    stores[broken].verb = "none"
    assert manager.session_username(token) == "alice"
    assert calls[verb]()


class Sharded(PassingStore):
    """Takes only sids that begin with their bucket."""

    sharded = True

    def before(self, name: str, *arguments: Any) -> None:
        if name == "commit" and arguments[2] is not None:
            assert arguments[2].sid.startswith(bucket_of(arguments[0]))


def test_logins_go_to_a_sharded_store_and_old_sessions_end_where_they_are(
    old: SQLiteStore, new: SQLiteStore
) -> None:
    clock, now = ManualClock(START // 1_000_000), START
    token = manager_on(old, clock).create_session("alice") or ""
    moving = MovingStore(old, Sharded(new))
    with pytest.raises(ConfigurationError, match="max_concurrent_sessions=None"):
        manager_on(moving, clock)
    during = manager_on(moving, clock, max_concurrent_sessions=None)
    assert all(during.create_session(name) for name in ("bob", "carol", "dave"))
    assert during.session_username(token) == "alice"
    with pytest.raises(ConfigurationError, match="let them end"):
        moving.move_rest(now)
    assert (old.count(now), new.count(now)) == (1, 3)


def test_stores_that_cannot_move_are_refused(old: SQLiteStore) -> None:
    for arguments in ((old, old), (MemoryStore(), old)):
        with pytest.raises(ConfigurationError, match="cannot move"):
            MovingStore(*arguments)
    moving = MovingStore(old, PassingStore(old))
    assert repr(moving).startswith("<MovingStore from SQLiteStore(")
