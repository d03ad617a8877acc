"""When the last access is written, and what becomes of it where the store fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.stores.passing import PassingStore

from sessiongate import Event, SessionManager, StoreError

if TYPE_CHECKING:
    from tests.managers.verbs import Make

    from sessiongate.testing import ManualClock


class Shared(PassingStore):
    """Of a kind that writes seldom; fails with what is in ``down``."""

    def __init__(self) -> None:
        super().__init__()
        self.touch_every = 300_000_000
        self.down: set[str] = set()

    def before(self, name: str, *_arguments: Any) -> None:
        if name.removeprefix("a") in self.down:
            raise StoreError(name)


@pytest.mark.parametrize(("timeout", "every"), [(3600, 300), (3000, 300), (600, 60), (10, 1)])
def test_a_store_that_is_shared_is_written_every_five_minutes_or_oftener(
    clock: ManualClock, timeout: int, every: int
) -> None:
    m = SessionManager(timeout, store=Shared(), secret_key="k" * 64, clock=clock)
    token = m.create_session("alice") or ""
    opened = clock()
    for passed, shown in ((every - 0.5, 0), (0.5, every), (every - 0.5, every)):
        clock.advance(passed)
        told = m.validate_session(token)
        assert told is not None
        assert told["last_accessed"].timestamp() == opened + shown


def test_a_touch_that_cannot_be_written_is_a_valid_session(make: Make, clock: ManualClock) -> None:
    store = Shared()
    heard: list[Event] = []
    m = make(store=store, on_event=heard.append)
    token = m.create_session("alice")
    clock.advance(400)
    heard.clear()
    store.down = {"swap"}
    assert m.validate_session(token)["username"] == "alice"
    assert [event.kind for event in heard] == ["store_failed"]
    with pytest.raises(StoreError):
        m.refresh_session(token)
    with pytest.raises(StoreError):
        m.invalidate_session(token)
    store.down = {"read"}
    with pytest.raises(StoreError):
        m.validate_session(token)
