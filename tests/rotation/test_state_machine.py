"""Random programs over two managers on one store: the real sessions equal the promised ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.rotation.client import Client
from tests.rotation.model import Model

from sessiongate import Event, JWTSessionManager, SessionManager
from sessiongate.testing import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from sessiongate.stores import Store

SECRET = "one key for both managers, and long enough for HS512 as well as for any other"
FEW = 3
"""Sessions at a time: the programs are to go deep into each."""
TIMEOUT, LIFETIME, ROTATE_AFTER, GRACE = 1_000, 2_500, 200, 30

USERS = st.sampled_from(["alice", "bob"])
SIDES = st.integers(0, 1)
PICKS = st.integers(0, 6)
"""Which token, of all ever handed out, counted back from the latest."""
# Around each of the times that decide something.
STEPS = st.sampled_from([0, 1, 15, 29, 30, 31, 100, 199, 200, 201, 500, 999, 1_000, 1_001])


class Sessions(RuleBasedStateMachine):
    """Each rule is done by one of the two managers, and by the model."""

    fresh_store: ClassVar[Any]
    """Makes an empty store."""
    kind: ClassVar[type[SessionManager]]

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.replayed: list[Event] = []
        store = self.fresh_store()
        options: dict[str, Any] = {
            "store": store,
            "secret_key": SECRET,
            "max_concurrent_sessions": None,
            "existing": "new",
            "max_lifetime": LIFETIME,
            "rotate_after": ROTATE_AFTER,
            "rotation_grace": GRACE,
            "touch_every": 0,
            "clock": self.clock,
            "on_event": self.note,
        }
        self.managers = [self.kind(TIMEOUT, **options) for _ in range(2)]
        self.clients = [Client(manager) for manager in self.managers]
        extends = self.kind is SessionManager
        self.model = Model(TIMEOUT, LIFETIME, ROTATE_AFTER, GRACE, self.clock(), extends=extends)
        self.tokens: dict[tuple[int, int], str] = {}
        """Every token ever handed out, by session and place in it."""

    def note(self, event: Event) -> None:
        if event.kind == "replayed":
            self.replayed.append(event)

    def pick(self, number: int) -> tuple[tuple[int, int], str] | None:
        known = list(self.tokens.items())
        return known[-1 - number % len(known)] if known else None

    @precondition(lambda self: len(self.model.live()) < FEW)
    @rule(user=USERS, side=SIDES)
    def login(self, user: str, side: int) -> None:
        token = self.managers[side].create_session(user)
        assert token is not None
        self.tokens[self.model.login(user), 0] = token

    @precondition(lambda self: len(self.model.live()) < FEW)
    @rule(user=USERS, side=SIDES)
    def reuse(self, user: str, side: int) -> None:
        token = self.managers[side].create_session(user, existing="reuse")
        key = self.model.reuse(user)
        assert token is not None
        place = (key, self.model.sessions[key].current)
        assert self.tokens.setdefault(place, token) == token

    @rule(side=SIDES, number=PICKS)
    def check(self, side: int, number: int) -> None:
        if picked := self.pick(number):
            (key, index), token = picked
            valid = self.managers[side].validate_session(token) is not None
            assert valid == self.accepts(key, index)

    @rule(
        side=SIDES,
        number=PICKS,
        transport=st.sampled_from(["cookie", "bearer"]),
        arrives=st.booleans(),
    )
    def request(self, side: int, number: int, transport: str, *, arrives: bool) -> None:
        if picked := self.pick(number):
            (key, index), token = picked
            answer = self.clients[side].ask(token, transport=transport)
            let_in, successor = (False, None)
            if self.is_dated(key, index):
                let_in, successor = self.model.request(key, index)
            assert (answer.username is not None) == let_in
            assert (answer.token is not None) == (successor is not None)
            if successor is not None and answer.token is not None:
                known = self.tokens.get((key, successor))
                assert known in {None, answer.token}, "one successor for all who ask"
                if arrives:
                    self.tokens[key, successor] = answer.token

    @rule(side=SIDES, number=PICKS, pause=st.sampled_from([ROTATE_AFTER, ROTATE_AFTER + 1]))
    def rotate(self, side: int, number: int, pause: int) -> None:
        self.wait(pause)
        self.request(side, number, "cookie", arrives=True)

    @rule(side=SIDES, number=PICKS)
    def refresh(self, side: int, number: int) -> None:
        if picked := self.pick(number):
            (key, index), token = picked
            fresh = self.managers[side].refresh_session(token)
            done = self.is_dated(key, index) and self.model.refresh(key, index)
            assert (fresh is not None) == done
            if fresh is not None:
                self.tokens[key, self.model.sessions[key].current] = fresh

    @rule(side=SIDES, number=PICKS, team=st.integers(1, 3))
    def update(self, side: int, number: int, team: int) -> None:
        if picked := self.pick(number):
            (key, index), token = picked
            fresh = self.managers[side].update_session(token, claims={"team": team})
            done = self.is_dated(key, index) and self.model.update(key, index, team)
            assert (fresh is not None) == done
            if fresh is not None:
                place = key, self.model.sessions[key].current
                assert self.tokens.setdefault(place, fresh) == fresh

    @rule(side=SIDES, user=USERS, team=st.integers(1, 3))
    def update_user(self, side: int, user: str, team: int) -> None:
        changed = self.managers[side].update_user_sessions(user, claims={"team": team})
        assert changed == self.model.update_user(user, team)

    @rule(side=SIDES, number=PICKS)
    def come_back_in_time(self, side: int, number: int) -> None:
        """Neither so late that the token rotates, nor after the timeout."""
        self.wait(ROTATE_AFTER - 1)
        self.request(side, number, "bearer", arrives=True)
        self.wait(TIMEOUT - 1)
        self.request(side, number, "bearer", arrives=True)

    @rule(side=SIDES, number=PICKS)
    def logout(self, side: int, number: int) -> None:
        if picked := self.pick(number):
            (key, index), token = picked
            ended, _ = self.managers[side].invalidate_session(token)
            assert ended == (self.is_dated(key, index) and self.model.logout(key, index))

    @rule(side=SIDES, user=USERS, keep=st.none() | PICKS)
    def revoke(self, side: int, user: str, keep: int | None) -> None:
        picked = None if keep is None else self.pick(keep)
        kept = None
        if picked is not None and self.is_dated(*picked[0]):
            kept = picked
        ended = self.managers[side].invalidate_user_sessions(user, keep=kept[1] if kept else None)
        assert ended == self.model.revoke(user, kept[0][0] if kept else None)

    @rule(seconds=STEPS)
    def wait(self, seconds: int) -> None:
        self.clock.advance(seconds)
        self.model.now = self.clock()

    @rule(side=SIDES)
    def clean(self, side: int) -> None:
        self.managers[side].cleanup_expired_sessions()

    @invariant()
    def same_sessions(self) -> None:
        live = self.model.live().values()
        for manager in self.managers:
            rows = manager.sessions
            assert sorted(rows[key]["username"] for key in rows) == sorted(
                session.username for session in live
            )
        assert len(self.replayed) == self.model.replays

    def accepts(self, key: int, index: int) -> bool:
        return self.is_dated(key, index) and self.model.accept(key, index)

    def is_dated(self, key: int, index: int) -> bool:
        """Whether a JWT's own dates let it through; opaque tokens have none."""
        if self.kind is SessionManager or key not in self.model.sessions:
            return True
        session = self.model.sessions[key]
        made_at = session.tokens[index].made_at
        return self.model.now < min(made_at + TIMEOUT, session.ends_at)


@pytest.mark.parametrize("examples", [15, pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", [SessionManager, JWTSessionManager])
def test_live_sessions_are_the_promised_ones(
    kind: type[SessionManager], fresh_store: Callable[[], Store], examples: int
) -> None:
    machine = type(
        "Sessions", (Sessions,), {"fresh_store": staticmethod(fresh_store), "kind": kind}
    )
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
