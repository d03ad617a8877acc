"""What happens between a store's decision and its reply, in an order that is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.rotation.client import Client
from tests.rotation.pausing import PausingStore

from sessiongate import Event, JWTSessionManager, SessionManager
from sessiongate.testing import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from sessiongate.stores import Store

SECRET = "one key for both managers, and long enough for HS512 as well as for any other"
DUE = 601


class World:
    """Two processes, as far as a manager can tell, on one store that can be held."""

    def __init__(self, kind: type[SessionManager], store: Store) -> None:
        self.clock = ManualClock()
        self.events: list[Event] = []
        self.store = PausingStore(store)
        options: dict[str, Any] = {
            "store": self.store,
            "secret_key": SECRET,
            "max_concurrent_sessions": None,
            "max_sessions_per_user": 2,
            "on_limit": "evict_oldest",
            "existing": "new",
            "rotate_after": 600,
            "clock": self.clock,
            "on_event": self.events.append,
        }
        self.here, self.there = kind(3600, **options), kind(3600, **options)
        self.client, self.other = Client(self.here), Client(self.there)

    def due(self) -> str:
        """A token that the next request rotates."""
        token = self.here.create_session("alice")
        assert token is not None
        self.clock.advance(DUE)
        return token

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]


@pytest.fixture(params=[SessionManager, JWTSessionManager])
def world(request: pytest.FixtureRequest, fresh_store: Callable[[], Store]) -> World:
    return World(request.param, fresh_store())


def log_out(world: World, token: str) -> None:
    assert world.here.invalidate_session(token) == (True, "alice")


def revoke_all(world: World, _token: str) -> None:
    assert world.here.invalidate_user_sessions("alice") == 1


def evict(world: World, _token: str) -> None:
    assert world.here.create_session("alice")
    assert world.here.create_session("alice")


ENDINGS = pytest.mark.parametrize("end", [log_out, revoke_all, evict])


@ENDINGS
def test_a_session_that_ends_while_a_rotation_is_under_way_stays_ended(
    world: World, end: Callable[[World, str], None]
) -> None:
    token = world.due()
    with world.store.held(lambda: world.client.ask(token)) as slow:
        end(world, token)
    answer = slow.result()
    assert (answer.status, answer.username) == (200, "alice"), "it ends undisturbed"
    assert answer.token is None, "and sets no cookie again"
    assert world.client.ask(token).username is None
    assert world.here.validate_session(token) is None


@ENDINGS
def test_what_another_process_ended_is_dead_though_its_token_is_still_sent(
    world: World, end: Callable[[World, str], None]
) -> None:
    token = world.due()
    with world.store.held(lambda: world.other.ask(token)) as slow:
        end(world, token)
    answer = slow.result()
    assert (answer.status, answer.username) == (200, "alice")
    assert answer.token is not None
    for dead in (token, answer.token):
        assert world.client.ask(dead).username is None
        assert world.other.ask(dead).username is None


def test_a_logout_under_way_is_final_for_whoever_comes_before_its_reply(world: World) -> None:
    token = world.due()
    with world.store.held(lambda: world.here.invalidate_session(token)) as logout:
        assert world.client.ask(token).username is None
        assert world.other.ask(token, transport="bearer").problem == "invalid_token"
    assert logout.result() == (True, "alice")


def test_the_racer_who_comes_second_and_ends_first_brings_the_same_successor(world: World) -> None:
    token = world.due()
    with world.store.held(lambda: world.client.ask(token)) as slow:
        quick = world.other.ask(token, transport="bearer")
    assert slow.result().token == quick.token is not None
    assert world.kinds() == ["login", "rotated"]


def test_a_successor_seen_while_the_first_reply_is_under_way_logs_nobody_out(world: World) -> None:
    token = world.due()
    with world.store.held(lambda: world.client.ask(token)) as slow:
        successor = world.other.ask(token).token
        assert world.other.ask(successor).username == "alice"
        assert world.other.ask(token).username == "alice", "within the grace"
    assert slow.result().token == successor
    assert world.other.ask(successor).username == "alice"
    assert "replayed" not in world.kinds()


def test_a_late_reply_does_not_overwrite_what_a_refresh_has_handed_out(world: World) -> None:
    token = world.due()
    with world.store.held(lambda: world.client.ask(token)) as slow:
        fresh = world.here.refresh_session(token)
    assert slow.result().token is None
    assert fresh is not None
    assert world.client.ask(fresh).username == "alice"


def test_of_two_refreshes_under_way_one_succeeds(world: World) -> None:
    token = world.due()
    with world.store.held(lambda: world.here.refresh_session(token)) as first:
        assert world.there.refresh_session(token) is None
    fresh = first.result()
    assert world.there.validate_session(fresh) is not None


def test_a_reply_that_comes_after_the_grace_brings_no_token(world: World) -> None:
    token = world.due()
    with world.store.held(lambda: world.client.ask(token)) as slow:
        world.clock.advance(31)
    answer = slow.result()
    assert (answer.username, answer.token) == ("alice", None)
    again = world.client.ask(token)
    assert again.token is not None, "the successor was not seen: the old token still brings it"


def test_a_replay_under_way_ends_the_session_once(world: World) -> None:
    token = world.due()
    successor = world.client.ask(token).token
    assert world.client.ask(successor).username == "alice"
    world.clock.advance(31)
    with world.store.held(lambda: world.client.ask(token)) as replay:
        assert world.other.ask(token).username is None
        assert world.other.ask(successor).username is None
    assert replay.result().username is None
    assert world.kinds().count("replayed") == 1
